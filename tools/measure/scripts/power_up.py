"""One power-up: `power_up.py IMAGE [PROGRAM_SIZE [IS_FROZEN [ROMFS]]]`; its figures in JSON.

MicroPython's word on interned names stands before it and after it.
"""

import gc
import json
import sys
import time

import micropython


def main(image, program_size=32, is_frozen=0, rom=None):
    heap = gc.mem_alloc()
    import thin_board

    flash = thin_board.power_on(image, int(program_size), int(is_frozen), rom)
    standing = gc.mem_alloc() - heap
    micropython.qstr_info()
    began = time.ticks_us()
    execfile("/boot.py")
    execfile("/main.py", {"__name__": "__main__"})
    micropython.qstr_info()
    app = sys.modules.get("app")
    return {
        "standing": standing,
        "us_to_app": time.ticks_diff(app.started, began) if app else None,
        "programs": flash.programs,
        "bytes_programmed": flash.bytes_programmed,
        "erases": flash.erases,
        "saves": flash.saves,
    }


print(json.dumps(main(*sys.argv[1:])))
