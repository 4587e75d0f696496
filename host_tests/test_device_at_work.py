"""The device at work: applications on virtual boards, against the server over UDP and DTLS."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest

from host_tests.power_up_bench import (
    BOARDS,
    KEY,
    LANES,
    PASSWORD,
    SECRET,
    PowerUps,
    config_for,
)
from tools.fake_thingsboard.certificates import issue, new_ca
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard

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
applications = pytest.mark.parametrize("app", [BLOCKING, ASYNC], ids=["blocking", "asyncio"])


class Work:
    """A board at work, and what its operator sees. The power is cut at the end."""

    def __init__(self, ups: PowerUps):
        self.ups = ups
        self.server = ups.server
        self.lines: list[str] = []

    def put(self, app: str, speed: int = SPEED, **options) -> None:
        if self.ups.runtime == "cpython":
            speed = 1  # its clock is the true one
        app %= 400 * speed, 100 * speed
        self.ups.put(app=app, speed=speed, **options)

    @contextmanager
    def going_on(self, **scenario):
        scenario = {"stay": True, "timeout": 60, "on_line": self.lines.append, **scenario}
        board = threading.Thread(target=self.ups.power_up, kwargs=scenario)
        board.start()
        try:
            yield
        finally:
            self.ups.board.cut_power()
            board.join()

    @property
    def device(self):
        (device,) = self.server.thingsboard.devices.values()
        return device

    def until(self, what: str, is_so) -> None:
        assert self.server.wait_until(is_so, timeout=15), "\n".join([f"not {what}", *self.lines])

    def numbers(self) -> list[int]:
        """Each reading that arrived, in their order."""
        found = []
        for text in self.device.telemetry if self.server.thingsboard.devices else ():
            body = json.loads(text)
            for each in body if isinstance(body, list) else [body]:
                found.append(each.get("values", each)["number"])
        return found

    def was_silent(self) -> bool:
        """Whether the board has been silent for a second, and is there again."""
        times = [each.time for each in self.server.received]
        return any(later - earlier > 1 for earlier, later in zip(times, times[1:]))

    def until_telemetry(self) -> None:
        before = len(self.numbers())
        self.until("telemetry", lambda: len(self.numbers()) > before)

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
        assert arrived == list(range(len(arrived)))
        work.server.operator.delete_device(work.device.name)
        work.until("provisioned anew", lambda: work.server.thingsboard.devices)
        work.until_telemetry()
        work.until_configured(interval=4)
        work.until_obeys()
    assert work.numbers() == list(range(len(arrived), len(arrived) + len(work.numbers())))
    assert "Traceback" not in "\n".join(work.lines)


@pytest.mark.parametrize("lane", BOARDS[1:])
@pytest.mark.parametrize("kind", ["ACCESS_TOKEN", "X509_CERTIFICATE"])
def test_the_device_works_over_coaps(work, kind):
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
        work.put(BLOCKING, 30, config=config_for(relay.uri, **keys), files=files)
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
