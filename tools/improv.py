"""Improv Wi-Fi over serial, version 1, from a client's side (improv-wifi.com/serial)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from tools import shims

shims.install()

from firmware.onboarding import improv_packets as packets  # noqa: E402

_HEADER = b"IMPROV\x01"
_RPC = 3
_DATA = 9
_ASK_AGAIN_S = 1.0
_ERRORS = {
    packets.INVALID: "the board calls the packet malformed",
    packets.UNKNOWN_COMMAND: "the board does not know the command",
    packets.UNABLE_TO_CONNECT: "the board could not join the Wi-Fi",
}


class ImprovError(Exception):
    """What a board answered in place of a result, or that it did not."""


class Packet(NamedTuple):
    """`kind` and data of a packet of the board's."""

    kind: int
    data: bytes

    @property
    def texts(self) -> list[str]:
        """The texts of a result."""
        found, at = [], 2
        while at < 2 + self.data[1]:
            size = self.data[at]
            found.append(self.data[at + 1 : at + 1 + size].decode(errors="replace"))
            at += 1 + size
        return found


class Line(Protocol):
    """A serial port, as pyserial has it; its time-out is short."""

    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...


class Splitter:
    """Tells packets from what else is on a console."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, received: bytes) -> Iterator[Packet | str]:
        """Take what came; gives packets and whole lines, in order. A broken packet is left out."""
        self._held += received
        while self._held:
            start = self._held.find(_HEADER)
            end = self._held.find(b"\n")
            if 0 <= end < start or (start < 0 <= end):
                line = self._held[:end].decode(errors="replace").rstrip("\r")
                del self._held[: end + 1]
                if line:
                    yield line
                continue
            if start < 0 or len(self._held) < start + _DATA:
                return
            end = start + _DATA + self._held[start + _DATA - 1]
            if len(self._held) <= end:
                return
            whole = bytes(self._held[start:end])
            checksum = self._held[end]
            del self._held[: end + 1]
            if sum(whole) & 0xFF == checksum:
                yield Packet(whole[7], whole[_DATA:])

    @property
    def begun(self) -> str:
        """The line that has begun, such as a prompt."""
        return self._held.decode(errors="replace")


class Client:
    """A client on a serial port; lines of the console go to `on_line`."""

    def __init__(self, line: Line, on_line: Callable[[str], None]):
        self._line = line
        self._on_line = on_line
        self._splitter = Splitter()
        self.state = 0

    @property
    def begun(self) -> str:
        """The line of the console that has begun, such as a prompt."""
        return self._splitter.begun

    def write(self, data: bytes) -> None:
        """Type on the console."""
        self._line.write(data)

    def listen(self, seconds: float) -> Iterator[Packet | str]:
        """What the board sends within so many seconds: packets, and lines of its console."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for each in self._splitter.feed(self._line.read(4096)):
                if isinstance(each, str):
                    self._on_line(each)
                elif each.kind == packets.STATE and each.data:
                    self.state = each.data[0]
                yield each

    def is_there(self, seconds: float) -> bool:
        """Ask for the state, again and again; whether the board answers within so many seconds."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self.send(packets.CURRENT_STATE)
            for each in self.listen(min(_ASK_AGAIN_S, left)):
                if isinstance(each, Packet) and each.kind == packets.STATE:
                    return True
            if self.begun.endswith(">>> "):
                return False
        return False

    def send(self, command: int, data: bytes = b"") -> None:
        """Send a command, and wait for nothing."""
        self.write(packets.packet(_RPC, bytes((command, len(data))) + data))

    def ask(self, command: int, data: bytes, seconds: float) -> Iterator[list[str]]:
        """Send a command; gives the results as they come. Raises ImprovError, also for no more."""
        self.send(command, data)
        for each in self.listen(seconds):
            if not isinstance(each, Packet):
                continue
            if each.kind == packets.ERROR and each.data != bytes((packets.NO_ERROR,)):
                unknown = "the board answered with an error"
                raise ImprovError(_ERRORS.get(each.data[0] if each.data else -1, unknown))
            if each.kind == packets.RESULT and each.data[:1] == bytes((command,)):
                yield each.texts
        raise ImprovError(f"the board has not answered within {seconds:g} s")

    def device(self, seconds: float) -> list[str]:
        """What the device is: firmware, its version, chip, name and perhaps more."""
        return next(self.ask(packets.DEVICE, b"", seconds))

    def networks(self, seconds: float) -> list[list[str]]:
        """The networks in range: name, dBm, YES or NO for whether a password is needed."""
        found = []
        for texts in self.ask(packets.NETWORKS, b"", seconds):
            if not texts:
                break
            found.append(texts)
        return found

    def join(self, ssid: str, password: str, seconds: float) -> str:
        """Send Wi-Fi settings; gives the URL to go to, "" for none. Raises ImprovError."""
        name, key = ssid.encode(), password.encode()
        data = bytes((len(name),)) + name + bytes((len(key),)) + key
        texts = next(self.ask(packets.SETTINGS, data, seconds))
        return texts[0] if texts else ""
