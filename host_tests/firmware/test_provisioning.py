"""firmware.thingsboard.provisioning: the request, and what every response means."""

import json

from firmware.board.config import KEYS
from firmware.coap.message import Message, uint_bytes
from firmware.thingsboard import provisioning
from firmware.thingsboard.answers import ambiguous
from firmware.thingsboard.device_api import api_path, is_known
from firmware.thingsboard.refusals import Failure, ProvisioningError, Refused
from host_tests.firmware.helpers import raises

HOUR = 3_600_000

FAILURE = b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}'
NOT_FOUND = b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}'


def response(code, payload=b"", max_age=None):
    """Return a response; `max_age` is its option's value, in seconds or as bytes."""
    message = Message()
    message.code = code
    message.payload = payload
    if max_age is not None:
        value = max_age if isinstance(max_age, bytes) else uint_bytes(max_age)
        message.options = [(4, b"etag"), (14, memoryview(value))]
    return message


def read(*arguments):
    return provisioning.read_response(response(*arguments))


def test_success():
    mqtt = {"clientId": "c", "userName": "u", "password": "p"}
    for credentials_type, value in (
        ("ACCESS_TOKEN", "the-token"),
        ("MQTT_BASIC", mqtt),
        ("X509_CERTIFICATE", "MIIB"),
    ):
        reply = {
            "credentialsValue": value,
            "credentialsType": credentials_type,
            "status": "SUCCESS",
        }
        for code in (0x41, 0x44, 0x45):
            assert read(code, json.dumps(reply).encode()) == (credentials_type, value)


# Code and payload, the error, words of its message, words of its fix, retried after at least
OUTCOMES = (
    (0x80, NOT_FOUND, Refused, "NOT_FOUND", ("DeviceKey", "DeviceSecret", "Disabled"), HOUR),
    (0x80, FAILURE, Failure, "FAILURE", ("delete it", "provisionState", "profile", "limit"), HOUR),
    (0x80, b"", Refused, "4.00", ("provisionDeviceKey", "credentialsType"), HOUR),
    (0x80, b"\x08\x01\x12\x05proto", Refused, "4.00", ("`server`",), HOUR),
    (0x81, b"", Refused, "4.01", ("`server`",), HOUR),
    (0x84, b"", Refused, "4.04", ("`server`",), HOUR),
    (0x85, b"", Refused, "4.05", ("`server`",), HOUR),
    (0xA0, b"", ProvisioningError, "5.00", ("log",), 0),
    (0xA0, NOT_FOUND, ProvisioningError, "5.00", ("log",), 0),
    (0xA2, b"", ProvisioningError, "5.02", ("log",), 0),
    (0xA3, b"", ProvisioningError, "5.03", ("log",), 60_000),
    (0xA4, b"", ProvisioningError, "5.04", ("log",), 0),
)


def test_every_outcome():
    for code, payload, error, what, fix, retry_after in OUTCOMES:
        raised = raises(ProvisioningError, read, code, payload)
        assert type(raised) is error, (code, payload)
        assert what in raised.what, raised.what
        for words in fix:
            assert words in raised.fix, raised.fix
        assert raised.retry_after == retry_after, (code, payload)


def test_max_age_says_when_to_ask_again():
    """Of 5.03 in RFC 7252 section 5.9.3.4, of 4.29 in RFC 8516 section 3."""
    for max_age, retry_after in (
        (None, 60_000),
        (0, 0),
        (5, 5_000),
        (256, 256_000),
        (b"\x00\x05", 5_000),
        (0xFFFFFFFF, 0xFFFFFFFF * 1000),
    ):
        for code in (0xA3, 0x9D):
            error = raises(ProvisioningError, read, code, b"", max_age)
            assert not isinstance(error, Refused)
            assert error.retry_after == retry_after, (code, max_age)
    for code in (0xA0, 0xA2, 0x88):
        assert raises(ProvisioningError, read, code, b"", 5).retry_after == 0


def test_max_age_of_a_wrong_length_is_the_default():
    assert raises(ProvisioningError, read, 0xA3, b"", bytes(4) + b"\x05").retry_after == 60_000


def test_what_the_attributes_of_a_token_say():
    for code, accepted in ((0x45, True), (0x41, True), (0x84, True), (0x81, False)):
        assert is_known(response(code)) is accepted, code
    for code, retry_after in ((0xA0, 0), (0xA3, 7_000), (0x80, 0), (0x85, 0)):
        error = raises(ProvisioningError, is_known, response(code, b"", 7))
        assert not isinstance(error, Refused)
        assert "could not work on the request" in error.what and error.fix
        assert error.retry_after == retry_after, code


def test_a_lost_block_is_no_refusal():
    """4.08: what the server had of the body is gone, and the next try sends all of it."""
    error = raises(ProvisioningError, read, 0x88)
    assert not isinstance(error, Refused)


def made(**fields):
    reply = {
        "credentialsValue": "the-token",
        "credentialsType": "ACCESS_TOKEN",
        "status": "SUCCESS",
    }
    reply.update(fields)
    return json.dumps({key: reply[key] for key in reply if reply[key] is not ...}).encode()


MALFORMED = (
    b"",
    b"no JSON",
    b"{",
    b"[]",
    b'"SUCCESS"',
    b"null",
    b"5",
    b'{"status":"SUCCESS"',
    b'{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN","credentialsValue":"\xff\xfe"}',
    b"\xff\xfe\x00",
    b"[" * 4096,
    b'{"a":' * 600 + b"1" + b"}" * 600,
    b"\x00" * 100,
    made(status=...),
    made(status=None),
    made(status=5),
    made(status=["SUCCESS"]),
    made(status="success"),
    made(status="UNHEARD_OF"),
    made(status="x" * 4000),
    made(credentialsType=...),
    made(credentialsType=None),
    made(credentialsType="LWM2M_CREDENTIALS"),
    made(credentialsType=["ACCESS_TOKEN"]),
    made(credentialsType={}),
    made(credentialsValue=...),
    made(credentialsValue=None),
    made(credentialsValue=""),
    made(credentialsValue=5),
    made(credentialsValue={}),
    made(credentialsValue={"token": "the-token"}),
    made(credentialsValue=["the-token"]),
    made(credentialsType="MQTT_BASIC"),
    made(credentialsType="MQTT_BASIC", credentialsValue={}),
    made(credentialsType="X509_CERTIFICATE", credentialsValue=""),
    made(credentialsType="X509_CERTIFICATE", credentialsValue={"a": 1}),
)


def test_malformed_replies():
    for payload in MALFORMED:
        error = raises(ProvisioningError, read, 0x41, payload)
        assert not isinstance(error, Refused), payload
        assert "which is no provisioning response" in error.what
        assert "`server`" in error.fix
        assert "the-token" not in str(error)
        assert len(error.what) < 160
        assert "<class" not in error.what, error.what


def test_success_with_a_code_of_an_error():
    error = raises(ProvisioningError, read, 0x80, made())
    assert "4.00" in error.what and "SUCCESS" in error.what
    assert "the-token" not in str(error)


def test_status_without_success_code_is_told_apart():
    """The body says what happened, whatever the code."""
    raises(Failure, read, 0x41, FAILURE)
    assert not isinstance(raises(Refused, read, 0x41, NOT_FOUND), Failure)


def test_ambiguous():
    failure = raises(Failure, read, 0x80, FAILURE)
    both = ambiguous(failure)
    assert isinstance(both, Failure)
    assert failure.what in both.what and "never got the reply" in both.what
    assert failure.fix in both.fix and "delete it there" in both.fix
    assert both.retry_after == HOUR


def test_request_body():
    fields = {
        "provisionDeviceSecret": "s",
        "deviceName": "n",
        "provisionDeviceKey": "k",
        "gateway": None,
        "token": None,
    }
    body = provisioning.request_body(fields)
    assert json.loads(body) == {
        "deviceName": "n",
        "provisionDeviceKey": "k",
        "provisionDeviceSecret": "s",
    }
    assert body == provisioning.request_body(fields)
    assert body.startswith(b'{"deviceName":') and b", " not in body


def test_request_body_with_every_field():
    names = [line.split(" ")[0] for line in dict(KEYS)["provisioning."].split("\n")]
    fields = {name: "value of %s" % name for name in names}
    fields["gateway"] = False
    body = provisioning.request_body(fields)
    assert json.loads(body) == fields
    places = [body.find(b'"%s":' % name.encode()) for name in sorted(names)]
    assert places == sorted(places) and places[0] >= 0


def test_request_body_of_any_text():
    for text in ("Küche", 'a"b', "a\\b", "a\nb", "\u20ac", "x" * 3000, "{}", "%s"):
        body = provisioning.request_body({"deviceName": text})
        assert json.loads(body) == {"deviceName": text}


def test_the_attributes_of_a_token():
    # A person may choose any token.
    for token, path in (
        ("abc", "/api/v1/abc/attributes"),
        ("a/b?%", "/api/v1/a%2Fb%3F%25/attributes"),
    ):
        credentials = {"credentialsType": "ACCESS_TOKEN", "credentialsValue": token}
        assert api_path(credentials, "attributes") == path
