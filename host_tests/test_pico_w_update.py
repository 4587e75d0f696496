"""Updates on the real image of a Pico W: a slot whose firmware is in one file runs there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from firmware.update.slots import PATH, State
from host_tests.pico_w.lane import why_not
from tools.bundle import contents, format
from tools.bundle.format import Bundle, File
from tools.pico_w.board import PicoW
from tools.pico_w.flash_file import put_firmware
from tools.pico_w.image import find_image

if why_not():
    pytest.skip(why_not(), allow_module_level=True)

# It imports a module of the firmware that nothing has imported before.
APP = b"""\
import firmware.backlog


def run(credentials):
    print(credentials["deviceName"], __file__, firmware.backlog.__file__)
"""
CONFIG = {
    "wifi": {"ssid": "home"},
    "server": "coap://example.com",
    "provisioning": {
        "deviceName": "sensor-1",
        "provisionDeviceKey": "key",
        "provisionDeviceSecret": "secret",
    },
    "led": None,  # with it the radio would be powered
    "update": {},
}
CREDENTIALS = {
    "server": "coap://example.com",
    "deviceName": "sensor-1",
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": "A" * 20,
}


def slots_json() -> bytes:
    """What is in /slots.json when the first update was confirmed."""
    files: dict[str, bytes] = {}
    state = State(SimpleNamespace(read=files.get, save=files.__setitem__))
    state.switch("/a", {"title": "my-app", "version": "2", "checksum": "0"}, 60, 60, "1.0.0")
    state.confirm()
    return files[PATH]


def test_a_slot_with_its_own_firmware_runs(tmp_path):
    slot = (File("app.py", APP), contents.firmware(None))
    data = format.make(Bundle("my-app", "2", slot))
    files = {f"a/{each.path}": each.content for each in slot}
    files["a/manifest"] = data[: -sum(len(each.content) for each in slot)]
    files["slots.json"] = slots_json()
    files["credentials.json"] = json.dumps(CREDENTIALS).encode()
    flash = Path(tmp_path, "flash.img")
    put_firmware(flash, json.dumps(CONFIG).encode(), None, files)
    board = PicoW(flash, find_image(), lambda line: None)
    said = "\n".join(board.power_up(timeout=10, stay=True).lines)
    assert "application: running app.py of /a" in said
    assert "sensor-1 /a/app.py /a/firmware/backlog.mpy" in said
