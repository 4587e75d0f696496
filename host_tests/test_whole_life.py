"""A board's whole life, drawn from a seed: in the end nothing is lost, twice or grown.

More of them, outside the suite: python -m host_tests.explorer --life 1 --lives 1000
"""

from __future__ import annotations

import pytest

from host_tests.explorer.whole_life.life import Broken, live
from host_tests.explorer.whole_life.mutants import MUTANTS
from host_tests.explorer.whole_life.plan import draw

LIVES = 24


@pytest.mark.parametrize("seed", range(LIVES))
def test_all_is_right_in_the_end(seed):
    live(draw(str(seed)))


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_firmware_without_this_protection_is_found_out(mutant):
    break_it, lost, seed = MUTANTS[mutant]
    with break_it(), pytest.raises(Broken) as broken:
        live(draw(str(seed)))
    assert str(broken.value).startswith(lost)
    assert f"--life {seed}" in str(broken.value)


@pytest.mark.parametrize("seed", ["3", "11"])
def test_a_life_is_the_same_each_time(seed):
    """Also one whose application awaits: "Again:" has to show what was found."""
    lives = [live(draw(seed)) for _ in range(3)]
    assert lives[0].trace == lives[1].trace == lives[2].trace
