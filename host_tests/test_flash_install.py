"""Installing the MicroPython way: mip's package.json and the manifest to freeze."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
import serial

from host_tests.flash_bench import Desk
from host_tests.http_folder import served
from host_tests.power_up_bench import PASSWORD
from host_tests.processes import MPREMOTE, started
from host_tests.virtual_bench import needs_micropython
from tools import roles
from tools.board_files import firmware, modules
from tools.flash.link import Link
from tools.virtual_board.flash import PROJECT, put_file

JOIN = f"""
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("home", {PASSWORD!r})
while not wlan.isconnected():
    time.sleep_ms(10)
"""
MODULES = {"main.py", *modules()}


def test_package_json_lists_what_every_board_has():
    package = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    names = [name for name, _ in package["urls"]]
    every = roles.chosen(modules(), ["microcoapy"])
    assert sorted(package["urls"]) == [[name, name] for name in every]
    # Between these two a board notices that an installation was broken off.
    assert (names[0], names[-1]) == ("firmware/board/kept.py", "firmware/application.py")


@pytest.mark.parametrize("role", sorted(roles.MOST))
def test_the_room_of_a_role_has_a_package_of_its_own(role):
    rest = [name for name in modules() if roles.of(name) == role]
    file = PROJECT / "firmware" / f"{role}.json"
    package = json.loads(file.read_text(encoding="utf-8")) if rest else {"urls": []}
    assert sorted(package["urls"]) == [[name, name.removeprefix("firmware/")] for name in rest]
    whole = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    assert package.get("version", whole["version"]) == whole["version"]


def test_package_json_has_the_version():
    package = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    project = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{package["version"]}"\n' in project


@needs_micropython
def test_mip_installs_it_and_it_provisions(tmp_path):
    with Desk(tmp_path) as desk:
        board = desk.board("rp2")
        (tmp_path / "config.json").write_bytes(desk.config(update={}))

        def mpremote(*arguments: str) -> subprocess.CompletedProcess:
            command = [*MPREMOTE, "connect", str(board.link), *arguments]
            return subprocess.run(
                command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
            )

        mpremote("mip", "install", "--target", "/", "firmware/update.json")
        mpremote("mip", "install", "--target", "/", "package.json")
        mpremote("cp", str(tmp_path / "config.json"), "main.py", ":")
        mpremote("reset")
        for _ in range(100):
            if desk.thingsboard.devices:
                break
            time.sleep(0.05)
        (name,) = desk.thingsboard.devices
        assert name.startswith("sensor-")
        assert desk.read(board, "/firmware/update/slots.py")


@needs_micropython
def test_mip_broken_off_leaves_a_board_that_starts(tmp_path):
    with Desk(tmp_path) as desk:
        board = desk.board("rp2")
        with Link(str(board.link)) as link:
            link.put("/main.py", b"print('mine starts')\n")
        command = [*MPREMOTE, "connect", str(board.link)]
        command += ["mip", "install", "--target", "/", "package.json"]
        at_once = {**os.environ, "PYTHONUNBUFFERED": "1"}
        for lines in (1, 8, 20):
            with started(
                command, cwd=PROJECT, env=at_once, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process:
                for _ in range(lines):
                    assert process.stdout.readline()
                process.kill()
            board.cut_power()
            with serial.Serial(str(board.link), timeout=5) as port:
                board.power_on()
                assert b"mine starts" in port.read_until(b">>> ")
        assert desk.read(board, "/main.py") == b"print('mine starts')\n"
        assert desk.read(board, "/firmware/board/kept.py")


@needs_micropython
def test_mip_broken_off_over_an_older_firstboot_is_said(tmp_path):
    """The board starts with the first files of package.json, and with half of the one after."""
    older = {
        path: content.replace(b'VERSION = "1.0.0"', b'VERSION = "0.9.0"')
        for path, content in firmware(as_source=True).items()
    }
    package = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    names = [name for name, _ in package["urls"]]
    with Desk(tmp_path) as desk:
        board = desk.board("rp2")
        desk.flash(board, firmware=older, as_source=True)

        def start_with(count: int) -> str:
            board.cut_power()
            for name in names[:count]:
                put_file(board.flash, name, (PROJECT / name).read_bytes())
            for name in names[count : count + 1]:
                put_file(board.flash, name, (PROJECT / name).read_bytes()[:300])
            with serial.Serial(str(board.link), timeout=10) as port:
                board.power_on()
                end = b"tools flash\r\n" if count < len(names) else b"] application:"
                return port.read_until(end).decode()

        for count in (0, 3, 20, len(names) - 2):
            said = start_with(count)
            assert "the firmware is not whole; restart in 60 s" in said, count
            assert "modules of firstboot 1.0.0 and 0.9.0" in said or count == 0
        said = start_with(len(names))
        assert "firstboot 1.0.0 on" in said and "not whole" not in said


def test_the_client_alone_is_all_of_its_room():
    package = json.loads((PROJECT / "firmware" / "coap.json").read_text(encoding="utf-8"))
    room = [name for name in modules() if name.startswith("firmware/coap/")]
    room = [name.removeprefix("firmware/") for name in room if "microcoapy" not in name]
    assert package["urls"] == [[f"firstboot/{name}", name] for name in [*room, "errors.py"]]
    whole = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == whole["version"]


@needs_micropython
@pytest.mark.parametrize("place", ["a path", "a URL"])
def test_the_client_installs_alone_beside_another_firmware(tmp_path, place):
    ask = """
from firstboot.coap.connect import connect
client = connect(%r)
print(client.get("/api/v1/nobody/attributes").code)
client.close()
import firmware
print(firmware.mine)
"""
    with Desk(tmp_path) as desk, served(PROJECT) as url:
        board = desk.board("rp2")
        command = [*MPREMOTE, "connect", str(board.link)]
        package = "firmware/coap.json" if place == "a path" else f"{url}/firmware/coap.json"
        subprocess.run(
            [*command, "mip", "install", package],
            cwd=PROJECT,
            check=True,
            capture_output=True,
            timeout=60,
        )
        with Link(str(board.link)) as link:
            link.put("/firmware.py", b"mine = 'another'\n")
            link.run(JOIN)
            assert link.run(ask % desk.server.uri).split() == ["129", "another"]
