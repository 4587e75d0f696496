"""One exchange: `once.py CLIENT PORT`."""

import json
import sys

print(json.dumps({"token": __import__(sys.argv[1]).connect(int(sys.argv[2]))()}))
