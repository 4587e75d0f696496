"""One power-up that fails, until it waits for the next try.

`failing.py IMAGE PROGRAM_SIZE IS_FROZEN [ROMFS]`. What the stand-ins take, as JSON. MicroPython's
word on interned names stands before and after.
"""

import gc
import json
import sys

import micropython

_NEXT_TRY = 1000  # ms, and longer


class Waits(BaseException):
    """The board waits for the next try."""


def main(image, program_size, is_frozen, rom=None):
    heap = gc.mem_alloc()
    import thin_board

    thin_board.power_on(image, int(program_size), int(is_frozen), rom)
    standing = gc.mem_alloc() - heap
    micropython.qstr_info()
    from firmware.board.hardware import Board

    sleep = Board.sleep

    def end(self, ms):
        if ms >= _NEXT_TRY:
            raise Waits
        sleep(self, ms)

    Board.sleep = end
    try:
        execfile("/main.py", {"__name__": "__main__"})
    except Waits:
        micropython.qstr_info()
    return {"standing": standing}


print(json.dumps(main(*sys.argv[1:])))
