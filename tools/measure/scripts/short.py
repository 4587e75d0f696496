"""One life of a board that may be short of heap: `short.py IMAGE FREE`.

FREE: the bytes that are free when it begins. The last line says how it ended.

"restarts": the board reset; "waits": it goes on trying; "ends": main.py ended.
"""

import gc
import sys
import time as true

from micropython import const

_LONGEST = const(600_000)  # ms that one life may wait


class End(BaseException):
    """The life is over; made before the heap is anybody's."""


RESTARTS = End()
WAITS = End()


class clock:
    """The `time` module, in which to wait takes none."""

    ticks_diff = true.ticks_diff
    ticks_add = true.ticks_add
    gmtime = true.gmtime
    time = true.time
    time_ns = true.time_ns
    waited = 0

    def ticks_ms():
        return true.ticks_add(true.ticks_ms(), clock.waited)

    def sleep_ms(ms):
        clock.waited += ms
        if clock.waited > _LONGEST:
            raise WAITS

    def sleep(seconds):
        clock.sleep_ms(seconds * 1000)


def reset():
    raise RESTARTS


def main(image, free):
    import thin_board

    thin_board.machine.reset = reset
    thin_board.power_on(image)
    sys.modules["time"] = clock
    gc.collect()
    taken = None
    while gc.mem_free() > free:
        # A block of the heap each time, so that what stays free is in one piece.
        taken = (taken,)
    try:
        execfile("/main.py", {"__name__": "__main__"})
    except End as end:
        return "restarts" if end is RESTARTS else "waits"
    return "ends"


print(main(sys.argv[1], int(sys.argv[2])))
