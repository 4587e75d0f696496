"""What the tests of onboarding share: a board that has no Wi-Fi yet, at a serial port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from host_tests.compiled import compiled
from host_tests.power_up_bench import KEY, SECRET
from tools.virtual_board.flash import put_on_flash, read_file
from tools.virtual_board.scenario import Scenario
from tools.virtual_board.serial_board import SerialBoard

HOME = {"ssid": "home", "password": "correct horse"}
CAFE = {"ssid": "café <script>", "rssi": -70}
NETWORKS = [HOME, CAFE, {"ssid_hex": "fffe", "rssi": -80}, {"ssid": "x", "hidden": True}]

# What a wrong guess costs, and the page's reloads, are made for people.
HURRY = 10


def config(server: str = "coap://127.0.0.1:9", **more) -> dict:
    """A config.json without `wifi`."""
    return {
        "onboarding": True,
        "onboarding_password": "of the label",
        "server": server,
        "provisioning": {
            "deviceName": "sensor-{id}",
            "provisionDeviceKey": KEY,
            "provisionDeviceSecret": SECRET,
        },
        **more,
    }


def without(given: dict, *keys: str) -> dict:
    """A config.json without these keys, of its own or of its `provisioning`."""
    kept = {key: value for key, value in given.items() if key not in keys}
    of_device = given["provisioning"].items()
    return {**kept, "provisioning": {key: value for key, value in of_device if key not in keys}}


class Desk:
    """A board at a serial port in a folder."""

    def __init__(self, folder: Path):
        self.flash = folder / "flash.img"
        self.link = folder / "tty"

    def board(
        self,
        kind: str = "esp32",
        server: str = "coap://127.0.0.1:9",
        lacks: tuple[str, ...] = (),
        more: dict[str, Any] | None = None,
        **scenario: Any,
    ) -> SerialBoard:
        """A board without Wi-Fi; `server` is where it provisions, `lacks` what a person gives.

        `more`: of its config.json.
        """
        given = json.dumps(without(config(server, **(more or {})), *lacks)).encode()
        put_on_flash(self.flash, kind, "micropython", given, source=compiled())
        scenario = {"networks": NETWORKS, "scan_ms": 20, "hurry": HURRY, **scenario}
        return SerialBoard(self.flash, kind, self.link, Scenario(**scenario))

    def on_flash(self, name: str) -> dict:
        """A file of JSON on the flash."""
        return json.loads(read_file(self.flash, name))
