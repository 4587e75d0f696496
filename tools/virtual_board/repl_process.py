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
    """One life of a board with a REPL, from one reset to the next. Nothing here waits."""

    def __init__(self, settings: Mapping[str, Any], lock: int):
        # MICROPYINSPECT: the REPL follows whatever ran; HOME: where it would keep a history.
        self._process = start("micropython", settings, lock, MICROPYINSPECT="1", HOME="")
        self._input = self._process.stdin.fileno()
        self.console = self._process.stdout.fileno()
        self.events = self._process.stderr.fileno()
        self._half_an_event = b""
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
        found = [line.partition(RECORD_SEPARATOR)[2] for line in lines]
        return [json.loads(event) for event in found if event]

    def type(self, typed: bytes) -> int:
        """Type on its console; gives how many bytes it took, in order, before it was busy."""
        taken = 0
        while taken < len(typed):
            took = self._type_ctrl_c() if typed[taken] in _CTRL_C else self._type(typed[taken:])
            if not took:
                break
            taken += took
        return taken

    def end(self) -> int:
        """Cut its power and wait until it is gone; gives the exit code, negative for a signal."""
        self._process.kill()
        code = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()
        return code

    def exit_code(self) -> int:
        """Wait for a process that ends by itself."""
        return self._process.wait()

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
            if self._unread() or not ctrl_c.is_waiting(self._process.pid):
                return 0
        except (ProcessLookupError, FileNotFoundError):
            return 1
        return os.write(self._input, _CTRL_C)

    def _unread(self) -> int:
        (count,) = struct.unpack("i", fcntl.ioctl(self._input, termios.FIONREAD, b"\0" * 4))
        return count
