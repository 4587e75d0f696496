"""What else goes wrong in one power-up: datagrams that go astray, a flash that forgets a bit."""

from __future__ import annotations

from itertools import combinations

from host_tests.explorer.network import FATES
from host_tests.explorer.run import Outcome
from host_tests.explorer.scene import State
from host_tests.explorer.search import Search


class Bounds:
    """How far: every fate of one datagram among the first `one`, of each two among the first
    `two` and three among the first `three`; every set of lost ones among the first `lost`."""

    def __init__(self, one: int, two: int, three: int, lost: int):
        self.one = one
        self.two = two
        self.three = three
        self.lost = lost

    def __str__(self) -> str:
        return (
            f"any fate of 1 of the first {self.one} datagrams, of 2 of {self.two}, of 3 of "
            f"{self.three}; every set of lost ones among the first {self.lost}"
        )


def explore_fates(search: Search, start: State, bounds: Bounds) -> None:
    """Run every fate of datagrams within the bounds; after a single one, also every cut.

    What is known is not run again: the same fates, or those of a datagram more that is never sent.
    """
    limits = {1: bounds.one, 2: bounds.two, 3: bounds.three}
    unsent = {(): search.run(start, watch=False).datagrams}
    known: dict[tuple, Outcome] = {}
    for size, limit in limits.items():
        following = {}
        for fates, sent in unsent.items():
            first = fates[-1][0] + 1 if fates else 0
            for number in range(first, min(sent, limit)):
                for fate in FATES:
                    more = (*fates, (number, fate))
                    outcome = search.with_fates(start, dict(more), cut=size == 1)
                    following[more] = outcome.datagrams
                    if {each for _, each in more} == {"lost"}:
                        known[more] = outcome
        unsent = following
    for size in range(2, bounds.lost + 1):
        for numbers in combinations(range(bounds.lost), size):
            lost = tuple((number, "lost") for number in numbers)
            before = known.get(lost[:-1])
            if lost not in known and before and before.datagrams <= numbers[-1]:
                known[lost] = before
            if lost in known:
                search.tally.count(known[lost].end)
            else:
                known[lost] = search.with_fates(start, dict(lost), cut=False)


def explore_decay(search: Search, start: State) -> None:
    """Let each flash operation of the power-up lose a bit, then power up again."""
    operations = search.run(start, watch=False).operations
    for number in range(1, operations + 1):
        search.with_decay(start, number)
