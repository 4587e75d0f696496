"""The fake server answers what a client of a real ThingsBoard sent as that one answered."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest

from host_tests.firmware.recordings import Section, load
from tools.fake_thingsboard.codec import CON, EMPTY, NON, Message, decode
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.messages import OCTET_STREAM
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.ota import Package
from tools.fake_thingsboard.tenant import SCOPES

BETWEEN_SECTIONS = 60_000  # ms
TIMESTAMP = re.compile(rb"\x08[\x80-\xff]{5}[\x00-\x7f]")  # in protobuf, a field 1 of some years
RANDOM_TOKEN = re.compile(r'"credentialsValue":"[A-Za-z0-9]{20}"')


class Replay:
    """Gives an endpoint the clients' datagrams of a recording, at their times."""

    def __init__(self, endpoint: Endpoint, acts):
        self.endpoint = endpoint
        self._acts = acts
        self.now = 0
        self._port = 0

    def section(self, section: Section) -> None:
        """Fails where the endpoint does not send what the real server sent."""
        self._began = self.now
        self._ports = (self._port or 1) + ("another port" in section.title)
        self._client = self._port = self._ports
        self._sent: dict[int, list[bytes]] = defaultdict(list)  # by the client's port
        self._asked: set[str] = set()
        self._message_ids: dict[int, int] = {}  # the real server's: the endpoint's
        path = decode(section.of(">")[0]).path
        token = path[2] if len(path) > 2 else None
        name = self.endpoint.thingsboard.names.get(("ACCESS_TOKEN", token))
        for number, (ms, way, what) in enumerate(section.lines):
            if way == ">":
                self._send(ms, what)
            elif way == "<":
                self._expect(ms, what)
            elif way == "@":
                self._client = self._ports + int(what) - 1
            elif way == "!":
                later = [ms for ms, way, _ in section.lines[number:] if way in (">", "<")]
                self._run_until(self._began + later[0] - 100 if later else self.now)
                act = self._acts.pop(what, None)
                act() if act else operate(self.endpoint, name, what)
                self._take(self.endpoint.notify(self.now))
            else:
                self._run_until(self._began + ms)
        assert not any(self._sent.values()), "more than the real server sent"
        self._run_until(self.now + BETWEEN_SECTIONS)

    def _send(self, ms: int, datagram: bytes) -> None:
        self._run_until(self._began + ms)
        message = decode(datagram)
        self._asked.add(message.payload.decode("utf-8", "replace"))
        if message.code == EMPTY and message.type != CON:
            message_id = self._message_ids[message.message_id]
            datagram = datagram[:2] + message_id.to_bytes(2, "big")
        self._take(self.endpoint.received(("192.0.2.1", self._client), datagram, self.now))

    def _expect(self, ms: int, datagram: bytes) -> None:
        expected = decode(datagram)
        latest = self._began + ms * 6 // 5 + 500
        while not self._sent[self._client]:
            wake_at = self.endpoint.wake_at
            assert wake_at is not None and wake_at <= latest, f"nothing in place of {expected}"
            self._run_until(wake_at)
        sent = decode(self._sent[self._client].pop(0))
        if expected.type in (CON, NON):
            known = self._message_ids.setdefault(expected.message_id, sent.message_id)
            assert sent.message_id == known
            sent = sent._replace(message_id=expected.message_id)
        assert self._shape(sent) == self._shape(expected)

    def _shape(self, message: Message) -> Message:
        """The message, with what ThingsBoard draws and how Java orders keys taken out of it."""
        payload = message.payload
        if message.content_format == OCTET_STREAM:
            payload = TIMESTAMP.sub(b"a timestamp", payload)
        text = payload.decode("utf-8", "replace")
        token = RANDOM_TOKEN.search(text)
        if token and not any(f": {token[0].partition(':')[2]}" in asked for asked in self._asked):
            text = text.replace(token[0], "a random token")
        elif text.startswith("{") and text.endswith("}") and '"status"' not in text:
            text = json.dumps(json.loads(text), sort_keys=True)
        return message._replace(payload=text)

    def _run_until(self, until: int) -> None:
        while self.endpoint.wake_at is not None and self.endpoint.wake_at <= until:
            self.now = max(self.now, self.endpoint.wake_at)
            self._take(self.endpoint.on_timer(self.now))
        self.now = max(self.now, until)

    def _take(self, sendings) -> None:
        for (_, port), datagram, _ in sendings:
            self._sent[port].append(datagram)


def operate(endpoint: Endpoint, name: str, what: str) -> None:
    """Do what an operator did to a device, or to the server."""
    thingsboard = endpoint.thingsboard
    verb, _, rest = what.partition(" ")
    if verb == "restart":
        endpoint.restart()
        endpoint.first_reply_after = round(float(rest) * 1000)
    elif verb == "slow":
        endpoint.delay = round(float(rest) * 1000)
    elif verb in SCOPES:
        thingsboard.set_attributes(name, verb, json.loads(rest))
    elif verb == "big":
        thingsboard.set_attributes(name, "shared", {"big": "C" * int(rest)})
    elif verb == "delete":
        thingsboard.delete_attributes(name, "shared", rest.split())
    elif verb == "delete-device":
        thingsboard.delete_device(name)
    elif verb == "token":
        thingsboard.change_token(name, rest)
    else:
        method, _, params = rest.partition(" ")
        kinds = {"call": {}, "call-one-way": {"is_one_way": True}}
        kind = {**kinds, "call-persistently": {"is_persistent": True}}[verb]
        thingsboard.call(name, method, json.loads(params), **kind)


def replay(name: str, thingsboard: ThingsBoard, before=(), **options) -> Endpoint:
    """Replay a recording.

    `before`: what an operator did before a section, by its title, or where the recording says it.
    """
    endpoint = Endpoint(thingsboard, **options)
    before = dict(before)
    wire = Replay(endpoint, before)
    for section in load(name):
        before.pop(section.title, lambda: None)()
        try:
            wire.section(section)
        except AssertionError as error:
            raise AssertionError(f"{name}.txt, section {section.title}:\n{error}") from error
    assert not before, "there is no such section"
    return endpoint


def test_provisioning():
    thingsboard = ThingsBoard("ck51191", "cs51191")
    replay("provisioning", thingsboard, first_reply_after=2_400)
    names = set(thingsboard.devices)
    assert {"a51191", "sp51191", "12345", "Gerät °C 温度 51191", "dup51191"} <= names
    gateways = {name for name in names if thingsboard.devices[name].gateway}
    assert gateways == {"gw51191", "gw251191"}


def test_pre_provisioned_devices():
    thingsboard = ThingsBoard("pk51191", "ps51191", "preprovisioned")
    replay(
        "preprovisioned",
        thingsboard,
        {
            "preprovisioned: there, with own token": lambda: thingsboard.add_device(
                "pp51191", "STORED51191"
            ),
            "preprovisioned: after provisionState deleted": lambda: (
                thingsboard.delete_provision_state("pp51191")
            ),
            "preprovisioned: device in another profile": lambda: thingsboard.add_device(
                "po51191", profile="another"
            ),
            "preprovisioned: unknown provisionState": lambda: thingsboard.set_attributes(
                "pp51191", "server", {"provisionState": "unknown"}
            ),
        },
    )


def test_a_profile_for_mqtt():
    replay("mqtt_profile", ThingsBoard("mk51191", "ms51191", transport="MQTT"))


def test_what_devices_ask_first():
    thingsboard = ThingsBoard("", "")
    for section in load("first_words"):
        thingsboard.add_device(section.title, decode(section.of(">")[0]).path[2])
    replay("first_words", thingsboard)
    telemetry = [device.telemetry for device in thingsboard.devices.values()]
    assert telemetry == [('{"temperature":21.5}',)] * 5


def test_the_device_api():
    thingsboard = ThingsBoard("", "")
    thingsboard.add_device("a", "TK51350")
    shared = {"interval": 60, "name": "Küche", "on": True, "f": 1.25, "j": {"k": [1, 2]}}
    replay(
        "device_api",
        thingsboard,
        {"GET attributes, all": lambda: thingsboard.set_attributes("a", "shared", shared)},
    )
    assert len(thingsboard.devices["a"].telemetry) == 10


def test_transfers_in_blocks():
    thingsboard = ThingsBoard("", "")
    thingsboard.add_device("a", "TK51350", shared_attributes={"big": "B" * 3000})
    for token in ("B11ba20c", "BO0b724f"):
        thingsboard.add_device(token, token)
    endpoint = replay("blocks", thingsboard)
    lengths = [len(each) for each in thingsboard.devices["a"].telemetry]
    assert lengths == [1508, 1508]
    assert endpoint.transfers.unsized == 7


def test_slow_replies_duplicates_and_odd_attributes():
    thingsboard = ThingsBoard("k1a8d961", "s1a8d961")
    thingsboard.add_device("a", "Wa8d961")
    replay(
        "slow_and_odd",
        thingsboard,
        {
            'shared attribute set as the string "1.0" by REST': lambda: thingsboard.set_attributes(
                "a", "shared", {"fw": "1.0"}
            ),
            "percent and odd keys in a query: sharedKeys=a b": lambda: thingsboard.set_attributes(
                "a", "shared", {"a": 1, "b": 2, "c": 3, "a b": 1, "x=y": 2}
            ),
        },
    )
    assert set(thingsboard.devices) == {"a"}


def test_observations():
    thingsboard = ThingsBoard("", "")
    shared = {"interval": 60, "name": "Küche", "on": True, "f": 1.25, "j": {"k": [1, 2]}}
    thingsboard.add_device("a", "TK51350", shared_attributes=shared)
    for token in ("Wa8d961", "TK51403", "INb31f82"):
        thingsboard.add_device(token, token)
    for name in ("noack", "rst", "tokchg", "del", "port", "non", "edrx"):
        thingsboard.add_device(name, f"T{name}847c70")
    endpoint = replay("observations", thingsboard)
    names = [name for name, _ in endpoint.notifications.observations]
    assert sorted(names) == ["INb31f82", "Wa8d961", "a", "a", "edrx", "non", "port"]


def test_rpc_and_claims():
    thingsboard = ThingsBoard("", "")
    for token in ("TK51403", "RRee5a07", "Tpers847c70"):
        thingsboard.add_device(token, token)

    def echo():
        thingsboard.answer_call = lambda request: request

    title = 'client-side rpc with a rule chain that echoes: {"method":"getTime","params":{}}'
    replay("rpc", thingsboard, {title: echo})
    device = thingsboard.devices["TK51403"]
    assert device.call_replies == (("0", '{"ok":true}'), ("99999", '{"x":1}'))
    assert device.claims == ("{}", "{}", '{"secretKey":"abc","durationMs":60000}')
    states = [call.state for call in device.calls]
    assert states == ["SUCCESSFUL", *["EXPIRED"] * 5, "SENT", *["EXPIRED"] * 3, "DELIVERED"]


def test_packages_over_the_air():
    thingsboard = ThingsBoard("", "")
    thingsboard.add_device("a", "OT51421")
    package = Package("fw", "app51421", "1.0", bytes(range(256)) * 11 + b"E" * 84)
    replay(
        "ota",
        thingsboard,
        {
            "assign the firmware": lambda: thingsboard.assign_package("a", package),
            "unassign it": lambda: thingsboard.unassign_package("a", "fw"),
        },
    )
    assert thingsboard.devices["a"].attributes("shared") == {}


def test_limits():
    thingsboard = ThingsBoard("k1d702e1", "s1d702e1", max_devices=1, rate_limit=(3, 20_000))
    thingsboard.add_device("a", "Ld702e1")
    replay("limits", thingsboard)


def test_a_profile_for_protobuf():
    thingsboard = ThingsBoard("pbk847c70", "pbs847c70", payload_type="PROTOBUF")
    thingsboard.add_device("a", "Tproto847c70")
    replay("protobuf_profile", thingsboard)
    assert thingsboard.devices["a"].calls[0].state == "FAILED"
    assert "pbx847c70" in thingsboard.devices


def test_a_device_that_saves_power():
    thingsboard = ThingsBoard("", "", psm_activity_timer=4_000)
    thingsboard.add_device("a", "Tpsm847c70")
    replay("power_saving", thingsboard)


def test_observations_and_a_restart():
    thingsboard = ThingsBoard("", "")
    thingsboard.add_device("a", "RSb31f82")
    replay("restart", thingsboard)


@pytest.mark.parametrize("change", ["payload", "type", "content_format", "silence"])
def test_a_difference_is_found(monkeypatch, change):
    """Or this file would be of no use."""
    handle = ThingsBoard.handle
    changes = {
        "payload": {"payload": b"{}"},
        "type": {"way": "piggybacked"},
        "content_format": {"content_format": 0},
        "silence": {"code": 0},
    }

    def another(self, *request):
        return handle(self, *request)._replace(**changes[change])

    monkeypatch.setattr(ThingsBoard, "handle", another)
    with pytest.raises(AssertionError):
        test_slow_replies_duplicates_and_odd_attributes()
