"""The wire between a device at work and ThingsBoard: its sockets, its DTLS, and who acts when."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from firmware.errors import Silence
from host_tests.explorer.network import SERVER_ADDRESS, Network
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.message_layer import Sending

_HELLO, _RECORD = b"\x16", b"\x17"
_SESSION_BYTES = 4
_HEADER = 1 + 2 * _SESSION_BYTES
_HANDSHAKE = (1_000, 2_000, 4_000, 8_000)  # ms until a flight is sent again


class Wire(Network):
    """The wire, and what people and fate do at their times.

    `is_out`: nothing gets through. `nat`: ms after which the routers forget a quiet way. `sent`:
    how many datagrams the board has sent.
    """

    is_out = False
    sent = 0

    def __init__(self, server: Endpoint | SecureServer, nat: int):
        super().__init__(server)
        self.nat = nat
        self.acts: list[tuple] = []  # (at, order, what to do)
        self._sent_at: dict[tuple, int] = {}

    def at(self, at: int, act: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self.acts, (at, self._order, act))

    def tell(self) -> None:
        """Send what the operator's deeds cause."""
        for peer, datagram, _ in self.server.notify(self.now):
            self._transmit(False, peer, datagram, SERVER_ADDRESS)

    def has_for(self, peer) -> bool:
        """Whether something has arrived there."""
        return bool(self._sockets.get(peer))

    def listen(self, peer, timeout: int) -> None:
        """Let time pass until something has arrived there, so many ms at most."""
        until = self.now + timeout
        while not self.has_for(peer):
            if not self._step(until):
                self.now = max(self.now, until)
                return

    def receive(self, peer, timeout):
        """As Network's; a socket may be closed meanwhile."""
        self.listen(peer, timeout)
        return self._sockets[peer].pop(0) if self.has_for(peer) else None

    def _transmit(self, to_server, peer, datagram, address):
        if to_server:
            self.sent += 1
            self._sent_at[peer] = self.now
        elif self.now - self._sent_at.get(peer, self.now) > self.nat:
            return
        if self.is_out:
            self.count += 1
        else:
            super()._transmit(to_server, peer, datagram, address)

    def _step(self, until: int) -> bool:
        if not self.acts:
            return super()._step(until)
        at = self.acts[0][0]
        if super()._step(min(until, at - 1)):
            return True
        if at > until:
            return False
        self.now = max(self.now, at)
        heapq.heappop(self.acts)[2]()
        return True


class SecureServer:
    """An Endpoint behind DTLS: what is in no session is dropped without a word, a record once.

    `name`: the device whose certificate each session brings; None for none.
    """

    def __init__(self, endpoint: Endpoint, name: str | None):
        self.endpoint = endpoint
        self.name = name
        self._count = 0
        self._sessions: dict[tuple, tuple[bytes, set]] = {}

    @property
    def wake_at(self) -> int | None:
        return self.endpoint.wake_at

    def forget_sessions(self) -> None:
        self._sessions.clear()
        self.endpoint.sessions.clear()

    def received(self, peer, datagram: bytes, now: int) -> list[Sending]:
        if datagram[:1] == _HELLO:
            if peer not in self._sessions:
                self._count += 1
                self._sessions[peer] = self._count.to_bytes(_SESSION_BYTES, "big"), set()
                if self.name:
                    self.endpoint.sessions[peer] = self.name
            return [Sending(peer, _HELLO + datagram[1:] + self._sessions[peer][0])]
        session, seen = self._sessions.get(peer, (b"", set()))
        number = datagram[1 + _SESSION_BYTES : _HEADER]
        if datagram[1 : 1 + _SESSION_BYTES] != session or number in seen:
            return []
        seen.add(number)
        return self._protected(self.endpoint.received(peer, datagram[_HEADER:], now))

    def on_timer(self, now: int) -> list[Sending]:
        return self._protected(self.endpoint.on_timer(now))

    def notify(self, now: int) -> list[Sending]:
        return self._protected(self.endpoint.notify(now))

    def _protected(self, sendings: list[Sending]) -> list[Sending]:
        found = []
        for peer, datagram, again in sendings:
            if peer in self._sessions:
                self._count += 1
                number = self._count.to_bytes(_SESSION_BYTES, "big")
                record = _RECORD + self._sessions[peer][0] + number + datagram
                found.append(Sending(peer, record, again))
        return found


class Transport:
    """A socket. Who rebinds, as NAT does, is another to the server."""

    largest_block = 1024

    def __init__(self, wire: Wire, address: str, port: int):
        self.wire = wire
        self.peer = address, port
        wire.open(self.peer)

    def rebind(self) -> None:
        self.close()
        self.peer = self.peer[0], self.peer[1] + 20_000
        self.wire.open(self.peer)

    def send(self, datagram) -> None:
        self.wire.send(self.peer, bytes(datagram))

    def receive(self, size: int, timeout: int) -> bytes | None:
        return self.wire.receive(self.peer, timeout)

    def close(self) -> None:
        self.wire.close(self.peer)


class Session(Transport):
    """A DTLS session: after the handshake what is of another is dropped, and a record taken once.

    Raises Silence when nobody shakes hands.
    """

    def __init__(self, wire: Wire, address: str, port: int):
        super().__init__(wire, address, port)
        self._count = 0
        self._seen: set[bytes] = set()
        flight = _HELLO + port.to_bytes(_SESSION_BYTES, "big")
        for wait in _HANDSHAKE:
            super().send(flight)
            until = wire.now + wait
            while wire.now < until:
                answer = super().receive(0, until - wire.now)
                if answer and answer.startswith(flight):
                    self._session = answer[len(flight) :]
                    return
        self.close()
        raise Silence("no DTLS session")

    def send(self, datagram) -> None:
        self._count += 1
        number = self._count.to_bytes(_SESSION_BYTES, "big")
        super().send(_RECORD + self._session + number + bytes(datagram))

    def receive(self, size: int, timeout: int) -> bytes | None:
        until = self.wire.now + timeout
        while True:
            record = super().receive(size, max(0, until - self.wire.now))
            if record is None:
                return None
            number = record[1 + _SESSION_BYTES : _HEADER]
            if record[: 1 + _SESSION_BYTES] == _RECORD + self._session and number not in self._seen:
                self._seen.add(number)
                return record[_HEADER:]
