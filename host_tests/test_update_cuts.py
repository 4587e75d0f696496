"""An update may be cut at every operation of the flash, once and twice: a whole version runs.

All pairs of cuts, outside the suite:
python3 -m tools test -p host_tests.explorer.plugin --explore-deep -o faulthandler_timeout=0 \
    host_tests/test_update_cuts.py
"""

from __future__ import annotations

import pytest

from host_tests.explorer.update_mutants import MUTANTS
from host_tests.explorer.updates import STORIES, Lost, decay, explore
from tools.virtual_board.boards import KINDS

# Of so many cuts one is followed by each other one.
ONE_IN = 211
each_kind = pytest.mark.parametrize("kind", sorted(KINDS))


@each_kind
@pytest.mark.parametrize("name", STORIES)
def test_a_whole_version_runs_after_each_cut(name, kind, request):
    one_in = 1 if request.config.getoption("--explore-deep", default=False) else ONE_IN
    first = sum(map(ord, name + kind)) % one_in
    schedules = explore(STORIES[name], kind, lambda number: number % one_in == first)
    assert schedules > 60


@each_kind
def test_a_flash_that_loses_a_bit_runs_a_whole_version(kind):
    for name in ("the first update", "the third update"):
        assert decay(STORIES[name], kind) > 20


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_this_rule_a_cut_breaks_something(mutant):
    break_it, story, lost = MUTANTS[mutant]
    with break_it(), pytest.raises(Lost) as broken:
        for kind in sorted(KINDS):
            explore(STORIES[story], kind, lambda number: False)
            decay(STORIES[story], kind)
    assert str(broken.value).startswith(lost), broken.value
    assert "cuts:" in str(broken.value)
