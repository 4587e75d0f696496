"""What has to be in the end of a life, when all is put right.

Then the board has the credentials that ThingsBoard knows; what it was given to send has arrived,
but for what README says may be lost, and is counted; its application has seen each attribute as it
is, and answered each call with its own reply; what runs is what was assigned last, or ThingsBoard
was told that it FAILED. The Device grows no more.
"""

from __future__ import annotations

import json
from collections import deque
from random import Random

from firmware.update.slots import State
from host_tests.explorer.at_work.board import BEGAN
from host_tests.explorer.run import Violation
from host_tests.explorer.updates import STATES
from host_tests.explorer.whole_life.application import Application, as_told, reply_to
from host_tests.explorer.whole_life.fate import CREDENTIALS
from host_tests.explorer.whole_life.plan import GOOD, HOUR, VERSIONS
from tools.fake_thingsboard.calls import SUCCESSFUL

_PATIENCE = 12 * HOUR  # from when all is put right until all is right
_SAME_TIME = 5_000
_ANOTHER = "another device"  # that was told nothing yet
_ALL_STATES = (*STATES, "UPDATED")
_FOLLOWING = {
    _ANOTHER: _ALL_STATES,
    **{state: _ALL_STATES[number + 1 :][:1] for number, state in enumerate(STATES)},
}
_ANY_TIME = ("DOWNLOADING", "FAILED", _ANOTHER)
_DIGITS = 8  # that numbers have more


class Ending:
    """Waits until all is right, and has more happen, until the life is over.

    `is_begun`: all is put right. `is_examined`: all was right, and what has happened since is
    looked at. `told`: the states of updates that a device was told of which is deleted.
    """

    is_begun = is_examined = False

    def __init__(self, life):
        self.life = life
        self.drawn = Random(f"people {life.plan.seed}")
        self.since = 0
        self.told: list[str] = []
        self.examined: list[int] = []  # the numbers of the calls of the end
        self.sizes: list[int] = []  # of all that the Device has, each time all was right
        self.wanted: str | None = None  # the version that has to run

    def begin(self) -> None:
        """All is put right."""
        self.is_begun = True
        self.since = self.life.wire.now

    def check(self) -> None:
        """All is over. Raises Violation for what was lost, or told wrongly."""
        self._check_telemetry()
        self._check_told()

    def is_over(self, application: Application) -> bool:
        """Whether all is right in the end. Raises Violation when that takes too long."""
        if not self.is_begun:
            return False
        trouble = self._trouble(application)
        if trouble:
            if self.life.wire.now > self.since + _PATIENCE:
                raise Violation(trouble)
            return False
        if not self.is_examined:
            self.is_examined = True
            self._examine()
            return False
        if not application.has_asked:
            return False
        self.sizes.append(size_of(application.device.session))
        if len(self.sizes) == self.life.plan.rounds:
            self._check_growth()
            return True
        application.has_asked = False
        self._examine()
        return False

    def _examine(self) -> None:
        """All is right: from now on things happen at once."""
        self.life.note("all is right")
        for what, argument in (
            ("set", {"a": self.life.fate.numbers, "b": 0}),
            ("delete", ["b"]),
        ):
            self.life.fate.operate(what, argument)
        self.since = self.life.wire.now
        if not self.sizes and self.drawn.random() < 0.3:
            self._assign_good()
        for how in ("persistent",) if self.life.plan.sleeps else ("two-way", "persistent"):
            call = self.life.fate.call(how, 10 * HOUR)
            self.examined.append(call.number)
        self.life.wire.tell()

    def _assign_good(self) -> None:
        """Assign a version that has to run then, if there is one that neither runs nor failed."""
        state = State(self.life.board.storage)
        known = [found["version"] for found in (state.package(), state.found["failed"]) if found]
        does = self.life.plan.does
        good = [each for each in VERSIONS if does[each] == GOOD and each not in known]
        if good:
            self.wanted = self.drawn.choice(good)
            self.life.fate.operate("assign", self.wanted)

    def _trouble(self, application: Application) -> str:
        """What is not as it has to be, nothing when all is."""
        if self.life.name not in self.life.thingsboard.devices:
            return "there is no such device"
        found = self.life.device()
        with self.life.files.open(CREDENTIALS, "rb") as file:
            if json.loads(file.read())["credentialsValue"] != found.token:
                return "the credentials on flash are not those of the device"
        shared = found.attributes("shared")
        if json.dumps(self.life.known, sort_keys=True) != json.dumps(shared, sort_keys=True):
            return f"the handler knows {self.life.known}, and the attributes are {shared}"
        client = found.attributes("client").get("c")
        if application.client not in (None, client):
            return f"the client attribute is {client}, and {application.client} was sent"
        for call in found.calls:
            if call.reply is not None:
                expected = as_told(reply_to(json.loads(call.params)))
                if json.loads(call.reply) != expected:
                    raise Violation(f"a call was answered with another's reply: {call}")
            elif call.is_pending and not call.is_one_way:
                return "a call was not answered"
            if call.number in self.examined and call.state != SUCCESSFUL:
                return f"a call at the end was not answered: {call}"
        if application.device.waiting:
            return "telemetry still waits"
        return self._trouble_with_update(found)

    def _trouble_with_update(self, device) -> str:
        state = State(self.life.board.storage)
        if state.on_trial:
            return "an update is on trial"
        if state.found["untold"]:
            return f"ThingsBoard has not been told: {state.found['untold']}"
        running, failed, package = state.package(), state.found["failed"], device.package("sw")
        if not package:
            return ""
        if running and running["version"] == package.version:
            return ""
        if not failed or failed["version"] != package.version:
            return f"version {package.version} is assigned, and {running or 'the root'} runs"
        if self.wanted:
            raise Violation(f"a good update failed: {failed['why']}")
        told = [state for state in self.all_told() if state != _ANOTHER]
        # What is on trial meanwhile is confirmed by the answer to that.
        if told[-1:] != ["FAILED"] and told[-2:] != ["FAILED", "UPDATED"]:
            return f"ThingsBoard was not told that an update FAILED: {told[-5:]}"
        return ""

    def all_told(self) -> list[str]:
        """The states of updates that ThingsBoard has been told, in order, device by device."""
        told = self.told
        for device in self.life.thingsboard.devices.values():
            found = [json.loads(body) for body in device.telemetry]
            told = [*told, _ANOTHER, *(each["sw_state"] for each in found if "sw_state" in each)]
        return told

    def _check_told(self) -> None:
        """No state of an update is left out; again it may come when the board was cut off."""
        before = ""
        for state in self.all_told():
            if state not in (before, *_FOLLOWING.get(before, ()), *_ANY_TIME):
                raise Violation(f"ThingsBoard was told {state} after {before}: {self.all_told()}")
            before = state

    def _check_growth(self) -> None:
        """What fills up is emptied again: by a registration, what came since."""
        half = len(self.sizes) // 2
        first, second = self.sizes[:half], self.sizes[half:]
        if half and all(f(second) > f(first) + _DIGITS for f in (min, max)):
            raise Violation(f"the Device grows: {self.sizes}")

    def _check_telemetry(self) -> None:
        life = self.life
        told_dropped = life.told_dropped + life.application.device.dropped
        stored = life.all_stored()
        missing = life.taken.keys() - stored.keys() - life.lost - set(life.once)
        if not missing <= set(life.dropped):
            raise Violation(f"telemetry was lost: {sorted(missing - set(life.dropped))}")
        if told_dropped != len(life.dropped):
            raise Violation(f"{told_dropped} are said to be dropped, not {len(life.dropped)}")
        # Another device may be sent what was answered with 4.01.
        happened = {what for _, what, _ in life.plan.events}
        if life.sent_again and not {"token", "delete device"} & happened:
            raise Violation("an unconfirmed reading was sent twice")
        for number, times in stored.items():
            known = [time for time in times if isinstance(time, int)]
            if len(known if life.plan.is_cold else times) > 1:
                raise Violation(f"reading {number} was stored with several times")
            if any(abs(time - BEGAN - life.taken[number]) > _SAME_TIME for time in known):
                raise Violation(f"reading {number} was stored with another's time")


def size_of(value) -> int:
    """How much a firmware's object holds, in all that it leads to: elements and bytes."""
    seen: dict[int, object] = {}
    found, size = [value], 0
    while found:
        each = found.pop()
        if id(each) in seen:
            continue
        seen[id(each)] = each
        if isinstance(each, (list, tuple, set, deque)):
            found += each
        elif isinstance(each, dict):
            found += each.values()
        elif type(each).__module__.startswith("firmware."):
            found += vars(each).values()
            continue
        elif not isinstance(each, (bytes, bytearray, str)):
            continue
        size += len(each)
    return size
