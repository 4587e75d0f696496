"""The model of ThingsBoard, every row of its contract, and duplicate requests in virtual time."""

import json
import random

import pytest

from tools.fake_thingsboard.californium import EXCHANGE_LIFETIME, Duplicates
from tools.fake_thingsboard.model import ThingsBoard

GET, POST, PUT = 1, 2, 3
KEY, SECRET = "u7piawkboq8v32dmcmpp", "jpmwdn8ptlswmf4m29bw"
TOKEN = "A1b2C3d4E5f6G7h8I9j0"
PROVISION = ("api", "v1", "provision")
NOT_FOUND = (0x80, b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}', 0)
FAILURE = (0x80, b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}', 0)
BAD_REQUEST = (0x80, b"", None)
CREATED = (0x41, b"", None)


def make_thingsboard(strategy="create", **options):
    return ThingsBoard(KEY, SECRET, strategy, randbytes=random.Random(1).randbytes, **options)


def body(**fields):
    request = {"provisionDeviceKey": KEY, "provisionDeviceSecret": SECRET, **fields}
    return json.dumps({name: value for name, value in request.items() if value is not ...}).encode()


def provision(thingsboard, **fields):
    return thingsboard.handle(POST, PROVISION, body(**fields))


def success(value, credentials_type="ACCESS_TOKEN"):
    text = f'{{"credentialsValue":{value},"credentialsType":"{credentials_type}"'
    return (0x41, text.encode() + b',"status":"SUCCESS"}', 0)


# The model


@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        ({"token": TOKEN}, success(f'"{TOKEN}"')),
        ({"deviceName": "Gerät", "token": "ž"}, success('"ž"')),
        (
            {"credentialsType": "MQTT_BASIC", "clientId": "c", "username": "u", "password": "p"},
            success('{"clientId":"c","userName":"u","password":"p"}', "MQTT_BASIC"),
        ),
        (
            {"credentialsType": "X509_CERTIFICATE", "hash": "MII"},
            success('"MII"', "X509_CERTIFICATE"),
        ),
        ({"provisionDeviceKey": "another"}, NOT_FOUND),
        ({"provisionDeviceKey": ""}, NOT_FOUND),
        ({"provisionDeviceSecret": "wrong"}, NOT_FOUND),
        ({"provisionDeviceSecret": ""}, NOT_FOUND),
        ({"deviceName": "taken"}, FAILURE),
        ({"deviceName": " taken\n"}, FAILURE),
        ({"deviceName": "  "}, FAILURE),
        ({"deviceName": "n" * 256}, FAILURE),
        ({"deviceName": "nu\0l"}, FAILURE),
        ({"deviceName": "new", "token": "token of taken"}, FAILURE),
        ({"credentialsType": "MQTT_BASIC", "clientId": "c", "password": "p"}, FAILURE),
        ({"provisionDeviceKey": ...}, BAD_REQUEST),
        ({"provisionDeviceSecret": ...}, BAD_REQUEST),
        ({"provisionDeviceSecret": None}, BAD_REQUEST),
        ({"credentialsType": "LWM2M_CREDENTIALS"}, BAD_REQUEST),
    ],
)
def test_reply_to_provisioning(fields, reply):
    thingsboard = make_thingsboard()
    thingsboard.add_device("taken", "token of taken")
    assert provision(thingsboard, **fields) == reply
    assert len(thingsboard.devices) == (2 if reply[0] == 0x41 else 1)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'"text"', b"\xff\xfe\x00", b"[" * 100_000])
def test_a_body_that_is_no_object_is_an_empty_4_00(payload):
    assert make_thingsboard().handle(POST, PROVISION, payload) == BAD_REQUEST


def test_what_an_operator_sees_of_a_new_device():
    thingsboard = make_thingsboard()
    reply = provision(thingsboard, deviceName=" sensor\t", gateway=True)
    device = thingsboard.devices["sensor"]
    assert json.loads(reply.payload)["credentialsValue"] == device.token
    assert len(device.token) == 20 and device.token.isalnum()
    assert device.gateway and device.provision_state == "provisioned"


@pytest.mark.parametrize("name", [..., ""])
def test_without_a_name_there_are_20_random_characters(name):
    thingsboard = make_thingsboard()
    assert provision(thingsboard, deviceName=name, token=TOKEN) == success(f'"{TOKEN}"')
    (invented,) = thingsboard.devices
    assert len(invented) == 20 and invented.isalnum()
    assert b"deviceName" not in provision(make_thingsboard(), deviceName=name).payload


def test_second_provisioning_is_failure_even_with_the_same_token():
    thingsboard = make_thingsboard()
    assert provision(thingsboard, deviceName="a", token=TOKEN).code == 0x41
    assert provision(thingsboard, deviceName="a", token=TOKEN) == FAILURE
    thingsboard.delete_device("a")
    assert provision(thingsboard, deviceName="a", token=TOKEN).code == 0x41


def test_preprovisioned_devices():
    thingsboard = make_thingsboard("preprovisioned")
    thingsboard.add_device("a", "stored")
    thingsboard.add_device("b", profile="another")
    assert provision(thingsboard, deviceName="absent") == FAILURE
    assert provision(thingsboard, deviceName="b") == FAILURE
    assert provision(thingsboard) == FAILURE
    assert provision(thingsboard, deviceName=" a", token=TOKEN) == success('"stored"')
    assert provision(thingsboard, deviceName="a") == FAILURE
    thingsboard.delete_provision_state("a")
    assert provision(thingsboard, deviceName="a") == success('"stored"')


def test_disabled_provisioning_and_quota():
    thingsboard = make_thingsboard(max_devices=1)
    thingsboard.provisioning_enabled = False
    assert provision(thingsboard) == NOT_FOUND
    thingsboard.provisioning_enabled = True
    assert provision(thingsboard).code == 0x41
    assert provision(thingsboard) == FAILURE


def test_5_00_before_and_after_execution():
    thingsboard = make_thingsboard()
    thingsboard.fail_next(2)
    assert [provision(thingsboard, deviceName="a").code for _ in range(2)] == [0xA0, 0xA0]
    assert not thingsboard.devices
    thingsboard.fail_next(executed=True)
    assert provision(thingsboard, deviceName="a", token=TOKEN) == (0xA0, b"", None)
    assert thingsboard.devices["a"].token == TOKEN
    assert provision(thingsboard, deviceName="a", token=TOKEN) == FAILURE


def test_token_validation():
    thingsboard = make_thingsboard()
    thingsboard.add_device("a", TOKEN)
    path = ("api", "v1", TOKEN, "attributes")
    assert thingsboard.handle(GET, path) == (0x84, b"", None)
    assert thingsboard.handle(POST, path, b'{"v":1,"w":"x"}') == CREATED
    assert thingsboard.handle(GET, path) == (0x45, b'{"client":{"v":1,"w":"x"}}', None)
    assert thingsboard.handle(GET, path, query=["clientKeys=q,v"]).payload == b'{"client":{"v":1}}'
    assert thingsboard.handle(GET, path, query=["sharedKeys=v"]).code == 0x84
    thingsboard.change_token("a", "new")
    assert thingsboard.handle(GET, path) == (0x81, b"", None)
    assert thingsboard.handle(GET, ("api", "v1", "new", "attributes")).code == 0x45
    thingsboard.delete_device("a")
    assert thingsboard.handle(GET, ("api", "v1", "new", "attributes")).code == 0x81


@pytest.mark.parametrize(
    ("code", "path", "payload", "reply"),
    [
        (POST, ("api", "v1", TOKEN, "telemetry"), b'{"t": 21.5}', 0x41),
        (POST, ("api", "v1", TOKEN, "telemetry"), b"not JSON", 0x80),
        (POST, ("api", "v1", TOKEN, "attributes"), b"[]", 0x80),
        (POST, ("api", "v1", "unknown", "telemetry"), b"{}", 0x81),
        (POST, ("api", "v1", "telemetry"), b"{}", 0x81),
        (POST, ("api", "v1", TOKEN, "nothing"), b"{}", 0x80),
        (POST, ("api", "v1"), b"", 0x80),
        (GET, PROVISION, b"", 0x80),
        (PUT, PROVISION, b"", 0x85),
        (PUT, ("api", "v1", TOKEN, "attributes"), b"", 0x85),
        (GET, ("elsewhere",), b"", 0x84),
        (GET, (), b"", 0x84),
    ],
)
def test_codes_of_the_device_api(code, path, payload, reply):
    thingsboard = make_thingsboard()
    thingsboard.add_device("a", TOKEN)
    assert thingsboard.handle(code, path, payload).code == reply
    assert thingsboard.devices["a"].telemetry == (('{"t":21.5}',) if reply == 0x41 else ())


def test_snapshot_is_the_state():
    thingsboard, another = make_thingsboard(), make_thingsboard()
    before = thingsboard.snapshot()
    provision(thingsboard, deviceName="a")
    provision(another, deviceName="a")
    assert hash(thingsboard.snapshot()) == hash(another.snapshot()) != hash(before)
    after = thingsboard.snapshot()
    thingsboard.restore(before)
    assert not thingsboard.devices
    thingsboard.restore(after)
    assert provision(thingsboard, deviceName="a") == FAILURE
    assert thingsboard.snapshot() == after


# Duplicates, in virtual time

PEER = ("192.0.2.1", 5683)
REQUEST = b"\x41\x02\x00\x07\xaa"
EMPTY_ACK = b"\x60\x00\x00\x07"
PIGGYBACKED = b"\x61\x41\x00\x07\xaa\xffyes"
CONFIRMABLE = b"\x41\x41\x90\x01\xaa\xffyes"


def test_a_piggybacked_reply_is_repeated_for_247_seconds():
    duplicates = Duplicates()
    assert duplicates.received(PEER, REQUEST, 0) is None
    assert duplicates.received(PEER, REQUEST, 0) == []
    assert duplicates.sent(PEER, 7, PIGGYBACKED) is False
    changed = b"\x42\x02\x00\x07\xbb\xcc\xffanother body"
    for now in (0, 100, EXCHANGE_LIFETIME - 0.001):
        assert duplicates.received(PEER, changed, now) == [PIGGYBACKED]
    for other in (("192.0.2.1", 5684), ("192.0.2.2", 5683)):
        assert duplicates.received(other, REQUEST, 1) is None
    assert duplicates.received(PEER, b"\x41\x02\x00\x08\xaa", 1) is None
    assert duplicates.received(PEER, REQUEST, EXCHANGE_LIFETIME) is None


@pytest.mark.parametrize("acknowledged_first", [True, False], ids=["separate", "bare"])
def test_a_confirmable_reply_is_repeated_until_it_is_acknowledged(acknowledged_first):
    duplicates = Duplicates()
    assert duplicates.received(PEER, REQUEST, 0) is None
    if acknowledged_first:
        duplicates.sent(PEER, 7, EMPTY_ACK)
        assert duplicates.received(PEER, REQUEST, 1) == [EMPTY_ACK]
    assert duplicates.sent(PEER, 7, CONFIRMABLE) is False
    assert duplicates.sent(PEER, 7, CONFIRMABLE) is True
    assert duplicates.received(PEER, REQUEST, 2) == [EMPTY_ACK, CONFIRMABLE]
    copy = duplicates.copy()
    assert copy.snapshot(3) == duplicates.snapshot(3)
    assert duplicates.received(("192.0.2.9", 5683), b"\x60\x00\x90\x01", 3) is None
    assert duplicates.received(PEER, REQUEST, 3) == [EMPTY_ACK, CONFIRMABLE]
    assert duplicates.received(PEER, b"\x60\x00\x90\x01", 4) is None
    assert duplicates.received(PEER, REQUEST, 5) == [EMPTY_ACK]
    assert copy.received(PEER, REQUEST, 5) == [EMPTY_ACK, CONFIRMABLE]
