"""firmware.board.credentials: what is on flash is used when it is whole, set aside when not."""

import json

from firmware.board import credentials as store
from firmware.board.storage import Storage
from firmware.errors import FirstbootError
from firmware.provisioning import record, record_file
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import Flash

WHOLE = {
    "server": "coap://thingsboard.example.com",
    "deviceName": "sensor-1",
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": "the-token",
}
PROPOSED = {
    "server": "coap://thingsboard.example.com:5683",
    "address": "192.0.2.1",
    "deviceName": "sensor-1",
    "token": "proposed-token",
    "given": False,
}
ATTEMPT = {
    "id": "a1b2c3d4e5f6",
    "replaces": None,
    "server": "coap://thingsboard.example.com:5683",
    "address": "192.0.2.1",
    "body": "00" * 32,
    "message_id": 0x1234,
    "coap_token": "0011223344556677",
    "port": 20000,
    "tokens": [PROPOSED],
}
# The form that has one token, and no board's id.
ONE_TOKEN = {
    "server": "coap://ThingsBoard.example.com",
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


class OneBoard:
    id = "a1b2c3d4e5f6"

    def __init__(self, storage):
        self.storage = storage


def load_attempt(storage):
    return record_file.load(OneBoard(storage))


def test_nothing_there():
    storage, _ = made()
    assert store.load(storage) is None
    assert load_attempt(storage) is None
    storage.remove(record.ATTEMPT)


def test_saved_and_loaded():
    storage, flash = made()
    for credentials_type, value in (
        ("ACCESS_TOKEN", "ä-token"),
        ("MQTT_BASIC", {"clientId": "c", "userName": "u", "password": "p"}),
        ("X509_CERTIFICATE", "-----BEGIN\nEND"),
    ):
        credentials = dict(WHOLE, credentialsType=credentials_type, credentialsValue=value)
        storage.save(store.CREDENTIALS, json.dumps(credentials).encode())
        assert store.load(storage) == credentials
        assert json.loads(flash.files["/credentials.json"]) == credentials


def test_attempt_saved_loaded_and_removed():
    storage, _ = made()
    for changes in (
        {},
        {"tokens": []},
        {"message_id": 0},
        {"message_id": 65535},
        {"port": 16384},
        {"replaces": "00"},
        {"body": "", "address": ""},
        {"tokens": [PROPOSED, dict(PROPOSED, deviceName="another", given=True)]},
    ):
        attempt = dict(ATTEMPT)
        attempt.update(changes)
        storage.save(record.ATTEMPT, record.encoded(attempt))
        assert load_attempt(storage) == attempt, changes
        assert store.load(storage) is None
        storage.remove(record.ATTEMPT)
        assert load_attempt(storage) is None


def test_an_attempt_with_one_token_becomes_one_with_several():
    for token in ("proposed-token", None):
        storage, _ = made(record.ATTEMPT, json.dumps(dict(ONE_TOKEN, token=token)).encode())
        found = load_attempt(storage)
        assert found["tokens"] == ([PROPOSED] if token else [])
        for field in ("server", "address", "body", "message_id", "coap_token", "port"):
            assert found[field] == ATTEMPT[field]
        assert found["replaces"] is None


def test_an_attempt_of_another_board_is_none():
    storage, flash = made(record.ATTEMPT, record.encoded(dict(ATTEMPT, id="another")))
    assert load_attempt(storage) is None
    assert flash.files  # whoever looks for it may still find it


def test_a_save_that_was_cut_before_its_rename_is_finished():
    """FAT removes the old file first: then the temporary one is all there is."""
    newer = dict(WHOLE, credentialsValue="newer-token")
    for old in (None, json.dumps(WHOLE).encode()):
        storage, flash = made("/credentials.json.new", json.dumps(newer).encode())
        if old:
            flash.files["/credentials.json"] = old
        assert store.load(storage) == newer
        assert list(flash.files) == ["/credentials.json"]
        assert store.load(storage) == newer


def test_a_temporary_file_that_is_not_whole_is_none():
    for torn in TORN + (json.dumps(WHOLE).encode()[:-1],):
        storage, flash = made("/credentials.json.new", torn)
        assert store.load(storage) is None
        flash.files["/credentials.json"] = json.dumps(WHOLE).encode()
        assert store.load(storage) == WHOLE


def test_credentials_and_an_attempt_are_not_taken_for_each_other():
    assert_set_aside(store.load, "/credentials.json", record.encoded(ATTEMPT))
    assert_set_aside(load_attempt, "/attempt.json", json.dumps(WHOLE).encode())


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
    not_given = dict(PROPOSED)
    del not_given["given"]
    wrong = {
        "message_id": (None, "5", -1, 65536, 1.5),
        "coap_token": (None, "", "abc", "xy" * 8, 5, "00" * 9, [0] * 16, {"a": 1}),
        "port": (None, "20000", -1, 65536, [], {}),
        "tokens": (5, None, "text", {"a": 1}, [5], [{}], [dict(PROPOSED, token=None)], [not_given]),
        "address": (5, None, []),
        "body": (5, None, []),
        "id": (5, []),
        "replaces": (),
    }
    for field in ATTEMPT:
        foreign = dict(ATTEMPT)
        del foreign[field]
        assert_set_aside(load_attempt, "/attempt.json", json.dumps(foreign).encode())
        for value in wrong.get(field, (None, 5, "")):
            foreign[field] = value
            assert_set_aside(load_attempt, "/attempt.json", json.dumps(foreign).encode())
