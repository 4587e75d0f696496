"""What lies between one board and the server, in virtual time: datagrams that may go astray."""

from __future__ import annotations

import heapq

from host_tests.explorer.server import Peer, Server

LATENCY = 20  # ms, one way

# What becomes of a datagram, other than that it arrives.
FATES = ("lost", "doubled", "delayed", "late", "swapped")
_DELAYS = {"delayed": 5_000, "late": 100_000}  # ms: past a time-out, past the whole exchange
_DOUBLED_AFTER = 30
_SWAPPED_AT_LATEST = 20_000

SERVER_ADDRESS = "192.0.2.1"


class Network:
    """The wire and the server. `fates`: what becomes of the n-th datagram of this power-up.

    While `is_down()`, nothing reaches the board.
    """

    def __init__(self, server: Server, now: int = 0):
        self.server = server
        self.now = now
        self.fates: dict[int, str] = {}
        self.is_down = lambda: False
        self.count = 0
        self.version = 0
        self._events: list[tuple] = []  # (at, order, kind, peer, datagram)
        self._order = 0
        self._swapped: dict[bool, tuple] = {}
        self._sockets: dict[Peer, list[bytes]] = {}

    def copy(self) -> Network:
        """A copy with what is on its way, and nobody listening."""
        copy = Network(self.server.copy(), self.now)
        copy._events = self._events.copy()
        copy._order = self._order
        return copy

    def pending(self) -> list[tuple]:
        """What is still to come: (in ms, kind, peer, what)."""
        coming = [(at - self.now, *event[1:]) for at, *event in sorted(self._events)]
        return coming + self.server.timers(self.now)

    # The board's end

    def open(self, peer: Peer) -> None:
        """From now on datagrams to `peer`, which is the board, are kept for `receive`."""
        self._sockets[peer] = []

    def close(self, peer: Peer) -> None:
        """What comes for `peer` is for nobody."""
        self._sockets.pop(peer, None)

    def send(self, peer: Peer, datagram: bytes) -> None:
        """Send a datagram from `peer` to the server."""
        self._transmit(True, peer, datagram)

    def receive(self, peer: Peer, timeout: int) -> bytes | None:
        """The next datagram to `peer`, waiting up to `timeout` ms for it."""
        deadline = self.now + timeout
        while True:
            if self._sockets[peer]:
                return self._sockets[peer].pop(0)
            if not self._step(deadline):
                self.now = max(self.now, deadline)
                return None

    def advance(self, ms: int) -> None:
        """Let time pass."""
        until = self.now + ms
        while self._step(until):
            pass
        self.now = until

    # The wire

    def _transmit(self, to_server: bool, peer: Peer, datagram: bytes) -> None:
        fate = self.fates.get(self.count, "arrives")
        self.count += 1
        kind = "to the server" if to_server else "to the board"
        at = self.now + LATENCY
        overtaken = self._swapped.pop(to_server, None)
        if overtaken in self._events:
            self._events.remove(overtaken)
            heapq.heapify(self._events)
            self._put(at + 1, *overtaken[2:])
        if fate == "lost":
            self.version += 1
            return
        if fate == "swapped":
            self._swapped[to_server] = self._put(at + _SWAPPED_AT_LATEST, kind, peer, datagram)
            return
        self._put(at + _DELAYS.get(fate, 0), kind, peer, datagram)
        if fate == "doubled":
            self._put(at + _DOUBLED_AFTER, kind, peer, datagram)

    def _put(self, at: int, kind: str, peer: Peer, datagram: bytes) -> tuple:
        self._order += 1
        self.version += 1
        event = (at, self._order, kind, peer, datagram)
        heapq.heappush(self._events, event)
        return event

    def _step(self, until: int) -> bool:
        """Let the next thing happen, unless it happens after `until`."""
        wake_at = self.server.wake_at
        is_timer = wake_at is not None and not (self._events and self._events[0][0] < wake_at)
        if not is_timer and not self._events:
            return False
        at = wake_at if is_timer else self._events[0][0]
        if at > until:
            return False
        self.now = max(self.now, at)
        self.version += 1
        sendings = []
        if is_timer:
            sendings = self.server.on_timer(self.now)
        else:
            _, _, kind, peer, datagram = heapq.heappop(self._events)
            if kind == "to the server":
                sendings = self.server.received(peer, datagram, self.now)
            elif not self.is_down():
                self._sockets.get(peer, []).append(datagram)
        for peer, datagram, _ in sendings:
            self._transmit(False, peer, datagram)
        return True
