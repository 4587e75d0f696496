"""`select.poll` with `ipoll`, as MicroPython has it; also where CPython has no poll (Windows)."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from typing import Any

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16


class SelectPoll:
    """CPython's poll object, made of select.select."""

    def __init__(self) -> None:
        self._masks: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = POLLIN | POLLOUT) -> None:
        if not hasattr(fd, "readinto"):  # Windows waits for sockets alone: a console says nothing
            self._masks[_fileno(fd)] = eventmask

    def modify(self, fd: Any, eventmask: int) -> None:
        if _fileno(fd) not in self._masks:
            raise FileNotFoundError(2, "not registered")
        self.register(fd, eventmask)

    def unregister(self, fd: Any) -> None:
        del self._masks[_fileno(fd)]

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """`timeout` in ms; None or below 0 waits for ever."""
        seconds = None if timeout is None or timeout < 0 else timeout / 1000
        readers = [fd for fd, mask in self._masks.items() if mask & POLLIN]
        writers = [fd for fd, mask in self._masks.items() if mask & POLLOUT]
        if not readers and not writers:  # which select.select refuses on Windows
            time.sleep(seconds or 0)
            return []
        readable, writable, _ = select.select(readers, writers, [], seconds)
        events = dict.fromkeys(readable, POLLIN)
        for fd in writable:
            events[fd] = events.get(fd, 0) | POLLOUT
        return list(events.items())


class Poll:
    """CPython's poll object and `ipoll`. Registers file numbers and anything with fileno()."""

    def __init__(self) -> None:
        self._poll = _native_poll()
        self._objects: dict[int, Any] = {}
        self.modify = self._poll.modify
        self.poll = self._poll.poll

    def register(self, fd: Any, eventmask: int = POLLIN | POLLOUT) -> None:
        self._poll.register(fd, eventmask)
        self._objects[_fileno(fd)] = fd

    def unregister(self, fd: Any) -> None:
        self._poll.unregister(fd)
        del self._objects[_fileno(fd)]

    def ipoll(self, timeout: float = -1, flags: int = 0) -> Iterator[tuple[Any, int]]:
        """The objects registered that are ready within `timeout` ms, each with its events."""
        for fd, events in self._poll.poll(timeout):
            yield self._objects[fd], events


_native_poll = getattr(select, "poll", SelectPoll)


def install() -> None:
    """Put Poll in place of select.poll, of which it can do all and more."""
    for name in ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP"):
        if not hasattr(select, name):
            setattr(select, name, globals()[name])
    select.poll = Poll


def _fileno(fd: Any) -> int:
    return fd if isinstance(fd, int) else fd.fileno()
