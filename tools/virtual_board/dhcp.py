"""The DHCP servers of the boards' access points (RFC 2131), which no program of theirs sees.

A Pico W's is shared/netutils/dhcpserver.c of MicroPython, an ESP32's is ESP-IDF's
components/lwip/apps/dhcpserver/dhcpserver.c, with the settings that each has by default.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading

ADDRESS = ipaddress.IPv4Address("192.168.4.1")
_MASK = ipaddress.IPv4Address("255.255.255.0")
_BROADCAST = ipaddress.IPv4Address("192.168.4.255")
_COOKIE = b"\x63\x82\x53\x63"
_HEAD = 236
_OPTIONS = _HEAD + len(_COOKIE)
_DISCOVER, _OFFER, _REQUEST, _ACK, _NAK, _RELEASE = 1, 2, 3, 5, 6, 7
_REPLY = 2
_SUBNET_MASK, _ROUTER, _NAMES, _BROADCAST_ADDRESS, _MTU, _ROUTER_DISCOVERY = 1, 3, 6, 28, 26, 31
_REQUESTED, _LEASE_TIME, _MESSAGE, _SERVER, _END = 50, 51, 53, 54, 255


class Leases:
    """What a server gives to whom. `answer` is pure: a datagram in, one out or none."""

    first: int
    most: int

    def __init__(self) -> None:
        self._given: dict[bytes, ipaddress.IPv4Address] = {}

    def answer(self, datagram: bytes) -> bytes | None:
        """Answer a client's datagram, as far as this server does."""
        raise NotImplementedError

    def _next(self) -> ipaddress.IPv4Address | None:
        """The first address that nobody has."""
        for number in range(self.first, self.first + self.most):
            address = ipaddress.IPv4Address(int(ADDRESS) - 1 + number)
            if address not in self._given.values():
                return address
        return None


class PicoW(Leases):
    """Looks at the first option for the kind of message, and refuses by saying nothing."""

    first, most = 16, 8
    _LEASE_S = 24 * 60 * 60

    def answer(self, datagram: bytes) -> bytes | None:
        if len(datagram) < _OPTIONS + 3:
            return None
        client = datagram[28:34]
        kind = datagram[_OPTIONS + 2]
        if kind == _DISCOVER:
            given = self._given.get(client) or self._next()
            return given and self._reply(datagram, _OFFER, given)
        asked = _options(datagram).get(_REQUESTED, b"")
        if kind != _REQUEST or len(asked) != 4:
            return None
        address = ipaddress.IPv4Address(asked)
        number = int(address) - int(ADDRESS) + 1
        if not self.first <= number < self.first + self.most:
            return None
        if any(given == address for other, given in self._given.items() if other != client):
            return None
        self._given[client] = address
        return self._reply(datagram, _ACK, address)

    def _reply(self, datagram: bytes, kind: int, given: ipaddress.IPv4Address) -> bytes:
        options = (
            (_MESSAGE, bytes([kind])),
            (_SERVER, ADDRESS.packed),
            (_SUBNET_MASK, _MASK.packed),
            (_ROUTER, ADDRESS.packed),
            (_NAMES, ADDRESS.packed),
            (_LEASE_TIME, struct.pack("!I", self._LEASE_S)),
        )
        # All else is as it came.
        head = bytes([_REPLY]) + datagram[1:16] + given.packed + datagram[20:_OPTIONS]
        return head + _written(options)


class Esp32(Leases):
    """Keeps an address for who asks from the first word on, and refuses with a NAK."""

    first, most = 2, 100
    _LEASE_S = 120 * 60

    def answer(self, datagram: bytes) -> bytes | None:
        if datagram[_HEAD:_OPTIONS] != _COOKIE:
            return None
        client, options = datagram[28:34], _options(datagram)
        had = self._given.get(client)
        address = had or self._next()
        if not address:
            return None
        self._given[client] = address
        kind = options.get(_MESSAGE, b"\0")[0]
        if kind == _DISCOVER:
            return self._reply(datagram, _OFFER, address)
        if kind == _REQUEST:
            renewed = datagram[12:16] if had else b""
            if options.get(_REQUESTED, renewed) == address.packed:
                return self._reply(datagram, _ACK, address)
        elif kind != _RELEASE:
            return None
        del self._given[client]
        return self._reply(datagram, _NAK) if kind == _REQUEST else None

    def _reply(
        self, datagram: bytes, kind: int, given: ipaddress.IPv4Address | None = None
    ) -> bytes:
        options = [(_MESSAGE, bytes([kind]))]
        if given:
            options += [
                (_SUBNET_MASK, _MASK.packed),
                (_LEASE_TIME, struct.pack("!I", self._LEASE_S)),
                (_SERVER, ADDRESS.packed),
                (_ROUTER, ADDRESS.packed),
                (_NAMES, ADDRESS.packed),
                (_BROADCAST_ADDRESS, _BROADCAST.packed),
                (_MTU, struct.pack("!H", 1500)),
                (_ROUTER_DISCOVERY, b"\0"),
            ]
        head = struct.pack("!BBBB4sHH", _REPLY, 1, 6, 0, datagram[4:8], 0, 0x8000)
        addresses = bytes(4) + (given.packed if given else bytes(4)) + bytes(8)
        return head + addresses + datagram[28:44] + bytes(192) + _COOKIE + _written(options)


SERVERS = {"rp2": PicoW, "esp32": Esp32}


class DhcpPort:
    """A server at a port of the host's loopback, until `close`. To whoever asks it replies there,
    where the air would have a broadcast.
    """

    def __init__(self, leases: Leases, port: int = 0):
        self._leases = leases
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                datagram, client = self._socket.recvfrom(2048)
                if not datagram:
                    return
                if answer := self._leases.answer(datagram):
                    self._socket.sendto(answer, client)


def _options(datagram: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = _OPTIONS
    while at + 1 < len(datagram) and datagram[at] != _END:
        size = datagram[at + 1]
        found.setdefault(datagram[at], datagram[at + 2 : at + 2 + size])
        at += 2 + size
    return found


def _written(options) -> bytes:
    return b"".join(bytes([code, len(value)]) + value for code, value in options) + bytes([_END])
