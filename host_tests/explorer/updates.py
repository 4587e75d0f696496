"""Updates in which the power is cut: at every operation of the flash, once and twice.

A board lives through a story, power-up by power-up, with the firmware's own code on a real littlefs
in memory: what it takes as an update, switches to, tries, confirms or rolls back. At each power-up,
and so after each cut, what runs and what would come back is looked at file by file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from types import SimpleNamespace
from typing import NamedTuple

from firmware.board.storage import Storage
from firmware.errors import FirstbootError
from firmware.update.install import Installation
from firmware.update.slots import State
from firmware.update.start import choose
from host_tests.explorer.at_work.stories import NAME, TOKEN
from host_tests.explorer.flash import BLOCK_SIZE, Chip, Files, Image
from host_tests.firmware.updates import SETTINGS, TITLE, bundle
from host_tests.firmware.world import example

BLOCKS = 40
MOST_POWER_UPS = 14
_PIECE = 1024
# Of so many cuts one is followed by each other one, in the suite.
ONE_IN = 211
# What a slot has besides the files of its bundle.
_OWN = ("/manifest", "/package", "/manifest.new", "/manifest.rest")
# What no update touches.
_TIMES = {"trial": 60, "contact": 600}  # s
ROOT = {
    "/main.py": b"import firmware",
    "/app.py": b"# the root's",
    "/config.json": json.dumps(example(update={**_TIMES, "spread": 1})).encode(),
    "/credentials.json": json.dumps(
        {
            "server": "coap://thingsboard.example.com",
            "deviceName": NAME,
            "credentialsType": "ACCESS_TOKEN",
            "credentialsValue": TOKEN,
        }
    ).encode(),
    "/mine.txt": b"x" * 300,
}
TREES = {
    version: {
        "app.py": b"# %s" % version.encode(),
        "lib/large.py": version.encode() * 2500,
        "lib/small.py": b"# small",
    }
    for version in "234"
}
BUNDLES = {version: bundle(tree, version) for version, tree in TREES.items()}
FOREIGN = "5"
BUNDLES[FOREIGN] = bundle(TREES["4"], FOREIGN, boards="esp8266")
# What ThingsBoard is told before it is known how an update ends.
STATES = ("DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING")
# What an application does on trial.
GOOD, RAISES, RESETS = "is good", "raises", "resets"
IS_REFUSED = "is refused"
FILLS, FILLS_AND_RESETS = "fills the flash", "fills the flash and resets"


class Lost(Exception):
    """A broken invariant: what, and how it came to that."""


class EndsWrong(Lost):
    """All that ran was whole, but it did not end as it had to."""


class Story(NamedTuple):
    """`assigned`: what ThingsBoard says; `does`: what that one does on trial. Before it begins
    `done` were installed and confirmed, of `half` one half was downloaded, and `tried` was switched
    to; it is good, and takes what is assigned as soon as it may."""

    assigned: str
    does: str = GOOD
    done: str = ""
    half: str = ""
    tried: str = ""


STORIES = {
    "the first update": Story("2"),
    "the first update fails": Story("2", RAISES),
    "the first update resets": Story("2", RESETS),
    "the first update fills the flash": Story("2", FILLS),
    "the first update fills the flash and resets": Story("2", FILLS_AND_RESETS),
    "the third update": Story("4", done="23"),
    "the third update fails": Story("4", RAISES, done="23"),
    "the third update fills the flash": Story("4", FILLS, done="23"),
    "the third update is for other boards": Story(FOREIGN, IS_REFUSED, done="23"),
    "another one is assigned half-way": Story("4", done="2", half="3"),
    "the one before is assigned again": Story("2", done="23", half="4"),
    "another one is assigned in a trial": Story("3", RAISES, tried="2"),
    "another one is assigned in a trial that needs both slots": Story(
        "4", RAISES, done="2", tried="3"
    ),
}


class Moment(NamedTuple):
    """Where a board begins to live: its flash, whether the assigned version has ever run, and
    the cuts that led there."""

    image: Image
    has_run: bool = False
    cuts: str = ""


class Life:
    """The power-ups of one board from a moment on."""

    def __init__(self, story: Story, kind: str, moment: Moment):
        self.story = story
        self.kind = kind
        self.chip = Chip(moment.image)
        self.has_run = moment.has_run

    def run(self) -> None:
        """Live until nothing is left to do. Raises Lost."""
        for _ in range(MOST_POWER_UPS):
            if self.power_up():
                check_the_end(self.story, Files(self.chip, self.kind), is_told=False)
                return
        raise EndsWrong(f"not done after {MOST_POWER_UPS} power-ups")

    def power_up(self) -> bool:
        """One power-up; return whether all is done."""
        files = Files(self.chip, self.kind)
        board = SimpleNamespace(storage=Storage(open=files.open, os=files), idle=lambda: None)
        place = choose(State(board.storage))
        state = State(board.storage)
        check(files, state, place)
        if state.on_trial and place == state.running:
            with suppress(FirstbootError):
                # What cannot be saved is tried again after a reset.
                return self._try(files, state, board)
            return False
        return self._is_done(state) or self._install(board)

    def _is_done(self, state: State) -> bool:
        assigned = self.story.assigned
        running = state.package()
        return bool(running and running["version"] == assigned) or state.has_failed(
            TITLE, assigned, _checksum(assigned)
        )

    def _install(self, board) -> bool:
        if self.has_run:
            raise EndsWrong("what has failed is installed again")
        try:
            install(board, self.story.assigned)
        except FirstbootError as error:
            if not getattr(error, "may_pass", False):
                if self.story.does != IS_REFUSED:
                    raise EndsWrong(f"refused: {error}") from error
                words = TITLE, self.story.assigned, _checksum(self.story.assigned)
                State(board.storage).refuse(*words, str(error))
        return False

    def _try(self, files: Files, state: State, board) -> bool:
        """What runs is on trial."""
        does = self.story.does
        if state.package()["version"] != self.story.assigned:
            if state.slot():
                return self._install(board)
            state.confirm()
            return False
        self.has_run = True
        if does == GOOD:
            state.confirm()
            return True
        if does in (FILLS, FILLS_AND_RESETS):
            self._fill(files)
        if does in (RAISES, FILLS):
            state.fail("it raised")
        return False

    def _fill(self, files: Files) -> None:
        """Fill all blocks; cuts in that are not looked at."""
        watch, self.chip.watch = self.chip.watch, None
        while free := files.statvfs("/")[4]:
            name = f"/data {len(files.listdir('/'))}"
            files.write(name, b"x" * (4000 * max(1, free - 4) - 3000))
        self.chip.watch = watch


def check(files: Files, state: State, place: str, root: dict[str, bytes] = ROOT) -> None:
    """What runs and what comes back is whole, and `root` is untouched. Raises Lost."""
    found = files.read_all()
    for path, content in root.items():
        if found.get(path) != content:
            raise Lost(f"{path} is not what it was")
    for each in {place, state.before}:
        inner = {
            path[len(each) + 1 :]: content
            for path, content in found.items()
            if path.startswith(each + "/") and path[2:] not in _OWN
        }
        if each and inner not in TREES.values():
            raise Lost(f"{'what runs' if each == place else 'what comes back'} is not whole")
    if place and place == state.running:
        version = found[f"{place}/app.py"][2:].decode()
        if version != state.package()["version"]:
            raise Lost("another version runs than is said")


def check_the_end(story: Story, files: Files, is_told: bool) -> None:
    """It ends with the assigned version, or with the one before and a note of what failed.

    `is_told`: whether ThingsBoard knows, else it is noted what it has to be told. Raises EndsWrong.
    """
    state = State(Storage(open=files.open, os=files))
    check(files, state, state.running)
    running = state.package()
    version = running["version"] if running else ""
    if state.on_trial:
        raise EndsWrong("it is still on trial")
    if is_told and state.found["untold"]:
        raise EndsWrong("ThingsBoard has not been told")
    if story.does == GOOD:
        if version != story.assigned:
            raise EndsWrong(f"it ends with {version or 'the root'}")
        is_noted = is_told or state.found["untold"] == "UPDATED"
        if not is_noted and story.done[-1:] != story.assigned:
            raise EndsWrong("nobody says that it is updated")
    else:
        # One that needs both slots is proven before the next one is taken.
        if version != ((story.done and story.tried) or story.done[-1:]):
            raise EndsWrong(f"it ends with {version or 'the root'}")
        is_noted = is_told or "FAILED" in (state.found["untold"] or "")
        if not is_noted or state.found["failed"]["version"] != story.assigned:
            raise EndsWrong("nobody says that it failed")
        if story.does == IS_REFUSED and not state.before:
            raise EndsWrong("what came back is given up for what is refused")


def _checksum(version: str) -> str:
    return hashlib.sha256(BUNDLES[version]).hexdigest()


def install(board, version: str, share: float = 1) -> None:
    """Take a version and switch to it, or the first part of it."""
    content = BUNDLES[version]
    end = int(len(content) * share)
    installation = Installation(board, {**SETTINGS, **_TIMES})
    installation.begin(TITLE, version, len(content), _checksum(version))
    for at in range(installation.offset, end, _PIECE):
        installation.write(content[at : min(at + _PIECE, end)])
    if share < 1:
        installation.close()
        return
    installation.finish()
    installation.switch()


@cache
def begin(story: Story, kind: str) -> Image:
    """The flash as a story begins."""
    chip = Chip((b"\xff" * BLOCK_SIZE,) * BLOCKS)
    files = Files(chip, kind, format=True)
    board = SimpleNamespace(storage=Storage(open=files.open, os=files), idle=lambda: None)
    for path, content in ROOT.items():
        files.write(path, content)
    for version in story.done:
        install(board, version)
        State(board.storage).confirm()
    if story.half:
        install(board, story.half, 0.5)
    if story.tried:
        install(board, story.tried)
    return chip.image


def cuts(story: Story, kind: str, moment: Moment) -> Iterator[Moment]:
    """Each moment at which the power may be cut: before and in each operation of the flash."""
    found: list[Moment] = []
    life = Life(story, kind, moment)

    def watch(operation: str, half: Image) -> None:
        name = f"operation {life.chip.operations}, {operation}"
        for when, image in (("before", life.chip.image), ("in", half)):
            found.append(Moment(image, life.has_run, f"{moment.cuts} {when} {name};"))

    life.chip.watch = watch
    run(life, moment)
    return iter(found)


def run(life: Life, moment: Moment) -> None:
    """Live; a broken invariant says after which cuts."""
    try:
        life.run()
    except Lost as lost:
        text = f"{lost}; {life.kind}, {life.story}; cuts:{moment.cuts or ' none'}"
        raise type(lost)(text) from lost


def explore(story: Story, kind: str, one_in: int) -> int:
    """Cut once everywhere, and after one in so many cuts everywhere again; 0: after none.

    Returns how many schedules that were. Raises Lost.
    """
    schedules = 0
    first = sum(map(ord, f"{story}{kind}"))
    lived: set[tuple[Image, bool]] = set()
    cut_again: set[tuple[Image, bool]] = set()

    def live_once(moment: Moment) -> None:
        if moment[:2] not in lived:
            lived.add(moment[:2])
            run(Life(story, kind, moment), moment)

    for number, moment in enumerate(cuts(story, kind, Moment(begin(story, kind)))):
        schedules += 1
        if one_in and (number + first) % one_in == 0 and moment[:2] not in cut_again:
            cut_again.add(moment[:2])
            for second in cuts(story, kind, moment):
                schedules += 1
                live_once(second)
        else:
            live_once(moment)
    return schedules


def decay(story: Story, kind: str) -> int:
    """Let each program lose a bit after it was compared; return how many. Raises Lost.

    How it ends is open then: a directory may be what lost the bit.
    """
    moment = Moment(begin(story, kind))
    whole = Life(story, kind, moment)
    run(whole, moment)
    for number in range(1, whole.chip.operations + 1):
        life = Life(story, kind, moment)
        life.chip.decays = number
        with suppress(EndsWrong):
            run(life, moment)
    return whole.chip.operations
