"""An update may be cut at every operation of the flash, once and twice: a whole version runs.

All pairs of cuts, and all of a cut and of what becomes of a datagram, outside the suite:
python3 -m host_tests.explorer --updates --deep
"""

from __future__ import annotations

import pytest

from firmware.board.storage import Storage
from firmware.update.files import make_folders
from host_tests.explorer import over_the_air
from host_tests.explorer.flash import Chip, Files
from host_tests.explorer.update_mutants import MUTANTS, TELLING
from host_tests.explorer.updates import (
    IS_REFUSED,
    ONE_IN,
    STORIES,
    EndsWrong,
    Lost,
    decay,
    explore,
)
from tools.virtual_board.boards import KINDS

each_kind = pytest.mark.parametrize("kind", sorted(KINDS))


@each_kind
@pytest.mark.parametrize("name", STORIES)
def test_a_whole_version_runs_after_each_cut(name, kind):
    story = STORIES[name]
    # What is refused has few operations: all pairs of cuts.
    assert explore(story, kind, 1 if story.does == IS_REFUSED else ONE_IN) > 60


@each_kind
@pytest.mark.parametrize("name", over_the_air.STORIES_ON_AIR)
def test_a_cut_and_a_datagram_that_goes_astray(name, kind):
    story = over_the_air.STORIES_ON_AIR[name]
    assert over_the_air.explore(story, kind, over_the_air.ONE_IN) > 5


@pytest.mark.parametrize("mutant", TELLING)
def test_without_this_rule_what_is_told_is_broken(mutant):
    with TELLING[mutant](), pytest.raises(Lost) as broken:
        over_the_air.cut_everywhere(STORIES["the first update"], "rp2")
    assert str(broken.value).startswith("ThingsBoard was told"), broken.value


@each_kind
def test_a_flash_that_loses_a_bit_runs_a_whole_version(kind):
    for name in ("the first update", "the third update"):
        assert decay(STORIES[name], kind) > 20


# What somebody has put where a slot is to be, and whether the update can be taken all the same.
IN_THE_WAY = {
    "/a": False,
    "/b": False,
    "/a/package/x": False,
    "/a/package.new/x": False,
    "/a/manifest/x": False,
    "/a/manifest.new/x": False,
    "/a/manifest.rest/x": True,
    "/a/app.py/x": True,
    "/a/deep/mine": True,
    "/a/package": True,
    "/a/manifest": True,
}


@each_kind
@pytest.mark.parametrize("path", IN_THE_WAY)
def test_what_stands_in_the_way_of_an_update_is_removed_or_told(path, kind):
    story = STORIES["the first update"]
    moment = over_the_air.begin_with(story, kind)
    chip = Chip(moment.image)
    files = Files(chip, kind)
    make_folders(Storage(open=files.open, os=files), path)
    files.write(path, b"[" * 2000)
    life = over_the_air.Life(story, kind, moment._replace(image=chip.image), {})
    with over_the_air.quick():
        if IN_THE_WAY[path]:
            life.run()
            return
        with pytest.raises(EndsWrong, match="it ends with the root"):
            life.run()
    assert over_the_air.told(life.wire) == ["FAILED"]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_this_rule_a_cut_breaks_something(mutant):
    break_it, story, lost = MUTANTS[mutant]
    with break_it(), pytest.raises(Lost) as broken:
        for kind in sorted(KINDS):
            explore(STORIES[story], kind, 0)
            decay(STORIES[story], kind)
    assert str(broken.value).startswith(lost), broken.value
    assert "cuts:" in str(broken.value)
