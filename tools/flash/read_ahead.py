"""A serial port that is read in pieces: mpremote asks for each byte by itself."""

from __future__ import annotations

import serial


class ReadAhead:
    """`port`, all of it; what has come is read at once, and given as it is asked for."""

    def __init__(self, port: serial.Serial):
        self.__dict__.update(_port=port, _ahead=bytearray())

    def __getattr__(self, name: str):
        return getattr(self._port, name)

    def __setattr__(self, name: str, value) -> None:
        setattr(self._port, name, value)

    @property
    def in_waiting(self) -> int:
        return len(self._ahead) or self._port.in_waiting

    def inWaiting(self) -> int:
        return self.in_waiting

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes; fewer when the port's time-out ends the wait for more."""
        ahead = self._ahead
        while len(ahead) < size:
            if not (more := self._port.read(max(1, self._port.in_waiting))):
                break
            ahead += more
        given = bytes(ahead[:size])
        del ahead[:size]
        return given
