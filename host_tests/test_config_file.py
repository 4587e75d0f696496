"""A config.json with a mistake: its file, its line, its column, and what to write."""

from __future__ import annotations

import json
import re

import pytest

from host_tests.power_up_bench import config_for
from tools.flash import content
from tools.flash.config_file import ConfigError

GOOD = json.dumps(config_for("coap://example.com"), indent=2)
MISTAKES = {
    "typographic quotes": (
        GOOD.replace('"wifi"', "“wifi”"),
        "column 3: a typographic quote; JSON has only",
    ),
    "a comment": (GOOD.replace('  "wifi"', '  // mine\n  "wifi"'), "line 2, column 3: a comment"),
    "a hash comment": ("# mine\n" + GOOD, "line 1, column 1: a comment"),
    "no comma": (
        re.sub(r",\n  \"server\"", '\n  "server"', GOOD),
        "line 6, column 3: a comma is missing before this",
    ),
    "a comma too many": (GOOD[:-2] + ",\n}", "the comma before this bracket is one too many"),
    "a single quote": (GOOD.replace('"wifi"', "'wifi'"), "column 3: a single quote; JSON has only"),
    "Python's true": (
        GOOD[:-2] + ',\n  "verify": True\n}',
        "true, false and null are written small",
    ),
    "no end": (GOOD[:-2], "it ends too early; a bracket or a quote is missing"),
    "an open text": (GOOD.replace('"home"', '"home'), "a string has to end on its line"),
    "something behind it": (GOOD + "}", "there is more after its end"),
    "a backslash": (GOOD.replace('"home"', r'"my\home"'), r"a backslash is written \\ in JSON"),
    "a list": ("[]", "it is JSON, but no object"),
    "nothing": ("", "line 1, column 1: it ends too early"),
    "twice": (
        GOOD.replace('"server"', '"wifi": {}, "server"'),
        "this key is in its object a second time",
    ),
    "NaN": (GOOD[:-2] + ',\n  "watchdog": NaN\n}', "a value belongs here"),
    "UTF-16": (GOOD.encode("utf-16"), "it is in UTF-16; save it as UTF-8"),
    "cp1252": (
        GOOD.replace("home", "Büro").encode("cp1252"),
        "this letter is not in UTF-8",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_json_is_found(mistake):
    text, said = MISTAKES[mistake]
    given = text.encode() if isinstance(text, str) else text
    with pytest.raises(ConfigError) as error:
        content.check_config(given, name="mine/config.json")
    assert str(error.value).startswith("mine/config.json: ") and said in str(error.value)
    assert error.value.exit_code == 5


def test_what_editors_put_in_front_is_none():
    content.check_config(b"\xef\xbb\xbf" + GOOD.encode())


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("psk", "wifi.password"),
        ("password", "wifi.password"),
        ("ssid", "wifi.ssid"),
        ("url", "server"),
        ("deviceName", "provisioning.deviceName"),
        ("provisionDeviceKey", "provisioning.provisionDeviceKey"),
        ("wifi.pasword", "wifi.password"),
        ("provisioning.ssid", "wifi.ssid"),
    ],
)
def test_the_key_that_was_meant(key, meant):
    given = config_for("coap://example.com")
    section, _, name = key.rpartition(".")
    (given[section] if section else given)[name] = "x"
    with pytest.raises(ConfigError) as error:
        content.check_config(json.dumps(given).encode())
    assert f"`{key}` is not known; did you mean `{meant}`?" in error.value.problems


def test_each_mistake_has_a_line():
    given = config_for("coap://example.com", watchdog="no", led=[])
    del given["wifi"]["ssid"]
    with pytest.raises(ConfigError) as error:
        content.check_config(json.dumps(given).encode(), name="config.json")
    first, *lines = str(error.value).splitlines()
    assert first == "config.json:" and len(lines) == 3
    assert all(line.startswith("  `") for line in lines)


@pytest.mark.parametrize(
    "host", ["thingsboard..example.com", "a" * 64 + ".example.com", ".", "ü" * 80]
)
def test_a_name_that_no_host_has(host):
    with pytest.raises(ConfigError, match="the host in `server` has a part that is empty"):
        content.check_config(json.dumps(config_for(f"coap://{host}")).encode())
