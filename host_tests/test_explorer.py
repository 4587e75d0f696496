"""Nothing is lost: every power cut, alone and in pairs, and every datagram that goes astray.

More cuts and more datagrams, outside the suite:
python3 -m tools test -p host_tests.explorer.plugin --explore-deep -o faulthandler_timeout=0 \
    host_tests/test_explorer.py
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shlex

import pytest

from host_tests.explorer import report
from host_tests.explorer.images import FRESH, images
from host_tests.explorer.life import PROVISIONED as BY_ITSELF
from host_tests.explorer.mutants import MISFITS, MUTANTS
from host_tests.explorer.people import COPIED, OPERATED, RESET
from host_tests.explorer.repeat import repeat
from host_tests.explorer.run import PROVISIONED, TAKEN
from host_tests.explorer.scene import Setting
from host_tests.explorer.search import Broken, Search, root
from host_tests.explorer.server import REPLIES
from host_tests.explorer.walk import Lost, Reach, Walk, find_story
from host_tests.explorer.walk import repeat as repeat_story
from tools.virtual_board.flash import PROJECT

SETTINGS = {str(setting): setting for setting in report.settings()}
PEOPLE = {str(setting): setting for setting in report.PEOPLE}


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """Gives what a function of report finds, once in all processes of this run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def explored(explore, setting, how_far):
        text = repr((explore.__name__, setting, how_far))
        known = folder / f"explored-{hashlib.sha256(text.encode()).hexdigest()}"
        try:
            return pickle.loads(known.read_bytes())
        except FileNotFoundError:
            found = explore(setting, how_far)
        new = known.with_suffix(f".{os.getpid()}")
        new.write_bytes(pickle.dumps(found))
        new.replace(known)
        return found

    return explored


@pytest.fixture(scope="module")
def depth(request):
    deep = request.config.getoption("--explore-deep", default=False)
    return report.DEEP if deep else report.DEFAULT


@pytest.fixture(scope="module")
def reach(depth):
    return report.FAR_REACH if depth is report.DEEP else report.REACH


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_nothing_is_lost(setting, depth, explored):
    tally = explored(report.explore, setting, depth)
    assert tally.ends[PROVISIONED] > tally.ends[TAKEN] > 0
    assert sum(tally.ends.values()) == tally.schedules
    if setting.strategy == "create" and setting.access_token == "device":
        assert set(tally.ends) == {PROVISIONED, TAKEN}


@pytest.mark.parametrize("setting", PEOPLE.values(), ids=PEOPLE)
def test_nothing_is_lost_whatever_people_do(setting, reach, explored):
    tallies = explored(report.explore_people, setting, reach)
    if setting.is_recoverable:
        for kind, ends in tallies.items():
            # Only who makes a board or ThingsBoard forget has something to do there.
            if kind not in (RESET, COPIED, OPERATED):
                assert set(ends) <= {BY_ITSELF}, kind


def test_the_table_in_the_readme_is_true(depth, reach, explored, capsys):
    # From the last on: another process may be at the first ones.
    people = [(each, explored(report.explore_people, each, reach)) for each in report.PEOPLE[::-1]]
    tallies = [(each, explored(report.explore, each, depth)) for each in [*SETTINGS.values()][::-1]]
    tallies, people = dict(tallies[::-1]), dict(people[::-1])
    with capsys.disabled():
        print(f"\nexplored from seed {report.SEED}: {report.bounds(depth)}")
        print(report.table(tallies))
        print(f"people: {reach}")
        print(report.table_of_people(people))
    if depth is report.DEFAULT:
        readme = (PROJECT / "README.md").read_text(encoding="utf-8")
        assert report.in_readme(readme, tallies, people) == readme, (
            "the explorer's table has changed; write it anew with: "
            "python -m host_tests.explorer --readme README.md"
        )


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_firmware_without_this_protection_is_found_out(mutant):
    with MUTANTS[mutant].break_it():
        broken = _first_broken()
        assert str(broken).startswith(MUTANTS[mutant].lost)
        with pytest.raises(Broken) as again:
            command = re.search(r"--setting (\S+) --repeat (.+)", str(broken))
            repeat(Setting(*command[1].split("/")), report.SEED, shlex.split(command[2]))
    assert str(again.value) == str(broken)


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_firmware_without_this_protection_loses_something_to_people(misfit):
    break_it, setting, name, lost = MISFITS[misfit]
    story = find_story(name)
    with break_it():
        found = _first_lost(setting, story)
        assert found.startswith(lost)
        with pytest.raises(Lost) as again:
            command = re.search(r"--people (\S+) --story \".+\" --repeat ?(.*)", found)
            assert command[1] == str(setting)
            repeat_story(setting, report.SEED, story, shlex.split(command[2]))
    assert str(again.value).partition("\n")[0] == found.partition("\n")[0]


def _first_lost(setting, story):
    """Live through a story with one fault, then with two, until something is lost."""
    for faults in (1, 2):
        try:
            Walk(setting, report.SEED, Reach(faults, lost=2)).tell(story)
        except Lost as lost:
            return str(lost)
    pytest.fail("people did not find it out")


def _first_broken():
    """Explore with few cuts, until an invariant is broken."""
    for setting in SETTINGS.values():
        try:
            report.explore(setting, report.SHALLOW)
        except Broken as broken:
            return broken
    pytest.fail("the explorer did not find it out")


def test_an_exploration_is_the_same_each_time():
    setting = Setting("preprovisioned", "server", "separate", "rp2")
    first, second = (report.explore(setting, report.SHALLOW, seed="2") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("reply", REPLIES)
def test_the_fate_of_a_datagram_that_is_never_sent_changes_nothing(reply):
    """What explore_fates does not run again."""
    setting = Setting(reply=reply)
    start = root(setting, FRESH, images(setting)[FRESH], report.SEED)
    search = Search(setting, report.SEED)
    for fates in ({0: "lost"}, {1: "lost"}, {0: "lost", 2: "lost"}):
        outcome = search.with_fates(start, fates, cut=False)
        more = fates | {outcome.datagrams: "lost"}
        same = search.with_fates(start, more, cut=False)
        assert same.end == outcome.end and same.lines == outcome.lines
        assert same.datagrams == outcome.datagrams
        assert same.network.pending() == outcome.network.pending()


def test_what_a_failure_prints_names_all_that_repeats_it():
    with MUTANTS["no probe"].break_it():
        broken = str(_first_broken())
    assert f"python -m host_tests.explorer --seed {report.SEED} --setting " in broken
    assert "the schedule:\n  from the image: fresh\n  cut after datagram" in broken
    assert "the console of the last power-up:" in broken
