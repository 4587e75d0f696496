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
    """The wire and the servers, by their addresses; `server` is ThingsBoard at its own.

    `fates`: what becomes of the n-th datagram of this power-up. `mutes`: the direction in which all
    are lost, "to the server" or "to the board". `rebound`: how often NAT has given the board other
    ports. `sessions`: how many of DTLS there were.
    While `is_down()`, nothing reaches the board.
    """

    def __init__(self, server: Server, now: int = 0):
        self.servers = {SERVER_ADDRESS: server}
        self.now = now
        self.fates: dict[int, str] = {}
        self.mutes = ""
        self.rebound = 0
        self.sessions = 0
        self.is_down = lambda: False
        self.count = 0
        self.version = 0
        self._events: list[tuple] = []  # (at, order, kind, peer, datagram, server's address)
        self._order = 0
        self._swapped: dict[bool, tuple] = {}
        self._sockets: dict[Peer, list[bytes]] = {}

    @property
    def server(self) -> Server:
        return self.servers[SERVER_ADDRESS]

    def copy(self) -> Network:
        """A copy with what is on its way, and nobody listening."""
        # Several addresses may lead to one server.
        copies = {id(server): server for server in self.servers.values()}
        copies = {number: server.copy() for number, server in copies.items()}
        # Several servers may be nodes of one ThingsBoard.
        boards = {}
        for server in self.servers.values():
            node = copies[id(server)]
            node.thingsboard = boards.setdefault(id(server.thingsboard), node.thingsboard)
        copy = Network(next(iter(copies.values())), self.now)
        copy.servers = {address: copies[id(server)] for address, server in self.servers.items()}
        copy.rebound = self.rebound
        copy.sessions = self.sessions
        copy._events = self._events.copy()
        copy._order = self._order
        return copy

    def pending(self) -> list[tuple]:
        """What is still to come: (in ms, kind, peer, what, the server's address)."""
        coming = [(at - self.now, *event[1:]) for at, *event in sorted(self._events)]
        for address, server in self.servers.items():
            coming += [(*timer, address) for timer in server.timers(self.now)]
        return coming

    # The board's end

    def open(self, peer: Peer) -> None:
        """From now on datagrams to `peer`, which is the board, are kept for `receive`."""
        self._sockets[peer] = []

    def close(self, peer: Peer) -> None:
        """What comes for `peer` is for nobody."""
        self._sockets.pop(peer, None)

    def send(self, peer: Peer, datagram: bytes, address: str = SERVER_ADDRESS) -> None:
        """Send a datagram from `peer` to the server at an address."""
        self._transmit(True, peer, datagram, address)

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

    def _transmit(self, to_server: bool, peer: Peer, datagram: bytes, address: str) -> None:
        fate = self.fates.get(self.count, "arrives")
        self.count += 1
        kind = "to the server" if to_server else "to the board"
        if kind == self.mutes:
            fate = "lost"
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
            self._swapped[to_server] = self._put(
                at + _SWAPPED_AT_LATEST, kind, peer, datagram, address
            )
            return
        self._put(at + _DELAYS.get(fate, 0), kind, peer, datagram, address)
        if fate == "doubled":
            self._put(at + _DOUBLED_AFTER, kind, peer, datagram, address)

    def _put(self, at: int, kind: str, peer: Peer, datagram: bytes, address: str) -> tuple:
        self._order += 1
        self.version += 1
        event = (at, self._order, kind, peer, datagram, address)
        heapq.heappush(self._events, event)
        return event

    def _step(self, until: int) -> bool:
        """Let the next thing happen, unless it happens after `until`."""
        wake_at, address = None, ""
        for each, server in self.servers.items():
            wakes = server.wake_at
            if wakes is not None and (wake_at is None or (wakes, each) < (wake_at, address)):
                wake_at, address = wakes, each
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
            sendings = self.servers[address].on_timer(self.now)
        else:
            _, _, kind, peer, datagram, address = heapq.heappop(self._events)
            if kind == "to the board":
                if not self.is_down():
                    self._sockets.get(peer, []).append(datagram)
            elif address in self.servers:
                sendings = self.servers[address].received(peer, datagram, self.now)
        for peer, datagram, _ in sendings:
            self._transmit(False, peer, datagram, address)
        return True
