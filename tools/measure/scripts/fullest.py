"""What is on the heap when a first power-up has most there.

`fullest.py IMAGE PROGRAM_SIZE IS_FROZEN [ROMFS]`. The heap is collected and looked at after each
import, before each access to the flash and at each wait for a socket, until app.py runs or the
board waits for the next try. MicroPython's word on interned names stands before, and last of the
moment with most.
"""

import builtins
import gc
import json
import sys

import micropython
import thin_board

_NEXT_TRY = 1000  # ms, and longer
found = {"live": 0}


class Waits(BaseException):
    """The board waits for the next try."""


def look():
    gc.collect()
    live = gc.mem_alloc() - start
    if live > found["live"]:
        found["live"] = live
        found["loaded"] = [name for name in sys.modules if name.startswith("firmware.")]
        micropython.qstr_info()


class Poll(thin_board.Poll):
    def __init__(self):
        super().__init__()
        self.wait = self.ipoll

    def register(self, stream, events):
        super().register(stream, events)
        if isinstance(stream, thin_board.Socket):
            self.ipoll = self.look

    def look(self, timeout):
        look()
        return self.wait(timeout)


def looked_at(access):
    def look_and_access(*arguments):
        look()
        return access(*arguments)

    return look_and_access


def imported(*what):
    module = load(*what)
    if what[0] == "firmware.board.hardware" and module.Board.sleep is not sleep:
        found["sleep"] = module.Board.sleep
        module.Board.sleep = sleep
    look()
    return module


def sleep(board, ms):
    if ms >= _NEXT_TRY:
        raise Waits
    found["sleep"](board, ms)


thin_board.power_on(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
thin_board.selector.poll = Poll
flash = thin_board.Flash
flash.readblocks, flash.writeblocks = looked_at(flash.readblocks), looked_at(flash.writeblocks)
load = builtins.__import__
builtins.__import__ = imported
gc.collect()
micropython.qstr_info()
start = gc.mem_alloc()
try:
    execfile("/main.py", {"__name__": "__main__"})
except Waits:
    pass
found.pop("sleep", None)
print(json.dumps(found))
