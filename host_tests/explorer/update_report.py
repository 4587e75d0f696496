"""Updates explored in several processes, and how many schedules that were."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

from host_tests.explorer import over_the_air, updates
from tools.virtual_board.boards import KINDS

PAIRS, ON_AIR = "cuts in pairs", "a cut and a datagram"
_EXPLORE = {
    PAIRS: (updates.explore, updates.STORIES),
    ON_AIR: (over_the_air.explore, over_the_air.STORIES_ON_AIR),
}
DEFAULT = {PAIRS: updates.ONE_IN, ON_AIR: over_the_air.ONE_IN}
DEEP = {PAIRS: 1, ON_AIR: 1}


def explore_all(one_in: dict[str, int], processes: int) -> Iterator[str]:
    """Explore all stories on both boards; a line for each as it is done. Raises Lost.

    `one_in`: of so many schedules one, by what it is.
    """
    with ProcessPoolExecutor(processes) as pool:
        jobs = {
            pool.submit(_explore, what, name, kind, one_in[what]): f"{what}, {kind}: {name}"
            for what, (_, stories) in _EXPLORE.items()
            for name in stories
            for kind in sorted(KINDS)
        }
        try:
            for job in as_completed(jobs):
                yield f"{jobs[job]}: {job.result():,} schedules"
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _explore(what: str, name: str, kind: str, one_in: int) -> int:
    explore, stories = _EXPLORE[what]
    return explore(stories[name], kind, one_in)
