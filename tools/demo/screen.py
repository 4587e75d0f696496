"""Where a demonstration is shown."""

from __future__ import annotations

import math
import re
import time

from rich.text import Text

from tools.styled import Console

_STAMP = re.compile(r"\[ *(\d+\.\d{3})\] ")
_STYLES = {"board ": "cyan", "server": "magenta"}


class Screen:
    """The board's console and the server's log, interleaved; in colour on a terminal.

    A virtual board's console comes through a pipe and later than the log, so the lines of a
    power-up are put in order by the console's own times. `is_live`: each is printed as it comes.
    """

    def __init__(self, is_live: bool = False) -> None:
        self._console = Console(soft_wrap=True)
        self._is_live = is_live
        self._board: list[tuple[float, str]] = []
        self._server: list[tuple[float, str]] = []
        self._power_up = math.inf
        # Whether what devices tell ThingsBoard is shown, in place of datagrams.
        self.is_told = False

    def log(self, line: str) -> None:
        """Take a line of a datagram."""
        if not self.is_told:
            self.server(line)

    def tell(self, line: str) -> None:
        """Take a line of what a device told."""
        if self.is_told:
            self.server(line)

    def board(self, line: str) -> None:
        """Take a line of the console."""
        if self._is_live:
            self.put(time.monotonic(), "board ", line)
            return
        match = _STAMP.match(line)
        if match:
            self._power_up = min(self._power_up, time.monotonic() - float(match[1]))
        stamp = float(match[1]) if match else self._board[-1][0] if self._board else 0.0
        self._board.append((stamp, line))

    def server(self, line: str) -> None:
        """Take a line of the log."""
        if self._is_live:
            self.put(time.monotonic(), "server", line)
            return
        self._server.append((time.monotonic(), line))

    def show(self) -> None:
        """Print the lines of a power-up that has ended."""
        lines = [(self._power_up + at, "board ", line) for at, line in self._board]
        lines += [(at, "server", line) for at, line in self._server]
        for at, label, line in sorted(lines, key=lambda line: line[0]):
            self.put(at, label, line)
        self._board.clear()
        self._server.clear()
        self._power_up = math.inf

    def put(self, at: float, label: str, line: str) -> None:
        """Print a line of the board's or the server's, which came at this monotonic time."""
        self._console.print(Text.assemble((f"{label} │ ", _STYLES[label]), line))

    def say(self, text: str = "") -> None:
        """Print a line of the demonstration's own."""
        self._console.print(Text(text, style="bold"))
