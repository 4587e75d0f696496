"""One story lived through by a real Device, and what has to hold in it.

The final state of every shared attribute reaches the handler; no change is handed over twice or
goes back; no call is executed twice in a power-up, its reply is its own, and a persistent one is
answered; no telemetry is lost that the queue had room for, each has its time and is stored once;
what is dropped is counted, and is what was to be. What waits is on flash when it has to be, which
is written seldom. It all takes few datagrams, and no long wait where nothing goes wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from firmware import aio, device
from host_tests.explorer import board as explorer_board
from host_tests.explorer.at_work.awaited import Loop
from host_tests.explorer.at_work.board import BEGAN, STEP, Asleep, Board, PowerCut, quick
from host_tests.explorer.at_work.stories import NAME, NEVER, QUEUE, TOKEN, Story
from host_tests.explorer.at_work.wire import SecureServer, Wire
from host_tests.explorer.at_work.witness import Witness
from host_tests.explorer.folder import Folder
from host_tests.explorer.run import Violation
from host_tests.firmware.world import KEY, SECRET, example
from tools.fake_thingsboard.calls import FAILED
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.model import ThingsBoard

_RETRY_OPERATOR = 2_000  # ms
_PROMPT = 3_000  # ms in which all is well when nothing goes wrong
_AFTERWARDS = 120_000  # ms that are looked at when all is well
_FEWEST = 3  # datagrams of the board's in that time: what keeps the way open
_REGISTRATIONS = 17  # and five for each refresh, of 60 s at least
_KEPT_AFTER = 720_000  # ms: ten minutes, and a try that fails
_KEPT_EVERY = 600_000
_SAME_TIME = 5_000
# What a Device takes at once, when nothing goes wrong.
_SMOOTH = {"set", "delete", "call", "address"}
_SILENCE, _OUTAGE = 100_000, 50_000  # ms
_RESTART = 21_000  # ms: sooner no ThingsBoard is back
_FASTEST_RESTART = 10_100  # ms: as README says, and for a datagram's way
_MOST_UNANSWERED = 3  # unconfirmed readings that are lost in a row
_AWAKE, _MOMENT = 20_000, 1_000  # ms
_AGAIN = "again"  # params that several calls have
_SLOW = 3_600_000  # ms until ThingsBoard is asked again that has refused
_CREDENTIALS = "/credentials.json"
_SAVED = "/telemetry.json"


class Schedule(NamedTuple):
    """`fates`: (number of the datagram, what becomes of it); `events`: (ms, one of EVENTS)."""

    fates: tuple = ()
    events: tuple = ()


def live(story: Story, schedule: Schedule, seed: str = "1") -> Life:
    """Live through a story. Raises Violation."""
    life = Life(story, schedule, seed)
    with quick():
        life.run()
    return life


class Life(Witness):
    """See `live`. `count`: how many datagrams there were."""

    def __init__(self, story: Story, schedule: Schedule, seed: str):
        super().__init__()
        self.story = story
        self.is_secure, self.is_cold = story.is_secure, story.is_cold
        self.has_memory = story.has_memory
        self.is_disturbed = bool(schedule.fates or schedule.events)
        is_smooth = {what for _, what, _ in story.acts} <= _SMOOTH
        is_smooth = is_smooth and not (story.handler or story.busy or story.sleeps)
        self.is_prompt = is_smooth and not self.is_disturbed
        self.thingsboard = ThingsBoard(KEY, SECRET, randbytes=random.Random(seed).randbytes)
        self.thingsboard.add_device(NAME, TOKEN)
        self.endpoint = Endpoint(self.thingsboard, message_id=1)
        server = self.endpoint
        if story.is_secure:
            server = SecureServer(server, NAME if story.kind == "X509_CERTIFICATE" else None)
        self.wire = Wire(server, story.nat)
        self.wire.fates = dict(schedule.fates)
        self.files = Folder(_files(story), "littlefs", self._on_flash_operation)
        self.random = random.Random(seed).randbytes
        self.addresses = itertools.count(2)
        self._move()
        self.is_joined = True
        # What a single datagram does needs no refresh to heal, unless Message IDs deceive.
        is_light = not schedule.events and len(schedule.fates) < (1 if story.repeats else 2)
        self.refresh = NEVER if is_light else story.refresh
        self.executed = 0  # of the device's calls whose params others have, too
        # A server that restarted may make a call that cannot be told from one before.
        self.is_same_server = True
        self.memory = b""  # that lasts through a deep sleep
        self.told_dropped = 0  # how many are said to be
        self.saves = 0
        self.powered_up_at = 0
        self.calls = self.due_at = 0
        self.states: list[tuple[str, int]] = []  # what was told, and when
        for at, what, argument in story.acts:
            self.wire.at(at, lambda what=what, argument=argument: self.act(what, argument))
        for at, event in schedule.events:
            self.wire.at(at, lambda event=event: self._happen(event))
        self.ends_at = max(at for at, *_ in story.acts + schedule.events) + 1

    @property
    def count(self) -> int:
        return self.wire.count

    def run(self) -> None:
        asleep = 0
        while True:
            try:
                self.wire.advance(asleep)
                asleep = 0
                self._power_up()
                break
            except Asleep:
                if self._is_over_asleep():
                    break
                asleep = self.story.sleeps
            except PowerCut:
                asleep, self.memory = 0, b""
                self.done = Counter()
        self._check_telemetry()
        if not self.is_disturbed:
            self._check_states()

    # The application

    def _power_up(self) -> None:
        self.known = None
        self.saves = 0
        self.powered_up_at = self.wire.now
        self.board = Board(self)
        story = self.story
        self.device = (aio if story.is_awaited else device).Device(
            json.loads(self.files.files[_CREDENTIALS]),
            queue=story.queue,
            keeps=story.keeps,
            persist=not story.sleeps,
            awake=_AWAKE if story.sleeps else None,
            refresh=self.refresh,
            board=self.board,
            connect=self.connect,
        )
        if story.queue < QUEUE:
            self.watch_drops(self.device.session.backlog.queue)
        self.device.on_state(lambda state, text: self.states.append((state, self.wire.now)))
        if story.is_awaited:
            self.device.on_attributes(self._on_attributes_awaited)
            self.device.on_rpc(self._on_call_awaited)
            loop = Loop(lambda: self.wire.now, self.wire.advance, self.listen)
            with explorer_board.replaced((asyncio, "sleep_ms", loop.sleep_ms)):
                loop.run(self._work_awaited())
            return
        self.device.on_attributes(self._on_attributes)
        self.device.on_rpc(self._on_call)
        if story.sleeps:
            for values in self._readings():
                self.device.send_telemetry(values)
                break
            self.device.sleep(story.sleeps)
        for values in self._readings():
            self.device.send_telemetry(values, confirm=values["r"] not in self.unconfirmed)
            self.wire.advance(story.busy)
            self.device.wait(story.every)
        while not self._is_over():
            self.device.wait(STEP)

    async def _work_awaited(self) -> None:
        self.has_measured = False
        await asyncio.gather(self._measure_awaited(), self._wait_awaited())

    async def _measure_awaited(self) -> None:
        every = self.story.every / 1000
        for values in self._readings():
            try:
                is_confirmed = values["r"] not in self.unconfirmed
                sending = self.device.send_telemetry(values, confirm=is_confirmed)
                await asyncio.wait_for(sending, every)
            except asyncio.TimeoutError:
                continue
            await asyncio.sleep(every)
        self.has_measured = True

    async def _wait_awaited(self) -> None:
        while not self.has_measured or not self._is_over():
            await self.device.wait(STEP)

    def _readings(self):
        """The values of each reading that is left, taken when it is asked for."""
        self.settled_at = None
        mine = self.device
        while len(self.taken) < self.story.readings and self.device is mine:
            number = len(self.taken)
            self.taken[number] = self.wire.now
            if self.story.confirms == 0 or (number + 1) % self.story.confirms:
                self.unconfirmed.add(number)
            yield {"r": number}

    def _is_over(self) -> bool:
        """Whether all is well, and was so for some time. Raises Violation."""
        wire = self.wire
        trouble = self._trouble()
        if not trouble and (wire.acts or wire.now <= self.ends_at):
            trouble = "not over"
        if self.settled_at is None:
            if not trouble:
                self.settled_at = wire.now
                self.sent_then = wire.sent
            elif wire.now > max(self.powered_up_at, self.ends_at) + self.story.patience:
                raise Violation(trouble)
            return False
        if wire.now <= self.settled_at + _AFTERWARDS:
            return False
        if trouble:
            raise Violation(trouble)
        # Who was busy has calls to find that ThingsBoard has given up.
        is_quiet = self.refresh == NEVER and not self.story.busy
        most = _FEWEST if is_quiet else _REGISTRATIONS
        if wire.sent - self.sent_then > most:
            raise Violation(f"{wire.sent - self.sent_then} datagrams, and nothing to tell")
        self.told_dropped += self.device.dropped
        return True

    def _is_over_asleep(self) -> bool:
        """Whether all is well when the board goes to sleep. Raises Violation."""
        if self.wire.now > self.powered_up_at + _AWAKE + _MOMENT:
            raise Violation("the board was awake for longer than it may be")
        is_early = self.wire.acts or self.wire.now <= self.ends_at
        if is_early or len(self.taken) < self.story.readings:
            return False
        trouble = self._trouble()
        if trouble and self.wire.now > self.ends_at + self.story.patience:
            raise Violation(trouble)
        return not trouble

    def _on_attributes(self, change: dict) -> None:
        self.take_change(change)
        if self.story.handler:
            self.wire.advance(self.story.handler)

    async def _on_attributes_awaited(self, change: dict) -> None:
        self.take_change(change)
        await asyncio.sleep(self.story.handler / 1000)

    def _on_call(self, method: str, params) -> dict:
        self._take_call(params)
        if self.story.handler:
            self.wire.advance(self.story.handler)
        return {"did": params}

    async def _on_call_awaited(self, method: str, params) -> dict:
        self._take_call(params)
        await asyncio.sleep(self.story.handler / 1000)
        return {"did": params}

    def _take_call(self, params) -> None:
        if params == _AGAIN:
            self.executed += 1
            return
        self.take_call(params)

    # What people do, and fate

    def act(self, what: str, argument) -> None:
        """Do what the operator does, or what the story has happen."""
        wire, thingsboard = self.wire, self.thingsboard
        if what in ("outage", "silence", "address", "down"):
            self._happen(what, argument)
            return
        if NAME not in thingsboard.devices:
            wire.at(wire.now + _RETRY_OPERATOR, lambda: self.act(what, argument))
            return
        if self.is_prompt and self.due_at and wire.now > self.due_at + _PROMPT:
            self._check_prompt()
        self.due_at = wire.now
        if self.story.repeats:
            self.endpoint.next_drawn_id = 7
        if what == "set":
            thingsboard.set_attributes(NAME, "shared", argument)
        elif what == "delete":
            thingsboard.delete_attributes(NAME, "shared", argument)
        elif what == "delete device":
            self.stored = self.all_stored()
            self.executed = 0
            thingsboard.delete_device(NAME)
        elif what == "change token":
            # A device that was provisioned anew meanwhile has got its own.
            if argument not in thingsboard.names:
                thingsboard.change_token(NAME, argument)
        else:
            thingsboard.call(
                NAME,
                "m",
                _AGAIN if what == "call again" else self.calls,
                is_persistent=argument == "persistent",
                is_one_way=argument == "one-way",
                timeout=36_000_000 if argument == "persistent" else 10_000,
            )
            self.calls += 1
        wire.tell()

    def _happen(self, event: str, ms: int | None = None) -> None:
        """`ms`: how long it lasts, when it is not as long as all such events."""
        wire = self.wire
        if event in ("restart", "fast restart"):
            self._forget_sessions()
            self.is_same_server = False
            self.endpoint.stop(wire.now, _RESTART if event == "restart" else _FASTEST_RESTART)
            wire.tell()
        elif event == "down":
            self._forget_sessions()
            self.is_same_server = False
            self.endpoint.stop(wire.now, ms or _SILENCE)
        elif event == "session":
            self._forget_sessions()
        elif event == "silence":
            wire.is_out = True
            self._later(ms or _SILENCE, lambda: setattr(wire, "is_out", False))
        elif event == "outage":
            wire.is_out, self.is_joined = True, False
            self._later(ms or _OUTAGE, self._join)
        elif event == "NAT" and self.transport:
            self.transport.rebind()
        elif event == "address" and self.transport:
            self._move()
            self.transport.close()
        elif event == "cut":
            self._cut()

    def _cut(self) -> None:
        kept = self._on_flash()
        lost = self.taken.keys() - self.all_stored().keys() - kept - self.lost - set(self.once)
        self.told_dropped += self.device.dropped
        self.lost |= lost
        waited = [self.wire.now - self.taken[number] for number in lost]
        is_full = self.story.queue < QUEUE
        if waited and max(waited) > _KEPT_AFTER and not (is_full or self.memory):
            raise Violation("what had waited for long was not on flash when the power was cut")
        if self.transport:
            self.transport.close()
        self.device = None
        raise PowerCut

    def _forget_sessions(self) -> None:
        if self.story.is_secure:
            self.wire.server.forget_sessions()

    def _later(self, ms: int, act: Callable[[], None]) -> None:
        self.wire.at(self.wire.now + ms, act)
        self.ends_at = max(self.ends_at, self.wire.now + ms)

    def _move(self) -> None:
        self.address = f"10.0.0.{next(self.addresses)}"

    def _join(self) -> None:
        self.wire.is_out, self.is_joined = False, True

    # Invariants

    def _on_flash_operation(self, operation: str) -> None:
        if _SAVED in operation and "renamed" in operation:
            self.saves += 1
            most = 1 + (self.wire.now - self.powered_up_at) // _KEPT_EVERY
            if self.saves > most and not self.story.sleeps:
                raise Violation("the flash was written more often than every ten minutes")

    def _check_prompt(self) -> None:
        """Nothing goes wrong: what an operator did some time ago has come."""
        if trouble := self._trouble():
            raise Violation(f"{trouble} within {_PROMPT // 1000} s, and nothing went wrong")
        for call in self.thingsboard.devices[NAME].calls:
            if not call.is_one_way and call.reply is None:
                raise Violation("a call came too late, and nothing went wrong")

    def _trouble(self) -> str:
        """What is not as it has to be in the end, nothing when all is."""
        if NAME not in self.thingsboard.devices:
            return "a deleted device was not provisioned anew"
        state = self.thingsboard.devices[NAME]
        if not _is_same(self.known, state.attributes("shared")):
            return "the final state of an attribute did not reach the handler"
        for call in state.calls:
            if call.reply is not None and call.reply != f'{{"did":{call.params}}}':
                return "a call was answered with another's reply"
            if call.is_pending and not call.is_one_way:
                return "a call was not answered"
            # While nobody listens for long ThingsBoard may give up what waits.
            is_slow = self.story.handler or self.story.busy
            is_over = call.id is None or (is_slow and call.state == FAILED)
            if call.is_persistent and call.reply is None and not is_over:
                return "a persistent call was not answered"
        if self.device.waiting:
            return "telemetry still waits"
        again = [call for call in state.calls if call.params == f'"{_AGAIN}"']
        if self.executed > len(again) and not self.powered_up_at:
            return "a call was executed twice"
        answered = sum(call.reply is not None for call in again)
        if answered > self.executed and self.is_same_server:
            return "a call was answered, and not executed"
        return ""

    def _on_flash(self) -> set[int]:
        saved = json.loads(self.files.files.get(_SAVED, b"[]"))
        return {values["r"] for _, values in saved}

    def _check_states(self) -> None:
        """Nothing but what the story has: the application was told of that alone."""
        told = [state for state, _ in self.states]
        if self.is_prompt and set(told) != {"connected"}:
            raise Violation("trouble was told, and nothing went wrong")
        if any(what == "change token" for _, what, _ in self.story.acts):
            if told != ["connected", "refused", "connected"]:
                raise Violation("a changed token was not told as one")
            if self.states[2][1] - self.states[1][1] < _SLOW:
                raise Violation("ThingsBoard, which had refused, was asked again too soon")

    def _check_telemetry(self) -> None:
        stored = self.all_stored()
        missing = self.taken.keys() - stored.keys() - self.lost
        self._check_unconfirmed(missing)
        missing -= set(self.once)
        if not missing <= set(self.dropped):
            raise Violation(f"telemetry was lost: {sorted(missing)}")
        if self.told_dropped != len(self.dropped):
            raise Violation(f"{self.told_dropped} are said to be dropped, not {len(self.dropped)}")
        if not self.is_disturbed and self.dropped:
            self._check_dropped(missing)
        for number, times in stored.items():
            known = [time for time in times if isinstance(time, int)]
            if not known and number and not self.is_disturbed:
                raise Violation("a reading was stored without its time")
            # It may have gone out before its time was known, and again when its reply was lost.
            if len(known if self.story.is_cold else times) > 1:
                raise Violation("telemetry was stored twice")
            if any(abs(time - BEGAN - self.taken[number]) > _SAME_TIME for time in known):
                raise Violation("a reading was stored with another's time")

    def _check_unconfirmed(self, missing: set[int]) -> None:
        if self.sent_again:
            raise Violation("an unconfirmed reading was sent twice")
        is_ideal = not self.is_disturbed and not any(
            what == "outage" for _, what, _ in self.story.acts
        )
        if is_ideal and set(self.once) != self.unconfirmed:
            raise Violation("a reading was confirmed, and nothing went wrong")
        lost = missing & set(self.once)
        for number in () if self.powered_up_at else lost:
            if lost.issuperset(range(number, number + _MOST_UNANSWERED + 1)):
                raise Violation("more unconfirmed readings in a row were lost than may be")

    def _check_dropped(self, missing: set[int]) -> None:
        """Nothing but the story's outage: what was dropped is one end of it."""
        bodies = self.thingsboard.devices[NAME].telemetry
        together = [len(json.loads(body)) for body in bodies if body.startswith("[")]
        if not together or max(together) < 3:
            raise Violation("what waited was not sent in one datagram")
        at = next(at for at, what, _ in self.story.acts if what == "outage")
        over_at = max(when for state, when in self.states if state == "connected")
        waited = {number for number, when in self.taken.items() if at < when < over_at}
        kept = waited - missing
        first, last = (missing, kept) if self.story.keeps == "newest" else (kept, missing)
        if max(first) > min(last):
            raise Violation(f"what was dropped was not to be: the {self.story.keeps} stay")


def _files(story: Story) -> dict[str, bytes]:
    credentials = {
        "server": "coap://thingsboard.example.com",
        "deviceName": NAME,
        "credentialsType": story.kind,
        "credentialsValue": TOKEN,
    }
    return {
        "/config.json": json.dumps(example()).encode(),
        _CREDENTIALS: json.dumps(credentials).encode(),
    }


def _is_same(one, other) -> bool:
    """Whether two JSON values are the same; to Python True is 1."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
