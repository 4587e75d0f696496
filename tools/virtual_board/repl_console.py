"""What a board says on its serial line, made of what MicroPython says on a computer. Pure."""

from __future__ import annotations

import re

_REPL_FOLLOWS = b"\x1erepl\x1e"  # rom/supervisor.py prints it
_PROMPT = b">>> "
_RAW = b"raw REPL; CTRL-B to exit\r\n"
_FRIENDLY = b'Type "help()" for more information.\r\n'
_HOST = re.compile(rb"linux \[GCC [^]\r\n]*\] version")


class ReplConsole:
    """The console of one life of a board; `is_raw` says in which mode its REPL is.

    A REPL that is to be raw from the beginning shows nothing of the friendly one. `machine` is
    what the board calls itself.
    """

    def __init__(self, is_raw: bool, machine: str):
        self.is_raw = is_raw
        self.is_repl = False
        self._machine = machine.encode()
        self._held = b""
        self._starts_with = _RAW if is_raw else b""
        self._seen = b""

    def feed(self, output: bytes) -> bytes:
        """Take what MicroPython printed; gives what the board sends."""
        self._held += output
        sent = b"" if self.is_repl else self._before_repl()
        if self.is_repl:
            start = self._held.find(self._starts_with)
            if start >= 0:
                self._starts_with = b""
                repl, self._held = self._held[start:], b""
                self._follow(repl)
                sent += _HOST.sub(self._machine, repl)
        return sent

    def _before_repl(self) -> bytes:
        text, mark, rest = self._held.partition(_REPL_FOLLOWS)
        self.is_repl = bool(mark)
        if not mark:
            begun = [size for size in range(1, len(_REPL_FOLLOWS)) if _ends_with_part(text, size)]
            keep = len(text) - max(begun, default=0)
            text, rest = text[:keep], text[keep:]
        self._held = rest
        return text

    def _follow(self, repl: bytes) -> None:
        self._seen = (self._seen + repl)[-len(_RAW) - len(repl) :]
        raw, friendly = self._seen.rfind(_RAW), self._seen.rfind(_FRIENDLY)
        if max(raw, friendly) >= 0:
            self.is_raw = raw > friendly


def _ends_with_part(text: bytes, size: int) -> bool:
    return text.endswith(_REPL_FOLLOWS[:size])
