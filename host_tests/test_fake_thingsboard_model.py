"""The model of ThingsBoard, every row of its contract, and duplicate requests in virtual time."""

import json
import random

import pytest

from tools.fake_thingsboard.californium import EXCHANGE_LIFETIME, Duplicates
from tools.fake_thingsboard.messages import BARE, Reply
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.ota import Package
from tools.fake_thingsboard.protobuf import attributes_message, is_protobuf, update_message

GET, POST, PUT = 1, 2, 3
KEY, SECRET = "u7piawkboq8v32dmcmpp", "jpmwdn8ptlswmf4m29bw"
TOKEN = "A1b2C3d4E5f6G7h8I9j0"
PEM = "-----BEGIN CERTIFICATE-----\r\nMIIBdzCC\r\n+/w=\r\n-----END CERTIFICATE-----\r\n"
PROVISION = ("api", "v1", "provision")
NOT_FOUND = Reply(0x80, b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}', 0)
FAILURE = Reply(0x80, b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}', 0)
BAD_REQUEST = Reply(0x80)
CREATED = Reply(0x41, way=BARE)
JSON = 50


def make_thingsboard(strategy="create", **options):
    return ThingsBoard(KEY, SECRET, strategy, randbytes=random.Random(1).randbytes, **options)


def body(**fields):
    request = {"provisionDeviceKey": KEY, "provisionDeviceSecret": SECRET, **fields}
    return json.dumps({name: value for name, value in request.items() if value is not ...}).encode()


def provision(thingsboard, **fields):
    return thingsboard.handle(POST, PROVISION, body(**fields))


def success(value, credentials_type="ACCESS_TOKEN"):
    text = f'{{"credentialsValue":{value},"credentialsType":"{credentials_type}"'
    return Reply(0x41, text.encode() + b',"status":"SUCCESS"}', 0)


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
            {"credentialsType": "MQTT_BASIC", "username": "solo"},
            success('{"clientId":"","userName":"solo","password":""}', "MQTT_BASIC"),
        ),
        (
            {"credentialsType": "X509_CERTIFICATE", "hash": PEM},
            success('"MIIBdzCC+/w="', "X509_CERTIFICATE"),
        ),
        (
            {"credentialsType": "X509_CERTIFICATE", "hash": "nonsense"},
            success('"nonsense"', "X509_CERTIFICATE"),
        ),
        ({"deviceName": 12345, "token": TOKEN}, success(f'"{TOKEN}"')),
        ({"deviceName": "n" * 255, "token": TOKEN}, success(f'"{TOKEN}"')),
        ({"deviceName": "1 < 2 & 3 > 2", "token": TOKEN}, success(f'"{TOKEN}"')),
        ({"provisionDeviceKey": "another"}, NOT_FOUND),
        ({"provisionDeviceKey": ""}, NOT_FOUND),
        ({"provisionDeviceSecret": "wrong"}, NOT_FOUND),
        ({"provisionDeviceSecret": ""}, NOT_FOUND),
        ({"deviceName": "taken"}, FAILURE),
        ({"deviceName": " taken\n"}, FAILURE),
        ({"deviceName": "  "}, FAILURE),
        ({"deviceName": "n" * 256}, FAILURE),
        ({"deviceName": "<b>x</b>"}, FAILURE),
        ({"deviceName": "x</p>"}, FAILURE),
        ({"deviceName": "nu\0l"}, Reply(0xA0, after=19_500)),
        ({"deviceName": "new", "token": "token of taken"}, FAILURE),
        ({"credentialsType": "MQTT_BASIC", "clientId": "c", "password": "p"}, FAILURE),
        ({"provisionDeviceKey": ...}, BAD_REQUEST),
        ({"provisionDeviceSecret": ...}, BAD_REQUEST),
        ({"provisionDeviceSecret": None}, BAD_REQUEST),
        ({"credentialsType": "NONSENSE"}, BAD_REQUEST),
        ({"credentialsType": "access_token"}, BAD_REQUEST),
        ({"credentialsType": "LWM2M_CREDENTIALS", "token": TOKEN}, FAILURE),
        ({"credentialsType": "X509_CERTIFICATE", "token": TOKEN}, FAILURE),
        ({"deviceName": None}, BAD_REQUEST),
        ({"deviceName": {"a": 1}}, BAD_REQUEST),
    ],
)
def test_reply_to_provisioning(fields, reply):
    thingsboard = make_thingsboard()
    thingsboard.add_device("taken", "token of taken")
    assert provision(thingsboard, **fields) == reply
    assert len(thingsboard.devices) == (2 if reply[0] == 0x41 else 1)


@pytest.mark.parametrize(
    "payload",
    [b"{", b"{}", b"[]", b"[1,2]", b'"text"', b"5", b"null", b"hello world", b"\xff\xfe\x00\x01"]
    + [b"\x0a\x05a", b"\x03\x08", b"\x0b\x08\x00\x14", b"\x80" * 11, b"[" * 100_000],
)
def test_a_body_that_is_no_object_is_an_empty_4_00(payload):
    assert make_thingsboard().handle(POST, PROVISION, payload) == BAD_REQUEST


@pytest.mark.parametrize("payload", [b"", b"\x0a\x01a", b"\x08\x96\x01", b"\x0b\x08\x00\x0c"])
def test_what_can_be_read_as_protocol_buffers_is_answered_in_them(payload):
    assert make_thingsboard().handle(POST, PROVISION, payload) == Reply(0x80, b"\x08\x02")


@pytest.mark.parametrize(
    "kind", ["ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE", "LWM2M_CREDENTIALS"]
)
def test_credentials_of_any_type_that_are_not_given_are_a_token_of_the_server_s_own(kind):
    thingsboard = make_thingsboard()
    reply = provision(thingsboard, deviceName="a", credentialsType=kind, token="")
    assert reply == success(f'"{thingsboard.devices["a"].token}"')
    assert len(thingsboard.devices["a"].token) == 20


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
    assert provision(thingsboard, deviceName="a", token=TOKEN) == Reply(0xA0)
    assert thingsboard.devices["a"].token == TOKEN
    assert provision(thingsboard, deviceName="a", token=TOKEN) == FAILURE
    thingsboard.fail_next(after=10_000)
    assert provision(thingsboard, deviceName="b") == Reply(0xA0, after=10_000)


def attributes(token, *query, thingsboard, **options):
    return thingsboard.handle(GET, ("api", "v1", token, "attributes"), b"", query, **options)


def test_token_validation():
    thingsboard = make_thingsboard()
    thingsboard.add_device("a", TOKEN)
    assert attributes(TOKEN, thingsboard=thingsboard) == Reply(0x84, b"", JSON, way=BARE)
    thingsboard.set_attributes("a", "shared", {"v": 1})
    content = Reply(0x45, b'{"shared":{"v":1}}', JSON, way=BARE)
    assert attributes(TOKEN, thingsboard=thingsboard) == content
    thingsboard.change_token("a", "new")
    assert attributes(TOKEN, thingsboard=thingsboard) == Reply(0x81)
    assert attributes("new", thingsboard=thingsboard) == content
    thingsboard.delete_device("a")
    assert attributes("new", thingsboard=thingsboard) == Reply(0x81)
    assert attributes("", thingsboard=thingsboard) == Reply(0xA0, after=10_000)


def test_a_certificate_that_was_known_at_the_handshake_stands_for_its_device_whatever_the_token():
    thingsboard = make_thingsboard()
    thingsboard.add_device("a", certificate=PEM)
    thingsboard.add_device("b", TOKEN)
    thingsboard.set_attributes("b", "shared", {"of": "b"})
    name = thingsboard.name_of_certificate("MIIBdzCC+/w=")
    assert name == "a" and thingsboard.name_of_certificate("another") is None
    for path in [("attributes",), ("NONSENSE", "attributes"), (TOKEN, "attributes")]:
        path = ("api", "v1", *path)
        assert thingsboard.handle(GET, path, name=name) == Reply(0x84, b"", JSON, way=BARE)
    assert thingsboard.handle(GET, ("api", "v1", "attributes")) == Reply(0x81)
    assert thingsboard.handle(POST, ("api", "v1", "telemetry"), b"{}", name=name) == CREATED
    assert thingsboard.handle(POST, ("api", "v1", "rpc", "7"), b"{}", name=name) == CREATED
    assert thingsboard.devices["a"].call_replies == (("7", "{}"),)
    assert provision(thingsboard, deviceName="c", token="c").code == 0x41
    thingsboard.delete_device("a")
    assert thingsboard.handle(GET, ("api", "v1", "attributes"), name=name) == Reply(0x81)
    with pytest.raises(ValueError, match="another device has these credentials"):
        thingsboard.add_device("d", "c")


@pytest.mark.parametrize(
    ("query", "payload"),
    [
        ((), {"client": {"a": 1, "b c": 2}, "shared": {"a": 3, "x=y": 4}}),
        (("clientKeys=q,a",), {"client": {"a": 1}}),
        (("clientKeys=b c", "sharedKeys=none"), {"client": {"b c": 2}}),
        (("clientKeys=b%20c",), None),
        (("sharedKeys=none",), None),
        (("sharedKeys=a", "clientKeys="), {"shared": {"a": 3}}),
        (("sharedKeys=",), {"client": {"a": 1, "b c": 2}, "shared": {"a": 3, "x=y": 4}}),
        (("sharedKeys=x=y",), {"client": {"a": 1, "b c": 2}, "shared": {"a": 3, "x=y": 4}}),
    ],
)
def test_which_attributes_come(query, payload):
    thingsboard = make_thingsboard()
    thingsboard.add_device("a", TOKEN, shared_attributes={"a": 3, "x=y": 4})
    thingsboard.set_attributes("a", "client", {"a": 1, "b c": 2})
    thingsboard.set_attributes("a", "server", {"a": 5})
    reply = attributes(TOKEN, *query, thingsboard=thingsboard)
    assert reply.code == (0x84 if payload is None else 0x45) and reply.way == BARE
    assert (json.loads(reply.payload) if reply.payload else None) == payload
    other = attributes(TOKEN, *query, thingsboard=thingsboard, content_format=0)
    assert other == reply._replace(content_format=0)


def test_posted_attributes_are_seen_and_strings_that_are_numbers_are_numbers():
    thingsboard = make_thingsboard()
    thingsboard.add_device("a", TOKEN)
    text = b"""{"v1":"1.0","v2":"007","v3":"true","v4":"1e3","v5":"","v6":" 5","v7":"1.0.0",
        "v8":"12345678901234567890","v9":null,"w":[1,{"a":"1"}]}"""
    path = ("api", "v1", TOKEN, "attributes")
    assert thingsboard.handle(POST, path, text) == CREATED
    assert json.loads(attributes(TOKEN, thingsboard=thingsboard).payload) == {
        "client": {
            "v1": 1.0,
            "v2": 7,
            "v3": "true",
            "v4": "1e3",
            "v5": "",
            "v6": " 5",
            "v7": "1.0.0",
            "v8": "12345678901234567890",
            "w": [1, {"a": "1"}],
        }
    }
    assert thingsboard.handle(POST, path, b'{"v2":8}') == CREATED
    (value,) = json.loads(
        attributes(TOKEN, "clientKeys=v2", thingsboard=thingsboard).payload
    ).values()
    assert value == {"v2": 8}
    thingsboard.delete_attributes("a", "client", ["v2", "none"])
    assert attributes(TOKEN, "clientKeys=v2", thingsboard=thingsboard).code == 0x84


TELEMETRY = ("api", "v1", TOKEN, "telemetry")


@pytest.mark.parametrize(
    ("code", "path", "payload", "reply"),
    [
        (POST, TELEMETRY, b'{"t":21.5}', CREATED),
        (POST, TELEMETRY, b'{"ts":1451649600512,"values":{"k1":"v1"}}', CREATED),
        (POST, TELEMETRY, b'[{"a":1},{"ts":1451649600512,"values":{"b":2}}]', CREATED),
        (POST, TELEMETRY, b"{}", CREATED),
        (POST, TELEMETRY, b"[]", Reply(0)),
        (POST, TELEMETRY, b"", BAD_REQUEST),
        (POST, TELEMETRY, b'{"a":', BAD_REQUEST),
        (POST, TELEMETRY, b"5", BAD_REQUEST),
        (POST, TELEMETRY, b"hello", BAD_REQUEST),
        (POST, ("api", "v1", TOKEN, "attributes"), b"[]", BAD_REQUEST),
        (POST, ("api", "v1", "unknown", "telemetry"), b"{}", Reply(0x81)),
        (POST, ("api", "v1", "telemetry"), b"{}", Reply(0x81)),
        (POST, ("api", "v1", TOKEN, "nothing"), b"{}", BAD_REQUEST),
        (POST, ("api", "v1"), b"", BAD_REQUEST),
        (POST, (*PROVISION, "extra"), b"{}", BAD_REQUEST),
        (POST, (*PROVISION, ""), b"{}", BAD_REQUEST),
        (GET, TELEMETRY, b"", BAD_REQUEST),
        (GET, PROVISION, b"", BAD_REQUEST),
        (PUT, PROVISION, b"", Reply(0x85)),
        (PUT, ("api", "v1", TOKEN, "attributes"), b"", Reply(0x85)),
        (PUT, (".well-known", "core"), b"", Reply(0x85)),
        (POST, ("api", "v2", "provision"), b"{}", Reply(0x84)),
        (GET, ("elsewhere",), b"", Reply(0x84)),
        (GET, ("",), b"", Reply(0x84)),
        (GET, (), b"", Reply(0x84)),
    ],
)
def test_codes_of_the_device_api(code, path, payload, reply):
    thingsboard = make_thingsboard()
    thingsboard.add_device("a", TOKEN)
    assert thingsboard.handle(code, path, payload) == reply
    assert thingsboard.devices["a"].telemetry == ((payload.decode(),) if reply == CREATED else ())


def test_what_there_is():
    reply = make_thingsboard().handle(GET, (".well-known", "core"))
    assert (reply.code, reply.content_format, reply.way) == (0x45, 40, "piggybacked")
    assert reply.payload.startswith(b"</api>,</api/v1>;obs,</efento>;obs,")


def test_a_profile_for_mqtt_provisions_and_answers_nothing_else():
    thingsboard = make_thingsboard(transport="MQTT")
    assert provision(thingsboard, deviceName="a", token=TOKEN) == success(f'"{TOKEN}"')
    assert attributes(TOKEN, thingsboard=thingsboard) == Reply(0xA0)
    assert thingsboard.handle(POST, TELEMETRY, b"{}") == Reply(0xA0)
    assert attributes("unknown", thingsboard=thingsboard) == Reply(0x81)


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


@pytest.mark.parametrize("settle", [b"\x60\x00\x90\x01", b"\x70\x00\x90\x01"], ids=["ACK", "RST"])
@pytest.mark.parametrize("acknowledged_first", [True, False], ids=["separate", "bare"])
def test_a_confirmable_reply_is_repeated_until_it_is_acknowledged_or_reset(
    acknowledged_first, settle
):
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
    assert duplicates.received(PEER, settle, 4) is None
    assert duplicates.received(PEER, REQUEST, 5) == [EMPTY_ACK]
    assert copy.received(PEER, REQUEST, 5) == [EMPTY_ACK, CONFIRMABLE]


# A profile whose payloads are protobuf

TIME = bytes.fromhex("0880d0c4cfa234")  # field 1: UPDATED_AT


def test_attributes_in_protobuf():
    found = {"client": {"b": True, "f": False}, "shared": {"n": 300, "d": 1.5, "s": "x", "j": [1]}}
    values = {
        "b": "0a01621801",  # key; bool_v; the type, 0, is left out
        "f": "0a0166",
        "n": "0a016e100120ac02",  # key; type LONG_V; long_v
        "d": "0a0164100229000000000000f83f",
        "s": "0a01731003320178",
        "j": "0a016a10043a035b315d",
    }

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    def value(key: str) -> bytes:
        return TIME + field(2, bytes.fromhex(values[key]))

    in_client = b"".join(field(2, value(key)) for key in "bf")
    assert attributes_message(found) == in_client + b"".join(field(3, value(key)) for key in "ndsj")
    update = {"n": 300, "deleted": ["a", "b"]}
    assert update_message(update) == field(1, value("n")) + field(2, b"a") + field(2, b"b")
    negative = update_message({"n": -1})
    assert negative.endswith(bytes.fromhex("100120" + "ff" * 9 + "01"))


@pytest.mark.parametrize(
    ("payload", "is_message"),
    [
        ("", True),
        ("09000000000000f03f", True),
        ("08010d00000000120161", True),
        ("09000000", False),  # cut
        ("1205", False),
        ("08", False),
        ("00", False),  # field 0
        ("0b08000c", True),  # a group
        ("0b", False),  # one without end
        ("08" + "ff" * 11, False),  # a number without end
        ("7b2274656d7065726174757265223a317d", False),  # {"temperature":1}
    ],
)
def test_what_is_protobuf(payload, is_message):
    assert is_protobuf(bytes.fromhex(payload)) == is_message


def test_what_a_profile_for_protobuf_takes_and_refuses():
    thingsboard = ThingsBoard(KEY, SECRET, payload_type="PROTOBUF")
    thingsboard.add_device("a", TOKEN)
    call = thingsboard.call("a", "m")

    def post(*path, payload=b"\x08\x01"):
        return thingsboard.handle(POST, ("api", "v1", TOKEN, *path), payload)

    for path in (("telemetry",), ("attributes",), ("rpc", "0"), ("rpc",), ("claim",)):
        assert post(*path, payload=b"{}") == BAD_REQUEST
    assert post("telemetry") == post("attributes") == post("claim") == post("rpc", "0") == CREATED
    assert post("rpc").code == 0
    device = thingsboard.devices["a"]
    assert device.telemetry == device.claims == ('"0801"',)
    assert device.calls[call.number].reply == '"0801"'
    with pytest.raises(ValueError, match="payload_type is 'XML': it must be one of JSON, PROTOBUF"):
        ThingsBoard(KEY, SECRET, payload_type="XML")


def test_a_last_part_that_is_no_number_makes_it_a_call_of_the_device():
    thingsboard = make_thingsboard()
    thingsboard.add_device("a", TOKEN)
    thingsboard.replies["m"] = 1
    path = ("api", "v1", TOKEN, "rpc", "x")
    assert thingsboard.handle(POST, path, b'{"method":"m"}').payload == b"1"
    assert thingsboard.handle(POST, path, b'{"method":["m"]}').code == 0
    assert thingsboard.devices["a"].call_replies == ()


def test_packages_are_asked_for_as_thingsboard_reads_it():
    thingsboard = make_thingsboard()
    thingsboard.add_device("sensor-1", "TOKEN")
    thingsboard.assign_package("sensor-1", Package("fw", "app", "1.0", b"0123456789"))

    def get(*path, query=()):
        reply = thingsboard.handle(GET, path, query=query)
        return reply.payload or reply.code

    assert get("fw", "TOKEN", query=("size=4", "chunk=2")) == b"89"
    for query in ((), ("size=", "chunk="), ("size=0",), ("size=-1",)):
        assert get("fw", "TOKEN", query=query) == b"0123456789", query
    for path in (("fw",), ("fw", "OTHER"), ("fw", "TOKEN", ""), ("fw", "TOKEN", "attributes")):
        assert get(*path) == 0x81, path
