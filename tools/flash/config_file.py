"""Reads a config.json on a computer, and says of each mistake where it is and what to write."""

from __future__ import annotations

import codecs
import json
import re

from tools.flash.errors import BAD_CONFIGURATION, FlashingError

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TYPOGRAPHIC = "“”„‟‘’‚«»‹›"
# What people call keys, besides what the firmware calls near.
_MEANT = {
    "wifi.password": ("psk", "passphrase", "pass", "pwd", "wpa", "wifi_password", "password"),
    "wifi.ssid": ("network", "ssid", "ssid_name", "wifi_ssid", "essid", "wifi_name"),
    "wifi.hostname": ("hostname", "dhcp_hostname"),
    "wifi.country": ("country", "region"),
    "server": ("host", "url", "uri", "broker", "address", "thingsboard", "endpoint", "server_url"),
    "provisioning": ("provision", "device", "credentials"),
    "provisioning.deviceName": ("name", "devicename", "device_name"),
    "provisioning.provisionDeviceKey": ("provisionkey", "devicekey", "provision_device_key"),
    "provisioning.provisionDeviceSecret": (
        *("secret", "provisionsecret", "devicesecret", "provision_device_secret"),
    ),
    "provisioning.token": ("token", "accesstoken"),
}
_UNKNOWN = re.compile(r"`(.+)` is not known; did you mean `.+`\?")


class ConfigError(FlashingError):
    """A config.json that cannot be used; `problems` are its mistakes, a line each."""

    def __init__(self, name: str, problems: list[str], fix: str = ""):
        between = " " if len(problems) == 1 else "\n  "
        fix = fix or f"Correct {name}"
        super().__init__(f"{name}:{between}" + "\n  ".join(problems), fix, BAD_CONFIGURATION)
        self.problems = problems


def read(content: bytes, name: str) -> dict:
    """The JSON object in a config.json called `name`. Raises ConfigError with line and column."""
    text = _decoded(content, name)
    twice: list[str] = []

    def collect(pairs: list[tuple[str, object]]) -> dict:
        keys = [key for key, _ in pairs]
        twice.extend({key for key in keys if keys.count(key) > 1})
        return dict(pairs)

    def refuse(constant: str):
        raise ValueError(f"{constant} is no JSON")

    try:
        given = json.loads(text, object_pairs_hook=collect, parse_constant=refuse)
    except json.JSONDecodeError as error:
        position, cause = _cause(text, error)
        raise _at(name, text, position, cause) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(name, [str(error)]) from None
    if not isinstance(given, dict):
        raise ConfigError(name, ["it has to be one object, in { and }"])
    if twice:
        raise ConfigError(name, [f"`{key}` is there twice" for key in sorted(twice)])
    return given


def meant(problem: str) -> str:
    """A mistake that the firmware found, with the key that a person more likely meant."""
    if unknown := _UNKNOWN.fullmatch(problem):
        key = unknown[1].rpartition(".")[2].lower()
        for known, names in _MEANT.items():
            if key in names and known.lower() != unknown[1].lower():
                return f"`{unknown[1]}` is not known; did you mean `{known}`?"
    return problem


def _decoded(content: bytes, name: str) -> str:
    if content.startswith(_UTF_16) or b"\0" in content[:4]:
        raise ConfigError(name, ["it is in UTF-16"], "Save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        where = f"line {line}, column {column}: it is not in UTF-8"
        raise ConfigError(name, [where], "Save it as UTF-8") from None


def _at(name: str, text: str, position: int, cause: str) -> ConfigError:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return ConfigError(name, [f"line {line}, column {column}: {cause}"])


def _cause(text: str, error: json.JSONDecodeError) -> tuple[int, str]:
    """Where a mistake in JSON is, and what it most likely is."""
    position = error.pos
    rest = text[position:].lstrip()
    here = rest[:1]
    before = text[:position].rstrip()
    if not text.strip():
        return 0, "it is empty"
    if here and here in _TYPOGRAPHIC:
        return position, f'{here} is a typographic quote; write "'
    if rest.startswith(("//", "/*", "#")):
        return position, "a comment; JSON has none: take it out"
    if here == "'":
        return position, "'; JSON has only \" around text"
    if error.msg.startswith("Expecting ',' delimiter") and here:
        return len(before), "a comma is missing after this"
    if before.endswith(",") and here in ("}", "]", ""):
        return len(before) - 1, f"a comma with nothing behind it; take it out before {here or 'it'}"
    if error.msg.startswith("Illegal trailing comma"):
        return position, "a comma with nothing behind it; take it out"
    if error.msg.startswith("Invalid control character"):
        return position, 'the line ends inside a text; a closing " is missing'
    if error.msg.startswith("Unterminated string"):
        return position, 'this text has no closing "'
    if error.msg.startswith("Invalid \\"):
        return position, "a \\; write \\\\"
    if not here:
        return len(text), "it ends too early; a } or ] is missing"
    if error.msg.startswith("Extra data"):
        return position, "nothing belongs behind the last }"
    if word := re.match(r"True|False|None|yes|no|on|off", rest):
        return position, f"{word[0]}; JSON has true, false and null"
    if error.msg.startswith("Expecting property name"):
        return position, 'a key belongs there, in "'
    return position, error.msg[0].lower() + error.msg[1:]
