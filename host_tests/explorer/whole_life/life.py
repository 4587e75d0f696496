"""One board lives, and people and fate with it; what has to hold all along.

It raises nothing that nobody expects, and loses no reading but what was only in memory when the
power went. What has to be in the end is host_tests.explorer.whole_life.ending's.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
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
from host_tests.explorer.at_work.board import Asleep, PowerCut
from host_tests.explorer.at_work.stories import NAME
from host_tests.explorer.at_work.witness import Witness
from host_tests.explorer.flash import BLOCK_SIZE, Chip, Files, Image
from host_tests.explorer.over_the_air import Reset, trial
from host_tests.explorer.run import Violation
from host_tests.explorer.updates import BLOCKS, ROOT, Lost, check
from host_tests.explorer.whole_life.application import STEP, Application, Raised
from host_tests.explorer.whole_life.ending import Ending
from host_tests.explorer.whole_life.fate import CONFIG, CREDENTIALS, Fate, config_of
from host_tests.explorer.whole_life.plan import (
    BROKEN,
    ENDS,
    GOOD,
    HOUR,
    MINUTE,
    RAISES,
    RESETS,
    SILENT,
    Plan,
)
from host_tests.explorer.whole_life.power import Board, Powered, PoweredWire
from host_tests.firmware.world import KEY, SECRET
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.model import ThingsBoard

_SAVED, _ASLEEP = "/telemetry.json", "/asleep.json"
_UNTOUCHED = {path: ROOT[path] for path in ("/main.py", "/app.py", "/mine.txt")}
_NAT = 120_000  # ms after which the routers forget a quiet way
_KEPT_AFTER = 12 * MINUTE + STEP  # the ten that README says, a try that fails, and a wait
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
        thingsboard = ThingsBoard(KEY, SECRET, randbytes=Random(plan.seed).randbytes)
        thingsboard.answer_call = lambda request: {"to": request["params"]}
        self.thingsboard = thingsboard
        self.endpoint = Endpoint(thingsboard, message_id=1)
        self.wire = PoweredWire(self.endpoint, _NAT)
        self.wire.fates = plan.fates
        self.has_memory, self.is_cold = plan.has_memory, plan.is_cold
        self.image = _new_flash(plan.kind, config_of(plan))
        self.cut_in: int | None = None  # so many operations of the flash
        self.off_for = 0
        self.power_ups = 0
        self.told_dropped = 0
        self.application: Application | None = None
        self.ending = Ending(self)
        self.fate = Fate(self)

    @property
    def name(self) -> str:
        """The device that the board is, else the one that it was provisioned as last."""
        image = self.chip.image if self.is_on else self.image
        with suppress(OSError):
            credentials = json.loads(
                Files(Chip(image), self.plan.kind, is_read=True).read(CREDENTIALS)
            )
            if credentials["deviceName"] in self.thingsboard.devices:
                return credentials["deviceName"]
        return next(reversed(self.thingsboard.devices), NAME)

    def __str__(self) -> str:
        days = self.wire.now / (24 * HOUR)
        return (
            f"{days:.1f} days, {self.power_ups} power-ups, {self.wire.count} datagrams,"
            f" {len(self.taken)} readings, {self.fate.numbers} changes and calls"
        )

    def device(self):
        """That device, as it stands in ThingsBoard."""
        return self.thingsboard.devices[self.name]

    def keep_arrived(self) -> None:
        """The device is to be deleted: keep what ThingsBoard has of it."""
        self.stored = self.all_stored()
        self.ending.told = self.ending.all_told()
        if self.application:
            self.application.client = None

    def note(self, line: str) -> None:
        self.trace.append(f"{self.wire.now / 1000:12,.3f} {line}")

    def run(self) -> None:
        while True:
            try:
                self._power_up()
                break
            except PowerCut:
                self._lose_memory()
                self.is_cold = self.plan.is_cold
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
                if self.ending.is_over(self.application):
                    break
                if self._lose("the board slept") and not self.fate.is_full():
                    raise Violation("a reading was lost in a deep sleep") from None
                self.wire.advance(self.plan.sleeps)
        self.ending.check()

    # The board

    def _power_up(self) -> None:
        self.power_ups += 1
        self.known = None
        self.done = Counter()
        self.application = None
        self.chip = Chip(self.image)
        self.flash = Files(self.chip, self.plan.kind)
        self.fate.change_flash()
        self.chip.watch = self.on_flash_operation
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

    def on_flash_operation(self, operation: str, half: Image) -> None:
        """What the flash calls before each operation."""
        if self.cut_in is None or self.wire.is_cut:
            return
        self.cut_in -= 1
        if self.cut_in <= 0:
            self.cut_in = None
            self.note(f"the power is cut in the {operation}")
            self.cut(half)

    def cut(self, image: Image) -> None:
        """The power goes, and leaves this on the flash."""
        self.image = image
        self.wire.is_cut = True

    def restarted(self) -> None:
        """The firmware restarts the board: nothing may get lost."""
        self.image = self.chip.image
        if self._lose("the firmware restarted the board") and not self.fate.is_full():
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
        since = [max(self.taken[number], self.fate.full_until) for number in lost]
        waited = [self.wire.now - at for at in since]
        if self.plan.persist and waited and max(waited) > _KEPT_AFTER:
            raise Violation(
                f"a reading that waited for {max(waited) // 1000} s was not on flash when {why}"
            )
        self.lost |= lost
        return lost

    def _lose_memory(self) -> None:
        """The memory that lasts is lost, and readings in it that no application has taken back."""
        kept, self.memory = json.loads(self.memory or b"null"), b""
        if kept and not self.application:
            self.lost |= {values["r"] for _, values in kept["telemetry"]} - self._on_flash()

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
        before = [values for at, values in self.fate.shared if at <= began][-1:]
        since = [values for at, values in self.fate.shared if at > began]
        now = [device.attributes("shared") for device in self.thingsboard.devices.values()]
        for values in before + since + now:
            if shared == {key: values[key] for key in ("n", "a") if key in values}:
                return
        raise Violation(f"attributes were asked for, and never were so: {shared}")


@cache
def _new_flash(kind: str, config: bytes) -> Image:
    """A flash with the firmware on it, and config.json; not provisioned yet."""
    chip = Chip((b"\xff" * BLOCK_SIZE,) * BLOCKS)
    files = Files(chip, kind, format=True)
    for path, content in _UNTOUCHED.items():
        files.write(path, content)
    files.write(CONFIG, config)
    return chip.image


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
