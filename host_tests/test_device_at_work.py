"""The device at work: applications on virtual boards, against the server over UDP and DTLS."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from host_tests.firmware.updates import bundle
from host_tests.power_up_bench import (
    BOARDS,
    KEY,
    LANES,
    PASSWORD,
    SECRET,
    PowerUps,
    config_for,
)
from host_tests.readme import read_block
from tools.fake_thingsboard.certificates import issue, new_ca
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.ota import Package
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.measure.figures import BLOCK, RECORD
from tools.virtual_board.board import Outcome

one_board = pytest.mark.parametrize("lane", BOARDS[:1])
lanes = pytest.mark.parametrize("lane", LANES)
SPEED = 10
BLOCKING = """
from firmware.device import Device

def set_relay(on):
    return {"on": on}

def run(credentials):
    device = Device(credentials, refresh=%d)
    device.on_rpc("setRelay", set_relay)
    device.on_attributes(lambda values: device.send_attributes({"seen": values}))
    number = 0
    while True:
        device.send_telemetry({"number": number})
        number += 1
        device.wait(%d)
"""
UPDATED = ["DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED"]
ASYNC = """
from firmware.aio import Device

async def set_relay(on):
    return {"on": on}

async def run(credentials):
    device = Device(credentials, refresh=%d)

    async def on_attributes(values):
        await device.send_attributes({"seen": values})

    device.on_rpc("setRelay", set_relay)
    device.on_attributes(on_attributes)
    number = 0
    while True:
        await device.send_telemetry({"number": number})
        number += 1
        await device.wait(%d)
"""
BATTERY = """
from firmware.device import Device

def run(credentials):
    device = Device(credentials)
    device.send_telemetry({"number": 1})
    device.sleep(60_000)
"""
MINDFUL = """
import machine
from firmware.device import Device

def run(credentials):
    memory = getattr(machine.RTC(), "memory", lambda *content: b"mine")
    print("app.py:", memory())
    memory(b"mine")
    device = Device(credentials, awake=20_000)
    device.send_telemetry({"number": 1})
    device.sleep(60_000)
"""
OBEDIENT = """
from firmware.%s import Device

%sdef run(credentials):
    device = Device(credentials)
    device.on_rpc("setRelay", lambda on: {"on": on})
    device.on_attributes(lambda values: print("app.py: interval", values.get("interval")))
    %sdevice.send_telemetry({"number": 1})
    %sdevice.sleep(60_000)
"""
applications = pytest.mark.parametrize("app", [BLOCKING, ASYNC], ids=["blocking", "asyncio"])


class Work:
    """A board at work, and what its operator sees. The power is cut at the end."""

    def __init__(self, ups: PowerUps):
        self.ups = ups
        self.server = ups.server
        self.lines: list[str] = []
        self.outcome: Outcome | None = None

    def put(self, app: str, speed: int = SPEED, **options) -> None:
        if self.ups.runtime == "cpython":
            speed = 1  # its clock is the true one
        if "%d" in app:
            app %= 400 * speed, 100 * speed
        options.setdefault("config", config_for(self.server.uri, ntp=None))
        self.ups.put(app=app, speed=speed, **options)

    @contextmanager
    def going_on(self, **scenario):
        scenario = {"stay": True, "timeout": 60, "on_line": self.lines.append, **scenario}

        def power_up() -> None:
            self.outcome = self.ups.power_up(**scenario)

        board = threading.Thread(target=power_up)
        board.start()
        try:
            yield
        finally:
            self.ups.board.cut_power()
            board.join()
        assert self.outcome, "a secret is on the console"

    @property
    def device(self):
        (device,) = self.server.thingsboard.devices.values()
        return device

    def until(self, what: str, is_so) -> None:
        assert self.server.wait_until(is_so, timeout=15), "\n".join([f"not {what}", *self.lines])

    def readings(self) -> list[dict]:
        """Each reading that arrived, in their order; of one time ThingsBoard keeps one."""
        found = {}
        for text in self.device.telemetry if self.server.thingsboard.devices else ():
            body = json.loads(text)
            for each in body if isinstance(body, list) else [body]:
                found[each.get("ts", len(found))] = each.get("values", each)
        return list(found.values())

    def states(self) -> list[str]:
        """What was told of updates."""
        return [each["sw_state"] for each in self.readings() if "sw_state" in each]

    def numbers(self) -> list[int]:
        return [each["number"] for each in self.readings()]

    def check_repetitions(self) -> None:
        """Of the messages that a reading came in, the board got the answer to the last one only.

        A Pico W whose Wi-Fi is gone joins after its request has failed, and asks from another port
        then: for ThingsBoard that is another message (RFC 7252 section 4.5).
        """
        messages: dict[int, dict] = {}
        for each in self.server.received:
            path, _, body = each.data.partition(b"\xff")
            if b"telemetry" in path:
                for number in map(int, re.findall(rb'"number":(\d+)', body)):
                    messages.setdefault(number, {})[each.peer, each.data[:12]] = each
        for number, found in messages.items():
            *before, _ = found.values()
            assert not any(map(self.was_answered, before)), number

    def was_answered(self, request) -> bool:
        """Whether the board acknowledged the answer to a request, which has its token."""
        peer, token = request.peer, request.data[4:12]
        ids = [e.data[2:4] for e in self.server.sent if e.peer == peer and e.data[4:12] == token]
        acknowledged = [b"\x60\0" + each for each in ids]
        return any(e.peer == peer and e.data in acknowledged for e in self.server.received)

    def was_silent(self) -> bool:
        """Whether the board has been silent for a second, and is there again."""
        times = [each.time for each in self.server.received]
        return any(later - earlier > 1 for earlier, later in zip(times, times[1:]))

    def wakes(self) -> list[list]:
        """The datagrams of each power-up, in their order. Each has a port of its own."""
        found: dict = {}
        for each in sorted([*self.server.received, *self.server.sent]):
            found.setdefault(each.peer, []).append(each)
        return list(found.values())

    def sleeps(self) -> int:
        """How often the board has slept."""
        return "".join(self.lines).count("sleep: 60 s")

    def until_telemetry(self) -> None:
        before = len(self.readings())
        self.until("telemetry", lambda: len(self.readings()) > before)

    def until_obeys(self) -> None:
        name = self.device.name
        self.until("rpc", lambda: self.server.operator.observes(name, "rpc"))
        assert self.server.call_rpc(name, "setRelay", True, timeout=10_000) == {"on": True}

    def until_configured(self, **values) -> None:
        self.server.operator.set_shared(self.device.name, values)
        self.until("attributes", lambda: self.device.attributes("client").get("seen") == values)


@pytest.fixture
def work(tmp_path, lane):
    with FakeThingsBoard(ThingsBoard(KEY, SECRET), ack_timeout=2.75 / SPEED) as server:
        yield Work(PowerUps(tmp_path / "flash", *lane, server))


@lanes
@applications
def test_the_device_goes_on_through_what_happens_in_the_field(work, app):
    network = {"ssid": "home", "password": PASSWORD, "delay_ms": 0, "drops": [[1200, 2500]]}
    work.put(app)
    with work.going_on(networks=[network]):
        work.until("provisioned", lambda: work.server.thingsboard.devices)
        work.until_telemetry()
        work.until_configured(interval=1)
        work.until_obeys()
        work.until("through the outage", work.was_silent)
        work.until_obeys()
        work.until_configured(interval=2)
        work.server.restart()
        work.until_telemetry()
        work.until_configured(interval=3)
        work.until_obeys()
        arrived = work.numbers()
        assert list(dict.fromkeys(arrived)) == list(range(len(set(arrived))))
        # An outage may keep away the answer to what has arrived; then that comes again.
        work.check_repetitions()
        work.server.operator.delete_device(work.device.name)
        work.until("provisioned anew", lambda: work.server.thingsboard.devices)
        work.until_telemetry()
        work.until_configured(interval=4)
        work.until_obeys()
    assert work.numbers() == list(range(len(arrived), len(arrived) + len(work.numbers())))
    assert "Traceback" not in "\n".join(work.lines)


@pytest.mark.parametrize(
    ("app", "lane"), [(BLOCKING, BOARDS[0].values[0]), (ASYNC, BOARDS[1].values[0])]
)
def test_an_update_over_the_air(work, app, lane):
    """The new version is assigned, downloaded between readings, runs, and is confirmed."""
    new = (app % (60_000, 500)).replace('"number"', '"new"')
    data = bundle({"app.py": new.encode(), "web/page": bytes(range(256)) * 400}, "2")
    update = {"spread": 1, "trial": 1}
    work.put(app, config=config_for(work.server.uri, ntp=None, update=update))
    with work.going_on():
        work.until("provisioned", lambda: work.server.thingsboard.devices)
        work.until_telemetry()
        work.server.operator.assign(None, Package("sw", "my-app", "2", data))
        work.until("updated", lambda: "UPDATED" in work.states())
        work.until("obeys", lambda: any("new" in each for each in work.readings()))
        work.until_obeys()
    readings = work.readings()
    states = work.states()
    assert states == UPDATED
    told = next(each for each in readings if each.get("sw_state") == "UPDATED")
    assert (told["current_sw_title"], told["current_sw_version"]) == ("my-app", "2")
    begun, done = [readings.index({"sw_state": states[number]}) for number in (0, 1)]
    assert any("number" in each for each in readings[begun:done])


class Damaged(Package):
    """A package whose bytes do not have its checksum."""

    @property
    def attributes(self):
        return super().attributes | {"sw_checksum": "0" * 64}


@one_board
def test_an_update_that_is_not_what_was_assigned(work):
    """Each try, and that it has FAILED, with all that they load and give back; then a good one."""
    new = (BLOCKING % (60_000, 500)).replace('"number"', '"new"')
    data = bundle({"app.py": new.encode(), "web/page": bytes(range(256)) * 40}, "2")
    update = {"spread": 1, "trial": 1}
    work.put(BLOCKING % (60_000, 500), config=config_for(work.server.uri, ntp=None, update=update))
    with work.going_on():
        work.until("provisioned", lambda: work.server.thingsboard.devices)
        work.until_telemetry()
        work.server.operator.assign(None, Damaged("sw", "my-app", "2", data))
        work.until("failed", lambda: "FAILED" in work.states())
        work.until_telemetry()
        good = bundle({"app.py": new.encode()}, "3")
        work.server.operator.assign(None, Package("sw", "my-app", "3", good))
        work.until("updated", lambda: "UPDATED" in work.states())
    assert work.states() == ["DOWNLOADING", "DOWNLOADED", "FAILED", *UPDATED]


# README's examples


@pytest.mark.parametrize("lane", BOARDS)
def test_telemetry(work):
    work.put(read_block("app.py"), 60)
    with work.going_on():
        work.until_telemetry()
        work.until_telemetry()
    assert work.readings()[0] == {"temperature": 21.5}
    assert sum(b"provision" in each.data for each in work.server.received) == 1


@pytest.mark.parametrize("lane", BOARDS)
def test_a_relay(work):
    work.put(read_block("relay.py"))
    with work.going_on():
        work.until("provisioned", lambda: work.server.thingsboard.devices)
        work.until_obeys()
    pins = [each for each in work.outcome.events if each["event"] == "pin" and each["pin"] == 4]
    assert [each["value"] for each in pins] == [1]


@one_board
def test_a_configured_interval(work):
    work.put(read_block("interval.py"), 60)
    with work.going_on():
        work.until_telemetry()
        work.server.operator.set_shared(work.device.name, {"interval": 7})
        work.until("configured", lambda: "every 7 s" in work.lines)
        work.server.operator.delete_shared(work.device.name, ["interval"])
        work.until("as it was", lambda: "every 60 s" in work.lines)


@one_board
def test_a_battery(work):
    work.put(read_block("battery.py"))
    with work.going_on():
        work.until("three readings", lambda: len(work.readings()) > 2)
    assert work.readings()[2] == {"temperature": 21.5}
    assert "sleep: 600 s" in "".join(work.lines)


@one_board
def test_tasks(work):
    work.put(read_block("app_aio.py"))
    with work.going_on():
        work.until_telemetry()
        work.until_obeys()


# Batteries


@lanes
def test_a_reading_from_a_battery_takes_three_datagrams(work):
    work.put(BATTERY)
    with work.going_on():
        work.until("four readings", lambda: len(work.numbers()) > 3)
    wakes = work.wakes()
    assert [len(wakes[wake]) for wake in (1, 2)] == [3, 3]


@pytest.mark.parametrize("lane", BOARDS)
@pytest.mark.parametrize("words", [("device", "", "", ""), ("aio", "async ", "await ", "await ")])
def test_a_battery_takes_what_waited_while_it_slept(work, words):
    """Two datagrams for attributes, three for calls, three for the reading; for a call four."""
    work.put(OBEDIENT % words)
    operator = work.server.operator

    def wake() -> None:
        awake = len(work.numbers())
        work.until("the next reading", lambda: len(work.numbers()) > awake)

    with work.going_on():
        work.until("provisioned", lambda: work.server.thingsboard.devices)
        name = work.device.name
        wake()
        operator.set_shared(name, {"interval": 5})
        call = operator.call_rpc(name, "setRelay", True, persistent=True)
        work.until("done", lambda: operator.call(name, call.number).reply)
        wake()
        wake()
    assert operator.call(name, call.number).reply == '{"on":true}'
    assert "app.py: interval 5" in work.lines
    counts = [len(datagrams) for datagrams in work.wakes()[1:-1]]
    assert counts.count(8) >= len(counts) - 2, counts


@pytest.mark.parametrize("lane", BOARDS)
@pytest.mark.parametrize("app", [BATTERY, MINDFUL], ids=["alone", "with its own memory"])
def test_what_a_battery_could_not_send_is_kept(work, app):
    """Whether asked for or not; on flash where there is no other memory that is free."""
    work.put(app, 60)
    with work.going_on():
        work.until_telemetry()
        before = work.sleeps()
        work.server.link.is_cut = True
        work.until("asleep", lambda: work.sleeps() > before + 1)
        has_memory = work.ups.board.kind == "esp32" and app == BATTERY
        assert (work.ups.read("/telemetry.json") is None) == has_memory
        work.server.link.is_cut = False
        sleeps = work.sleeps()
        work.until("asleep again", lambda: work.sleeps() > sleeps + 1)
        assert len(work.numbers()) >= work.sleeps()
    assert work.ups.read("/telemetry.json") is None
    if app == MINDFUL:
        assert "app.py: b'mine'" in work.lines


# coaps


@pytest.mark.parametrize("lane", BOARDS)
@applications
@pytest.mark.parametrize("kind", ["ACCESS_TOKEN", "X509_CERTIFICATE"])
def test_the_device_works_over_coaps(work, app, kind):
    """In the session of a certificate there is no token in a path."""
    ca, server = new_ca(), work.server
    issued, own = issue(["127.0.0.1"], ca), issue(["sensor"], new_ca())
    upstream = server.host, server.port
    files = {"ca.der": ca.der}
    keys = {"ca": "ca.der", "ntp": None}
    if kind == "X509_CERTIFICATE":
        files.update({"own.der": own.der, "own.key": own.key_der})
        keys.update(certificate="own.der", key="own.key")
    with DTLSRelay(
        upstream, issued.chain_pem, issued.key_pem, on_session=server.open_session
    ) as relay:
        server.operator.on_restart = relay.forget_sessions
        work.put(app, 30, config=config_for(relay.uri, **keys), files=files)
        with work.going_on():
            work.until("provisioned", lambda: server.thingsboard.devices)
            assert work.device.credentials.type == kind
            work.until_telemetry()
            work.until_configured(interval=1)
            work.until_obeys()
            server.restart()
            work.until_telemetry()
            work.until_configured(interval=2)
            work.until_obeys()
    assert "Traceback" not in "\n".join(work.lines)
    # Its clock is a guess, since no `ntp` was asked: no reading says when it was.
    assert "this firmware's date" in "\n".join(work.lines)
    assert not any('"ts"' in text for text in work.device.telemetry)


@pytest.mark.parametrize(
    ("app", "lane"), [(BLOCKING, BOARDS[0].values[0]), (ASYNC, BOARDS[1].values[0])]
)
def test_an_update_over_coaps(work, app, lane):
    """DTLS takes the bytes of its records, and none more."""
    ca, server = new_ca(), work.server
    issued = issue(["127.0.0.1"], ca)
    size = 40_000
    data = bundle({"app.py": (app % (60_000, 500)).encode(), "page": bytes(size)}, "2")
    with DTLSRelay((server.host, server.port), issued.chain_pem, issued.key_pem) as relay:
        update = {"spread": 1, "trial": 1}
        config = config_for(relay.uri, ca="ca.der", ntp=None, update=update)
        work.put(app, config=config, files={"ca.der": ca.der})
        with work.going_on():
            work.until("provisioned", lambda: server.thingsboard.devices)
            work.until_telemetry()
            server.operator.assign(None, Package("sw", "my-app", "2", data))
            work.until("updated", lambda: "UPDATED" in work.states())
    assert work.states() == UPDATED
    inner = [len(each.data) for each in server.sent if len(each.data) > BLOCK]
    outer = Counter(len(each.data) for each in relay.sent)
    assert size // BLOCK <= len(inner) <= len(data) // BLOCK + 1
    assert Counter(length + RECORD for length in inner) <= outer
