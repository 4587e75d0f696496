"""firmware.board.config: every key, every mistake at once, and no secret in any message."""

import json
import sys
from binascii import b2a_base64

from firmware.board import config as configuration
from firmware.board.config import KEYS
from firmware.board.hostname import hostname
from firmware.errors import FirstbootError
from firmware.provisioning.tidying import forget_secret
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import (
    KEY,
    NAME,
    SECRET,
    WIFI_PASSWORD,
    Flash,
    Storage,
    Stub,
    World,
    example,
)

ID = "a1b2c3d4e5f6"
CREDENTIALS = {
    "server": "coap://thingsboard.example.com",
    "deviceName": "sensor-" + ID,
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": "the-token-1234",
}


def check(provisioned=False, chip="ESP32", **changes):
    """Return what is made of the example with these changes; see `example`."""
    return configuration.check(json.dumps(example(**changes)).encode(), ID, provisioned, chip)


def problems(**changes):
    """Return the mistakes that are found in it; `check` says what may change."""
    try:
        check(**changes)
    except FirstbootError as error:
        return mistakes(error)
    return []


def mistakes(error):
    """Return the lines of the error of a config.json, one a mistake."""
    assert (error.state, error.retry_after) == ("config.json", 60_000)
    return error.what.split("\n")


def value_of(config, path):
    section, _, key = path.rpartition("__")
    return (config[section] if section else config)[key]


def b64(content):
    return b2a_base64(content).decode().strip()


# As of an RSA key of 2048 bits.
MODULUS = b64(b"\x80" + b"\1" * 255)
RIGHT = {
    "wifi__ssid": ("a", "x" * 32, "ü" * 16, "with blank"),
    "wifi__password": ("", "12345678", "x" * 63, "f" * 64),
    "wifi__country": ("DE", "US", None),
    "wifi__hostname": ("sensor-1", "a" * 32, None),
    "server": (
        "coap://thingsboard.example.com",
        "coap://thingsboard.example.com/",
        "coap://thingsboard.example.com:5699",
        "COAP://192.0.2.1",
        "coap://[2001:db8::1]:5683",
    ),
    "provisioning__deviceName": ("x", "x" * 255, "Küche"),
    "provisioning__provisionDeviceKey": ("k",),
    "provisioning__provisionDeviceSecret": ("s",),
    "provisioning__gateway": (True, False, None),
    "provisioning__credentialsType": ("ACCESS_TOKEN", None),
    "provisioning__token": ("t", None),
    "provisioning__clientId": ("c", None),
    "provisioning__username": ("u", "", None),
    "provisioning__password": ("p", "", None),
    "provisioning__hash": ("-----BEGIN CERTIFICATE-----", None),
    "access_token": ("device", "server"),
    "verify": (True, False),
    "ntp": (["pool.ntp.org"], ["192.0.2.1", "ntp.example"], [], None),
    "forget_secret": (True, False),
    "watchdog": (1, 8, 86_400, None),
    "restart_after_crash": (1, 60, 86_400, None),
    "led": (0, 2, "LED", "GP15", None),
    "codec": ("firmware", "microcoapy"),
    "update__key": (MODULUS, b64(b"\xff" * 512), None),
    "update__trial": (1, 86_400),
    "update__contact": (1, 86_400),
    "update__spread": (1, 86_400),
    "wifi__ssid_hex": ("ff" * 32, "00"),
    "onboarding": (True, False, "portal"),
    "onboarding_password": ("", "12345678", "x" * 63, None),
    "onboarding_pin": (0, "GP15", None),
}

WRONG = {
    "wifi__ssid": ("", "x" * 33, "ü" * 17, 5, None, []),
    "wifi__password": ("1234567", "x" * 65, 12345678, None),
    "wifi__country": ("de", "DEU", "D", "1X", "ÄÖ", 49, ""),
    "wifi__hostname": ("", "a b", "-a", "a-", "a" * 33, "küche", 5),
    "server": (
        "",
        "thingsboard.example.com",
        "http://thingsboard.example.com",
        "coap://",
        "coap://host/api/v1/provision",
        "coap://host:0",
        "coap://host:65536",
        "coap://host:x",
        "coap://2001:db8::1",
        "coap://user:password@host",
        5,
        None,
    ),
    "provisioning__deviceName": ("", "  ", "x" * 256, 5, None, []),
    "provisioning__provisionDeviceKey": ("", " ", 5, None),
    "provisioning__provisionDeviceSecret": ("", " ", 5, None),
    "provisioning__gateway": ("true", 1),
    "provisioning__credentialsType": ("access_token", "", 5, ["ACCESS_TOKEN"]),
    "provisioning__token": ("", " ", 5, "a/b", "a?b", "a&b", "a#b"),
    "provisioning__clientId": (5,),
    "provisioning__username": (5, True),
    "provisioning__password": (5,),
    "provisioning__hash": (5, []),
    "access_token": ("board", "", None, True),
    "verify": ("true", 1, 0, None),
    "ntp": ("pool.ntp.org", 5, [5], [""], ["ntp.example", None], {}, False),
    "forget_secret": ("yes", 1, None),
    "watchdog": (0, -1, 1.5, "8", True, 86_401),
    "restart_after_crash": (0, -1, 0.5, "10", True, 86_401),
    "led": (-1, "", 1.5, True),
    "codec": ("aiocoap", None, 5),
    "update__key": (
        "",
        5,
        [],
        "no base64!",
        MODULUS[:-8],
        b64(b"\x7f" + b"\1" * 255),
        b64(b"\x80" + b"\1" * 254 + b"\2"),
        b64(b"\x80" + b"\1" * 512),
    ),
    "update__trial": (0, 86_401, None, "1", True, 1.5),
    "update__contact": (0, 86_401, None, "1", True, 1.5),
    "update__spread": (0, 86_401, None, "1", True, 1.5),
    "wifi__ssid_hex": ("", "f", "fff", "FF", "0x", "ff" * 33, 5),
    "onboarding": ("improv", "", 1, 0, None, []),
    "onboarding_password": ("1234567", "x" * 64, "pässword", 12345678),
    "onboarding_pin": (-1, "", 1.5, True),
}
# What each of them goes with.
BESIDE = {
    "wifi__ssid_hex": {"wifi__ssid": ...},
    "onboarding": {"onboarding_password": "label-1234"},
    "onboarding_pin": {"onboarding": True, "onboarding_password": "label-1234"},
}


def test_every_key_right():
    for path in RIGHT:
        for value in RIGHT[path]:
            beside = BESIDE.get(path, {})
            config = check(**dict(beside, **{path: value}))
            expected = ID.join(value.split("{id}")) if path.endswith("deviceName") else value
            if path != "wifi__hostname" or value:
                assert value_of(config, path) == expected, (path, value)


def test_every_key_wrong():
    for path in WRONG:
        for value in WRONG[path]:
            found = problems(**dict(BESIDE.get(path, {}), **{path: value}))
            assert len(found) == 1, (path, value, found)
            assert found[0].startswith("`%s` is " % path.replace("__", ".")), found
            assert found[0].endswith(" belongs there"), found


def test_every_key_is_tested():
    tested = {path.replace("__", ".") for path in RIGHT}
    assert tested == {path.replace("__", ".") for path in WRONG}
    elsewhere = {"ca", "certificate", "key", "wifi", "provisioning", "update"}
    keys = {section + line.split(" ")[0] for section, lines in KEYS for line in lines.split("\n")}
    assert keys - tested == elsewhere


def test_updates_are_asked_for():
    assert check()["update"] is check(update=None)["update"] is None
    defaults = {"key": None, "trial": 7200, "contact": 3600, "spread": 600}
    assert check(update={})["update"] == defaults
    (found,) = problems(update=True)
    assert found.startswith("`update` is true") and "an object" in found


def test_required_keys_missing():
    required = (
        "wifi__ssid",
        "server",
        "provisioning__deviceName",
        "provisioning__provisionDeviceKey",
        "provisioning__provisionDeviceSecret",
    )
    for path in RIGHT:
        found = problems(**{path: ...}) if path in required else []
        if path in required:
            assert len(found) == 1
            assert found[0].startswith("`%s` is missing; " % path.replace("__", ".")), found
    error = raises(FirstbootError, configuration.check, b"{}", ID)
    assert len(mistakes(error)) == len(required)


def test_defaults():
    config = check(wifi__password=...)
    assert config["wifi"]["password"] == ""
    assert config["wifi"]["country"] is None
    assert config["wifi"]["hostname"] == "sensor-" + ID
    assert config["access_token"] == "device"
    assert config["watchdog"] is config["restart_after_crash"] is None
    assert config["led"] == "LED"
    assert config["codec"] == "firmware"
    assert config["forget_secret"] is False
    for field in (
        "gateway",
        "credentialsType",
        "token",
        "clientId",
        "username",
        "password",
        "hash",
    ):
        assert config["provisioning"][field] is None


def test_all_mistakes_at_once():
    found = problems(
        wifi__ssid="",
        wifi__contry="DE",
        server="http://x",
        provisioning__provisionDeviceKey=...,
        led=True,
        restart=5,
    )
    for path in (
        "wifi.ssid",
        "wifi.contry",
        "server",
        "provisioning.provisionDeviceKey",
        "led",
        "restart",
    ):
        assert len([problem for problem in found if problem.startswith("`%s` " % path)]) == 1
    assert len(found) == 6


def test_unknown_keys():
    for written, meant in (
        ("wifi__pasword", "wifi.password"),
        ("wifi__SSID", "wifi.ssid"),
        ("wifi__contry", "wifi.country"),
        ("sever", "server"),
        ("Server", "server"),
        ("provisioning__devicename", "provisioning.deviceName"),
        ("provisioning__provisionDeviceKay", "provisioning.provisionDeviceKey"),
        ("provisioning__provisioningDeviceSecret", "provisioning.provisionDeviceSecret"),
        ("watch_dog", "watchdog"),
        ("LED", "led"),
        ("accessToken", "access_token"),
        ("ssid", "wifi.ssid"),
        ("deviceName", "provisioning.deviceName"),
        ("provisionDeviceKey", "provisioning.provisionDeviceKey"),
        ("wifi__server", "server"),
        ("wifi__passphrase", "wifi.password"),
        ("wifi__pass", "wifi.password"),
        ("wifi__host", "wifi.hostname"),
        ("host", "server"),
        ("password", "wifi.password"),
        ("psk", "wifi.password"),
        ("provisioning__ssid", "wifi.ssid"),
        ("wifi_name", "wifi.ssid"),
        ("provision_key", "provisioning.provisionDeviceKey"),
        ("wifi__deviceSecret", "provisioning.provisionDeviceSecret"),
        ("provisioning__user", "provisioning.username"),
    ):
        found = problems(**{written: "x"})
        expected = "`%s` is not known; did you mean `%s`?" % (written.replace("__", "."), meant)
        assert found == [expected], found


def test_a_key_that_misspells_none_is_not_shown():
    for section, where in (("", "config.json"), ("wifi__", "`wifi`"), ("provisioning__", "`prov")):
        for key in (
            "Geh3im-Geh3im",
            "hunter2",
            "s3cr3t",
            "",
            "-",
            "ü" * 80,
            "x.y",
            "profile-key",
        ):
            (found,) = problems(**{section + key: 1})
            assert found.startswith(where), found
            assert found.endswith(" has a key of %d characters that is not known" % len(key)), found


def test_an_unknown_section_is_a_section():
    for written, meant in (("wi-fi", "wifi"), ("WiFi", "wifi"), ("provision", "provisioning")):
        found = problems(**{written: {}})
        assert found == ["`%s` is not known; did you mean `%s`?" % (written, meant)], found


def test_a_dotted_key_at_the_top_is_not_known():
    found = problems(**{"wifi.country": "DE"})
    assert len(found) == 1 and found[0].startswith("`wifi.country` is not known"), found


def test_a_key_that_is_no_string():
    """MicroPython's json takes it."""
    content = json.dumps(example()).encode()
    raises(FirstbootError, configuration.check, b"{5: 1, " + content[1:], ID)


def test_sections_that_are_no_objects():
    for section in ("wifi", "provisioning"):
        for value in (5, None, [], "text"):
            given = example()
            given[section] = value
            error = raises(FirstbootError, configuration.check, json.dumps(given).encode(), ID)
            first = mistakes(error)[0]
            assert first.startswith("`%s` is " % section) and "; an object" in first


def test_no_secret_is_shown():
    secret = "Geh3im-" * 10
    for path in (
        "wifi__password",
        "provisioning__provisionDeviceKey",
        "provisioning__provisionDeviceSecret",
        "provisioning__token",
        "provisioning__password",
        "provisioning__hash",
    ):
        for value in (secret, secret[:7], 46464646, [secret], {"x": secret}, -46464646):
            for problem in problems(**{path: value}):
                assert "Geh3im" not in problem and "46464646" not in problem, problem
    for section in ("wifi", "provisioning"):
        for value in ([secret], secret, 46464646, [46464646]):
            given = example()
            given[section] = value
            error = raises(FirstbootError, configuration.check, json.dumps(given).encode(), ID)
            assert "Geh3im" not in str(error) and "46464646" not in str(error), str(error)
    for problem in problems(server="coap://user:Geh3im@host"):
        assert "Geh3im" not in problem, problem


def test_what_is_there_is_shown_short():
    (found,) = problems(access_token="board")
    assert found == '`access_token` is a string of 5 characters; "device" or "server" belongs there'
    (found,) = problems(verify=0)
    assert found == "`verify` is of type int; true or false belongs there"
    (found,) = problems(watchdog=86_401)
    assert found.startswith("`watchdog` is 86401; ")
    (found,) = problems(led=-46464646)
    assert found.startswith("`led` is of type int; ")
    (found,) = problems(wifi__ssid="x" * 5000)
    assert len(found) < 160
    (found,) = problems(wifi__password="short")
    assert found.startswith("`wifi.password` is a string of 5 characters; ")
    (found,) = problems(wifi__ssid={"ssid": "Home", "password": WIFI_PASSWORD})
    assert found.startswith("`wifi.ssid` is of type dict; ")
    (found,) = problems(codec=None)
    assert found == '`codec` is null; "firmware" or "microcoapy" belongs there'


def test_the_board_id_in_the_device_name():
    for written, name in (
        ("sensor-{id}", "sensor-" + ID),
        ("{id}", ID),
        ("{id}{id}", ID + ID),
        (" padded {id}\t", "padded " + ID),
        ("{}", "{}"),
        ("100%s", "100%s"),
    ):
        assert check(provisioning__deviceName=written)["provisioning"]["deviceName"] == name
    assert len(problems(provisioning__deviceName="x" * 240 + "{id}")) == 0
    assert len(problems(provisioning__deviceName="x" * 244 + "{id}")) == 1


def test_the_board_id_in_what_else_is_the_boards_own():
    for key in ("token", "clientId", "username"):
        config = check(**{"provisioning__" + key: "a-{id}-b"})
        assert config["provisioning"][key] == "a-%s-b" % ID
        assert config["own_token"] is (key == "token")
    for key in ("provisionDeviceKey", "provisionDeviceSecret", "password", "hash"):
        assert check(**{"provisioning__" + key: "{id}"})["provisioning"][key] == "{id}"
    assert check()["own_token"] is check(provisioning__token="fixed")["own_token"] is False


# Of what is refused only before a board is provisioned: what is wrong, and what is right instead.
DOUBTFUL = (
    (
        {"provisioning__deviceName": "s-{ID}"},
        "`provisioning.deviceName` has `{ID}` in it; did you mean `{id}`?",
        {"provisioning__deviceName": "s-{id}"},
    ),
    (
        {"provisioning__token": "{Id}-{id}"},
        "`provisioning.token` has `{ID}` in it; did you mean `{id}`?",
        {"provisioning__token": "{id}-{id}"},
    ),
    (
        {"provisioning__clientId": "{iD}"},
        "`provisioning.clientId` has `{ID}` in it; did you mean `{id}`?",
        {"provisioning__clientId": "{id}"},
    ),
    (
        {"provisioning__username": "{ID}"},
        "`provisioning.username` has `{ID}` in it; did you mean `{id}`?",
        {"provisioning__username": "{}"},
    ),
    (
        {"provisioning__credentialsType": "MQTT_BASIC"},
        "`provisioning.clientId` is missing; for MQTT_BASIC",
        {"provisioning__credentialsType": "MQTT_BASIC", "provisioning__username": "u"},
    ),
    (
        {"provisioning__credentialsType": "MQTT_BASIC", "provisioning__clientId": ""},
        "`provisioning.clientId` is missing; for MQTT_BASIC",
        {"provisioning__credentialsType": "MQTT_BASIC", "provisioning__clientId": "c"},
    ),
    (
        {"provisioning__credentialsType": "MQTT_BASIC", "provisioning__hash": "h"},
        "`provisioning.clientId` is missing; for MQTT_BASIC",
        {"provisioning__credentialsType": "MQTT_BASIC", "provisioning__password": "p"},
    ),
    (
        {"provisioning__credentialsType": "X509_CERTIFICATE"},
        "`provisioning.hash` is missing; for X509_CERTIFICATE",
        {"provisioning__credentialsType": "X509_CERTIFICATE", "provisioning__hash": "h"},
    ),
    (
        {"provisioning__credentialsType": "X509_CERTIFICATE", "provisioning__token": "t"},
        "`provisioning.hash` is missing; for X509_CERTIFICATE",
        {
            "provisioning__credentialsType": "X509_CERTIFICATE",
            "server": "coaps://host",
            "ca": "ca.pem",
            "certificate": "c.pem",
            "key": "k.pem",
        },
    ),
    (
        {"wifi__password": "z" * 64},
        "`wifi.password` is a string of 64 characters; then all have to be hex digits",
        {"wifi__password": "0123456789abcdefABCDEF" + "0" * 42},
    ),
    ({"led": 1}, "`led` is a pin that carries the console", {"led": 2}),
    ({"led": 3}, "`led` is a pin that carries the console", {"led": 30}),
    ({"led": 6}, "`led` is a pin that leads to the flash", {"led": 5}),
    ({"led": 11}, "`led` is a pin that leads to the flash", {"led": 12}),
    ({"led": 34}, "`led` is a pin that can only be read", {"led": 33}),
    ({"led": 39}, "`led` is a pin that can only be read", {"led": 39, "chip": "ESP32S3"}),
    ({"led": 1, "chip": "ESP32"}, "`led` is a pin", {"led": 1, "chip": "ESP32S3"}),
    ({"led": 30, "chip": "ESP32S3"}, "`led` is a pin", {"led": 38, "chip": "ESP32S3"}),
    ({"led": 12, "chip": "ESP32C3"}, "`led` is a pin", {"led": 8, "chip": "ESP32C3"}),
    ({"led": 25, "chip": "RP2040"}, "`led` is a pin that leads to the radio", {"led": 25}),
    (
        {"led": "GP25", "chip": "RP2350"},
        "`led` is a pin that leads to the radio",
        {"led": "GP22", "chip": "RP2350"},
    ),
    ({"led": 23, "chip": "RP2040"}, "`led` is a pin", {"led": "LED", "chip": "RP2040"}),
    ({"server": "coap://224.0.1.187"}, "`server`: a server has", {"server": "coap://192.0.2.1"}),
    ({"server": "coap://a..b"}, "`server`: a host name", {"server": "coap://a.b."}),
    ({"provisioning__token": ".."}, "`provisioning.token`", {"provisioning__token": "..."}),
    (
        {"provisioning__token": "t" * 256},
        "`provisioning.token`",
        {"provisioning__token": "t" * 255},
    ),
)


def test_what_is_doubtful():
    for wrong, mistake, right in DOUBTFUL:
        (found,) = problems(**wrong)
        assert found.startswith(mistake), found
        assert problems(**right) == [], right
        assert check(provisioned=True, **wrong)["wifi"]["ssid"] == "Home"


def test_what_is_doubtful_is_told_with_the_rest():
    found = problems(led=1, watchdog=0, provisioning__provisionDeviceKey=5)
    assert len(found) == 3, found
    for section in ("wifi", "provisioning"):
        assert len(problems(**{section: 5})) >= 2


def test_a_provisioned_board_says_what_is_doubtful_and_goes_on():
    for wrong, mistake, _ in DOUBTFUL:
        chip = wrong.get("chip", "ESP32")
        world = World(example(**{key: wrong[key] for key in wrong if key != "chip"}))
        world.chip = chip
        world.put("/credentials.json", CREDENTIALS)
        _, config = world.power_up()
        assert config["led"] == wrong.get("led", "LED") and not world.sent
        assert world.find("config.json should be corrected") and world.find("  " + mistake)
        # What an application does.
        assert configuration.load(world.board, provisioned=True)["own_token"] in (True, False)
    world = World()
    world.put("/credentials.json", CREDENTIALS)
    world.power_up()
    assert not world.find("config.json")


def test_nothing_is_sent_for_what_is_doubtful():
    world = World(example(provisioning__credentialsType="MQTT_BASIC"))
    assert world.power_up(tries=2) is None
    assert not world.sent and len(world.find("config.json: `provisioning.clientId`")) == 2


def test_hostnames():
    for name, expected in (
        ("sensor-1", "sensor-1"),
        ("Sensor 1", "Sensor-1"),
        ("a_b.c/d", "a-b-c-d"),
        ("Küche", "Kche"),
        ("Датчик", "firstboot"),
        ("--x--", "x"),
        ("a0z9A@Z[`{/:\x7f", "a0z9A-Z"),
        ("XxX", "XxX"),
        ("...", "firstboot"),
        ("x" * 40, "x" * 32),
        ("x" * 31 + "-y", "x" * 31),
    ):
        assert hostname(name) == expected
        config = check(provisioning__deviceName=name)
        assert config["wifi"]["hostname"] == expected
    assert check(wifi__hostname="mine")["wifi"]["hostname"] == "mine"


def test_a_byte_order_mark():
    content = b"\xef\xbb\xbf" + json.dumps(example()).encode()
    assert configuration.check(content, ID)["wifi"]["ssid"] == "Home"


def test_what_is_no_json():
    for content in (
        b"",
        b"{",
        b"\xff\xfe{\x00}\x00",
        b'{"server": "\xfc"}',
        b"{'server': 1}",
        b"[" * 5_000 + b"]" * 5_000,
    ):
        for provisioned in (False, True):
            error = raises(FirstbootError, configuration.check, content, ID, provisioned)
            (mistake,) = mistakes(error)
            assert mistake.startswith("config.json is "), content[:20]
            assert "json.tool" in error.fix


def test_what_is_no_object():
    for content in (b"[]", b"null", b'"text"', b" 5 "):
        for provisioned in (False, True):
            error = raises(FirstbootError, configuration.check, content, ID, provisioned)
            assert mistakes(error) == ["config.json is JSON, but no object"]


TEXT = """\
{
  "wifi": {"ssid": "Home", "password": "wifi-password-1234"},
  "server": "coap://thingsboard.example.com",
  "provisioning": {
    "deviceName": "sensor-{id}",
    "provisionDeviceKey": "profile-key-1234",
    "provisionDeviceSecret": "profile-secret-1234"
  }
}
"""
# Changes to it after which MicroPython's json still takes it.
LAX = (
    (': "profile-key-1234"', ": "),
    ('"server":', '"server"'),
    ('com",', 'com"'),
    ("sensor-", "sen\\sor-"),
    ('"\n  }', '",\n  }'),
    ("}\n}", "}\n]"),
    ("{", "{,"),
    ('  "wifi"', '  "server": "coap://other", "wifi"'),
)


def test_what_only_micropython_takes_for_json():
    for change in LAX:
        content = TEXT.replace(*change).encode()
        assert content != TEXT.encode()
        error = raises(FirstbootError, configuration.check, content, ID)
        (mistake,) = mistakes(error)
        assert mistake.startswith("config.json is no JSON: line "), change
        for secret in (KEY, SECRET, WIFI_PASSWORD):
            assert secret not in str(error)


def test_a_provisioned_board_goes_on_with_what_it_took():
    world = World(TEXT.replace(*LAX[-1]).encode())
    world.put("/credentials.json", CREDENTIALS)
    _, config = world.power_up()
    assert config["server"] == "coap://" + NAME
    assert world.find("config.json should be corrected")
    assert world.find("  config.json is no JSON: line 3, column 3: this key is in its object a")
    assert configuration.load(world.board, provisioned=True)["server"] == config["server"]


def test_a_letter_in_two_escapes():
    """MicroPython's json makes two broken letters of it, so nobody may write it."""
    for text in ("\\uD83C\\udf21", "\\ud9ff\\uDC00", "\\udbff\\udfff", "\\uddff", "\\uDe00"):
        content = json.dumps(example()).replace("sensor-", text).encode()
        error = raises(FirstbootError, configuration.check, content, ID)
        (mistake,) = mistakes(error)
        assert "escapes" in mistake and "UTF-8" in error.fix
    for text in ("k\u00fcche", "c:\\\\ud8ta", "\\\\\\\\udc00"):
        content = json.dumps(example()).replace("sensor-", text).encode()
        configuration.check(content, ID)


def test_no_config_says_how_to_make_one():
    world = World(None)
    error = raises(FirstbootError, configuration.load, world.new_board())
    assert error.what == "there is no /config.json"
    command, *example = error.fix.split("\n")
    assert "mpremote cp config.json :config.json" in command
    assert set(json.loads("".join(example))) == {"wifi", "server", "provisioning"}
    raises(FirstbootError, forget_secret, world.new_board())


def test_a_provisioned_board_needs_no_key_and_no_secret():
    given = example(provisioning__provisionDeviceKey=..., provisioning__provisionDeviceSecret=...)
    content = json.dumps(given).encode()
    assert len(mistakes(raises(FirstbootError, configuration.check, content, ID))) == 2
    assert configuration.check(content, ID, True)["wifi"]["ssid"] == "Home"
    del given["provisioning"]
    error = raises(FirstbootError, configuration.check, json.dumps(given).encode(), ID, True)
    (mistake,) = mistakes(error)
    assert "deviceName" in mistake


def test_the_secret_is_forgotten():
    flash = Flash()
    board = Stub(storage=Storage("", flash.open, flash), id=ID, chip="")
    flash.files["/config.json"] = json.dumps(example(forget_secret=True)).encode()
    forget_secret(board)
    assert SECRET.encode() not in flash.files["/config.json"]
    assert json.loads(flash.files["/config.json"]) == example(
        forget_secret=True, provisioning__provisionDeviceSecret=...
    )
    flash.begin()
    forget_secret(board)
    assert flash.count("write", "/config.json.new") == 0
    flash.files["/config.json.new"] = json.dumps(example()).encode()[:-20]
    forget_secret(board)
    assert list(flash.files) == ["/config.json"]
    assert configuration.load(board, provisioned=True)["provisioning"]["provisionDeviceKey"] == KEY


def test_a_secret_whose_forgetting_was_cut_on_fat_is_forgotten():
    """The old file was removed, and the new one had not taken its place."""
    flash = Flash()
    board = Stub(storage=Storage("", flash.open, flash), id=ID, chip="")
    content = json.dumps(example(forget_secret=True, provisioning__provisionDeviceSecret=...))
    flash.files["/config.json.new"] = content.encode()
    assert configuration.load(board, provisioned=True)["forget_secret"]
    assert flash.files == {"/config.json": content.encode()}


def test_a_good_config_loads_no_explanations():
    sys.modules.pop("firmware.board.config_mistakes", None)
    check()
    assert "firmware.board.config_mistakes" not in sys.modules


def test_the_example_is_right():
    config = check()
    assert config["provisioning"]["provisionDeviceSecret"] == SECRET
    assert config["wifi"]["password"] == WIFI_PASSWORD


# coaps


COAPS = {"server": "coaps://thingsboard.example.com", "ca": "ca.der"}


def test_coaps():
    config = check(**COAPS)
    assert config["verify"] is True and config["ntp"] == ["pool.ntp.org"]
    for changes in (
        {"ntp": None},
        {"ntp": ["192.0.2.1", "ntp.example"]},
        {"verify": False},
        {"certificate": "device.der", "key": "device.key"},
    ):
        changes.update(COAPS)
        assert not problems(**changes), changes
    assert not problems(server="COAPS://h", verify=False)


def test_coaps_wants_a_ca_unless_nothing_is_verified():
    for changes in ({}, {"verify": True}, {"ca": None}):
        (problem,) = problems(server="coaps://h", **changes)
        assert problem.startswith("`ca` is missing")
    (problem,) = problems(server="coaps://h", ca="")
    assert problem.startswith("`ca` is a string of 0 characters")


def test_a_certificate_and_its_key_go_together():
    for key, other in (("certificate", "key"), ("key", "certificate")):
        changes = {key: "file"}
        changes.update(COAPS)
        (problem,) = problems(**changes)
        assert problem == "`%s` is missing; over coaps `%s` needs it" % (other, key)


def test_certificates_without_coaps_are_a_mistake():
    """Whoever names a CA means to be safe: a forgotten s must not send the secret in the clear."""
    for key in ("ca", "certificate", "key"):
        changes = {"certificate": "c", "key": "k"} if key != "ca" else {}
        changes[key] = "file"
        for found in (problems(**changes), problems(**{key: "file"})):
            assert "`%s` is for coaps, but `server` begins with coap://" % key in found


def test_other_mistakes_come_before_those_of_coaps():
    (problem,) = problems(server="coaps://h", ntp="pool.ntp.org")
    assert problem.startswith("`ntp` is")


# Several networks


def test_wifi_may_be_a_list():
    networks = [{"ssid": "Home", "password": "12345678"}, {"ssid": "Garage", "country": "DE"}]
    config = check(wifi=networks)
    assert [wifi["ssid"] for wifi in config["networks"]] == ["Home", "Garage"]
    assert config["networks"][1]["password"] == ""
    assert config["networks"][1]["hostname"] == config["networks"][0]["hostname"]
    config = check()
    assert config["networks"] == [config["wifi"]]


def test_mistakes_in_a_list_of_networks():
    for networks, words in (
        ([], "an object, or a list of 1 to 8"),
        ([{"ssid": "a"}] * 9, "an object, or a list of 1 to 8"),
        (["Home"], "an object, or a list of 1 to 8"),
        ("Home", "an object, or a list of 1 to 8"),
        ([{"ssid": "a"}, {"password": "12345678"}], "`wifi[1].ssid` is missing"),
        ([{"ssid": "a"}, {"ssid": "b", "password": "short"}], "`wifi[1].password` is a string"),
        ([{"ssid": "a"}, {"ssid": "b", "passwort": "x"}], "did you mean `wifi.password`?"),
        ([{"ssid": "a"}, {"ssid": "b", "password": "g" * 64}], "all have to be hex digits"),
    ):
        error = raises(FirstbootError, check, wifi=networks)
        assert words in error.what, error.what


MISSING = {
    "wifi": ["wifi.ssid"],
    "server": ["server"],
    "provisioning__deviceName": ["provisioning.deviceName"],
    "provisioning__provisionDeviceKey": ["provisioning.provisionDeviceKey"],
    "provisioning__provisionDeviceSecret": ["provisioning.provisionDeviceSecret"],
}
ONBOARDING = {"onboarding": "portal", "onboarding_password": "label-1234"}


def asked_for(**changes):
    """Return the paths that a person is asked for."""
    asked = []
    content = json.dumps(example(**dict(ONBOARDING, **changes))).encode()
    configuration.check(content, ID, asked=asked)
    return asked


def test_what_onboarding_asks_for_may_be_missing():
    assert asked_for() == []
    for path in MISSING:
        changes = {path: ...}
        if path == "server":
            # Else who names the server is told the secret.
            for key in ("provisionDeviceSecret", "token", "password"):
                known = dict(changes, **{"provisioning__" + key: "a secret"})
                error = raises(FirstbootError, asked_for, **known)
                assert "provisioning.%s` is not: who names" % key in error.what
            changes["provisioning__provisionDeviceSecret"] = ...
            assert sorted(asked_for(**changes)) == sorted(
                MISSING[path] + ["provisioning.provisionDeviceSecret"]
            )
        else:
            assert asked_for(**changes) == MISSING[path]
        # For who does not ask, and where nobody can be asked, it is a mistake.
        assert problems(**dict(ONBOARDING, **changes))
        assert raises(FirstbootError, asked_for, onboarding=False, **changes)
    asked = []
    configuration.check(json.dumps(ONBOARDING).encode(), ID, asked=asked)
    assert len(asked) == 5
    assert asked_for(wifi={"country": "DE"}) == ["wifi.ssid"]
    assert asked_for(wifi__ssid_hex="ff", wifi__ssid=...) == []
    assert raises(FirstbootError, asked_for, wifi=[{}])


def test_what_onboarding_wants_besides():
    (found,) = problems(onboarding=True)
    assert found.startswith("`onboarding_password` is missing; ")
    (found,) = problems(onboarding_pin=4)
    assert "opens nothing" in found
    (found,) = problems(led=4, onboarding_pin=4, **ONBOARDING)
    assert "the same pin" in found
    (found,) = problems(onboarding_pin=6, **ONBOARDING)
    assert found == "`onboarding_pin` is a pin that leads to the flash"
    assert problems(onboarding_pin=34, **ONBOARDING) == []
    (found,) = problems(wifi__ssid_hex="ff")
    assert "both" in found


def test_names_in_the_air():
    assert check(wifi__ssid="Küche")["networks"][0]["name"] == "Küche".encode()
    config = check(wifi=[{"ssid_hex": "ff00"}, {"ssid": "a"}])
    assert [(wifi["ssid"], wifi["name"]) for wifi in config["networks"]] == [
        (b"\xff\0", b"\xff\0"),
        ("a", b"a"),
    ]
