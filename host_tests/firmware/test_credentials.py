"""firmware.board.credentials: what is on flash is used when it is whole, set aside when not."""

import json

from firmware.board import credentials as store
from firmware.board.storage import Storage
from firmware.errors import FirstbootError
from firmware.provisioning.rejection import ATTEMPT_AGAIN
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import Flash

WHOLE = {
    "server": "coap://thingsboard.example.com",
    "deviceName": "sensor-1",
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": "the-token",
}
ATTEMPT = {
    "server": "coap://thingsboard.example.com",
    "address": "192.0.2.1",
    "provisionDeviceKey": "key",
    "deviceName": "sensor-1",
    "body": "00" * 32,
    "token": "proposed-token",
    "message_id": 0x1234,
    "coap_token": "0011223344556677",
    "port": 20000,
}

TORN = (b"", b"{", b"[]", b"null", b"\xff\xff\xff", b'"text"', b"5", b"{}", b"[" * 5_000)


def made(path=None, content=None):
    flash = Flash()
    if path:
        flash.files[path] = content
    return Storage("", flash.open, flash), flash


def assert_set_aside(load, path, content):
    storage, flash = made(path, content)
    error = raises(FirstbootError, load, storage)
    assert path in error.what and path + ".bad1" in error.what, error.what
    assert flash.files == {path + ".bad1": content}
    assert load(storage) is None


def load_attempt(storage):
    return store.load(storage, store.ATTEMPT)


def test_nothing_there():
    storage, _ = made()
    assert store.load(storage) is None
    assert load_attempt(storage) is None
    storage.remove(store.ATTEMPT)


def test_saved_and_loaded():
    storage, flash = made()
    for credentials_type, value in (
        ("ACCESS_TOKEN", "ä-token"),
        ("MQTT_BASIC", {"clientId": "c", "userName": "u", "password": "p"}),
        ("X509_CERTIFICATE", "-----BEGIN\nEND"),
    ):
        credentials = dict(WHOLE, credentialsType=credentials_type, credentialsValue=value)
        store.save(storage, credentials)
        assert store.load(storage) == credentials
        assert json.loads(flash.files["/credentials.json"]) == credentials


def test_attempt_saved_loaded_and_removed():
    storage, _ = made()
    for changes in ({}, {"token": None}, {"message_id": 0}, {"message_id": 65535}, {"port": 16384}):
        attempt = dict(ATTEMPT)
        attempt.update(changes)
        for path in (store.ATTEMPT, ATTEMPT_AGAIN):
            store.save(storage, attempt, path)
            assert store.load(storage, path) == attempt, changes
            assert store.load(storage) is None
            storage.remove(path)
            assert store.load(storage, path) is None


def test_credentials_and_an_attempt_are_not_taken_for_each_other():
    for path, other in (("/credentials.json", ATTEMPT), ("/attempt.json", WHOLE)):
        content = json.dumps(other).encode()
        assert_set_aside(lambda storage, path=path: store.load(storage, path), path, content)


def test_torn_files_are_set_aside():
    for content in TORN:
        assert_set_aside(store.load, "/credentials.json", content)
        assert_set_aside(load_attempt, "/attempt.json", content)


def test_foreign_credentials_are_set_aside():
    for field in WHOLE:
        foreign = dict(WHOLE)
        del foreign[field]
        assert_set_aside(store.load, "/credentials.json", json.dumps(foreign).encode())
        for value in (None, "", 5, [], {}, True):
            foreign[field] = value
            assert_set_aside(store.load, "/credentials.json", json.dumps(foreign).encode())


def test_foreign_attempt_is_set_aside():
    wrong = {
        "message_id": (None, "5", -1, 65536, 1.5),
        "coap_token": (None, "", "abc", "xy" * 8, 5, "00" * 9, [0] * 16, {"a": 1}),
        "port": (None, "20000", -1, 65536, [], {}),
        "token": (5, [], {}),
        "address": (5, [], ""),
    }
    for field in ATTEMPT:
        foreign = dict(ATTEMPT)
        del foreign[field]
        assert_set_aside(load_attempt, "/attempt.json", json.dumps(foreign).encode())
        for value in wrong.get(field, (None, 5, "")):
            foreign[field] = value
            assert_set_aside(load_attempt, "/attempt.json", json.dumps(foreign).encode())
