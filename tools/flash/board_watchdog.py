"""Run on a board: a watchdog outlives the program that started it, and wants to be fed."""

from __future__ import annotations

# Whether a watchdog may run: firstboot's, by config.json, or one that a program of the user's
# starts, in whatever file of theirs. 8388 ms are the most that a Pico W's takes.
HAS_WATCHDOG = """
def _starts_one(folder):
    import os
    for entry in os.ilistdir(folder):
        path = folder + "/" + entry[0]
        if entry[1] & 0x4000:
            ours = ("/firmware", "/firmware.outgoing", "/a/firmware", "/b/firmware", "/rom", "/sd")
            if path not in ours and _starts_one(path):
                return True
            continue
        if path[-3:] == ".py":
            mark = b"WDT("
        elif path[-4:] == ".mpy":
            mark = b"WDT"
        else:
            continue
        read = b""
        with open(path, "rb") as file:
            while True:
                piece = file.read(512)
                if not piece:
                    break
                read = read[-3:] + piece
                if mark in read:
                    return True
    return False
def _watchdog():
    import json
    try:
        with open("/config.json") as file:
            if json.load(file)["watchdog"]:
                return True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        return _starts_one("")
    except OSError:
        return False
_watchdog = _watchdog()
if _watchdog:
    from machine import WDT
    _watchdog = WDT(timeout=8388)
print(bool(_watchdog))
"""
FEED = "_watchdog.feed()\n"
