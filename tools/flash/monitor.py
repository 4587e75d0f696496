"""A board's console, with the keyboard: mpremote's own."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from mpremote.console import Console
from mpremote.repl import do_repl_main_loop
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from tools.flash.errors import WRONG_USAGE, FlashingError
from tools.terminal import ConsoleFilter


def monitor(port: str) -> None:
    """Stay on the console until Ctrl-]. What runs goes on running. Raises FlashingError."""
    if not sys.stdin.isatty():
        raise FlashingError("--monitor wants a keyboard", "Start it in a terminal", WRONG_USAGE)
    try:
        transport = SerialTransport(port, timeout=1)
    except TransportError:
        raise FlashingError(f"{port} cannot be opened any more", "Check the cable") from None
    print(f"{port}: the board's console. Ctrl-] leaves it, Ctrl-C interrupts the board.")
    console = Console()
    shown = ConsoleFilter()
    console.enter()
    try:
        lost = do_repl_main_loop(
            SimpleNamespace(transport=transport),
            console,
            lambda received: console.write(shown.feed(bytes(received))),
            escape_non_printable=False,
            code_to_inject=None,
            file_to_inject=None,
        )
    finally:
        console.exit()
        transport.close()
    if lost:
        raise FlashingError(f"{port}: the connection broke off", "Check the cable")
