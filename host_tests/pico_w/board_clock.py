"""Runs a tool on the clock of an emulated board, so that the tool's patience is in board time.

python -m host_tests.pico_w.board_clock CLOCK MODULE:FUNCTION [ARGUMENT…]

CLOCK: a file of 8 bytes, the board's time in seconds, kept up to date while the tool runs. To the
tool `SERVER` is this computer, as it is to the board. All that is lost in a process that the tool
goes on in, as `python -m tools` does outside of its `.venv`; so a function is called.
"""

from __future__ import annotations

import mmap
import pkgutil
import select
import socket
import struct
import sys
import time

SERVER = "thingsboard.example.com"
_LOOK_S = 0.002


def run_by(clock: str, main: str, arguments: list[str]) -> None:
    """Run a tool's main and exit with its code. What waits, waits for the board's clock."""
    with open(clock, "rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    nap, select_any, resolve = time.sleep, select.select, socket.getaddrinfo

    def monotonic(*self) -> float:  # pyserial makes a method of it
        return struct.unpack("d", shared[:8])[0]

    def sleep(seconds: float) -> None:
        end = monotonic() + seconds
        while monotonic() < end:
            nap(_LOOK_S)

    def select_until(reading, writing, failing, seconds=None):
        if not seconds:
            return select_any(reading, writing, failing, seconds)
        end = monotonic() + seconds
        while True:
            ready = select_any(reading, writing, failing, _LOOK_S)
            if any(ready) or monotonic() >= end:
                return ready

    def getaddrinfo(host, *rest, **options):
        return resolve("127.0.0.1" if host == SERVER else host, *rest, **options)

    time.monotonic, time.sleep, select.select = monotonic, sleep, select_until
    socket.getaddrinfo = getaddrinfo
    sys.argv = [main, *arguments]
    sys.exit(pkgutil.resolve_name(main)())


if __name__ == "__main__":
    run_by(sys.argv[1], sys.argv[2], sys.argv[3:])
