"""What every storm is made of: its weather, what came of it, and the order in which things happen.

All in virtual time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field

ONE_WAY = 20  # ms from a board to the server
# What boards differ in before their first datagram, in ms: the Wi-Fi is joined.
JOINED = (1_000, 4_000)


@dataclass(frozen=True)
class Weather:
    """What the storm is like: boards, datagrams a second, seconds, and a share from 0 to 1.

    `size`: bytes of a bundle, see tools.storm.update.
    """

    boards: int = 10_000
    rate_limit: int = 500
    outage: float = 0.0
    loss: float = 0.0
    seed: int = 1
    size: int = 20_000


@dataclass
class Storm:
    """What came of it. Times in ms since power returned; `dropped`: datagrams over the limit."""

    boards: int
    provisioned: list[int] = field(default_factory=list)
    sent: int = 0
    dropped: int = 0
    arrivals: Counter = field(default_factory=Counter)  # datagrams at the server, by second

    def time_until(self, boards: int) -> int | None:
        """When so many boards were provisioned; None: never within a day."""
        return self.provisioned[boards - 1] if len(self.provisioned) >= boards else None


class Agenda:
    """What happens to the boards, by its time in ms; at one time in the order in which it came."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int, int, int, bytes | None]] = []
        self._serial = 0

    def add(self, time: int, board: int, timer: int, datagram: bytes | None = None) -> None:
        """A timer of a board, by the timer's number, or a datagram to it."""
        self._serial += 1
        heapq.heappush(self._events, (time, self._serial, board, timer, datagram))

    def next(self) -> tuple[int, int, int, bytes | None]:
        """Take the next: its time, board, timer and datagram."""
        time, _, board, timer, datagram = heapq.heappop(self._events)
        return time, board, timer, datagram

    def is_before(self, horizon: int) -> bool:
        """Whether there is a next one, and before that time."""
        return bool(self._events) and self._events[0][0] < horizon


def no_jitter(size: int) -> bytes:
    """Random bytes that are not: every board draws the same."""
    return b"\xff" * size
