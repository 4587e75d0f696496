"""Reads a config.json on a computer, and says of each mistake where it is and what to write."""

from __future__ import annotations

import json
import re

from tools.flash.errors import BAD_CONFIGURATION, FlashingError

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
    from firmware.board.json_mistakes import explain
    from firmware.board.strict_json import mistake_in

    if mistake := mistake_in(content):
        raise ConfigError(name, [explain(content, *mistake)])
    given = json.loads(content.decode("utf-8-sig"))
    if not isinstance(given, dict):
        raise ConfigError(name, ["it is JSON, but no object: it begins with { and ends with }"])
    return given


def meant(problem: str) -> str:
    """A mistake that the firmware found, with the key that a person more likely meant."""
    if unknown := _UNKNOWN.fullmatch(problem):
        key = unknown[1].rpartition(".")[2].lower()
        for known, names in _MEANT.items():
            if key in names and known.lower() != unknown[1].lower():
                return f"`{unknown[1]}` is not known; did you mean `{known}`?"
    return problem
