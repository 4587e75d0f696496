"""A board that is told its Wi-Fi where it hangs: what it is flashed with, and its label."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import NamedTuple

import segno
from segno import helpers

# Letters and digits that nobody takes for others.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_PASSWORD_LETTERS = 10
_ID_LETTERS = 6
_QUIET = 2  # modules around the code
_HALVES = " ▄▀█"  # of a cell: none dark, the lower one, the upper one, both
_OF_A_SERVER = ("provisionDeviceKey", "provisionDeviceSecret")


class Label(NamedTuple):
    """The access point of a board; an open one has no `password`."""

    network: str
    password: str

    def __str__(self) -> str:
        password = f"password {self.password}" if self.password else "open, without a password"
        return f"network {self.network}, {password}"

    def qr_code(self) -> Iterator[str]:
        """The lines of a code that phones join the network by, dark on light, two rows in each."""
        security = "WPA" if self.password else None
        made = helpers.make_wifi_data(self.network, self.password or None, security)
        rows = list(segno.make(made, micro=False, error="m").matrix_iter(border=_QUIET))
        rows += [bytes(len(rows[0]))] * (len(rows) % 2)
        for upper, lower in zip(rows[::2], rows[1::2]):
            yield "".join(_HALVES[2 * bool(a) + bool(b)] for a, b in zip(upper, lower))


def label_of(config: bytes, board_id: str) -> Label | None:
    """The label of the board that is flashed with a config.json; None when it has none."""
    given = _parsed(config)
    if not given.get("onboarding"):
        return None
    return Label(f"firstboot-{board_id[-_ID_LETTERS:]}", given["onboarding_password"])


def completed(config: bytes, on_board: bytes | None) -> bytes:
    """A config.json with what `onboarding` wants besides: a password of the access point.

    What the board has already stays: that password, which is on its label, and what config.json
    leaves to a person and a person has given. A key and a secret stay for the server they are of.
    """
    given, kept = _parsed(config), _parsed(on_board)
    if not given.get("onboarding"):
        return config
    if not isinstance(given.setdefault("provisioning", {}), dict):
        return config
    if "onboarding_password" not in given:
        drawn = "".join(secrets.choice(_LETTERS) for _ in range(_PASSWORD_LETTERS))
        given["onboarding_password"] = kept.get("onboarding_password", drawn)
    is_same_server = given.get("server", kept.get("server")) == kept.get("server")
    for key in ("wifi", "server"):
        if key in kept:
            given.setdefault(key, kept[key])
    theirs = kept.get("provisioning")
    for key in ("deviceName", *(_OF_A_SERVER if is_same_server else ())):
        if isinstance(theirs, dict) and key in theirs:
            given["provisioning"].setdefault(key, theirs[key])
    return json.dumps(given, ensure_ascii=False, indent=2).encode() + b"\n"


def _parsed(config: bytes | None) -> dict:
    """A config.json; empty for what is none, which is reported elsewhere."""
    try:
        given = json.loads((config or b"").decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}
