"""One board at a time on a flash. The lock dies with the processes that hold it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.virtual_board.errors import FlashError

# A board whose supervisor was just killed is itself gone within this time.
_PATIENCE_S = 2.0
_RETRY_S = 0.01
_POWERED = "is in another board that is powered up; stop it first"

if sys.platform == "win32":
    import msvcrt

    def _open(flash: Path) -> int:
        return os.open(flash.with_name(flash.name + ".lock"), os.O_RDWR | os.O_CREAT)

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _open(flash: Path) -> int:
        return os.open(flash, os.O_RDONLY)

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(flash: Path, why: str = _POWERED) -> Iterator[int]:
    """Hold the flash; gives the descriptor that a child process inherits to hold it too.

    Raises FlashError, which says `why`, when somebody else has it and keeps it.
    """
    descriptor = _open(flash)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not _try(descriptor):
            if time.monotonic() > deadline:
                raise FlashError(f"{flash} {why}")
            time.sleep(_RETRY_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        _lock(descriptor)
    except OSError:
        return False
    return True
