"""Updates on the real image of a Pico W: its firmware in one file, its timers and its resets."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from firmware.update.slots import PATH, State
from host_tests.firmware.updates import Site, bundle
from host_tests.pico_w.lane import in_full, why_not
from tools.bundle import contents, format
from tools.bundle.format import Bundle, File
from tools.pico_w.board import PicoW
from tools.pico_w.flash_file import put_firmware
from tools.pico_w.image import find_image
from tools.virtual_board.flash import read_file

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
    package = {"title": "my-app", "version": "2", "checksum": "0"}
    state.switch("/a", package, {"trial": 60, "contact": 60})
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


OLD = b"""\
import time


def run(credentials):
    print("the old one runs")
    time.sleep(600)
"""
START = "import machine, time\n\ndef run(credentials):\n    print('the new one runs')\n"
LOST = "it has not reached ThingsBoard within 3 s"
IN_ITS_STARTS = "it did not prove itself in its starts"
# What it does, why it fails, and how long the watchdog waits.
BROKEN = {
    "an exception": ("1 / 0", "ZeroDivisionError", None),
    "an endless loop": (START + "    while True:\n        pass\n", LOST, None),
    "waits for ever": (START + "    time.sleep(3600)\n", LOST, None),
    "a hang with a watchdog": (START + "    time.sleep(3600)\n", IN_ITS_STARTS, 1),
    "a soft reset loop": (START + "    machine.soft_reset()\n", IN_ITS_STARTS, None),
    "all heap": (
        "kept = []\n" + START + "    while True:\n        kept.append(bytes(999))\n",
        "MemoryError",
        None,
    ),
}
CONFIRMS = (
    "from firmware.device import Device\n" + START + "    Device(credentials).confirm_update()\n"
)


def switched_to(flash: Path, app: str, watchdog: int | None = None) -> PicoW:
    """A board whose root has the old application, and whose slot has this one, on trial."""
    site = Site(trial=600, contact=3)
    site.update(bundle({"app.py": app.encode()})).switch()
    files = {path[1:]: data for path, data in site.folders.files.items() if data is not None}
    files["credentials.json"] = json.dumps(CREDENTIALS).encode()
    put_firmware(flash, json.dumps({**CONFIG, "watchdog": watchdog}).encode(), OLD, files)
    return PicoW(flash, find_image(), lambda line: None)


def run(board: PicoW, until: str) -> list[str]:
    """Power up until the console says this; give the console."""
    board.on_line = lambda line: board.cut_power() if until in line else None
    lines = board.power_up(timeout=120, stay=True).lines
    assert any(until in line for line in lines), lines
    return lines


@in_full
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_rolls_back(tmp_path, name):
    app, why, watchdog = BROKEN[name]
    board = switched_to(tmp_path / "flash.img", app, watchdog)
    run(board, "the old one runs")
    state = json.loads(read_file(board.flash, "/slots.json"))
    assert state["running"] == {"place": ""} and state["starts"] is None
    assert why in state["failed"]["why"]
    assert (state["failed"]["version"], state["untold"]) == ("2", "FAILED")
    assert "the new one runs" not in run(board, "the old one runs")


@in_full
def test_what_is_confirmed_stays_when_its_time_is_over(tmp_path):
    board = switched_to(
        tmp_path / "flash.img", CONFIRMS + "    time.sleep(8)\n    print('stays')\n"
    )
    lines = run(board, "stays")
    assert "update: my-app 2 is confirmed" in "\n".join(lines)
    assert lines.count("the new one runs") == 1
    state = json.loads(read_file(board.flash, "/slots.json"))
    assert (state["running"]["place"], state["starts"], state["untold"]) == ("/a", None, "UPDATED")
