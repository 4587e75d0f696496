"""What becomes of a device's datagrams, and what happens when, to a bound; and all of it lived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from host_tests.explorer.at_work.life import Schedule, live
from host_tests.explorer.at_work.stories import STORIES, Story
from host_tests.explorer.run import Violation

FATES = ("lost", "doubled", "delayed", "swapped")
EVENTS = ("restart", "outage", "silence", "NAT", "address", "cut", "down")
# So many datagrams are lost in a row: not the last of a message, and all that may be sent.
_RUNS = (6, 16)
_LATER = (2_000, 20_000, 130_000)  # ms from one event to another
KINDS = {
    "undisturbed": "undisturbed",
    "fate": "one datagram",
    "event": "one event",
    "run": "6 or 16 lost in a row",
    "restart": "a restart at every moment",
    "pair": "two of these",
}


class Reach(NamedTuple):
    """`datagrams`: of how many each has each fate; `pairs`: of how many two are lost, or one and an
    event; `events`: how many there are of each kind, from the story's beginning to its end."""

    datagrams: int = 18
    pairs: int = 0
    events: int = 6


DEEP = Reach(datagrams=60, pairs=12, events=24)


def schedules(story: Story, reach: Reach) -> Iterator[tuple[str, Schedule]]:
    """All schedules, the simplest first, each with its kind."""
    lasts = max([at for at, *_ in story.acts] + [story.readings * story.every]) + 5_000
    times = [500 + lasts * number // reach.events for number in range(reach.events)]
    events = EVENTS + (("session",) if story.is_secure else ())
    yield "undisturbed", Schedule()
    for number in range(reach.datagrams):
        for fate in FATES:
            yield "fate", Schedule(((number, fate),))
    for event in events:
        for at in times:
            yield "event", Schedule((), ((at, event),))
    for at in range(1_000, lasts, story.restarts) if story.restarts else ():
        restart = ((at, "fast restart"),)
        yield "restart", Schedule((), restart)
        # What was sent before is still sent again when it is back.
        for number in range(6, reach.datagrams, 3):
            yield "restart", Schedule(tuple((number + more, "lost") for more in range(3)), restart)
    # Runs of losses: to the end of what is sent again, and past it.
    for number in range(reach.datagrams):
        for run in _RUNS:
            yield "run", Schedule(tuple((number + more, "lost") for more in range(run)))
    for number in range(reach.pairs):
        for other in range(number + 1, reach.pairs):
            yield "pair", Schedule(((number, "lost"), (other, "lost")))
        for event in events:
            for at in times[::4]:
                yield "pair", Schedule(((number, "lost"),), ((at, event),))
    for first in events if reach.pairs else ():
        for second in events:
            for at in times[::4]:
                for later in _LATER:
                    yield "pair", Schedule((), ((at, first), (at + later, second)))


class Broken(Exception):
    """A broken invariant, in which story, after which schedule."""


def explore(reach: Reach, stories: Iterable[Story] = STORIES, seed: str = "1") -> dict:
    """Live through all schedules; how many there were of each kind, by story. Raises Broken.

    What happens to a datagram that there is none of is left out.
    """
    lived: dict[str, Counter] = {}
    for story in stories:
        counts = lived[story.name] = Counter()
        datagrams = reach.datagrams
        for kind, schedule in schedules(story, reach):
            if schedule.fates and schedule.fates[0][0] >= datagrams:
                continue
            try:
                life = live(story, schedule, seed)
            except Violation as violation:
                raise Broken(f"{violation}\n{story.name}, seed {seed}: {schedule}") from violation
            if kind == "undisturbed":
                datagrams = life.count
            counts[kind] += 1
    return lived
