"""A device at work: whatever one datagram, the server or the network does, all is well in the end.

More of it, outside the suite: python -m host_tests.explorer --at-work --deep
"""

from __future__ import annotations

import pytest

from host_tests.explorer.at_work import report
from host_tests.explorer.at_work.mutants import MUTANTS
from host_tests.explorer.at_work.schedules import Broken, Reach, explore
from host_tests.explorer.at_work.stories import STORIES, story
from tools.virtual_board.flash import PROJECT


@pytest.mark.parametrize("each", STORIES, ids=[each.name for each in STORIES])
def test_all_arrives_and_nothing_twice(each):
    lived = explore(Reach(), [each])[each.name]
    assert lived["undisturbed"] == 1 and sum(lived.values()) > 130


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_device_without_this_protection_is_found_out(mutant):
    with MUTANTS[mutant].break_it(), pytest.raises(Broken) as broken:
        explore(Reach(), [story(MUTANTS[mutant].story)])
    assert MUTANTS[mutant].lost in str(broken.value).splitlines()[0]


def test_the_table_in_the_readme_has_every_story():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition(report.MARKS[0])[2].partition(report.MARKS[1])[0]
    rows = [line.split("|")[1].strip() for line in shown.splitlines()[3:]]
    assert rows == [*(each.name for each in STORIES), "all"], (
        "write it anew with: .venv/bin/python -m host_tests.explorer --at-work --deep"
        " --readme README.md"
    )
