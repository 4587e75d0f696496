"""MicroPython with its REPL on three pipes: input, console, events."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import termios
from collections.abc import Mapping
from typing import Any

from tools.virtual_board import ctrl_c
from tools.virtual_board.process import RECORD_SEPARATOR, start

_CTRL_C = b"\x03"
_CHUNK = 4096


class ReplProcess:
    """One life of a board with a REPL, from one reset to the next. Nothing here waits.

    `is_ready`: whether it hears what is typed.
    """

    def __init__(self, settings: Mapping[str, Any], lock: int):
        # HOME is where the REPL would keep a history. No board has much room for what it has
        # printed and nobody has read.
        self._process = start("micropython", settings, lock, _CHUNK, HOME="")
        self._input = self._process.stdin.fileno()
        self.console = self._process.stdout.fileno()
        self.events = self._process.stderr.fileno()
        self._half_an_event = b""
        self.is_ready = False
        for descriptor in (self._input, self.console, self.events):
            os.set_blocking(descriptor, False)

    def read_console(self) -> bytes | None:
        """What it has printed; b"" for nothing, None once it is gone."""
        try:
            return os.read(self.console, _CHUNK) or None
        except BlockingIOError:
            return b""

    def read_events(self) -> list[dict]:
        """The events that have come."""
        try:
            received = os.read(self.events, _CHUNK)
        except BlockingIOError:
            return []
        *lines, self._half_an_event = (self._half_an_event + received).split(b"\n")
        texts = [line.partition(RECORD_SEPARATOR)[2] for line in lines]
        found = [json.loads(text) for text in texts if text]
        self.is_ready = self.is_ready or any(event["event"] == "ready" for event in found)
        return found

    def type(self, typed: bytes) -> int:
        """Type on its console; gives how many bytes it took, in order, before it was busy."""
        taken = 0
        while self.is_ready and taken < len(typed):
            took = self._type_ctrl_c() if typed[taken] in _CTRL_C else self._type(typed[taken:])
            if not took:
                break
            taken += took
        return taken

    def has_unread(self) -> bool:
        """Whether it has yet to read what was typed."""
        (count,) = struct.unpack("i", fcntl.ioctl(self._input, termios.FIONREAD, b"\0" * 4))
        return count > 0

    def end(self) -> None:
        """Cut its power and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()

    def _type(self, typed: bytes) -> int:
        text, _, _ = typed.partition(_CTRL_C)
        try:
            return os.write(self._input, text)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(text)

    def _type_ctrl_c(self) -> int:
        try:
            if ctrl_c.interrupt(self._process.pid):
                return 1
            if self.has_unread() or not ctrl_c.is_waiting(self._process.pid):
                return 0
            return os.write(self._input, _CTRL_C)
        except (ProcessLookupError, FileNotFoundError, BrokenPipeError):
            return 1  # gone; its reset follows
