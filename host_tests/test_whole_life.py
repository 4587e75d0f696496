"""A board's whole life, drawn from a seed: in the end nothing is lost, twice or grown.

More of them, outside the suite: python -m host_tests.explorer --life 1 --lives 1000
"""

from __future__ import annotations

import pytest

from host_tests.explorer.whole_life.life import live
from host_tests.explorer.whole_life.plan import draw

LIVES = 24


@pytest.mark.parametrize("seed", range(LIVES))
def test_all_is_right_in_the_end(seed):
    live(draw(str(seed)))
