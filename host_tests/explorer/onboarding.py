"""What a person gives a board, while the power is cut: at every operation of the flash, twice.

A board takes settings with the firmware's own code, on a real littlefs in memory. At each power-up,
and so after each cut, config.json has to be what it was before, or what it is with the settings, to
the byte; and what never joined has to have left no trace. Then the person gives it once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from firmware.board import config as configuration
from firmware.board.storage import Storage
from firmware.errors import FirstbootError
from firmware.onboarding.candidate import Candidate
from host_tests.explorer.flash import BLOCK_SIZE, Chip, Files, Image
from host_tests.firmware.world import NAME, World, example

CONFIG, CREDENTIALS = "/config.json", "/credentials.json"
BLOCKS = 12
GIVEN = {"ssid": "Home", "password": "another password"}
ONBOARDING = {"onboarding": "portal", "onboarding_password": "label-1234"}
_NOTHING = {"wifi": ..., "server": ..., "provisioning": {}}
_SERVER = {
    "server": f"coap://{NAME}",
    "deviceName": "sensor-{id}",
    "provisionDeviceKey": "a-key-1234",
    "provisionDeviceSecret": "a-secret-1234",
}
_CREDENTIALS = {
    "server": f"coap://{NAME}",
    "deviceName": "sensor-1",
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": "a-token-1234",
}


class Lost(Exception):
    """A broken invariant: what, and after which cuts."""


class Story(NamedTuple):
    """`changes` of config.json; what a person `gives`; whether that `joins`; whether the board is
    `provisioned`."""

    changes: dict
    gives: dict
    joins: bool = True
    provisioned: bool = False


STORIES = {
    "the first Wi-Fi": Story({"wifi": ...}, GIVEN),
    "another Wi-Fi": Story({}, GIVEN),
    "one more of eight": Story({"wifi": [{"ssid": str(n)} for n in range(8)]}, GIVEN),
    "a Wi-Fi that is never joined": Story({}, GIVEN, joins=False),
    "all of it": Story(_NOTHING, {**GIVEN, **_SERVER}),
    "all of it, and never joined": Story(_NOTHING, {**GIVEN, **_SERVER}, joins=False),
    "a board that has moved": Story({}, GIVEN, provisioned=True),
}


class Moment(NamedTuple):
    """A board without power: its flash, and the cuts that led there."""

    image: Image
    cuts: str = ""


class Life:
    """The power-ups of a board. `old` and `new`: what config.json may hold."""

    def __init__(self, story: Story, kind: str):
        self.story = story
        self.kind = kind
        chip = Chip((b"\xff" * BLOCK_SIZE,) * BLOCKS)
        files = Files(chip, kind, format=True)
        self.old = json.dumps(example(**ONBOARDING, **story.changes)).encode()
        files.write(CONFIG, self.old)
        if story.provisioned:
            files.write(CREDENTIALS, json.dumps(_CREDENTIALS).encode())
        self.begin = Moment(chip.image)
        end, _ = self.run(self.begin)
        self.new = Files(Chip(end), kind).read(CONFIG)
        if (self.new == self.old) == story.joins:
            raise Lost("config.json is not what it has to be without a cut")

    def run(self, moment: Moment, decays: int | None = None) -> tuple[Image, list[Moment]]:
        """Power up, let a person give the settings; return the flash, and what cuts leave of it.

        `decays`: see Chip.
        """
        chip = Chip(moment.image)
        chip.decays = decays
        files = Files(chip, self.kind)
        world = World(None, self.kind)
        board = world.new_board()
        board.storage = Storage(open=files.open, os=files)
        missing: list[str] = []
        configuration.load(board, self.story.provisioned, missing)
        if not self.story.joins:
            world.network.joins = [[(2000, world.network.STAT_NO_AP_FOUND)]]
        candidate = Candidate(board, self.story.provisioned)
        candidate.ask(missing)
        wanted = {key: self.story.gives[key] for key in (*GIVEN, *candidate.asked)}
        left = []

        def watch(operation: str, half: Image) -> None:
            number = chip.operations
            for image, when in ((chip.image, "before"), (half, "in the middle of")):
                left.append(Moment(image, f"{moment.cuts}, {when} operation {number}: {operation}"))

        chip.watch = watch
        if wrong := candidate.offer(wanted):
            raise Lost(f"the settings do not fit: {wrong}")
        candidate.work()
        return chip.image, left

    def check(self, moment: Moment) -> None:
        """Look at what a power-up finds. Raises Lost."""
        files = Files(Chip(moment.image), self.kind)
        found = files.read_all()
        if found.get(CONFIG) not in (self.old, self.new):
            raise Lost(f"config.json is neither the old nor the new{moment.cuts}")
        if self.story.provisioned and json.loads(found[CREDENTIALS]) != _CREDENTIALS:
            raise Lost(f"the credentials are others{moment.cuts}")

    def explore(self, cuts: int = 2) -> Iterator[str]:
        """Cut at every operation, so many times one after the other; yields each. Raises Lost."""
        moments = [self.begin]
        seen = set()
        for _ in range(cuts):
            nexts = []
            for moment in moments:
                try:
                    end, left = self.run(moment)
                except FirstbootError as error:
                    raise Lost(f"{error}{moment.cuts}") from None
                self.check(Moment(end, moment.cuts))
                if Files(Chip(end), self.kind).read(CONFIG) != self.new:
                    raise Lost(f"given once more, it is not kept{moment.cuts}")
                for each in left:
                    self.check(each)
                    yield each.cuts
                    if each.image not in seen:
                        seen.add(each.image)
                        nexts.append(each)
            moments = nexts

    def decay(self) -> int:
        """Let each program of the flash lose a bit; return how many did. Raises Lost."""
        _, left = self.run(self.begin)
        operations = len(left) // 2
        for number in range(1, operations + 1):
            end, _ = self.run(self.begin, number)
            self.check(Moment(end, f", and operation {number} has lost a bit"))
        return operations
