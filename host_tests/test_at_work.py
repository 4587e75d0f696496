"""A device at work: whatever one datagram, the server or the network does, all is well in the end.

More of it, outside the suite:
python3 -m tools test -p host_tests.explorer.plugin --explore-deep host_tests/test_at_work.py
"""

from __future__ import annotations

import pytest

from host_tests.explorer.at_work import STORIES, Broken, Reach, explore
from host_tests.explorer.at_work_mutants import MUTANTS

DEEP = Reach(datagrams=110, pairs=40, every=700)


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_all_arrives_and_nothing_twice(story, request):
    deep = request.config.getoption("--explore-deep", default=False)
    assert explore(DEEP if deep else Reach(), [story])[story.name] > 450


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_device_without_this_protection_is_found_out(mutant):
    with MUTANTS[mutant].break_it(), pytest.raises(Broken) as broken:
        explore(Reach(every=3_000))
    assert str(broken.value).startswith(MUTANTS[mutant].lost)
