"""How many bits MicroPython's words have."""

import json
import sys

print(json.dumps({"bits": 64 if sys.maxsize > 1 << 32 else 32}))
