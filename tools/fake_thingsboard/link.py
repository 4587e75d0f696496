"""What becomes of datagrams between devices and a server: lost, late, twice; and a NAT. Pure."""

from __future__ import annotations

import heapq
from collections import deque

from tools.fake_thingsboard.transmissions import Peer

# What becomes of a datagram: after how many ms each copy of it arrives.
LOST, ARRIVES, DOUBLED = (), (0,), (0, 30)

_FIRST_PORT = 1024  # of those that a NAT gives when it has forgotten the ones before


class Link:
    """A link on which all arrives at once, unless `to_server` or `to_devices` say otherwise.

    Both hold what becomes of the next datagrams, first things first: LOST, ARRIVES, DOUBLED, or
    the ms after which each copy arrives. While `is_cut`, all are lost.
    """

    def __init__(self) -> None:
        self.to_server: deque[tuple[int, ...]] = deque()
        self.to_devices: deque[tuple[int, ...]] = deque()
        self.is_cut = False
        self._outside: dict[Peer, Peer] = {}  # where the server sees a device, by where it is
        self._inside: dict[Peer, Peer] = {}
        self._ports = _FIRST_PORT
        self._is_fresh = True
        self._late: list[tuple] = []  # (at, order, is for the server, peer, datagram)
        self._order = 0

    @property
    def wake_at(self) -> int | None:
        """When `due` is to be asked."""
        return self._late[0][0] if self._late else None

    def forget(self) -> None:
        """Forget as a NAT does: who sends next has another port, and nothing comes to the old."""
        self._outside.clear()
        self._inside.clear()
        self._is_fresh = False

    def send(self, is_for_server: bool, peer: Peer, datagram: bytes, now: int) -> list[tuple]:
        """Send a datagram from or to a device.

        Gives what arrives at once: (is for the server, peer, datagram), where `peer` is the device
        as the server sees it if it is for the server, else where the device is.
        """
        if is_for_server:
            peer = self._seen_from_outside(peer)
        elif (peer := self._inside.get(peer)) is None:
            return []
        fates = self.to_server if is_for_server else self.to_devices
        fate = fates.popleft() if fates else ARRIVES
        arriving = []
        for delay in () if self.is_cut else fate:
            if delay:
                self._order += 1
                late = (now + delay, self._order, is_for_server, peer, datagram)
                heapq.heappush(self._late, late)
            else:
                arriving.append((is_for_server, peer, datagram))
        return arriving

    def due(self, now: int) -> list[tuple]:
        """What arrives late, as `send` gives it."""
        arriving = []
        while self._late and self._late[0][0] <= now:
            arriving.append(heapq.heappop(self._late)[2:])
        return arriving

    def _seen_from_outside(self, peer: Peer) -> Peer:
        if peer not in self._outside:
            outside = peer
            if not self._is_fresh:
                outside = peer[0], self._ports
                self._ports += 1
            self._outside[peer] = outside
            self._inside[outside] = peer
        return self._outside[peer]
