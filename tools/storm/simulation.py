"""What every storm is made of: its weather, what came of it, and the order in which things happen.

All in virtual time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from firmware.coap.exchange import Exchange

ONE_WAY = 20  # ms from a board to the server
# What boards differ in before their first datagram, in ms: the Wi-Fi is joined.
JOINED = (1_000, 4_000)
_DAY = 24 * 3_600_000


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


class Board(Protocol):
    """What happens to it gives what it sends, and after how many ms to come back; None: never."""

    # Whether nothing happens to it any more.
    is_done: bool

    def on_timer(self) -> tuple[object, int | None]: ...

    def on_datagram(self, datagram: bytes) -> tuple[object, int | None]: ...


class Agenda:
    """What happens to the boards, by its time in ms; at one time in the order in which it came.

    `now`: the time of what happens.
    """

    def __init__(self) -> None:
        self.now = 0
        self._events: list[tuple[int, int, int, int, bytes | None]] = []
        self._serial = 0
        # The timer that counts, of each board; those that it had set before count no more.
        self._timers: Counter[int] = Counter()

    def start(self, board: int, time: int) -> None:
        """A board's first timer."""
        self._add(time, board, 0, None)

    def deliver(self, board: int, time: int, datagram: bytes) -> None:
        """A datagram to a board."""
        self._add(time, board, -1, datagram)

    def steps(self, boards: Sequence[Board]) -> Iterator[tuple[int, object]]:
        """Let happen what is due, for a day: each time the number of a board, and what it sends."""
        while self._events and self._events[0][0] < _DAY:
            self.now, _, number, timer, datagram = heapq.heappop(self._events)
            board = boards[number]
            if board.is_done:
                continue
            if datagram is not None:
                outgoing, wait = board.on_datagram(datagram)
            elif timer == self._timers[number]:
                outgoing, wait = board.on_timer()
            else:
                continue
            if wait is not None:
                self._timers[number] += 1
                self._add(self.now + wait, number, self._timers[number], None)
            yield number, outgoing

    def _add(self, time: int, board: int, timer: int, datagram: bytes | None) -> None:
        self._serial += 1
        heapq.heappush(self._events, (time, self._serial, board, timer, datagram))


def take_timer(exchange: Exchange) -> int | None:
    """After how many ms an exchange wants to be come back to; None: it has said so before."""
    timer, exchange.timer = exchange.timer, None
    return timer


def no_jitter(size: int) -> bytes:
    """Random bytes that are not: every board draws the same."""
    return b"\xff" * size
