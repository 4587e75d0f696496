"""What happens in a life: to the board, its flash and its Wi-Fi, and what people do to them."""

from __future__ import annotations

import json
from contextlib import suppress

from host_tests.explorer.at_work.board import PowerCut
from host_tests.explorer.at_work.stories import NAME
from host_tests.explorer.flash import BLOCK_SIZE
from host_tests.explorer.over_the_air import Reset
from host_tests.explorer.updates import BUNDLES
from host_tests.explorer.whole_life.plan import HOUR, MINUTE, VERSIONS, Plan
from host_tests.firmware.updates import TITLE
from host_tests.firmware.world import example
from tools.fake_thingsboard.calls import Call
from tools.fake_thingsboard.ota import Package

CREDENTIALS, CONFIG = "/credentials.json", "/config.json"
_PACKAGES = {each: Package("sw", TITLE, each, BUNDLES[each]) for each in VERSIONS}


class Fate:
    """Lets all happen that a Life's plan says, each at its time; then puts all right.

    `shared`: what the shared attributes were, and from when on. `changes`: of the flash, when the
    board is on again. `full_until`: until when there is no room on it. `numbers`: how many calls
    and values of the attribute "n" there were.
    """

    def __init__(self, life):
        self.life = life
        self.shared: list[tuple[int, dict]] = [(0, {})]
        self.changes: list = []
        self.full_until = -1
        self.numbers = 0
        self.moves = 1
        self.move()
        events = life.plan.events
        for at, what, argument in events:
            life.wire.at(at, lambda what=what, argument=argument: self._happen(what, argument))
        self.ends_at = max(at for at, *_ in events) + MINUTE
        life.wire.at(self.ends_at, self._end)

    def change_flash(self) -> None:
        """Do what was to be done to the flash while the board was off."""
        for change in self.changes:
            change()
        self.changes = []

    def _happen(self, what: str, argument) -> None:
        """Do what is to happen now."""
        self.life.note(f"{what} {argument if argument is not None else ''}")
        wire = self.life.wire
        if what == "restart":
            self.life.endpoint.stop(wire.now, argument)
        elif what == "outage":
            wire.is_out, self.life.is_joined = True, False
            wire.at(wire.now + argument, self._join)
        elif what == "silence":
            wire.is_out = True
            wire.at(wire.now + argument, self._join)
        elif what == "address":
            self.move()
            if self.life.transport:
                self.life.transport.close()
        elif what == "NAT":
            if self.life.transport:
                self.life.transport.rebind()
        elif what == "cut":
            in_operations, self.life.off_for = argument
            if in_operations:
                self.life.cut_in = in_operations
            elif self.life.is_on:
                self.life.cut(self.life.chip.image)
                raise PowerCut
        elif what == "reset":
            self._reset()
        elif what == "edit":
            self.changes.append(lambda: self._edit(argument))
            self._reset()
        elif what == "full":
            self._change(lambda: self._fill(argument[0]))
            wire.at(wire.now + argument[1], lambda: self._change(self._empty))
        elif self.life.thingsboard.devices:
            self.operate(what, argument)

    def operate(self, what: str, argument) -> None:
        """Do what people do at ThingsBoard."""
        thingsboard = self.life.thingsboard
        if what == "set":
            self.numbers += 1
            thingsboard.set_attributes(self.life.name, "shared", {"n": self.numbers, **argument})
        elif what == "delete":
            thingsboard.delete_attributes(self.life.name, "shared", argument)
        elif what == "call":
            self.call(argument)
        elif what == "assign":
            thingsboard.assign_package(self.life.name, _PACKAGES[argument])
        elif what == "withdraw":
            thingsboard.unassign_package(self.life.name, "sw")
        elif what == "token":
            self._change_token(argument)
        elif what == "delete device":
            self.life.keep_arrived()
            thingsboard.delete_device(self.life.name)
        device = thingsboard.devices.get(self.life.name)
        self.shared.append((self.life.wire.now, device.attributes("shared") if device else {}))
        self.life.wire.tell()

    def _change_token(self, ms: int) -> None:
        """Change the device's token, and put it back so many ms later."""
        name, token = self.life.name, self.life.device().token
        if token.startswith("other-"):
            return
        self.numbers += 1
        other = f"other-{self.numbers}"
        self.life.thingsboard.change_token(name, other)

        def put_back():
            device = self.life.thingsboard.devices.get(name)
            if device and device.token == other:
                self.life.note("the token is put back")
                self.life.thingsboard.change_token(name, token)
                self.life.wire.tell()

        self.life.wire.at(self.life.wire.now + ms, put_back)
        self.ends_at = max(self.ends_at, self.life.wire.now + ms)

    def _reset(self) -> None:
        if self.life.is_on:
            raise Reset

    def _change(self, change) -> None:
        """Change something on the flash, now or when the board is on again."""
        if self.life.is_on:
            self.life.chip.watch = None
            change()
            self.life.chip.watch = self.life.on_flash_operation
        else:
            self.changes.append(change)

    def _edit(self, changes: dict) -> None:
        self._empty()
        config = json.loads(self.life.flash.read(CONFIG))
        for key, value in changes.items():
            if key == "provisioning":
                config[key].update(value)
            elif value is None:
                config.pop(key, None)
            else:
                config[key] = value
        self.life.flash.write(CONFIG, json.dumps(config).encode())

    def _fill(self, left: int) -> None:
        """Fill the flash but for so many blocks."""
        self.full_until = 10**12
        with suppress(OSError):
            while (free := self.life.flash.statvfs("/")[4]) > left:
                size = BLOCK_SIZE * (free - left) - BLOCK_SIZE // 2
                self.life.flash.write(f"/data {free}", b"x" * size)

    def _empty(self) -> None:
        for name in self.life.flash.listdir("/"):
            if name.startswith("data "):
                self.life.flash.remove("/" + name)
        self.full_until = self.life.wire.now

    def is_full(self) -> bool:
        """Whether the flash has no room now."""
        return self.full_until > self.life.wire.now

    def call(self, how: str, timeout: int = 0) -> Call:
        """Call the device: "two-way", "one-way" or "persistent"."""
        self.numbers += 1
        is_persistent = how == "persistent"
        return self.life.thingsboard.call(
            self.life.name,
            "m",
            self.numbers,
            is_persistent=is_persistent,
            is_one_way=how == "one-way",
            timeout=timeout or (10 * HOUR if is_persistent else 10_000),
        )

    def move(self) -> None:
        """Give the board another address."""
        self.moves += 1
        self.life.address = f"10.0.0.{self.moves}"

    def _join(self) -> None:
        self.life.wire.is_out, self.life.is_joined = False, True

    def _end(self) -> None:
        if self.life.wire.now < self.ends_at:
            self.life.wire.at(self.ends_at, self._end)
        else:
            self._put_right()

    def _put_right(self) -> None:
        self.life.note("all is put right")
        self._join()
        self.life.wire.fates = {}
        self.life.endpoint.down_until = self.life.wire.now
        self.life.cut_in = None
        self.changes += [
            self._empty,
            self._make_way,
            lambda: self.life.flash.write(CONFIG, config_of(self.life.plan)),
        ]
        self.life.ending.begin()
        self._reset()

    def _make_way(self) -> None:
        """Delete the device whose name config.json has again, as the board says to do first.

        The board has become another since, which is not there any more.
        """
        if CREDENTIALS.lstrip("/") not in self.life.flash.listdir():
            return
        board = json.loads(self.life.flash.read(CREDENTIALS))["deviceName"]
        if board != NAME and list(self.life.thingsboard.devices) == [NAME]:
            self.operate("delete device", None)


def config_of(plan: Plan) -> bytes:
    """The config.json that a board has in the beginning and in the end."""
    update = {"trial": plan.trial, "contact": 3600, "spread": 60}
    return json.dumps(example(restart_after_crash=60, update=update)).encode()
