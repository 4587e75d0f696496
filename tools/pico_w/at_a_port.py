"""An emulated Pico W at a serial port, until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tools.pico_w.flash_file import make_erased


def board(flash: Path, link: Path, image: Path, id: str | None, say: Callable[[str], None]) -> None:
    """Power up the board on `flash`, made when it is not there, at `link`.

    Raises FlashError, ValueError, RuntimeError and OSError as SerialPicoW does.
    """
    if sys.platform == "win32":
        raise RuntimeError("a board at a serial port needs Linux or macOS")
    from tools.pico_w.serial_board import SerialPicoW

    if not flash.exists():
        make_erased(flash)
        say(f"{flash} is a new board's flash: MicroPython is on it, and no firmware")
    unique_id = bytes.fromhex(id) if id else None
    with SerialPicoW(flash, image, link, unique_id) as pico_w:
        say(f"pico-w at {link}: mpremote connect {link} (Ctrl-C takes it away)")
        pico_w.wait()
