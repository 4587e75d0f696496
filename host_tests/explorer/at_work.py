"""A device at work in virtual time: the real Device, the model of ThingsBoard, what goes wrong.

A `Story` says what the operator does and when; a schedule, what becomes of single datagrams and
which `EVENTS` happen when. `live` lives through it and raises Violation when one of these breaks:
the final state of every shared attribute reaches the handler; no change is handed over twice or
goes back; no call is executed twice in a power-up, and its reply is its own; no telemetry is lost
that the queue had room for, and none is stored twice.
"""

from __future__ import annotations

import gc
import heapq
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import NamedTuple

from firmware import device, link, session
from firmware.board import strict_json, wifi
from firmware.coap.client import Client
from firmware.errors import Silence
from host_tests.explorer.board import mistake_in, replaced
from host_tests.explorer.folder import Folder
from host_tests.explorer.network import Network
from host_tests.explorer.run import Violation
from host_tests.firmware.world import example
from tools import shims
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.model import ThingsBoard

NAME, TOKEN = "sensor-1", "TOKEN"
REFRESH = 60_000
_NEVER = 100_000_000
_BEGAN = 1_800_000_000_000  # ms since 1970
_READINGS = 8
_EVERY = 4_000  # ms between readings
# ms: an exchange that fails, the longest backoff after a few of them, and a refresh.
_PATIENCE = 600_000
_AFTERWARDS = 2 * REFRESH
_STEP = 2_000
_RUN = 16  # datagrams that are lost in a row
_CREDENTIALS = {
    "server": "coap://thingsboard.example.com",
    "deviceName": NAME,
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": TOKEN,
}
_CONFIG = json.dumps(example()).encode()
_SAVED = "/telemetry.json"

FATES = ("lost", "doubled", "delayed", "swapped")
EVENTS = ("restart", "outage", "silence", "NAT", "address", "cut", "down")


class PowerCut(BaseException):
    """The power is gone."""


class Story(NamedTuple):
    """What an operator does: (ms, what, arguments) in order."""

    name: str
    acts: tuple


STORIES = (
    Story(
        "attributes",
        (
            (3_000, "set", {"n": 1, "a": 1}),
            (5_000, "set", {"n": 2}),
            (5_001, "set", {"b": 1}),
            (5_002, "set", {"n": 3}),
            (9_000, "delete", ["a"]),
            (9_001, "set", {"n": 4}),
            (13_000, "set", {"b": True}),
            (17_000, "set", {"a": 2, "n": 5}),
            (21_000, "delete", ["a"]),
        ),
    ),
    Story(
        "calls",
        (
            (3_000, "call", "persistent"),
            (6_000, "call", "persistent"),
            (6_001, "call", "persistent"),
            (6_002, "call", "persistent"),
            (11_000, "call", "one-way"),
            (15_000, "call", "two-way"),
            (15_001, "set", {"n": 1}),
            (19_000, "call", "persistent"),
        ),
    ),
)


class Schedule(NamedTuple):
    """`fates`: (number of the datagram, what becomes of it); `events`: (ms, one of EVENTS)."""

    fates: tuple = ()
    events: tuple = ()


def live(story: Story, schedule: Schedule, seed: str = "1") -> Life:
    """Live through a story. Raises Violation."""
    life = Life(story, schedule, seed)
    with _quick():
        life.run()
    return life


class _Wire(Network):
    """The wire, and what people and fate do at their times. `is_out`: nothing gets through."""

    is_out = False

    def __init__(self, server: Endpoint):
        super().__init__(server)
        self.acts: list[tuple] = []  # (at, order, what to do)

    def at(self, at: int, act: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self.acts, (at, self._order, act))

    def tell(self) -> None:
        """Send what the operator's deeds cause."""
        for peer, datagram, _ in self.server.notify(self.now):
            self._transmit(False, peer, datagram, next(iter(self.servers)))

    def receive(self, peer, timeout):
        """As Network's; a socket may be closed meanwhile."""
        until = self.now + timeout
        while not self._sockets.get(peer) and self._step(until):
            pass
        if self._sockets.get(peer):
            return self._sockets[peer].pop(0)
        self.now = max(self.now, until)
        return None

    def _transmit(self, to_server, peer, datagram, address):
        if self.is_out:
            self.count += 1
        else:
            super()._transmit(to_server, peer, datagram, address)

    def _step(self, until: int) -> bool:
        if not self.acts:
            return super()._step(until)
        at = self.acts[0][0]
        if super()._step(min(until, at - 1)):
            return True
        if at > until:
            return False
        self.now = max(self.now, at)
        heapq.heappop(self.acts)[2]()
        return True


class Life:
    """See `live`. `count`: how many datagrams there were."""

    def __init__(self, story: Story, schedule: Schedule, seed: str):
        self.thingsboard = ThingsBoard("key", "secret", randbytes=random.Random(seed).randbytes)
        self.thingsboard.add_device(NAME, TOKEN)
        self.endpoint = Endpoint(self.thingsboard, message_id=1)
        self.wire = _Wire(self.endpoint)
        self.wire.fates = dict(schedule.fates)
        self.files = Folder({"/config.json": _CONFIG}, "littlefs", lambda operation: None)
        self.random = random.Random(seed).randbytes
        self.address = "10.0.0.2"
        self.is_joined = True
        self.ports = 20_000
        self.transport: _Transport | None = None
        # What a single datagram does needs no refresh to heal.
        self.refresh = REFRESH if schedule.events or len(schedule.fates) > 1 else _NEVER
        self.sent: list[int] = []  # numbers of readings that the application has sent
        self.lost: set[int] = set()  # that were not on flash when the power was cut
        self.calls = 0
        for at, what, argument in story.acts:
            self.wire.at(at, lambda what=what, argument=argument: self._act(what, argument))
        for at, event in schedule.events:
            self.wire.at(at, lambda event=event: self._happen(event))
        self.ends_at = max([at for at, *_ in story.acts + schedule.events]) + 1

    @property
    def count(self) -> int:
        return self.wire.count

    def run(self) -> None:
        while True:
            try:
                self._power_up()
                return
            except PowerCut:
                pass

    # The application

    def _power_up(self) -> None:
        self.known: dict | None = None
        self.done: Counter = Counter()
        self.device = device.Device(
            _CREDENTIALS,
            persist=True,
            refresh=self.refresh,
            board=_Board(self),
            connect=self.connect,
        )
        self.device.on_attributes(self._on_attributes)
        self.device.on_rpc(self._on_call)
        wire = self.wire
        while len(self.sent) < _READINGS:
            self.sent.append(len(self.sent))
            self.device.send_telemetry({"r": self.sent[-1]})
            self.device.wait(_EVERY)
        settled_at = None
        patience = max(wire.now, self.ends_at) + _PATIENCE
        while True:
            self.device.wait(_STEP)
            trouble = "" if wire.now > self.ends_at and not wire.acts else "not over"
            trouble = trouble or self._trouble()
            if not trouble and settled_at is None:
                settled_at = wire.now
            if trouble and settled_at is None and wire.now > patience:
                raise Violation(trouble)
            if settled_at is not None and wire.now > settled_at + _AFTERWARDS:
                break
        if trouble := self._trouble():
            raise Violation(trouble)
        self._check_telemetry()

    def _on_attributes(self, change: dict) -> None:
        if self.known is None:
            self.known = change.copy()
            return
        for key, value in change.items():
            before = self.known.pop(key, None)
            if json.dumps(before) == json.dumps(value):
                raise Violation(f"a change of {key} was handed over twice")
            if key == "n" and None not in (before, value) and value < before:
                raise Violation("a change was handed over that is older than the last")
            if value is not None:
                self.known[key] = value

    def _on_call(self, method: str, params) -> dict:
        self.done[params] += 1
        if self.done[params] > 1:
            raise Violation("a call was executed twice")
        return {"did": params}

    def connect(self, server: str, sessions, idle) -> Client:
        """What firmware.coap.connect does."""
        if self.wire.is_out:
            raise Silence("no such name")
        self.ports += 1
        self.transport = _Transport(self.wire, self.address, self.ports)
        return Client(self.transport, "h", None, ticks=self.ticks, random=self.random)

    def ticks(self) -> int:
        return (self.wire.now + shims.TICKS_PERIOD - 2_500) % shims.TICKS_PERIOD

    # What people do, and fate

    def _act(self, what: str, argument) -> None:
        if what == "set":
            self.thingsboard.set_attributes(NAME, "shared", argument)
        elif what == "delete":
            self.thingsboard.delete_attributes(NAME, "shared", argument)
        else:
            self.thingsboard.call(
                NAME,
                "m",
                self.calls,
                is_persistent=argument == "persistent",
                is_one_way=argument == "one-way",
                timeout=3_600_000 if argument == "persistent" else 10_000,
            )
            self.calls += 1
        self.wire.tell()

    def _happen(self, event: str) -> None:
        wire = self.wire
        if event == "restart":
            self.endpoint.restart()
            self.wire.tell()
        elif event == "down":
            self.endpoint.stop(wire.now, 100_000)
        elif event == "silence":
            wire.is_out = True
            self._later(100_000, lambda: setattr(wire, "is_out", False))
        elif event == "outage":
            wire.is_out, self.is_joined = True, False
            self._later(50_000, self._join)
        elif event == "NAT" and self.transport:
            self.transport.rebind()
        elif event == "address" and self.transport:
            self.address = "10.0.0.3"
            self.transport.close()
        elif event == "cut":
            self.lost |= set(self.sent) - self._stored().keys() - self._on_flash()
            if self.transport:
                self.transport.close()
            raise PowerCut

    def _later(self, ms: int, act: Callable[[], None]) -> None:
        self.wire.at(self.wire.now + ms, act)
        self.ends_at = max(self.ends_at, self.wire.now + ms)

    def _join(self) -> None:
        self.wire.is_out, self.is_joined = False, True

    # Invariants

    def _trouble(self) -> str:
        """What is not as it has to be in the end, nothing when all is."""
        state = self.thingsboard.devices[NAME]
        if json.dumps(self.known, sort_keys=True) != json.dumps(
            state.attributes("shared"), sort_keys=True
        ):
            return "the final state of an attribute did not reach the handler"
        for call in state.calls:
            if call.reply is not None and call.reply != json.dumps(
                {"did": call.number}, separators=(",", ":")
            ):
                return "a call was answered with another's reply"
            if call.is_persistent and call.id is not None and call.reply is None:
                return "a persistent call was not answered"
        if self.device.waiting:
            return "telemetry still waits"
        return ""

    def _stored(self) -> dict[int, set]:
        """The times that each reading has in ThingsBoard."""
        found: dict[int, set] = {}
        for body in self.thingsboard.devices[NAME].telemetry:
            readings = json.loads(body)
            for each in readings if isinstance(readings, list) else [readings]:
                values = each.get("values", each)
                # Without one ThingsBoard gives its own, another for each message.
                found.setdefault(values["r"], set()).add(each.get("ts", object()))
        return found

    def _on_flash(self) -> set[int]:
        saved = json.loads(self.files.files.get(_SAVED, b"[]"))
        return {values["r"] for _, values in saved}

    def _check_telemetry(self) -> None:
        stored = self._stored()
        if missing := set(self.sent) - stored.keys() - self.lost:
            raise Violation(f"telemetry was lost: {sorted(missing)}")
        if any(len(times) > 1 for times in stored.values()):
            raise Violation("telemetry was stored twice")
        if self.device.dropped:
            raise Violation("telemetry was dropped, and there was room")


class _Transport:
    """A socket. Who rebinds, as NAT does, is another to the server."""

    largest_block = 1024

    def __init__(self, wire: _Wire, address: str, port: int):
        self._wire = wire
        self.peer = address, port
        wire.open(self.peer)

    def rebind(self) -> None:
        self._wire.close(self.peer)
        self.peer = self.peer[0], self.peer[1] + 20_000
        self._wire.open(self.peer)

    def send(self, datagram) -> None:
        self._wire.send(self.peer, bytes(datagram))

    def receive(self, size: int, timeout: int) -> bytes | None:
        return self._wire.receive(self.peer, timeout)

    def close(self) -> None:
        self._wire.close(self.peer)


class _Board:
    """Fits firmware.board.hardware.Board."""

    id, chip = "0123456789ab", "ESP32"
    attempt_again = None
    clock_is_set, clock_is_guessed, clock_asked_at = True, False, None
    in_steps, trial = False, None
    idle = staticmethod(lambda: None)

    def __init__(self, life: Life):
        from firmware.board.storage import Storage

        self.life = life
        self.storage = Storage(open=life.files.open, os=life.files)
        self.indicator = SimpleNamespace(say=lambda *lines: None, show=lambda *lines: None)
        self.ticks = life.ticks
        self.random = life.random

    @property
    def now_ms(self) -> int:
        return _BEGAN + self.life.wire.now

    @property
    def address(self) -> str | None:
        return self.life.address if self.life.is_joined else None

    def sessions(self, config, kind=None):
        return None

    def sleep(self, ms: int) -> None:
        self.life.wire.advance(ms)


def _join_wifi(config, board: _Board, trouble) -> Iterator[int]:
    if not board.life.is_joined:
        yield 30_000
    if not board.life.is_joined:
        raise Silence("no such Wi-Fi")


def _unexpected(error: Exception):
    raise Violation(f"{type(error).__name__}: {error}") from error


def _quick():
    """Leave out what takes long and is not what is tested; wait in longer steps."""
    return replaced(
        (gc, "collect", lambda: None),
        (session, "give_back", lambda: None),
        (link, "give_back", lambda: None),
        (session, "unexpected", _unexpected),
        (device, "_IDLE", _STEP),
        (wifi, "join_steps", _join_wifi),
        (strict_json, "mistake_in", mistake_in),
    )


# How far


class Reach(NamedTuple):
    """`datagrams`: of how many each has each fate; `pairs`: of how many two are lost, or one and an
    event; `every`: ms from event to event."""

    datagrams: int = 60
    pairs: int = 0
    every: int = 1_500
    lasts: int = 36_000


def schedules(reach: Reach) -> Iterator[Schedule]:
    """All schedules, the simplest first."""
    yield Schedule()
    times = range(500, reach.lasts, reach.every)
    for number in range(reach.datagrams):
        for fate in FATES:
            yield Schedule(((number, fate),))
    for event in EVENTS:
        for at in times:
            yield Schedule((), ((at, event),))
    # Runs of losses: to the end of what is sent again, and past it.
    for number in range(reach.datagrams):
        yield Schedule(tuple((number + more, "lost") for more in range(_RUN)))
    for number in range(reach.pairs):
        for other in range(number + 1, reach.pairs):
            yield Schedule(((number, "lost"), (other, "lost")))
        for event in EVENTS:
            for at in times[::4]:
                yield Schedule(((number, "lost"),), ((at, event),))
    if reach.pairs:
        for first in EVENTS:
            for second in EVENTS:
                for at in times[::4]:
                    for later in (2_000, 20_000, 130_000):
                        yield Schedule((), ((at, first), (at + later, second)))


class Broken(Exception):
    """A broken invariant, in which story, after which schedule."""


def explore(reach: Reach, stories: Iterable[Story] = STORIES, seed: str = "1") -> Counter:
    """Live through all schedules; how many there were of each story. Raises Broken."""
    lived: Counter = Counter()
    for story in stories:
        for schedule in schedules(reach):
            try:
                live(story, schedule, seed)
            except Violation as violation:
                raise Broken(f"{violation}\n{story.name}, seed {seed}: {schedule}") from violation
            lived[story.name] += 1
    return lived
