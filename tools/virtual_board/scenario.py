"""A scenario: what surrounds a virtual board. Data, in a JSON file or a dict.

| key | default | meaning |
|---|---|---|
| `networks` | the network that config.json names | list of networks in range, see below |
| `scan_ms` | 200 | how long scan() takes, and the board to look for a network that is not there |
| `first_join_refused` | false | the first join reports a bad password, whatever the password |
| `wrong_password_shows_connecting` | false | ESP32: a wrong password looks like 1001 for ever |
| `silent_until` | null | joined, but nothing gets through, until one of the cures below |
| `wedged` | null | `"raises"`: each connect() does; `"joining"`: that is the status for ever |
| `wedged_until` | `"cycle"` | `"cycle"` or `"reset"`, see below |
| `associated` | null | SSID of an association that survived a soft reset |
| `joining` | null | `[SSID, key]` of a join that went on through a soft reset |
| `access_point` | false | the board's access point was up, and survived a soft reset |
| `id` | from the flash's path | `machine.unique_id()` in hex; 6 bytes on ESP32, 8 on Pico W |
| `reset_cause` | `"power"` | `"power"`, `"hard"`, `"watchdog"`, `"deepsleep"` or `"soft"` |
| `datagram_queue` | 6 on ESP32, 4 on Pico W | received datagrams kept per socket |
| `recv_fails` | `[]` | `[[from_ms, to_ms, errno], …]`: ESP32: ready, but recv raises |
| `phone` | null | `[[from_ms, to_ms], …]`: on the access point; null: from its first word on |
| `pressed` | `{}` | `{"0": [[from_ms, to_ms], …]}`: a button, to ground |
| `hurry` | 1 | its sleeps and timers are so many times shorter than they say, and its ticks |
| `romfs` | 0 | bytes of a ROMFS, kept in a file beside the flash; stock images have none |
| `ticks_start` | null | ticks_ms at power-up, wrapping at 2**30; null: MicroPython's own |

Cures: `"join"`, the board joins anew; `"cycle"`, it switches the radio off and on; `"reset"`.

| key of a network | default | meaning |
|---|---|---|
| `ssid` | required | |
| `ssid_hex` | null | in place of `ssid`, its bytes, which need be no text |
| `password` | `""` | empty: an open network |
| `delay_ms` | 50 | from connect() to an address; 0: nor does the board's wait for it take time |
| `appears_after_ms` | 0 | out of range until then, counted from power-up |
| `drops` | `[]` | `[[from_ms, to_ms], …]`: out of range in between |
| `dhcp` | true | false: joined, but never an address |
| `refuses` | null | `"security"`, `"weak"`, `"full"`: why nobody is let in, as the board shows it |
| `address` | null | the board's in it, its router being .1 of the same; null: the host's loopback |
| `hidden` | false | a scan does not show its name |
| `rssi` | -50 | its strength, in dBm |
| `channel` | 1 | the board's access point moves there when it is joined |
| `security` | null | the number that a scan shows; null: the board's for WPA2, 0 when open |
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REQUIRED = object()
KEYS: dict[str, Any] = {
    "networks": None,
    "scan_ms": 200,
    "first_join_refused": False,
    "wrong_password_shows_connecting": False,
    "silent_until": None,
    "wedged": None,
    "wedged_until": "cycle",
    "associated": None,
    "joining": None,
    "access_point": False,
    "id": None,
    "reset_cause": "power",
    "datagram_queue": None,
    "recv_fails": [],
    "phone": None,
    "pressed": {},
    "hurry": 1,
    "romfs": 0,
    "ticks_start": None,
}
NETWORK_KEYS: dict[str, Any] = {
    "ssid": REQUIRED,
    "password": "",
    "delay_ms": 50,
    "appears_after_ms": 0,
    "drops": [],
    "dhcp": True,
    "refuses": None,
    "address": None,
    "hidden": False,
    "ssid_hex": None,
    "rssi": -50,
    "channel": 1,
    "security": None,
}


REFUSALS = (None, "security", "weak", "full")
RESET_CAUSES = ("power", "hard", "watchdog", "deepsleep", "soft")
CHOICES = {
    "reset_cause": RESET_CAUSES,
    "silent_until": (None, "join", "cycle", "reset"),
    "wedged": (None, "raises", "joining"),
    "wedged_until": ("cycle", "reset"),
}


class ScenarioError(ValueError):
    """A scenario says something that no virtual board understands."""


class Scenario(dict):
    """A checked scenario with every key filled in. Raises ScenarioError."""

    def __init__(self, **keys: Any):
        super().__init__(_filled(keys, KEYS, "scenario"))
        for key, choices in CHOICES.items():
            if self[key] not in choices:
                raise ScenarioError(f"{key} is {self[key]!r}, not one of {choices}")
        if self["networks"] is not None:
            if not isinstance(self["networks"], list):
                raise ScenarioError("networks is a list of objects")
            self["networks"] = [
                _filled(_named(network), NETWORK_KEYS, f"networks[{index}]")
                for index, network in enumerate(self["networks"])
            ]
            for network in self["networks"]:
                if network["refuses"] not in REFUSALS:
                    raise ScenarioError(f"refuses is {network['refuses']!r}, not one of {REFUSALS}")

    @classmethod
    def load(cls, path: Path) -> Scenario:
        """The scenario in a JSON file."""
        try:
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except (TypeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ScenarioError(f"{path} is not a JSON object: {error}") from error


def _named(network: Any) -> dict:
    if not isinstance(network, dict):
        raise ScenarioError(f"networks has {network!r} in it, and is a list of objects")
    return {"ssid": "", **network} if network.get("ssid_hex") else network


def _filled(given: dict, keys: dict, where: str) -> dict:
    unknown = sorted(set(given) - set(keys))
    if unknown:
        raise ScenarioError(f"{where} has unknown keys {unknown}; known are {sorted(keys)}")
    filled = {**keys, **given}
    missing = [key for key, value in filled.items() if value is REQUIRED]
    if missing:
        raise ScenarioError(f"{where} lacks {missing}")
    for key, value in filled.items():
        default = keys[key]
        if default not in (None, REQUIRED) and not _is_like(default, value):
            raise ScenarioError(f"{where}: {key} is {value!r}, and the default is {default!r}")
    return filled


def _is_like(default: Any, value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number if type(default) is int else isinstance(value, type(default))
