"""A serial cable: a pseudo-terminal with a name of its own."""

from __future__ import annotations

import os
import pty
import select
import tty
from pathlib import Path

_HANG_UP = select.POLLHUP | select.POLLERR


class Cable:
    """The board's end of a pseudo-terminal; programs open the other end as `link`.

    Raises RuntimeError when `link` cannot be made; an old link is replaced.
    """

    def __init__(self, link: Path):
        self.link = Path(link)
        self.descriptor, other_end = pty.openpty()
        tty.setraw(other_end)
        os.set_blocking(self.descriptor, False)
        try:
            if self.link.is_symlink():
                self.link.unlink()
            self.link.symlink_to(os.ttyname(other_end))
        except OSError as error:
            os.close(self.descriptor)
            raise RuntimeError(
                f"{self.link} cannot be a serial port: {error.strerror}. Name another link."
            ) from error
        finally:
            os.close(other_end)
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLIN | select.POLLOUT)

    def is_open(self) -> bool:
        """Whether a program has the other end open."""
        return not any(events & _HANG_UP for _, events in self._poll.poll(0))

    def read(self) -> bytes:
        """What has come in; nothing when nothing has, or nobody is there."""
        try:
            return os.read(self.descriptor, 4096)
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        """Send what fits now; gives how many bytes did."""
        try:
            return os.write(self.descriptor, data)
        except BlockingIOError:
            return 0

    def pull(self) -> None:
        """Take it away: whoever has it open reads an error."""
        if self.link.is_symlink():
            self.link.unlink()
        os.close(self.descriptor)
