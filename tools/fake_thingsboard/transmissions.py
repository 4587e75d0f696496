"""Confirmable messages on their way, RFC 7252 section 4.2, and what else is due. Times in ms."""

from __future__ import annotations

import heapq
from typing import NamedTuple

MAX_RETRANSMIT = 4

Peer = tuple[str, int]
_NOBODY: Peer = ("", 0)


class Unacknowledged(NamedTuple):
    """A confirmable message, and how often it was sent."""

    datagram: bytes
    transmissions: int


class Transmissions:
    """`unacknowledged`: by (peer, Message ID). Each is sent again after `ack_timeout`, and twice
    that, and so on. `deadlines`: when what else is to be done has to be, by (kind, what).
    """

    def __init__(self, ack_timeout: int):
        self.ack_timeout = ack_timeout
        self.unacknowledged: dict[tuple[Peer, int], Unacknowledged] = {}
        self.deadlines: dict[tuple, int] = {}
        self._timers: list[tuple] = []  # (at, order, kind, peer, what)
        self._order = 0

    def copy(self) -> Transmissions:
        """An independent copy."""
        copy = Transmissions(self.ack_timeout)
        copy.unacknowledged = self.unacknowledged.copy()
        copy.deadlines = self.deadlines.copy()
        copy._timers = self._timers.copy()
        copy._order = self._order
        return copy

    @property
    def wake_at(self) -> int | None:
        """When `due` is to be asked."""
        while self._timers:
            at, _, kind, peer, what = self._timers[0]
            if self._is_wanted(at, kind, peer, what):
                return at
            heapq.heappop(self._timers)
        return None

    def timers(self, now: int) -> list[tuple]:
        """What is still to come: (in ms, kind, peer, what)."""
        return [
            (at - now, kind, peer, what)
            for at, _, kind, peer, what in sorted(self._timers)
            if self._is_wanted(at, kind, peer, what)
        ]

    def at(self, at: int, kind: str, peer: Peer, what) -> None:
        """Let something be due; `kind` is not "retransmit"."""
        self._order += 1
        heapq.heappush(self._timers, (at, self._order, kind, peer, what))

    def by(self, at: int, kind: str, what) -> None:
        """Set a deadline, in place of one that is of the same kind and about the same."""
        self.deadlines[kind, what] = at
        self.at(at, kind, _NOBODY, what)

    def met(self, kind: str, what) -> bool:
        """A deadline was met; whether there was one."""
        return self.deadlines.pop((kind, what), None) is not None

    def due(self, now: int) -> tuple | None:
        """Take the next thing that is due: (kind, peer, what); of "retransmit" the Message ID."""
        while self._timers and self._timers[0][0] <= now:
            at, _, kind, peer, what = heapq.heappop(self._timers)
            if self._is_wanted(at, kind, peer, what):
                self.deadlines.pop((kind, what), None)
                return kind, peer, what[0] if kind == "retransmit" else what
        return None

    def sent(self, peer: Peer, message_id: int, waiting: Unacknowledged, now: int) -> None:
        """A confirmable message goes out, for the first time or again."""
        after = self.ack_timeout << waiting.transmissions
        waiting = waiting._replace(transmissions=waiting.transmissions + 1)
        self.unacknowledged[peer, message_id] = waiting
        self.at(now + after, "retransmit", peer, (message_id, waiting.transmissions))

    def settle(self, peer: Peer, message_id: int) -> Unacknowledged | None:
        """It was acknowledged, or reset, or nobody waits for that any more."""
        return self.unacknowledged.pop((peer, message_id), None)

    def _is_wanted(self, at: int, kind: str, peer: Peer, what) -> bool:
        """Not a retransmission of what was settled, or sent again meanwhile, nor a deadline met."""
        if kind == "retransmit":
            message_id, transmissions = what
            waiting = self.unacknowledged.get((peer, message_id))
            return waiting is not None and waiting.transmissions == transmissions
        return peer is not _NOBODY or self.deadlines.get((kind, what)) == at
