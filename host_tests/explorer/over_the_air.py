"""Updates over the air in which the power is cut and datagrams go astray.

A real Device on a real littlefs in memory takes what the model of ThingsBoard assigns, block by
block; what it installed is tried by the real trial, in virtual time. The power is cut before and in
each operation of the flash, and before or after that a datagram is lost, repeated or reordered.
Besides what host_tests.explorer.updates looks at: ThingsBoard is told each state, in order, and
again only when the power was cut.
"""

from __future__ import annotations

import gc
import json
import random
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch

from firmware import device, link, session
from firmware.board import clock, strict_json, wifi
from firmware.coap import client
from firmware.update.slots import State
from firmware.update.start import choose
from host_tests.explorer import board as explorer_board
from host_tests.explorer.at_work.wire import Transport, Wire
from host_tests.explorer.flash import Chip, Files, Image
from host_tests.explorer.network import SERVER_ADDRESS
from host_tests.explorer.updates import (
    BUNDLES,
    GOOD,
    NAME,
    RAISES,
    RESETS,
    STATES,
    STORIES,
    TOKEN,
    EndsWrong,
    Lost,
    Story,
    begin,
    check,
    check_the_end,
)
from host_tests.firmware.updates import TITLE
from host_tests.firmware.world import KEY, SECRET
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.ota import Package

with patch.dict(sys.modules, {"machine": SimpleNamespace()}):
    from firmware.update import trial

SILENT = "never reaches ThingsBoard"
# "late" is past all that is sent again, "swapped" is overtaken by the next one.
FATES = ("lost", "doubled", "swapped", "late")
# Ways to take a first update and another one, and what may become of them.
NAMES = (
    "the first update",
    "the first update fails",
    "the first update resets",
    "the third update",
    "the third update fails",
    "another one is assigned half-way",
    "another one is assigned in a trial",
)
STORIES_ON_AIR = {name: STORIES[name] for name in NAMES} | {
    "the first update never reaches ThingsBoard": Story("2", SILENT),
}
# Of so many schedules one is lived through, in the suite.
ONE_IN = 701

_BEGAN = 1_800_000_000_000  # ms since 1970
_STEP = 20_000  # ms from a reading of the application's to the next
_PATIENCE = 3_600_000  # ms from a power-up to its end
_MOST_POWER_UPS = 16
# However few schedules are lived through, one in so many datagrams goes astray before the cuts.
_MOST_APART = 97


class Reset(BaseException):
    """The board has reset itself."""


class Moment(NamedTuple):
    """Where a board begins to live: its flash, ThingsBoard and what is on its way, and how it came
    to that."""

    image: Image
    wire: AirWire
    ports: int = 20_000
    cuts: int = 0
    after: str = ""


class AirWire(Wire):
    """A wire that can be copied, with the ThingsBoard behind it.

    `on_send`: called before each datagram of the board's. `key`: what tells apart how it may
    go on: what has been told, and how much is on its way.
    """

    on_send = staticmethod(lambda: None)

    @property
    def key(self) -> tuple:
        return len(self._events), *told(self)

    def send(self, peer, datagram, address=SERVER_ADDRESS) -> None:
        self.on_send()
        super().send(peer, datagram, address)

    def copy(self) -> AirWire:
        """A copy with what is on its way, and nobody listening."""
        copy = AirWire(self.server.copy(), self.nat)
        copy.now, copy._order, copy._events = self.now, self._order, self._events.copy()
        return copy


def told(wire: AirWire) -> list[str]:
    """Each state that ThingsBoard has been told, in order."""
    bodies = wire.server.thingsboard.devices[NAME].telemetry
    readings = (json.loads(body) for body in bodies)
    return [each["sw_state"] for each in readings if "sw_state" in each]


class Life:
    """The power-ups of one board from a moment on. `fates`: by the number of a datagram.

    `lived`: how many datagrams there were from each reset on that led to a good end; what has been
    lived from there on is not lived again.
    """

    def __init__(
        self,
        story: Story,
        kind: str,
        moment: Moment,
        fates: dict[int, str],
        lived: dict[tuple, int] | None = None,
    ):
        self.story = story
        self.kind = kind
        self.moment = moment
        self.lived = {} if lived is None else lived
        self.chip = Chip(moment.image)
        self.wire = moment.wire.copy()
        self.wire.fates = fates
        self.ports = moment.ports
        self.random = random.Random(len(story.assigned)).randbytes

    @property
    def story_on_air(self) -> Story:
        """What is on trial is proven before what is assigned over the air is taken."""
        return self.story._replace(done=self.story.done + self.story.tried)

    def run(self) -> None:
        """Live until nothing is left to do. Raises Lost."""
        resets: dict[tuple, int] = {}
        for _ in range(_MOST_POWER_UPS):
            try:
                self._power_up()
                break
            except Reset:
                rest = self._rest()
                if rest in self.lived:
                    self.wire.count += self.lived[rest]
                    return
                resets[rest] = self.wire.count
        else:
            raise EndsWrong(f"not done after {_MOST_POWER_UPS} power-ups")
        check_the_end(self.story_on_air, Files(self.chip, self.kind), is_told=True)
        self._check_told()
        for rest, count in resets.items():
            self.lived[rest] = self.wire.count - count

    def _rest(self) -> tuple:
        """What tells apart how a board may live on that resets itself."""
        count = self.wire.count
        fates = [(number - count, fate) for number, fate in self.wire.fates.items()]
        to_come = tuple(each for each in fates if each[0] >= 0)
        return self.chip.image, self.wire.key, self.moment.cuts, to_come

    def _power_up(self) -> None:
        files = Files(self.chip, self.kind)
        board = _Board(self, files)
        trial.ticks_ms = board.ticks
        place = choose(State(board.storage))
        state = State(board.storage)
        check(files, state, place)
        is_tried = state.on_trial and place == state.running
        is_assigned = is_tried and state.package()["version"] == self.story.assigned
        if is_tried:
            board.trial = trial.Trial(state)
            board.background = [board.trial.look]
        if is_assigned:
            self._begin_trial(board)
        application = device.Device(
            json.loads(board.storage.read("/credentials.json")),
            board=board,
            connect=lambda server, sessions, idle: self._connect(board, idle),
        )
        ends_at = self.wire.now + _PATIENCE
        while True:
            application.send_telemetry({"n": 1})
            if is_assigned and self.story.does == RAISES and not board.trial.is_over:
                board.trial.fail("it raised")
            application.wait(_STEP)
            if self._is_done(State(board.storage)):
                return
            if self.wire.now > ends_at:
                raise EndsWrong(f"not done in a power-up; told: {told(self.wire)}")

    def _begin_trial(self, board: _Board) -> None:
        """What becomes of the application before it does anything."""
        if self.story.does == RESETS:
            raise Reset
        if self.story.does == SILENT:
            while True:
                board.sleep(_STEP)

    def _is_done(self, state: State) -> bool:
        if state.found["untold"] or state.on_trial:
            return False
        is_assigned = [
            package["version"] == self.story.assigned
            for package in (state.package(), state.found["failed"])
            if package
        ]
        return any(is_assigned)

    def _connect(self, board: _Board, idle) -> client.Client:
        self.ports += 1
        transport = Transport(self.wire, "10.0.0.2", self.ports)
        return client.Client(transport, "h", idle, ticks=board.ticks, random=self.random)

    def _check_told(self) -> None:
        """All states are told, in order, and no more often than the power was cut."""
        states = told(self.wire)
        once = [state for number, state in enumerate(states) if states[:number][-1:] != [state]]
        last = "UPDATED" if self.story.does == GOOD else "FAILED"
        before = ["UPDATED"] if self.story_on_air.done else []
        if once != [*before, *STATES, last]:
            raise EndsWrong(f"ThingsBoard was told {states}")
        if len(states) - len(once) > self.moment.cuts:
            raise EndsWrong(f"a state was told twice, with no cut: {states}")


class _Board(explorer_board.Board):
    """A board with a clock that is right, on the wire of a Life."""

    chip = "ESP32"
    attempt_again = clock_asked_at = None
    clock_is_guessed = False
    clock_is_set = True

    def __init__(self, life: Life, files: Files):
        super().__init__(files, life.wire, "10.0.0.2", "over the air", None)
        self.random = life.random
        self.background: list = []

    @property
    def now_ms(self) -> int:
        return _BEGAN + self.wire.now

    def idle(self) -> None:
        for work in self.background:
            work()

    def sleep(self, ms: int) -> None:
        self.wire.advance(ms)
        self.idle()

    def reset(self) -> None:
        raise Reset


class _Timer:
    """No timer fires: the firmware's waits look at the time themselves."""

    PERIODIC = 1

    def __init__(self, number):
        pass

    def init(self, mode, period, callback):
        pass


def _reset():
    raise Reset


def _unexpected(error: Exception):
    raise Lost(f"{type(error).__name__}: {error}") from error


def quick():
    """Leave out what takes long and is not what is tested; wait in longer steps."""
    return explorer_board.replaced(
        (gc, "collect", lambda: None),
        (session, "give_back", lambda *steps: None),
        (link, "give_back", lambda *steps: None),
        (session, "unexpected", _unexpected),
        (client, "_IDLE", _STEP),
        (device, "_IDLE", _STEP),
        (wifi, "join_steps", lambda *how: iter(())),
        (clock, "clock_steps", lambda *how: iter(())),
        (strict_json, "mistake_in", explorer_board.mistake_in),
        (trial, "machine", SimpleNamespace(Timer=_Timer, reset=_reset)),
        (trial, "_RESERVE", 0),
        (trial, "ticks_ms", None),
        (trial, "Indicator", lambda: SimpleNamespace(say=lambda *text: None)),
    )


def begin_with(story: Story, kind: str) -> Moment:
    """The moment at which a version is assigned to a board."""
    thingsboard = ThingsBoard(KEY, SECRET, randbytes=random.Random(1).randbytes)
    thingsboard.add_device(NAME, TOKEN)
    thingsboard.assign_package(NAME, Package("sw", TITLE, story.assigned, BUNDLES[story.assigned]))
    return Moment(begin(story, kind), AirWire(Endpoint(thingsboard, message_id=1), 10**9))


def live(life: Life) -> Life:
    """Live through the rest of a story; a broken invariant says after what."""
    try:
        life.run()
    except Lost as lost:
        after = f"{life.moment.after or 'nothing'}, then {life.wire.fates}"
        raise type(lost)(f"{lost}; {life.kind}, {life.story}; cuts: {after}") from lost
    return life


def cuts(life: Life, seen: set[tuple]) -> list[Moment]:
    """Live; each moment not `seen` at which the power may be cut: at the flash's operations, and
    when the board sends something."""
    found: list[Moment] = []
    moment = life.moment

    def add(image: Image, when: str) -> None:
        key = image, life.wire.key
        if key not in seen:
            seen.add(key)
            after = f"{moment.after} {life.wire.fates} {when};"
            wire = life.wire.copy()
            found.append(Moment(image, wire, life.ports, moment.cuts + 1, after))

    def on_operation(operation: str, half: Image) -> None:
        name = f"operation {life.chip.operations}, {operation}"
        add(life.chip.image, f"before {name}")
        add(half, f"in {name}")

    life.chip.watch = on_operation
    life.wire.on_send = lambda: add(life.chip.image, f"before datagram {life.wire.count}")
    live(life)
    return found


def cut_everywhere(story: Story, kind: str) -> None:
    """Cut everywhere, and let no datagram go astray. Raises Lost."""
    with quick():
        for cut in cuts(Life(story, kind, begin_with(story, kind), {}), set()):
            live(Life(story, kind, cut, {}))


def explore(story: Story, kind: str, one_in: int = 1) -> int:
    """Cut everywhere, and each time let each later datagram have each fate; let each datagram have
    each fate, and each time cut everywhere. Of so many one is lived through.

    What happens to a datagram that there is none of is left out. Returns how many schedules that
    were. Raises Lost.
    """
    schedules = 0
    first = sum(map(ord, f"{story}{kind}"))
    number = first
    lived: dict[tuple, int] = {}
    with quick():
        seen: set[tuple] = set()
        moment = begin_with(story, kind)
        undisturbed = Life(story, kind, moment, {})
        for cut in cuts(undisturbed, seen):
            datagrams = undisturbed.wire.count
            for fates in [{}, *_fates(datagrams)]:
                number += 1
                if number % one_in == 0 and max(fates, default=0) < datagrams:
                    schedules += 1
                    datagrams = live(Life(story, kind, cut, fates, lived)).wire.count
        for number, fates in enumerate(_fates(undisturbed.wire.count)):
            if (number + first) % min(one_in, _MOST_APART):
                continue
            for cut in cuts(Life(story, kind, moment, fates), seen)[:: 1 + one_in // _MOST_APART]:
                schedules += 1
                live(Life(story, kind, cut, {}, lived))
    return schedules


def _fates(datagrams: int) -> Iterator[dict[int, str]]:
    for number in range(datagrams):
        for fate in FATES:
            yield {number: fate}
