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
        self._events: list[tuple] = []  # (at, order, kind, peer, what)
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
        return [(at - self.now, *event[1:]) for at, *event in sorted(self._events)]

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
            if not self._events or self._events[0][0] > deadline:
                self.now = max(self.now, deadline)
                return None
            self._step()

    def advance(self, ms: int) -> None:
        """Let time pass."""
        until = self.now + ms
        while self._events and self._events[0][0] <= until:
            self._step()
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

    def _put(self, at: int, kind: str, peer: Peer, what) -> tuple:
        self._order += 1
        self.version += 1
        event = (at, self._order, kind, peer, what)
        heapq.heappush(self._events, event)
        return event

    def _step(self) -> None:
        at, _, kind, peer, what = heapq.heappop(self._events)
        self.now = max(self.now, at)
        self.version += 1
        if kind == "to the board":
            if not self.is_down():
                self._sockets.get(peer, []).append(what)
            return
        if kind == "to the server":
            actions = self.server.received(peer, what, self.now)
        else:
            actions = self.server.later(kind, peer, what)
        for after, kind, peer, what in actions:
            if kind == "to the board" and not after:
                self._transmit(False, peer, what)
            else:
                self._put(self.now + after, kind, peer, what)
