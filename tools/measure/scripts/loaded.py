"""The modules of the firmware that a first power-up loads: `loaded.py IMAGE`."""

import builtins
import json
import sys

import thin_board

loaded = []
load = builtins.__import__


def note(*what):
    module = load(*what)
    for name in sys.modules:
        if name.startswith("firmware") and name not in loaded:
            loaded.append(name)
    return module


thin_board.power_on(sys.argv[1])
builtins.__import__ = note
execfile("/main.py", {"__name__": "__main__"})
print(json.dumps({"loaded": loaded}))
