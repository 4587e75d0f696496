"""Keeps control characters from a terminal: what came from outside may hold any."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, TextIO

# C0 but for tab and line feed, DEL, C1, and what turns the direction of text round.
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What MicroPython's REPL edits a line with: backspaces, carriage returns and three sequences.
_EDITING = re.compile(rb"\x1b\[\d*[CDK]|[\x08\t\n\r -~]|[\x80-\xff]")
_BEGUN = re.compile(rb"\x1b(\[\d*)?$")


def printable(text: str) -> str:
    """The text with every control character spelt out, such as \\x1b; lines stay lines."""
    return _CONTROL.sub(lambda match: _spelt(ord(match[0])), text)


def one_line(text: str) -> str:
    """The text as `printable`, its line feeds and tabs spelt out too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def guard() -> None:
    """From now on, what is printed on standard output and error is `printable`.

    A standard stream that is closed is an empty one.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")
        stream.reconfigure(errors="replace")
        setattr(sys, name, _Printable(stream))


def unguarded(stream: TextIO) -> TextIO:
    """The stream behind a guarded one, for what writes escape sequences of its own."""
    return stream.behind if isinstance(stream, _Printable) else stream


class ConsoleFilter:
    """Lets through what MicroPython's REPL edits a line with, and spells other controls out."""

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, received: bytes) -> bytes:
        """Take what a board sent; gives what may be shown of it."""
        received, self._begun = self._begun + received, b""
        if begun := _BEGUN.search(received):
            received, self._begun = received[: begun.start()], begun[0]
        shown, position = bytearray(), 0
        while position < len(received):
            if match := _EDITING.match(received, position):
                shown += match[0]
                position = match.end()
            else:
                shown += _spelt(received[position]).encode()
                position += 1
        return bytes(shown)


class _Printable:
    def __init__(self, behind: TextIO):
        self.behind = behind

    def write(self, text: str) -> int:
        self.behind.write(printable(text))
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


def _spelt(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
