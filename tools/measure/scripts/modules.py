"""The heap that each module keeps once imported: `modules.py NAME…`, what they import first.

MicroPython's word on interned names stands before the first and after each.
"""

import gc
import json
import sys

import micropython
import thin_board

thin_board.put_in_place()
for name in ("firmware", "firmware.coap", "firmware.board", "firmware.thingsboard"):
    __import__(name)
micropython.qstr_info()
kept = []
for name in sys.argv[1:]:
    gc.collect()
    before = gc.mem_alloc()
    __import__(name)
    gc.collect()
    kept.append(gc.mem_alloc() - before)
    micropython.qstr_info()
print(json.dumps({"heap": kept}))
