"""One board lives, and people and fate with it; what has to hold all along and in the end.

In the end all is put right. Then the board has the credentials that ThingsBoard knows; what it was
given to send has arrived, but for what README says may be lost, and is counted; its application has
seen each attribute as it is, executed no call twice in a power-up and answered each with its own
reply; what runs is what was assigned last, or ThingsBoard was told that it FAILED. It has raised
nothing that nobody expects, and grows no more.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, deque
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from random import Random
from types import SimpleNamespace

from firmware import retry
from firmware.board.kept import unchanged
from firmware.power_up import power_up
from firmware.update.slots import State
from firmware.update.start import choose
from host_tests.explorer import board as explorer_board
from host_tests.explorer import over_the_air
from host_tests.explorer.at_work import board as at_work
from host_tests.explorer.at_work.board import BEGAN, Asleep, PowerCut
from host_tests.explorer.at_work.stories import NAME
from host_tests.explorer.at_work.witness import Witness
from host_tests.explorer.flash import BLOCK_SIZE, Chip, Files, Image
from host_tests.explorer.over_the_air import Reset, trial
from host_tests.explorer.run import Violation
from host_tests.explorer.updates import BLOCKS, BUNDLES, ROOT, STATES, Lost, check
from host_tests.explorer.whole_life.application import (
    STEP,
    Application,
    Raised,
    as_told,
    reply_to,
)
from host_tests.explorer.whole_life.plan import (
    BROKEN,
    ENDS,
    GOOD,
    HOUR,
    MINUTE,
    RAISES,
    RESETS,
    SILENT,
    VERSIONS,
    Plan,
)
from host_tests.explorer.whole_life.power import Board, Powered, PoweredWire
from host_tests.firmware.updates import TITLE
from host_tests.firmware.world import KEY, SECRET, example
from tools.fake_thingsboard.calls import SUCCESSFUL
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.ota import Package

_CREDENTIALS, _CONFIG = "/credentials.json", "/config.json"
_SAVED, _ASLEEP = "/telemetry.json", "/asleep.json"
_UNTOUCHED = {path: ROOT[path] for path in ("/main.py", "/app.py", "/mine.txt")}
_PACKAGES = {each: Package("sw", TITLE, each, BUNDLES[each]) for each in VERSIONS}
_NAT = 120_000  # ms after which the routers forget a quiet way
_PATIENCE = 12 * HOUR  # from when all is put right until all is right
_KEPT_AFTER = 12 * MINUTE  # the ten that README says, and a try that fails
_SAME_TIME = 5_000
_ANOTHER = "another device"  # that was told nothing yet
_ALL_STATES = (*STATES, "UPDATED")
_FOLLOWING = {
    _ANOTHER: _ALL_STATES,
    **{state: _ALL_STATES[number + 1 :][:1] for number, state in enumerate(STATES)},
}
_ANY_TIME = ("DOWNLOADING", "FAILED", _ANOTHER)
_DIGITS = 8  # that numbers have more
_SHOWN = 200  # lines of a life that ends badly
_SILENT = SimpleNamespace(print_exception=lambda error: None)


class Broken(Exception):
    """A broken invariant, in which life, and how it came to that."""


def live(plan: Plan) -> Life:
    """Live through a life. Raises Broken."""
    life = Life(plan)
    try:
        with _quick():
            life.run()
    except (Violation, Lost) as violation:
        trace = "\n".join(life.trace[-_SHOWN:])
        again = f"python -m host_tests.explorer --life {plan.seed}"
        raise Broken(f"{violation}\n{plan}\n{trace}\nAgain: {again}") from violation
    return life


class Life(Witness):
    """See `live`. `trace`: what happened, and what the board said, a line each."""

    has_memory = is_cold = False
    memory = b""
    is_joined = True
    is_on = False

    def __init__(self, plan: Plan):
        super().__init__()
        self.plan = plan
        self.trace: list[str] = []
        self.random = Random(f"board {plan.seed}").randbytes
        self.drawn = Random(f"people {plan.seed}")
        thingsboard = ThingsBoard(KEY, SECRET, randbytes=Random(plan.seed).randbytes)
        thingsboard.answer_call = lambda request: {"to": request["params"]}
        self.thingsboard = thingsboard
        self.endpoint = Endpoint(thingsboard, message_id=1)
        self.wire = PoweredWire(self.endpoint, _NAT)
        self.wire.fates = plan.fates
        self.has_memory, self.is_cold = plan.has_memory, plan.is_cold
        self.moves = 1
        self.move()
        self.image = _new_flash(plan.kind, _config(plan))
        self.cut_in: int | None = None  # so many operations of the flash
        self.off_for = 0
        self.power_ups = 0
        self.numbers = 0  # of calls, and of values of the attribute "n"
        self.told_dropped = 0
        self.examined: list[tuple[str, int]] = []  # calls of the end: (device, number)
        self.is_ending = self.is_examined = False
        self.shared = [(0, {})]  # what the shared attributes were, and from when on
        self.application: Application | None = None
        self.told: list[tuple[str, str]] = []  # of updates, in a device that is deleted
        self.changes: list = []  # of the flash, when the board is on again
        self.full_until = -1
        self.sizes: list[int] = []  # of all that the Device has, each time all was right
        self.wanted: str | None = None  # the version that has to run in the end
        for at, what, argument in plan.events:
            self.wire.at(at, lambda what=what, argument=argument: self.happen(what, argument))
        self.ends_at = max(at for at, *_ in plan.events) + MINUTE
        self.wire.at(self.ends_at, self._end)

    @property
    def name(self) -> str:
        """The device that the board was provisioned as last."""
        return next(reversed(self.thingsboard.devices), NAME)

    def __str__(self) -> str:
        days = self.wire.now / (24 * HOUR)
        return (
            f"{days:.1f} days, {self.power_ups} power-ups, {self.wire.count} datagrams,"
            f" {len(self.taken)} readings, {self.numbers} changes and calls"
        )

    def note(self, line: str) -> None:
        self.trace.append(f"{self.wire.now / 1000:12,.3f} {line}")

    def run(self) -> None:
        while True:
            try:
                self._power_up()
                break
            except PowerCut:
                self.memory, self.is_cold = b"", self.plan.is_cold
                self._lose("the power was cut")
                self.wire.is_cut = False
                self.wire.advance(self.off_for)
            except Reset:
                self.image = self.chip.image
                self.is_cold = self.plan.is_cold and not self.board.clock_is_set
                self._lose("the board was reset")
            except Asleep:
                self.image = self.chip.image
                self.is_cold = self.plan.is_cold and not self.board.clock_is_set
                if self.is_over(self.application):
                    break
                if self._lose("the board slept") and not self._is_full():
                    raise Violation("a reading was lost in a deep sleep") from None
                self.wire.advance(self.plan.sleeps)
        self._check_telemetry()
        self._check_told()

    # The board

    def _power_up(self) -> None:
        self.power_ups += 1
        self.known = None
        self.done = Counter()
        self.application = None
        self.chip = Chip(self.image)
        self.flash = Files(self.chip, self.plan.kind)
        for change in self.changes:
            change()
        self.changes = []
        self.chip.watch = self._on_flash_operation
        self.files = Powered(self.flash, lambda: not self.wire.is_cut)
        self.board = Board(self)
        self.is_on = True
        self.note(f"power-up {self.power_ups}")
        try:
            self._start()
        except (Violation, Lost):
            raise
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}") from error

    def _start(self) -> None:
        """What firmware.update.start and firmware.application do."""
        board = self.board
        trial.ticks_ms = board.ticks
        place = choose(State(board.storage))
        state = State(board.storage)
        check(self.flash, state, place, _UNTOUCHED)
        does = self.plan.does[state.package()["version"]] if place else GOOD
        if state.on_trial:
            board.trial = trial.Trial(state)
            board.background = [board.trial.look]
        elif does in BROKEN:
            raise Violation(f"what {does} runs, and is not on trial")
        credentials, _ = unchanged(board) or power_up(board)
        try:
            self._run(credentials, does)
            return
        except Raised:
            why = "it raised"
        if board.trial and not board.trial.is_over:
            board.trial.fail(why)
        board.sleep(MINUTE)
        raise Reset

    def _run(self, credentials: dict, does: str) -> None:
        if does in (RAISES, ENDS):
            raise Raised
        if does == RESETS:
            raise Reset
        while does == SILENT:
            self.board.sleep(STEP)
        self.application = Application(self, credentials, does)
        self.application.run()

    def _on_flash_operation(self, operation: str, half: Image) -> None:
        if self.cut_in is None or self.wire.is_cut:
            return
        self.cut_in -= 1
        if self.cut_in <= 0:
            self.cut_in = None
            self.note(f"the power is cut in the {operation}")
            self._cut(half)

    def _cut(self, image: Image) -> None:
        self.image = image
        self.wire.is_cut = True

    def restarted(self) -> None:
        """The firmware restarts the board: nothing may get lost."""
        self.image = self.chip.image
        if self._lose("the firmware restarted the board") and not self._is_full():
            raise Violation("a reading was lost as the firmware restarted the board")

    def _lose(self, why: str) -> set[int]:
        """What was only in memory is lost: the numbers of the readings."""
        self.is_on = False
        if self.transport:
            self.transport.close()
        if not self.application:
            return set()
        device, self.application = self.application.device, None
        self.told_dropped += device.dropped
        kept = self._on_flash()
        lost = self.taken.keys() - self.all_stored().keys() - kept - self.lost - set(self.once)
        lost -= set(self.dropped)
        self.note(f"{why}; lost: {sorted(lost)}")
        waiting = {json.loads(values)["r"] for _, values in device.session.backlog.queue.readings}
        if lost - waiting:
            raise Violation(f"telemetry was lost before {why}: {sorted(lost - waiting)}")
        # From when on there was room for it.
        since = [max(self.taken[number], self.full_until) for number in lost]
        waited = [self.wire.now - at for at in since]
        if self.plan.persist and waited and max(waited) > _KEPT_AFTER:
            raise Violation(
                f"a reading that waited for {max(waited) // 1000} s was not on flash when {why}"
            )
        self.lost |= lost
        return lost

    def _on_flash(self) -> set[int]:
        """What waits there, and in the memory that lasts."""
        saved = self._read(_SAVED) or []
        for kept in (self._read(_ASLEEP), json.loads(self.memory or b"null")):
            saved += kept["telemetry"] if kept else []
        return {values["r"] for _, values in saved}

    def _read(self, path: str):
        files = Files(Chip(self.image), self.plan.kind, is_read=True)
        try:
            return json.loads(files.read(path))
        except OSError:
            return None

    # The application

    def take_reading(self) -> tuple[int, bool]:
        """The number of a new reading, and whether it is to be confirmed."""
        if self.wire.is_cut or not self.application:
            # Another task has just seen the end of this power-up.
            raise PowerCut if self.wire.is_cut else Reset
        number = len(self.taken)
        self.taken[number] = self.wire.now
        confirms = self.plan.confirms
        is_confirmed = confirms > 0 and number % confirms == 0
        if not is_confirmed:
            self.unconfirmed.add(number)
        return number, is_confirmed

    def check_asked(self, shared: dict, began: int) -> None:
        """What was asked for between then and now was true at some time in between."""
        before = [values for at, values in self.shared if at <= began][-1:]
        since = [values for at, values in self.shared if at > began]
        now = [device.attributes("shared") for device in self.thingsboard.devices.values()]
        for values in before + since + now:
            if shared == {key: values[key] for key in ("n", "a") if key in values}:
                return
        raise Violation(f"attributes were asked for, and never were so: {shared}")

    # People and fate

    def happen(self, what: str, argument) -> None:
        """Do what is to happen now."""
        self.note(f"{what} {argument if argument is not None else ''}")
        wire = self.wire
        if what == "restart":
            self.endpoint.stop(wire.now, argument)
        elif what == "outage":
            wire.is_out, self.is_joined = True, False
            wire.at(wire.now + argument, self._join)
        elif what == "silence":
            wire.is_out = True
            wire.at(wire.now + argument, self._join)
        elif what == "address":
            self.move()
            if self.transport:
                self.transport.close()
        elif what == "NAT":
            if self.transport:
                self.transport.rebind()
        elif what == "cut":
            in_operations, self.off_for = argument
            if in_operations:
                self.cut_in = in_operations
            elif self.is_on:
                self._cut(self.chip.image)
                raise PowerCut
        elif what == "reset":
            self._reset()
        elif what == "edit":
            self.changes.append(lambda: self._edit(argument))
            self._reset()
        elif what == "full":
            self._change(lambda: self._fill(argument[0]))
            wire.at(wire.now + argument[1], lambda: self._change(self._empty))
        elif self.thingsboard.devices:
            self._operate(what, argument)

    def _operate(self, what: str, argument) -> None:
        thingsboard = self.thingsboard
        if what == "set":
            self.numbers += 1
            thingsboard.set_attributes(self.name, "shared", {"n": self.numbers, **argument})
        elif what == "delete":
            thingsboard.delete_attributes(self.name, "shared", argument)
        elif what == "call":
            self._call(argument)
        elif what == "assign":
            thingsboard.assign_package(self.name, _PACKAGES[argument])
        elif what == "withdraw":
            thingsboard.unassign_package(self.name, "sw")
        elif what == "token":
            self._change_token(argument)
        elif what == "delete device":
            self.stored, self.told = self.all_stored(), self.all_told()
            if self.application:
                self.application.client = None
            thingsboard.delete_device(self.name)
        device = thingsboard.devices.get(self.name)
        self.shared.append((self.wire.now, device.attributes("shared") if device else {}))
        self.wire.tell()

    def _change_token(self, ms: int) -> None:
        """Change the device's token, and put it back so many ms later."""
        name, token = self.name, self._device().token
        if token.startswith("other-"):
            return
        self.numbers += 1
        other = f"other-{self.numbers}"
        self.thingsboard.change_token(name, other)

        def put_back():
            device = self.thingsboard.devices.get(name)
            if device and device.token == other:
                self.note("the token is put back")
                self.thingsboard.change_token(name, token)
                self.wire.tell()

        self.wire.at(self.wire.now + ms, put_back)
        self.ends_at = max(self.ends_at, self.wire.now + ms)

    def _reset(self) -> None:
        if self.is_on:
            raise Reset

    def _change(self, change) -> None:
        """Change something on the flash, now or when the board is on again."""
        if self.is_on:
            self.chip.watch = None
            change()
            self.chip.watch = self._on_flash_operation
        else:
            self.changes.append(change)

    def _edit(self, changes: dict) -> None:
        self._empty()
        config = json.loads(self.flash.read(_CONFIG))
        for key, value in changes.items():
            if key == "provisioning":
                config[key].update(value)
            elif value is None:
                config.pop(key, None)
            else:
                config[key] = value
        self.flash.write(_CONFIG, json.dumps(config).encode())

    def _fill(self, left: int) -> None:
        """Fill the flash but for so many blocks."""
        self.full_until = 10**12
        with suppress(OSError):
            while (free := self.flash.statvfs("/")[4]) > left:
                size = BLOCK_SIZE * (free - left) - BLOCK_SIZE // 2
                self.flash.write(f"/data {free}", b"x" * size)

    def _empty(self) -> None:
        for name in self.flash.listdir("/"):
            if name.startswith("data "):
                self.flash.remove("/" + name)
        self.full_until = self.wire.now

    def _is_full(self) -> bool:
        return self.full_until > self.wire.now

    def _call(self, how: str, timeout: int = 0):
        self.numbers += 1
        is_persistent = how == "persistent"
        return self.thingsboard.call(
            self.name,
            "m",
            self.numbers,
            is_persistent=is_persistent,
            is_one_way=how == "one-way",
            timeout=timeout or (10 * HOUR if is_persistent else 10_000),
        )

    def move(self) -> None:
        self.moves += 1
        self.address = f"10.0.0.{self.moves}"

    def _join(self) -> None:
        self.wire.is_out, self.is_joined = False, True

    def _end(self) -> None:
        if self.wire.now < self.ends_at:
            self.wire.at(self.ends_at, self._end)
        else:
            self._put_right()

    def _put_right(self) -> None:
        self.note("all is put right")
        self._join()
        self.wire.fates = {}
        self.endpoint.down_until = self.wire.now
        self.cut_in = None
        self.changes += [
            self._empty,
            self._make_way,
            lambda: self.flash.write(_CONFIG, _config(self.plan)),
        ]
        self.is_ending = True
        self.ends_at = self.wire.now
        self._reset()

    def _make_way(self) -> None:
        """Delete the device whose name config.json has again, as the board says to do first.

        The board has become another since, which is not there any more.
        """
        if _CREDENTIALS.lstrip("/") not in self.flash.listdir():
            return
        board = json.loads(self.flash.read(_CREDENTIALS))["deviceName"]
        if board != NAME and list(self.thingsboard.devices) == [NAME]:
            self._operate("delete device", None)

    # What has to be in the end

    def is_over(self, application: Application) -> bool:
        """Whether all is right in the end. Raises Violation when that takes too long."""
        if not self.is_ending:
            return False
        trouble = self._trouble(application)
        if trouble:
            if self.wire.now > self.ends_at + _PATIENCE:
                raise Violation(trouble)
            return False
        if not self.is_examined:
            self.is_examined = True
            self._examine()
            return False
        if not application.has_asked:
            return False
        self.sizes.append(size_of(application.device.session))
        if len(self.sizes) == self.plan.rounds:
            self._check_growth()
            return True
        application.has_asked = False
        self._examine()
        return False

    def _examine(self) -> None:
        """All is right: from now on things happen at once."""
        self.note("all is right")
        for what, argument in (
            ("set", {"a": self.numbers, "b": 0}),
            ("delete", ["b"]),
        ):
            self._operate(what, argument)
        self.ends_at = self.wire.now
        if not self.sizes and self.drawn.random() < 0.3:
            self._assign_good()
        for how in ("persistent",) if self.plan.sleeps else ("two-way", "persistent"):
            call = self._call(how, 10 * HOUR)
            self.examined.append(call.number)
        self.wire.tell()

    def _assign_good(self) -> None:
        """Assign a version that has to run then, if there is one that neither runs nor failed."""
        state = State(self.board.storage)
        known = [found["version"] for found in (state.package(), state.found["failed"]) if found]
        good = [each for each in VERSIONS if self.plan.does[each] == GOOD and each not in known]
        if good:
            self.wanted = self.drawn.choice(good)
            self._operate("assign", self.wanted)

    def _device(self):
        return self.thingsboard.devices[self.name]

    def _trouble(self, application: Application) -> str:
        """What is not as it has to be, nothing when all is."""
        if self.name not in self.thingsboard.devices:
            return "there is no such device"
        found = self._device()
        with self.files.open(_CREDENTIALS, "rb") as file:
            if json.loads(file.read())["credentialsValue"] != found.token:
                return "the credentials on flash are not those of the device"
        shared = found.attributes("shared")
        if json.dumps(self.known, sort_keys=True) != json.dumps(shared, sort_keys=True):
            return f"the handler knows {self.known}, and the attributes are {shared}"
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
        state = State(self.board.storage)
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
        for device in self.thingsboard.devices.values():
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
        self.told_dropped += self.application.device.dropped
        stored = self.all_stored()
        missing = self.taken.keys() - stored.keys() - self.lost - set(self.once)
        if not missing <= set(self.dropped):
            raise Violation(f"telemetry was lost: {sorted(missing - set(self.dropped))}")
        if self.told_dropped != len(self.dropped):
            raise Violation(f"{self.told_dropped} are said to be dropped, not {len(self.dropped)}")
        # Another device may be sent what was answered with 4.01.
        happened = {what for _, what, _ in self.plan.events}
        if self.sent_again and not {"token", "delete device"} & happened:
            raise Violation("an unconfirmed reading was sent twice")
        for number, times in stored.items():
            known = [time for time in times if isinstance(time, int)]
            if len(known if self.plan.is_cold else times) > 1:
                raise Violation(f"reading {number} was stored with several times")
            if any(abs(time - BEGAN - self.taken[number]) > _SAME_TIME for time in known):
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


@cache
def _new_flash(kind: str, config: bytes) -> Image:
    """A flash with the firmware on it, and config.json; not provisioned yet."""
    chip = Chip((b"\xff" * BLOCK_SIZE,) * BLOCKS)
    files = Files(chip, kind, format=True)
    for path, content in _UNTOUCHED.items():
        files.write(path, content)
    files.write(_CONFIG, config)
    return chip.image


def _config(plan: Plan) -> bytes:
    update = {"trial": plan.trial, "contact": 3600, "spread": 60}
    return json.dumps(example(restart_after_crash=60, update=update)).encode()


@contextmanager
def _quick():
    """Leave out what takes long and is not what is tested; wait in longer steps."""

    def kept(*steps):
        """What is given back would be another when it is imported anew."""

    names = ("give_back", "give_back_room")
    modules = [module for name, module in sys.modules.items() if name[:9] == "firmware."]
    given_back: list[tuple] = [
        (module, name, kept) for module in modules for name in names if hasattr(module, name)
    ]
    with ExitStack() as stack:
        stack.enter_context(explorer_board.quick())
        stack.enter_context(over_the_air.quick())
        stack.enter_context(at_work.quick(STEP))
        stack.enter_context(explorer_board.replaced(*given_back, (retry, "sys", _SILENT)))
        yield
