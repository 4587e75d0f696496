"""How long an exchange takes, in microseconds: `timed.py CLIENT PORT TIMES`."""

import json
import sys
import time

ask = __import__(sys.argv[1]).connect(int(sys.argv[2]))
times = []
for _ in range(int(sys.argv[3])):
    began = time.ticks_us()
    ask()
    times.append(time.ticks_diff(time.ticks_us(), began))
print(json.dumps({"us": times}))
