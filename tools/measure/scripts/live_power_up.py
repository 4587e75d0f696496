"""What is on the heap while a first power-up waits for its response.

`live_power_up.py IMAGE PROGRAM_SIZE`.
"""

import gc
import json
import sys

import micropython
import thin_board

found = {}


class Poll(thin_board.Poll):
    """Looks at the heap when a socket is first waited for."""

    def __init__(self):
        super().__init__()
        self.wait = self.ipoll

    def register(self, stream, events):
        super().register(stream, events)
        if isinstance(stream, thin_board.Socket):
            self.ipoll = self.look

    def look(self, timeout):
        if not found:
            gc.collect()
            found["live"] = gc.mem_alloc() - start
            found["loaded"] = [name for name in sys.modules if name.startswith("firmware.")]
            micropython.qstr_info()
        return self.wait(timeout)


thin_board.power_on(sys.argv[1], int(sys.argv[2]))
thin_board.selector.poll = Poll
gc.collect()
micropython.qstr_info()
start = gc.mem_alloc()
execfile("/main.py", {"__name__": "__main__"})
print(json.dumps(found))
