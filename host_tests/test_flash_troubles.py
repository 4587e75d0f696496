"""What goes wrong on a desk: each ends in a line that says what to do."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pty
import socket
import threading
import time
from types import SimpleNamespace

import pytest
import serial

from host_tests.flash_bench import DO_CONNECT, FIRMWARE, Desk, Heard
from host_tests.power_up_bench import KEY, SECRET
from host_tests.virtual_bench import needs_micropython
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.flash import content, doctor_board, facts, ports, troubles
from tools.flash.board import Job, flash
from tools.flash.doctor_board import examine_board
from tools.flash.errors import FlashingError
from tools.flash.facts import Facts
from tools.flash.findings import FAILURE
from tools.flash.follow import follow
from tools.flash.link import Link
from tools.flash.ports import Port
from tools.virtual_board.flash import FAT


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def line():
    """A serial line: the board's end, and the name of the computer's."""
    board, computer = pty.openpty()
    yield board, os.ttyname(computer)
    os.close(board)
    os.close(computer)


def trouble_with(port) -> FlashingError:
    with pytest.raises(FlashingError) as error, Link(str(port)):
        pass
    assert "\n" not in str(error.value)
    return error.value


# Ports


def test_a_port_that_is_not_there(tmp_path):
    error = trouble_with(tmp_path / "ttyUSB9")
    assert "there is no port" in str(error) and "Plug the board in" in str(error)


@needs_micropython
def test_a_busy_port(desk):
    board = desk.board()
    with serial.Serial(str(board.link), exclusive=True):
        assert "is in use by another program. Close the" in str(trouble_with(board.link))


def test_a_port_that_is_given_back_a_moment_later(line, be_impatient):
    be_impatient()
    holder = serial.Serial(line[1], exclusive=True)
    later = threading.Timer(0.2, holder.close)
    later.start()
    assert "says nothing" in str(trouble_with(line[1]))
    later.join()


def test_a_port_without_permission(monkeypatch):
    def refuse(*arguments, **options):
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    monkeypatch.setattr(troubles.sys, "platform", "linux")
    error = trouble_with("/dev/ttyUSB0")
    assert "no permission to open it" in str(error) and "dialout" in str(error)


def test_a_busy_com_port(monkeypatch):
    def refuse(*arguments, **options):
        raise serial.SerialException(
            "could not open port 'COM3': PermissionError(13, 'Access is denied.', None, 5)"
        )

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    assert "COM3 is in use by another program" in str(trouble_with("COM3"))


def test_a_server_out_of_reach_is_a_warning(desk, tmp_path):
    config = json.loads(desk.config())
    config["server"] = "coap://127.0.0.1:9"
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    done = desk.tools("flash", "--port", tmp_path / "missing")
    assert done.returncode == 1
    assert done.stderr.startswith("warning: from this computer, 127.0.0.1 port 9/UDP is closed")
    assert "there is no port" in done.stdout


# Boards that do not answer


@needs_micropython
def test_a_program_that_floods_the_console_is_stopped(desk):
    board = desk.board()
    with Link(str(board.link)) as opened:
        opened.put("/main.py", b"while True:\n    print('flood ' * 9)\n")
        opened.start()
    assert desk.flash(board).result == "provisioned"
    assert desk.read(board, "/main.py.bak1")


@needs_micropython
def test_a_cable_that_is_pulled_while_the_board_starts(desk):
    board = desk.board()

    class Pulls(Heard):
        def on_line(self, line):
            board.pull_cable()

    result = flash(str(board.link), Job(desk.config(), FIRMWARE), Pulls())
    assert (result.exit_code, result.result) == (1, "failed")
    assert "the connection broke off. Check the cable" in result.detail


# Boards that will not do

ESP32, PICO_W = "Generic ESP32 module with ESP32", "Raspberry Pi Pico W with RP2040"
GOOD = Facts(
    "/dev/ttyUSB0", "esp32", "24dcc399a4e8", (1, 23, 0), 6, 10**6, 2**21, 10**5, True, False, ESP32
)


def test_a_good_board():
    facts.check(GOOD)


@pytest.mark.parametrize(
    ("changes", "exit_code", "phrases"),
    [
        ({"version": (1, 22, 2)}, 6, ("has MicroPython 1.22.2", "1.23", "ESP32_GENERIC at 0x1000")),
        ({"version": (1, 20, 0), "machine": PICO_W}, 6, ("BOOTSEL", "RPI_PICO_W")),
        ({"wifi": False, "machine": PICO_W}, 6, ("has no Wi-Fi", "RPI_PICO_W")),
        ({"wifi": False, "machine": "ESP32C3 module with ESP32C3"}, 6, ("GENERIC_C3", " 0x0,")),
        ({"wifi": False, "machine": "some board"}, 6, ("--install-micropython",)),
        ({"kind": "pyboard"}, 1, ("is a pyboard", "ESP32 and on a Pico W")),
        ({"mpy": 7}, 1, ("version 7", "--source")),
    ],
)
def test_a_board_that_will_not_do(changes, exit_code, phrases):
    with pytest.raises(FlashingError) as error:
        facts.check(dataclasses.replace(GOOD, **changes))
    assert error.value.exit_code == exit_code
    assert all(phrase in str(error.value) for phrase in phrases)


# Which board


def test_no_board():
    with pytest.raises(FlashingError, match=r"no board is connected.*carries data") as error:
        ports.choose([], False, [])
    assert error.value.exit_code == 2


def test_the_only_one_and_every_one():
    one, two = Port("/dev/ttyACM0"), Port("/dev/ttyACM1")
    assert ports.choose([], False, [one]) == ["/dev/ttyACM0"]
    assert ports.choose([], True, [one, two]) == ["/dev/ttyACM0", "/dev/ttyACM1"]
    assert ports.choose(["COM1", "COM1"], False) == ["COM1"]


def test_by_serial_number():
    two = [Port("COM3", "E660"), Port("COM4", "E661")]
    assert ports.choose(["id:e661"], False, two) == ["COM4"]


@needs_micropython
def test_several_and_no_choice(desk):
    boards = [desk.board("esp32", id="24dcc399a4e8"), desk.board("rp2")]
    available = [Port(str(board.link)) for board in boards]
    with pytest.raises(FlashingError, match="2 boards are connected") as error:
        ports.choose([], False, available)
    assert error.value.exit_code == 2
    assert "None was touched. Name one with --port" in str(error.value)
    assert "or use --all" in str(error.value)
    assert ports.choose(["id:24:dc:c3:99:a4:e8"], False, available) == [str(boards[0].link)]
    with pytest.raises(FlashingError, match="no board with the serial number 99") as error:
        ports.choose(["id:99"], False, available)
    text = str(error.value)
    assert "ESP32, id 24dcc399a4e8, MicroPython 1." in text and "Pico W, id " in text


# Looking into it


@needs_micropython
def test_doctor_finds_nothing_wrong(desk):
    board = desk.board()
    desk.flash(board)
    done = desk.tools("doctor", "--port", board.link)
    assert done.returncode == 0, done.stdout
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"ok"}
    for phrase in (
        "config.json has no mistake",
        "answers CoAP, piggybacked, in",
        'hears "home" at',
        "the board reaches the server",
    ):
        assert phrase in done.stdout
    assert "secret-of" not in done.stdout and "correct horse" not in done.stdout


@needs_micropython
def test_doctor_finds_what_is_wrong(desk, tmp_path):
    board = desk.board(networks=[])
    config = json.loads(desk.config())
    config["server"] = "coap://127.0.0.1:9"
    config["provisioning"]["provisionDeviceKey"] = "from the device profile"
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    done = desk.tools("doctor", "--port", board.link, "--json")
    assert done.returncode == 1
    found = [each for each in json.loads(done.stdout) if each["level"] != "ok"]
    assert [each["what"] for each in found] == [
        "provisionDeviceKey does not look like one",
        "127.0.0.1 port 9/UDP is closed: nothing listens there",
        "the firmware is not on the board",
        'the board does not hear "home"; it hears none',
    ]
    assert all(each["fix"] for each in found)


@needs_micropython
def test_doctor_looks_with_the_given_configuration(desk, tmp_path):
    board = desk.board()
    given = desk.config()
    changed = json.loads(given)
    changed["wifi"]["country"] = "DE"
    changed["provisioning"]["deviceName"] = "kitchen"
    name = desk.flash(board).name
    with FakeThingsBoard(ThingsBoard(KEY, SECRET)) as other:
        changed["server"] = other.uri
        (tmp_path / "config.json").write_text(json.dumps(changed), encoding="utf-8")
        done = desk.tools("doctor", "--port", board.link)
        assert len(other.received) == 2  # the computer's question and the board's
    assert (
        "warning  the board's config.json differs from the given one in "
        "server, wifi.country, wifi.hostname, provisioning.deviceName." in done.stdout
    )
    assert f'ok       the board is provisioned as "{name}" on coap://127.0.0.1:' in done.stdout
    assert "ok       firstboot 1.0.0 is on the board, as it is here" in done.stdout
    assert "ok       the board reaches the server" in done.stdout

    with Link(str(board.link)) as opened:
        opened.put("/firmware/errors.mpy", b"M")
    (tmp_path / "config.json").write_bytes(given)
    done = desk.tools("doctor", "--port", board.link)
    assert done.returncode == 1 and "failure  the firmware on the board is broken" in done.stdout


@needs_micropython
def test_doctor_names_the_networks_and_knows_that_some_hide(desk):
    hidden = {"ssid": "home", "password": "correct horse battery", "hidden": True}
    board = desk.board(networks=[hidden, {"ssid": "neighbour"}, {"ssid": "tr\x1b[31mouble"}])
    done = desk.tools("doctor", "--port", board.link)
    assert 'warning  the board does not hear "home", but a network that hides' in done.stdout
    assert '"neighbour" at -50 dBm' in done.stdout and "\x1b" not in done.stdout
    assert "ok       the board is not provisioned" in done.stdout


TICKS = b"""\
    import time
    while True:
        print("mine goes on")
        time.sleep_ms(20)
"""


def goes_on(board) -> bool:
    with serial.Serial(str(board.link), timeout=5) as port:
        return b"mine goes on" in port.read_until(b"mine goes on")


@needs_micropython
def test_a_board_that_is_refused_goes_on(desk):
    board = desk.board()
    with Link(str(board.link)) as link:
        link.put("/main.py", b"if True:\n" + TICKS)
    assert desk.flash(board, b"{}").exit_code == 5
    assert goes_on(board)
    assert desk.tools("reset", "--port", board.link, "--all").returncode == 1
    assert goes_on(board)


@needs_micropython
def test_doctor_has_an_end(desk, monkeypatch):
    """Whatever the board waits for: here for a server that says nothing, for 93 s."""
    board = desk.board()
    assert desk.flash(board, app=b"def run(credentials):\n" + TICKS).result == "provisioned"
    monkeypatch.setattr(doctor_board, "_ENDS_WITHIN", 3.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        config = json.loads(desk.config())
        config["server"] = f"coap://127.0.0.1:{silent.getsockname()[1]}"
        config = json.dumps(config).encode()
        began = time.monotonic()
        said: list[str] = []
        settings = content.check_config(config)
        *_, last = examine_board(str(board.link), config, settings, "x", said.append)
        assert len(said) == 3 and "joins and asks the server" in said[-1]
    assert 2 < time.monotonic() - began < 6
    assert last.level == FAILURE and "does not come to an end" in last.what
    assert goes_on(board)


@needs_micropython
@pytest.mark.parametrize("kind", ["esp32", "rp2"])
def test_doctor_beside_a_join(desk, kind):
    """A boot.py of the user's joins what is not there; an ESP32 takes no scan meanwhile."""
    board = desk.board(kind)
    assert desk.flash(board).result == "provisioned"
    with Link(str(board.link)) as link:
        link.put("/boot.py", DO_CONNECT)
    with Link(str(board.link)) as link:
        assert (
            link.value("import network\nprint(network.WLAN(network.STA_IF).isconnected())") is False
        )
        if kind == "esp32":
            assert link.value("import network\nprint(network.WLAN(network.STA_IF).scan())") == []
        link.start()
    done = desk.tools("doctor", "--port", board.link)
    assert done.returncode == 0, done.stdout
    assert 'hears "home" at' in done.stdout and "the board reaches the server" in done.stdout


@needs_micropython
def test_a_board_whose_file_system_is_fat_is_warned_of(desk):
    board = desk.board(file_system=FAT)
    assert desk.flash(board).result == "provisioned"
    (warning,) = desk.heard.warnings
    assert warning.startswith("the board's file system is FAT: a power cut while it saves can")
    assert warning.index("Copy your files off it, /credentials") < warning.index("erases the flash")
    done = desk.tools("doctor", "--port", board.link)
    assert done.returncode == 0 and f"warning  {warning}\n" in done.stdout
    done = desk.tools("flash", "--port", board.link)
    assert done.returncode == 0 and f"warning: {warning}\n" in done.stdout


@needs_micropython
def test_doctor_of_a_config_with_a_mistake_is_5(desk, tmp_path):
    for text, complaint in (
        ("{", "config.json: line 1, column 2: it ends too early"),
        ('{"led": 2, "led": 2}', "column 12: this key is in its object a second time"),
    ):
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
        for verb in ("doctor", "flash"):
            done = desk.tools(verb)
            assert done.returncode == 5 and complaint in done.stdout + done.stderr


@needs_micropython
def test_doctor_tells_what_is_doubtful(desk):
    (desk.folder / "config.json").write_bytes(desk.config(provisioning={"deviceName": "s-{ID}"}))
    done = desk.tools("doctor")
    assert "did you mean `{id}`?" in done.stdout


def test_what_failed_is_said_when_the_time_runs_out():
    """Also when the console's last line is of the next try."""
    lines = [
        '[   0.010] Wi-Fi: joining "home"',
        '[  30.295] failed: "home" did not take the password',
        "[  30.295]   Check `wifi.password`.",
        "[  30.296] next try in 4 s",
        '[  34.001] Wi-Fi: joining "home"',
    ]
    link = SimpleNamespace(lines=lambda seconds: iter(lines))
    outcome = follow(link, 40, lambda line: None, 5)
    assert outcome.exit_code == 4
    assert outcome.detail == (
        'not provisioned after 40 s; the console\'s last line: [  34.001] Wi-Fi: joining "home". '
        'Before it, failed: "home" did not take the password. Check `wifi.password`.'
    )
