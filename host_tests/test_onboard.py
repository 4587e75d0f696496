"""`onboard`, and the Improv standard's own SDK, tell a board at a serial port its Wi-Fi."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest
import serial

from host_tests import npm
from host_tests.onboarding_bench import HOME, Desk
from host_tests.processes import BARE, MPREMOTE
from tools.improv import Client
from tools.virtual_board.flash import PROJECT, put_file
from tools.virtual_board.interpreter import find_micropython

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not find_micropython().package_folder,
    reason="a virtual board at a serial port needs Linux and the MicroPython of requirements.txt",
)
PASSWORD = "FIRSTBOOT_WIFI_PASSWORD"
ENVIRONMENT = {"PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "utf-8"}
SDK = PROJECT / "host_tests" / "improv_sdk.mjs"


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def command(desk, *arguments):
    start = [sys.executable, "-c", "from tools.cli import main; main()", "onboard"]
    return [*start, "--port", str(desk.link), *arguments]


def onboard(desk, *arguments, password=None):
    environment = ENVIRONMENT if password is None else {**ENVIRONMENT, PASSWORD: password}
    return subprocess.run(
        command(desk, *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=BARE | environment,
        encoding="utf-8",
        timeout=60,
    )


@pytest.mark.parametrize("kind", ["esp32", "rp2"])
def test_a_board_is_told_its_wifi_and_provisions(desk, server, kind):
    with desk.board(kind, server.uri):
        done = onboard(desk, "--ssid", "home", "--json", password=HOME["password"])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["result"], told["ssid"]) == ("provisioned", "home")
    assert told["device"][:2] == ["firstboot", "1.0.0"]
    assert told["url"] == f"http://{server.host}:8080"
    assert "Wi-Fi: joined" in done.stderr and HOME["password"] not in done.stderr + done.stdout
    assert desk.on_flash("/config.json")["wifi"] == HOME
    assert desk.on_flash("/credentials.json")["credentialsType"] == "ACCESS_TOKEN"


def test_networks_are_listed(desk):
    with desk.board():
        done = onboard(desk, "--networks")
        told = json.loads(onboard(desk, "--networks", "--json").stdout)
    assert done.stdout.splitlines() == [" -50 dBm  home", " -70 dBm  open  café <script>"]
    assert told["networks"] == [["home", "-50", "YES"], ["café <script>", "-70", "NO"]]


def test_networks_are_listed_while_the_board_joins(desk):
    """An ESP32 hears nothing then, unless it stops."""
    with desk.board(more={"wifi": {"ssid": "away", "password": "12345678"}}, hurry=1):
        for _ in range(2):
            done = onboard(desk, "--networks")
            assert [line.split()[-1] for line in done.stdout.splitlines()] == ["home", "<script>"]


def test_a_wrong_password_is_said_and_can_be_corrected(desk, server, tmp_path):
    file = tmp_path / "password"
    file.write_text("wrong password\n", encoding="utf-8")
    with desk.board(server=server.uri):
        done = onboard(desk, "--ssid", "home", "--password-file", str(file))
        assert done.returncode == 1 and done.stdout == "failed\n"
        assert "password" in done.stderr.splitlines()[-1]
        assert "wifi" not in desk.on_flash("/config.json")
        assert onboard(desk, "--ssid", "home", password=HOME["password"]).returncode == 0


def test_what_only_the_page_asks_for_is_said(desk):
    with desk.board(lacks=("server", "provisionDeviceSecret"), hurry=1):
        done = onboard(desk, "--ssid", "home", password=HOME["password"])
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "the board answered with an error. The board lacks server, provisionDeviceSecret; its page "
        "asks for that"
    )


def test_the_console_is_still_a_person_s_and_mpremote_s(desk, server):
    # The access point goes with the program that served it.
    typed = "import network; print(network.WLAN(network.AP_IF).active())"
    command = [*MPREMOTE, "connect", str(desk.link), "exec", typed]
    with desk.board(server=server.uri):
        assert onboard(desk, "--networks").returncode == 0
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
        # Stopped by that, it starts again when it is asked.
        done = onboard(desk, "--ssid", "home", password=HOME["password"])
        assert done.returncode == 0 and "it starts again" in done.stderr


def test_who_asks_while_the_board_starts_does_not_stop_it(desk):
    """Each packet has a Ctrl-C in it: from power-on the board goes on all the same."""
    lines: list[str] = []
    with desk.board(hurry=1) as board, serial.Serial(str(board.link), timeout=0.005) as port:
        client = Client(port, lines.append)
        for moment_ms in (*range(0, 40, 3), 60, 80):
            board.cut_power()
            lines.clear()
            board.power_on()
            for _ in client.listen(moment_ms / 1000):
                pass
            assert client.is_there(10), (moment_ms, lines)
            assert not [line for line in lines if "KeyboardInterrupt" in line]


@pytest.mark.parametrize("has_onboarding", [True, False])
def test_a_person_s_ctrl_c_while_the_board_starts_stops_it(desk, has_onboarding):
    """Also where nothing of Improv is on the board; nothing of what is typed next is lost."""
    more = {} if has_onboarding else {"onboarding": False, "wifi": {**HOME, "ssid": "away"}}
    with (
        desk.board(more=more, hurry=1) as board,
        serial.Serial(str(board.link), timeout=0.005) as port,
    ):
        for moment_ms in range(0, 100, 20):
            board.cut_power()
            port.reset_input_buffer()
            board.power_on()
            time.sleep(moment_ms / 1000)
            port.write(b"\r\x03")
            said = read_to(port, b">>> ")
            port.write(b"print('sum', 40 + 2)\r")
            assert b"sum 42" in read_to(port, b"sum 42"), said


def test_a_person_s_ctrl_c_stops_a_board_whose_firmware_is_not_whole(desk):
    board = desk.board(hurry=1)
    # What is said before the port is open gets lost.
    put_file(desk.flash, "/boot.py", b"import time\ntime.sleep(1)\n")
    put_file(desk.flash, "/firmware/board/hardware.py", b"import nothing\n")
    with board, serial.Serial(str(board.link), timeout=0.005) as port:
        said = read_to(port, b"the firmware is not whole")
        port.write(b"\x03")
        said += read_to(port, b">>> ")
    assert b"no module named 'nothing'" in said and said.endswith(b">>> ")


@pytest.mark.parametrize("said_before", [b"boot", b"running app.py"])
def test_a_button_that_nobody_presses_leaves_ctrl_c_to_a_person(desk, said_before):
    """A board looks for who presses it at each start with another config.json."""
    board = desk.board(more={"wifi": HOME, "onboarding_pin": 14}, hurry=1)
    credentials = {
        "server": "coap://127.0.0.1:9",
        "deviceName": "sensor-1",
        "credentialsType": "ACCESS_TOKEN",
        "credentialsValue": "A1",
    }
    put_file(desk.flash, "/credentials.json", json.dumps(credentials).encode())
    put_file(desk.flash, "/app.py", b"def run(credentials):\n    while True:\n        pass\n")
    with board, serial.Serial(str(board.link), timeout=0.005) as port:
        said = read_to(port, said_before)
        port.write(b"\x03")
        said += read_to(port, b">>> ")
    assert b"KeyboardInterrupt" in said and said.endswith(b">>> ")


def read_to(port, end: bytes) -> bytes:
    said = b""
    ends = time.monotonic() + 10
    while end not in said and time.monotonic() < ends:
        said += port.read(4096)
    return said


def test_what_cannot_be_is_said_before_the_board_is_asked(desk):
    for arguments, password, said in (
        (["--ssid", "home"], "short", "8 to 64"),
        (["--ssid", "home"], None, "FIRSTBOOT_WIFI_PASSWORD or --open"),
        (["--ssid", "x" * 33], "long enough", "32 bytes"),
        ([], None, "--networks"),
        (["--ssid", "home", "--networks"], None, "--networks"),
    ):
        done = onboard(desk, *arguments, password=password)
        assert done.returncode == 2 and said in done.stderr, done.stderr
    done = onboard(desk, "--ssid", "home", "--open")
    assert done.returncode == 1 and "there is no port" in done.stderr


def test_the_password_is_asked_for_unseen(desk, server):
    keyboard, stdin = pty.openpty()
    with desk.board(server=server.uri):
        running = subprocess.Popen(
            command(desk, "--ssid", "home"),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=BARE | ENVIRONMENT,
            start_new_session=True,
        )
        said = b""
        while b'Password of "home": ' not in said:
            byte = running.stderr.read(1)
            assert byte, said
            said += byte
        os.write(keyboard, HOME["password"].encode() + b"\n")
        printed, more = running.communicate(timeout=60)
    assert running.returncode == 0, more
    # What is echoed could be read from the keyboard's end.
    assert select.select([keyboard], [], [], 0)[0] == []
    assert HOME["password"].encode() not in said + more + printed
    os.close(keyboard)
    os.close(stdin)


def test_what_the_sdk_needs_and_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(npm, "_FOLDER", tmp_path)
    for needed in (npm.node, lambda: npm.package("improv-wifi-serial-sdk")):
        with pytest.raises(pytest.skip.Exception, match=r"(node|npm) is not on this computer"):
            needed()


@pytest.mark.parametrize("kind", ["esp32", "rp2"])
def test_the_standard_s_own_sdk(desk, server, kind):
    commands = [
        ["state"],
        ["scan"],
        ["provision", "home", "wrong password"],
        ["provision", "nowhere", "wrong password"],
        ["provision", "home", HOME["password"]],
    ]
    node, folder = npm.node(), npm.package("improv-wifi-serial-sdk")
    with desk.board(kind, server.uri):
        done = subprocess.run(
            [node, str(SDK), str(folder), str(desk.link), json.dumps(commands)],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    info, state, networks, wrong, away, joined = map(json.loads, done.stdout.splitlines())
    assert (info["firmware"], info["version"], info["osName"]) == (
        "firstboot",
        "1.0.0",
        "MicroPython",
    )
    assert info["chipFamily"] == {"esp32": "ESP32", "rp2": "RP2040"}[kind]
    assert info["name"].startswith("sensor-")
    assert state == {"state": 2, "url": None, "error": 0}
    assert networks == [
        {"name": "café <script>", "rssi": -70, "secured": False},
        {"name": "home", "rssi": -50, "secured": True},
    ]
    assert wrong == away == {"error": "UNABLE_TO_CONNECT"}
    assert joined == {"url": f"http://{server.host}:8080", "state": 4}
