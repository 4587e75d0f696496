"""A virtual board at a serial port, until Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tools.virtual_board.flash import make_blank
from tools.virtual_board.scenario import Scenario
from tools.virtual_board.serial_board import SerialBoard


def board(
    flash: Path,
    link: Path,
    kind: str,
    id: str | None,
    say: Callable[[str], None],
    scenario: Scenario | None = None,
) -> None:
    """Power up the board on `flash`, made when it is not there, at `link`.

    Raises FlashError, ValueError, RuntimeError and OSError as SerialBoard does.
    """
    if not flash.exists():
        make_blank(flash, kind)
        say(f"{flash} is a new board's flash: MicroPython is on it, and no firmware")
    played = SerialBoard(flash, kind, link, scenario, id)
    played.ports.say = say
    with played:
        say(f"{kind} at {link}: mpremote connect {link} (Ctrl-C takes it away)")
        threading.Event().wait()
