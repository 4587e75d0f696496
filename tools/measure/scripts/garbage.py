"""What one exchange leaves on the heap: `garbage.py CLIENT PORT`."""

import gc
import json
import sys

ask = __import__(sys.argv[1]).connect(int(sys.argv[2]))
ask()
ask()
gc.collect()
gc.disable()
before = gc.mem_alloc()
ask()
garbage = gc.mem_alloc() - before
print(json.dumps({"bytes": garbage}))
