"""A board's end of its serial line: what it sends goes into a cable, if there is one."""

from __future__ import annotations

import re
import select
import time
from pathlib import Path

from tools.virtual_board.cable import Cable

# As on USB: what nobody reads holds a program up for so long, and is lost then.
_UNREAD_S = 0.5
_UNREAD_BYTES_MAX = 4096
_LOOK_S = 0.01
_LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class SerialLine:
    """The line that programs open as `link`."""

    def __init__(self, link: Path):
        self.link = link
        self._cable: Cable | None = None
        self._unread = b""
        self._unread_since = 0.0
        self._last_byte = b""

    def plug_in(self) -> None:
        """Connect a cable; `link` is there now."""
        if self._cable is None:
            self._cable = Cable(self.link)

    def pull(self) -> None:
        """Pull the cable; `link` is gone now."""
        if self._cable:
            self._cable.pull()
        self._cable = None
        self._unread = b""

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be read that no more can be sent."""
        return len(self._unread) >= _UNREAD_BYTES_MAX

    def receive(self) -> bytes:
        """What has come in."""
        return self._cable.read() if self._cable else b""

    def say(self, text: bytes) -> None:
        """Take text to send; its lines end as those on a serial line do."""
        if text:
            lines = _LONE_LINE_FEED.sub(b"\r\n", text)
            half_sent = self._last_byte == b"\r" and text[:1] == b"\n"
            self.transmit(lines[1:] if half_sent else lines)
            self._last_byte = text[-1:]

    def transmit(self, data: bytes) -> None:
        """Take bytes to send as they are."""
        if not self._unread:
            self._unread_since = time.monotonic()
        self._unread += data

    def send(self) -> None:
        """Send what can be sent now; what nobody is there for is lost."""
        if not self._unread:
            return
        sent = self._cable.write(self._unread) if self._is_open() else len(self._unread)
        if sent:
            self._unread = self._unread[sent:]
            self._unread_since = time.monotonic()
        elif time.monotonic() - self._unread_since > _UNREAD_S:
            self._unread = b""

    def watch(self, poll: select.poll) -> float:
        """Register with `poll`; gives the seconds after which to look again in any case."""
        if not self._is_open():
            return _LOOK_S
        writable = select.POLLOUT if self._unread else 0
        poll.register(self._cable.descriptor, select.POLLIN | writable)
        return _LOOK_S if self._unread else 1.0

    def _is_open(self) -> bool:
        return self._cable is not None and self._cable.is_open()
