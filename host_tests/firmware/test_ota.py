"""firmware.thingsboard.ota: what is assigned to a device, and what ThingsBoard is told of it."""

from firmware.errors import FirstbootError
from firmware.thingsboard.ota import assigned, package_path, state_of
from host_tests.firmware.at_work import credentials
from host_tests.firmware.helpers import raises

# As recorded, see host_tests/wire/ota.txt.
VALUES = {
    "fw_title": "app51421",
    "fw_version": "1.0",
    "fw_size": 2900,
    "fw_checksum_algorithm": "SHA256",
    "fw_checksum": "ab12",
}


def test_an_assigned_package():
    package = assigned(VALUES, "fw")
    for key in VALUES:
        assert package[key[3:]] == VALUES[key], key
    assert package["kind"] == "fw" and package == assigned(dict(VALUES, a=1), "fw")
    for key in VALUES:
        other = {"fw_size": 2901}.get(key, "AB13")
        assert assigned(dict(VALUES, **{key: other}), "fw")["mark"] != package["mark"]
    assert package["url"] is None and assigned(VALUES, "sw") is None
    # Numbers by hand, and other attributes.
    other = assigned(dict(VALUES, fw_version=1.5, fw_title=7, interval=60), "fw")
    assert (other["title"], other["version"]) == ("7", "1.5")


def test_what_is_no_package_yet():
    deep = []
    for _ in range(200):
        deep = [deep]
    for key in VALUES:
        without = {each: VALUES[each] for each in VALUES if each != key}
        for values in (without, dict(VALUES, **{key: None}), dict(VALUES, **{key: deep})):
            package = assigned(values, "fw")
            if key in ("fw_title", "fw_version"):
                assert package is None, key
            else:
                assert package["lacks"] == key[3:], key
                assert package["mark"] != assigned(VALUES, "fw")["mark"], key
    for size in (0, -1, "2900", 1.5, True):
        assert assigned(dict(VALUES, fw_size=size), "fw")["lacks"] == "size", size
    assert assigned(VALUES, "fw")["lacks"] is None
    assert assigned({}, "sw") is None


def test_a_package_at_a_url():
    package = assigned({"sw_title": "a", "sw_version": "1", "sw_url": "https://h/a"}, "sw")
    assert package["url"] == "https://h/a" and package["size"] is package["lacks"] is None


def test_paths():
    assert package_path(credentials(), "sw") == "/sw/the-token"
    assert package_path(credentials(value="a/b c"), "fw") == "/fw/a%2Fb%20c"
    assert package_path(credentials("X509_CERTIFICATE", "MIIB"), "fw") == "/fw"
    raises(FirstbootError, package_path, credentials("MQTT_BASIC", {}), "sw")


def test_states():
    running = {"place": "/a", "title": "app", "version": "2", "checksum": ""}
    assert state_of("sw", "DOWNLOADING") == {"sw_state": "DOWNLOADING"}
    assert state_of("fw", "FAILED", "no room", running) == {
        "fw_state": "FAILED",
        "fw_error": "no room",
        "current_fw_title": "app",
        "current_fw_version": "2",
    }
