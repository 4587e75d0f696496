"""Boards that had an update: by cable too, what is new runs on trial beside what ran before."""

from __future__ import annotations

import hashlib
import json
import random
import time

import pytest

from host_tests.flash_bench import Desk
from host_tests.virtual_bench import both_kinds, needs_micropython
from tools.bundle import contents, format
from tools.bundle.format import Bundle, File
from tools.flash import content, slots
from tools.flash.link import Link
from tools.flash.plan import sha256

pytestmark = needs_micropython

FIRMWARE = content.firmware(asked_for={"update"})
SETTINGS = {"trial": 1, "contact": 100}
HURRY = 10
APP = """\
import helper

from firmware.device import Device


def run(credentials):
    device = Device(credentials)
    while True:
        device.send_telemetry({{"version": {version}}})
        device.wait(200)
"""
ALONE = APP.replace("import helper\n\n", "")
BROKEN = 'def run(credentials):\n    raise RuntimeError("a bug")\n'


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path, has_firmware=True) as desk:
        yield desk


def flash(desk, board, app=None, **job):
    """Flash it with a config.json that asks for updates; what is in slots.json then."""
    app = app.encode() if app else None
    config = desk.config(update=SETTINGS)
    result = desk.flash(board, config, **{"firmware": FIRMWARE, "app": app, **job})
    assert result.exit_code == 0, result.detail
    return json.loads(desk.read(board, "/slots.json") or b"{}")


def update(board, app: str, version: str = "2", *more: File) -> None:
    """Put an update on it as if it had come over the air, and start it."""
    files = (File("app.py", app.encode()), File("helper.py", b""), *more)
    data = format.make(Bundle("my-app", version, files))
    with Link(str(board.link)) as link:
        slots.install(link, data, SETTINGS, lambda size: None)
        link.start()


def wait(
    desk, version: int | str, state: str | None = None, board=None, key: str = "version"
) -> None:
    """Wait until telemetry of this version comes, and slots.json has this in it."""
    seen = len(next(iter(desk.thingsboard.devices.values())).telemetry)
    deadline = time.monotonic() + 20
    while True:
        (device,) = desk.thingsboard.devices.values()
        new = device.telemetry[seen:]
        saved = desk.read(board, "/slots.json") if state else b""
        if f'{{"{key}":{version}}}' in new and (not state or state.encode() in saved):
            return
        assert time.monotonic() < deadline, (new, saved)
        time.sleep(0.05)


CONFIRMED = '"starts": null'


@both_kinds
def test_what_is_flashed_goes_into_the_other_slot(desk, kind):
    """With all of the firmware in each place, for which there is room on a Pico W."""
    board = desk.board(kind, hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    config = json.dumps({"update": SETTINGS}).encode()
    update(board, APP.format(version=2), "2", contents.firmware(config))
    wait(desk, 2, CONFIRMED, board)
    root = desk.read(board, "/app.py")
    saved = flash(desk, board, APP.format(version=3))
    assert saved["running"]["place"] == "/b" and saved["before"]["place"] == "/a"
    assert "the board runs /a: my-app 2, confirmed" in desk.heard.steps
    assert any(step.startswith("into the slot that does not run") for step in desk.heard.steps)
    assert any("on trial" in step and "100 s and runs for 1 s" in step for step in desk.heard.steps)
    wait(desk, 3, CONFIRMED, board)
    assert desk.read(board, "/app.py") == root
    # What came beside app.py stays with it, and the firmware is here, too.
    assert desk.read(board, "/b/helper.py") == b""
    pack = format.unpacked(desk.read(board, "/b/firmware.pack"))
    assert pack["device.mpy"] == FIRMWARE["/firmware/device.mpy"]
    flash(desk, board, APP.format(version=3))
    assert "every file is up to date" in desk.heard.steps


def test_what_is_flashed_and_broken_goes_by_itself(desk):
    board = desk.board("rp2", hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    update(board, APP.format(version=2))
    wait(desk, 2, CONFIRMED, board)
    config = desk.config(update=SETTINGS)
    result = desk.flash(board, config, firmware=FIRMWARE, app=BROKEN.encode())
    assert (result.exit_code, result.detail) == (8, "app.py raised RuntimeError: a bug")
    assert desk.heard.steps[-1] == "what ran in /a comes back by itself"
    wait(desk, 2, "RuntimeError: a bug", board)
    flash(desk, board, APP.format(version=4), start=False)
    assert "the board runs /a: my-app 2, confirmed" in desk.heard.steps
    assert any(
        step.startswith("what `flash` put there") and step.endswith("failed: RuntimeError: a bug")
        for step in desk.heard.steps
    )


def test_a_config_json_goes_to_the_root_and_leaves_what_runs(desk):
    board = desk.board("rp2", hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    update(board, APP.format(version=2))
    wait(desk, 2, CONFIRMED, board)
    flash(desk, board, start=False)
    before = desk.read(board, "/slots.json")
    firmware = {**FIRMWARE, "/ca.der": b"a certificate"}
    config = desk.config(update={**SETTINGS, "trial": 2})
    result = desk.flash(board, config, firmware=firmware, start=False)
    assert result.exit_code == 0, result.detail
    assert json.loads(desk.read(board, "/config.json"))["update"]["trial"] == 2
    assert desk.read(board, "/ca.der") == b"a certificate"
    assert desk.read(board, "/slots.json") == before
    assert desk.read(board, "/firmware/device.mpy") == FIRMWARE["/firmware/device.mpy"]
    assert sha256(desk.read(board, "/main.py")) == sha256(FIRMWARE["/main.py"])


def test_what_is_on_trial_makes_room_for_what_is_flashed(desk):
    board = desk.board("rp2", hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    update(board, APP.format(version=2))
    wait(desk, 2, CONFIRMED, board)
    config = desk.config(update={"trial": 600, "contact": 600})
    for version in (3, 4):
        app = APP.format(version=version).encode()
        result = desk.flash(board, config, firmware=FIRMWARE, app=app)
        assert result.exit_code == 0, result.detail
    assert any("/b: what `flash` put there" in step for step in desk.heard.steps)
    saved = json.loads(desk.read(board, "/slots.json"))
    assert (saved["running"]["place"], saved["before"]["place"]) == ("/b", "/a")
    assert saved["failed"]["why"] == "another version was flashed by cable"
    wait(desk, 4)


def test_the_slots_go_and_the_root_is_flashed(desk):
    board = desk.board("rp2", hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    update(board, APP.format(version=2))
    wait(desk, 2, CONFIRMED, board)
    with Link(str(board.link)) as link:
        link.run("import os\nos.remove('/a/manifest')")
    result = desk.flash(board, desk.config(update=SETTINGS), firmware=FIRMWARE)
    assert result.exit_code == 1 and "is damaged" in result.detail and "--root" in result.detail
    saved = flash(desk, board, ALONE.format(version=5), to_root=True)
    assert not saved and desk.read(board, "/a/app.py") is None
    wait(desk, 5)


def test_a_board_with_slots_keeps_what_starts_them(desk):
    """With a config.json that asks for no updates any more."""
    board = desk.board("rp2", hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    update(board, BROKEN)
    wait(desk, 1, "RuntimeError: a bug", board)
    plain = content.firmware()
    alone = {path: file for path, file in FIRMWARE.items() if path not in plain}
    result = desk.flash(board, firmware=plain, for_slots=alone, start=False)
    assert result.exit_code == 0, result.detail
    assert desk.read(board, "/firmware/update/start.mpy") == alone["/firmware/update/start.mpy"]
    result = desk.flash(board, firmware=plain, for_slots=alone, to_root=True, start=False)
    assert result.exit_code == 0, result.detail
    assert desk.read(board, "/firmware/update/start.mpy") is None


def test_a_firmware_in_romfs_is_a_root_s_as_any_other(desk):
    """A slot runs on it, or on its own; what is flashed meanwhile leaves it as it is."""
    board = desk.board("rp2", romfs=192 * 1024, hurry=HURRY)
    app = "import firmware.errors\n" + ALONE.replace("version", "from").format(
        **{"from": "firmware.errors.__file__"}
    )

    def wait_for(file: str, state: str | None = None) -> None:
        wait(desk, f'"{file}/errors.mpy"', state, board, key="from")

    flash(desk, board, app)
    wait_for("/rom/firmware")
    assert desk.read(board, "/firmware/errors.mpy") is None
    rom = board.flash.with_name(board.flash.name + ".romfs")
    before = rom.read_bytes()
    update(board, app)
    wait_for("/rom/firmware", CONFIRMED)
    update(board, app, "3", contents.firmware(None))
    wait_for("/b/firmware", CONFIRMED)
    flash(desk, board, app.replace("wait(200)", "wait(100)"))
    wait_for("/a/firmware", CONFIRMED)
    assert rom.read_bytes() == before
    assert desk.read(board, "/firmware/installed.json") is None
    (desk.folder / "config.json").write_bytes(desk.config(update=SETTINGS))
    said = desk.tools("doctor", "--port", board.link).stdout
    assert "firstboot 1.0.0 is in the board's ROMFS, as it is here" in said, said
    flash(desk, board, app, to_root=True)
    wait_for("/rom/firmware")
    assert desk.read(board, "/slots.json") is None


def test_doctor_and_reset_know_the_slots(desk):
    board = desk.board("rp2", hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    update(board, APP.format(version=2))
    wait(desk, 2, CONFIRMED, board)
    update(board, BROKEN, "3")
    wait(desk, 2, "RuntimeError: a bug", board)
    (desk.folder / "config.json").write_bytes(desk.config(update=SETTINGS))
    said = desk.tools("doctor", "--port", board.link).stdout
    assert "the board runs /a: my-app 2, confirmed" in said
    assert "my-app 3 failed: RuntimeError: a bug" in said and "another version" in said
    assert "firstboot 1.0.0 is on the board, as it is here" in said
    assert desk.tools("reset", "--port", board.link, "--all").returncode == 0
    assert desk.read(board, "/slots.json") is None and desk.read(board, "/a/app.py") is None
    shown = desk.tools("read", "--flash", board.flash)
    assert shown.stdout == "the board runs the root, as it was flashed\n"


def test_a_write_that_broke_off_goes_on(desk):
    board = desk.board("rp2", hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    pages = tuple(File(f"page{number}", b"x" * 3000) for number in range(4))
    data = format.make(Bundle("my-app", "2", (File("app.py", b"x"), *pages)))
    written = []

    class BrokenOff(Exception):
        pass

    def on_bytes(size):
        written.append(size)
        if len(written) == 10:
            raise BrokenOff

    with Link(str(board.link)) as link, pytest.raises(BrokenOff):
        slots.install(link, data, SETTINGS, on_bytes)
    assert desk.read(board, "/slots.json") is None
    written.clear()
    with Link(str(board.link)) as link:
        slots.install(link, data, SETTINGS, written.append)
    assert written[0] >= 6144 and sum(written) == len(data)
    saved = json.loads(desk.read(board, "/slots.json"))
    assert saved["running"]["checksum"] == hashlib.sha256(data).hexdigest()


def test_a_config_json_that_asks_for_more_than_is_there(desk):
    """Put there by hand: the board says so, and goes on."""
    board = desk.board("rp2", hurry=HURRY)
    result = desk.flash(board, app=ALONE.format(version=1).encode())
    assert result.exit_code == 0, result.detail
    with Link(str(board.link)) as link:
        link.put("/config.json", desk.config(update=SETTINGS))
        link.start()
        said = "\n".join(link.lines(2))
    assert "`update` is in config.json, and firmware/update is not on the board" in said
    assert "mip install --target / firmware/update.json" in said
    wait(desk, 1)


def test_a_board_gets_what_takes_updates_when_its_config_json_asks_for_them(desk):
    board = desk.board("rp2", hurry=HURRY)
    path = desk.folder / "config.json"
    for update, is_there in ((None, False), ({}, True), (None, False)):
        path.write_bytes(desk.config(update=update))
        done = desk.tools("flash", "--port", board.link, "--no-start")
        assert done.returncode == 0, done.stderr
        assert (desk.read(board, "/firmware/update/slots.mpy") is not None) == is_there
        assert (desk.read(board, "/firmware/thingsboard/ota.mpy") is not None) == is_there


POINTS = 4


def test_power_cut_while_the_other_slot_is_written(desk):
    """One whole version runs afterwards, and a second run brings the new one."""
    board = desk.board("rp2", hurry=HURRY)
    flash(desk, board, ALONE.format(version=1))
    update(board, APP.format(version=2))
    wait(desk, 2, CONFIRMED, board)
    board.cut_power()
    old_flash = board.flash.read_bytes()
    board.power_on()
    before = board.received
    new = {"app": APP.format(version=3).encode(), "firmware": FIRMWARE, "start": False}
    config = desk.config(update=SETTINGS)
    assert desk.flash(board, config, **new).result == "flashed"
    whole = board.received - before

    def cut_power() -> None:
        board.cut_power()
        board.pull_cable()

    chosen = random.Random(2)
    for point in range(POINTS):
        board.cut_power()
        board.flash.write_bytes(old_flash)
        board.power_on()
        board.at_byte(whole * point // POINTS + chosen.randrange(whole // POINTS), cut_power)
        result = desk.flash(board, config, **new)
        assert result.exit_code == 1 and "run the same command" in result.detail
        runs = json.loads(desk.read(board, "/slots.json"))["running"]["place"]
        board.plug_in()
        board.power_on()
        wait(desk, 3 if runs == "/b" else 2)
        assert desk.flash(board, config, **new).result == "flashed"
        with Link(str(board.link)) as link:
            link.start()
        wait(desk, 3, CONFIRMED, board)
