"""Power cuts while config.json is saved lose nothing, and what would lose something is found."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from firmware.board.storage import Storage
from firmware.onboarding.candidate import Candidate
from host_tests.explorer.onboarding import CONFIG, STORIES, Life, Lost
from tools.virtual_board.boards import KINDS

both_kinds = pytest.mark.parametrize("kind", sorted(KINDS))


@both_kinds
@pytest.mark.parametrize("story", STORIES)
def test_no_cut_loses_config_json(story, kind):
    life = Life(STORIES[story], kind)
    cuts = sum(1 for _ in life.explore())
    # What never joins writes nothing at all.
    assert cuts > 30 if STORIES[story].joins else cuts == 0
    assert (life.decay() >= 3) == STORIES[story].joins


def _saved(save):
    return lambda: patch.object(Storage, "save", save)


def _not_read_back(self, path, content):
    with self.open(self.root + path + ".new", "wb") as file:
        file.write(content)
    self.os.rename(self.root + path + ".new", self.root + path)


def _removed_first(self, path, content):
    with self.open(self.root + path + ".new", "wb") as file:
        file.write(content)
    self.os.remove(self.root + path)
    self.os.rename(self.root + path + ".new", self.root + path)


def _renamed_before_closed(self, path, content):
    file = self.open(self.root + path + ".new", "wb")
    file.write(content)
    self.os.rename(self.root + path + ".new", self.root + path)
    file.close()


def _saved_before_it_joined():
    work = Candidate.work

    def at_once(self):
        self.board.storage.save(CONFIG, self._offered[0])
        return work(self)

    return patch.object(Candidate, "work", at_once)


def _in_two_saves():
    """First without the Wi-Fi that was there."""
    work = Candidate.work

    def in_two(self):
        self.board.storage.save(CONFIG, b"{}")
        return work(self)

    return patch.object(Candidate, "work", in_two)


MUTANTS = {
    "not read back": (_saved(_not_read_back), "all of it"),
    "removed first": (_saved(_removed_first), "another Wi-Fi"),
    "renamed before it is closed": (_saved(_renamed_before_closed), "the first Wi-Fi"),
    "saved before it joined": (_saved_before_it_joined, "a Wi-Fi that is never joined"),
    "saved in two": (_in_two_saves, "another Wi-Fi"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_what_would_lose_it_is_found(name):
    mutant, story = MUTANTS[name]
    with mutant(), pytest.raises((Lost, OSError)):
        life = Life(STORIES[story], "esp32")
        life.decay()
        for _ in life.explore():
            pass
