"""Which board is told what: whatever it does when the tool comes, it is reached or told right."""

from __future__ import annotations

import json
import os
import pty
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import serial

from host_tests.flash_bench import DO_CONNECT, Desk, Heard
from host_tests.power_up_bench import config_for
from host_tests.readme import README
from host_tests.virtual_bench import needs_micropython
from tools.flash import board as flashing
from tools.flash import drives, facts, ports, prompt
from tools.flash import link as link_module
from tools.flash.board import Job
from tools.flash.board_watchdog import HAS_WATCHDOG
from tools.flash.doctor_board import examine_board
from tools.flash.errors import FAILED, NO_MICROPYTHON, FlashingError
from tools.flash.findings import FAILURE
from tools.flash.link import Link
from tools.flash.listing import list_boards
from tools.flash.ports import Port
from tools.flash.reset import reset
from tools.mpy import compiled

HOLD_RESET = "Hold the board's reset button, start this again and let go"
ESP32_ROM = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n"
C3_ROM = b"ESP-ROM:esp32c3-api1-20210207\r\nrst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n"
S3_ROM = b"ESP-ROM:esp32s3-20210327\r\nrst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"
INVALID = b"invalid header: 0xffffffff\r\n" * 4
# What it says over and over; the exit code; what it is told, and what it is not.
WITHOUT_A_PROMPT = {
    "nothing": (b"", FAILED, ("says nothing", HOLD_RESET), ("erase",)),
    "ESP32 without a program": (
        ESP32_ROM + INVALID,
        NO_MICROPYTHON,
        ("has no MicroPython", "ESP32_GENERIC at 0x1000"),
        (),
    ),
    "ESP32-C3 without a program": (
        C3_ROM + INVALID,
        NO_MICROPYTHON,
        ("has no MicroPython", "ESP32_GENERIC_C3 at 0x0"),
        ("0x1000",),
    ),
    "ESP32-S3 whose flash cannot be read": (
        S3_ROM + b"flash read err, 1000\r\n" * 2,
        NO_MICROPYTHON,
        ("has no MicroPython", "ESP32_GENERIC_S3 at 0x0"),
        ("0x1000",),
    ),
    "download mode": (
        b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT)\r\nwaiting for download\r\n",
        FAILED,
        ("waits for a download", "Press its reset button"),
        ("erase",),
    ),
    "deep sleep": (
        b"ets Jul 29 2019 12:21:46\r\nrst:0x5 (DEEPSLEEP_RESET),boot:0x13\r\n",
        FAILED,
        ("sleeps most of the time", HOLD_RESET),
        ("erase",),
    ),
    "a voltage that drops": (
        ESP32_ROM + b"Brownout detector was triggered\r\n",
        FAILED,
        ("supply voltage drops", "another cable"),
        ("erase",),
    ),
    "a program that heeds nothing": (
        b"21.5\r\n",
        FAILED,
        ("Ctrl-C does not stop it", HOLD_RESET),
        ("erase",),
    ),
}
SWALLOWS = b"""
import time
def work():
    while True:
        try:
            print("working")
            time.sleep_ms(20)
        except:
            pass
def work_on():
    while True:
        try:
            work()
        except:
            pass
while True:
    try:
        work_on()
    except:
        pass
"""
SLEEPS = b"""
import machine, time
while True:
    try:
        time.sleep_ms(20)
        machine.deepsleep(200)
    except:
        pass
"""
WATCHDOG = b"""
import machine, time
watchdog = machine.WDT(timeout=700)
while True:
    watchdog.feed()
    time.sleep_ms(50)
"""


REACHED = {
    "a boot.py that waits": {"/boot.py": DO_CONNECT},
    "a boot.py that waits and prints": {
        "/boot.py": b"import time\nwhile True:\n    print('.')\n    time.sleep_ms(50)\n"
    },
    "a boot.py that raises": {"/boot.py": b"1 / 0\n", "/main.py": b"while True: pass\n"},
    "output every 0.5 s": {
        "/main.py": b"import time\nwhile True:\n    print('tick')\n    time.sleep_ms(500)\n"
    },
    "a flood": {"/main.py": b"while True:\n    print('flood ' * 9)\n"},
    "a watchdog": {"/main.py": WATCHDOG},
    "a watchdog in a module": {"/main.py": b"import lib.work\n", "/lib/work.py": WATCHDOG},
    "a watchdog in a compiled module": {
        "/main.py": b"import work\n",
        "/work.mpy": compiled(WATCHDOG, "work.py"),
    },
    "a program that catches one Ctrl-C": {
        "/main.py": b"try:\n    while True: pass\nexcept: pass\nwhile True: pass\n"
    },
}


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path, has_firmware=True) as desk:
        yield desk


def test_readme_has_the_same_table():
    text = README.read_text(encoding="utf-8").partition("gives no prompt is told right")[2]
    rows = [line for line in text.split("\n\n")[1].splitlines()[2:] if "nothing: it is" not in line]
    assert {row.split("`")[1] for row in rows} == {
        told[0] for _, _, told, _ in WITHOUT_A_PROMPT.values()
    }


@contextmanager
def talking(says: bytes):
    """A serial port at which something says the same over and over."""
    board, computer = pty.openpty()
    stop = threading.Event()

    def say() -> None:
        while not stop.wait(0.02):
            os.write(board, says)

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield os.ttyname(computer)
    finally:
        stop.set()
        thread.join()
        os.close(board)
        os.close(computer)


def told_by_flash(port: str) -> tuple[int, str]:
    config = json.dumps(config_for("coap://example.com")).encode()
    result = flashing.flash(port, Job(config=config, firmware={}), Heard())
    return result.exit_code, result.detail


def told_by_doctor(port: str) -> tuple[int, str]:
    (finding,) = examine_board(port, b"{}", None, "x")
    assert finding.level == FAILURE
    return FAILED, f"{finding.what}. {finding.fix}"


def told_by_reset(port: str) -> tuple[int, str]:
    with pytest.raises(FlashingError) as error:
        list(reset(port, True, False, False))
    return error.value.exit_code, str(error.value)


@pytest.mark.parametrize("state", WITHOUT_A_PROMPT)
def test_a_board_without_a_prompt(state, be_impatient):
    """All that speak to a board are told the same."""
    says, exit_code, told, not_told = WITHOUT_A_PROMPT[state]
    be_impatient()

    def ask(verb) -> tuple[int, str]:
        with talking(says) as port:
            return verb(port)

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, (told_by_flash, told_by_doctor, told_by_reset)))
    assert [code for code, _ in answers] == [exit_code, FAILED, exit_code]
    for _, text in answers:
        assert all(phrase in text for phrase in told), text
        assert not [phrase for phrase in not_told if phrase in text]
        assert "\n" not in text


@needs_micropython
@pytest.mark.parametrize("state", REACHED)
def test_a_healthy_board_is_reached(desk, state):
    board = desk.board()
    with Link(str(board.link)) as link:
        link.run("import os\nos.mkdir('/lib')")
        for path, content in REACHED[state].items():
            link.put(path, content)
        link.start()
    time.sleep(0.2)
    with Link(str(board.link)) as link:
        assert facts.ask(link).kind == "esp32"
        link.run(
            "import time\nfor _ in range(8):\n    time.sleep_ms(100)\n    _watchdog.feed()\n"
            if "watchdog" in state
            else ""
        )
        assert link.value("print(40 + 2)") == 42
    assert not set(board.resets) & {"watchdog", "hard"}


def is_reached_after(seconds: float, board) -> bool:
    """Whether a board is that is held in reset for so long, or that starts so late."""
    board.cut_power()
    let_go = threading.Timer(seconds, board.power_on)
    let_go.start()
    with Link(str(board.link)) as link:
        is_reached = link.value("print(40 + 2)") == 42
    let_go.join()
    return is_reached


@needs_micropython
def test_a_program_that_swallows_ctrl_c_is_reached_through_reset(desk, be_impatient):
    board = desk.board()
    with Link(str(board.link)) as link:
        link.put("/main.py", b"import time\nprint('starts')\ntime.sleep_ms(150)\n" + SWALLOWS)
        link.start()
    time.sleep(0.4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt, "_SILENT_FOR", 0.3)
        patch.setattr(prompt, "_RUNS_FOR", 0.8)
        with pytest.raises(FlashingError, match=f"Ctrl-C does not stop it. {HOLD_RESET}"):
            Link(str(board.link)).__enter__()
    assert is_reached_after(0.5, board)


@needs_micropython
def test_a_deep_sleeper_is_told_so_and_reached_through_reset(desk, monkeypatch):
    board = desk.board()
    with Link(str(board.link)) as link:
        link.put("/asleep.py", SLEEPS)
        link.put("/boot.py", b"import machine\nif machine.reset_cause() == 4: import asleep\n")
        link.put("/main.py", b"import time\ntime.sleep_ms(150)\nimport asleep\n")
        link.start()
    time.sleep(0.8)
    assert board.resets[-2:] == ["deepsleep", "deepsleep"]
    with monkeypatch.context() as patch:
        patch.setattr(prompt, "_RUNS_FOR", 0.8)
        told = ""
        while not told:  # a Ctrl-C may come just in time
            try:
                with Link(str(board.link)) as link:
                    link.start()
            except FlashingError as error:
                told = str(error)
    assert f"the board sleeps most of the time. {HOLD_RESET}" in told
    assert is_reached_after(0.5, board)


@needs_micropython
def test_a_slow_board_is_waited_for(desk):
    board = desk.board()
    assert is_reached_after(3, board)


@needs_micropython
def test_a_question_ends_though_the_board_goes_on_talking(desk):
    board = desk.board()
    with Link(str(board.link)) as link:
        began = time.monotonic()
        with pytest.raises(FlashingError, match="does not come to an end"):
            link.run("import time\nwhile True:\n    print('.')\n    time.sleep_ms(50)", at_most=0.5)
        assert time.monotonic() - began < 3


@needs_micropython
def test_a_board_that_resets_in_the_middle_is_told(desk):
    board = desk.board()
    with Link(str(board.link)) as link, pytest.raises(FlashingError, match="resets itself"):
        link.run("import machine\nmachine.reset()", 5)


@needs_micropython
def test_every_question_feeds_the_watchdog(desk, monkeypatch):
    monkeypatch.setattr(link_module, "HAS_WATCHDOG", HAS_WATCHDOG.replace("8388", "600"))
    board = desk.board()
    desk.flash(board, config=desk.config(watchdog=1), start=False)
    with Link(str(board.link)) as link:
        for _ in range(4):
            link.run("import time\ntime.sleep_ms(300)")
    assert "watchdog" not in board.resets


@needs_micropython
def test_doctor_beside_a_watchdog(desk):
    board = desk.board()
    desk.flash(board, config=desk.config(watchdog=1))
    done = desk.tools("doctor", "--port", board.link)
    assert done.returncode == 0, done.stdout
    assert "the board reaches the server" in done.stdout
    assert "watchdog" not in board.resets


# Which boards there are

COUNTS = (
    b"import time\nn = 0\nwhile True:\n    n += 1\n    print('count', n)\n    time.sleep_ms(20)\n"
)


def count(port) -> int:
    with serial.Serial(str(port), timeout=2) as line:
        line.read_until(b"count ")
        return int(line.read_until(b"\n"))


def one_that_runs_and_one_that_does_not(desk) -> tuple[list, int]:
    """The boards, and how far the first one has counted."""
    boards = [desk.board(), desk.board("rp2")]
    with Link(str(boards[0].link)) as link:
        link.put("/main.py", COUNTS)
        link.start()
    return boards, count(boards[0].link)


@needs_micropython
def test_listing_boards_touches_none(desk):
    boards, before = one_that_runs_and_one_that_does_not(desk)
    seen = [(board.received, list(board.resets)) for board in boards]
    available = [
        Port(str(boards[0].link), "0001", "CP2102 USB to UART", 0x10C4, 0xEA60),
        Port(str(boards[1].link), "E6614103E7452D2F", "Board in FS mode", 0x2E8A, 5),
    ]
    with pytest.raises(FlashingError) as error:
        ports.choose([], False, available)
    assert f"\n  {boards[0].link}  CP2102 USB to UART, id:0001\n" in str(error.value)
    assert "RP2350 with MicroPython, id e6614103e7452d2f\nNone was touched" in str(error.value)
    for number in ("id:e6614103e7452d2f", "id:E6614103E7452D2F"):
        assert ports.choose([number], False, available) == [str(boards[1].link)]
    assert ports.choose(["id:0001"], False, available) == [str(boards[0].link)]
    with pytest.raises(FlashingError, match="no board with the serial number 99"):
        ports.choose(["id:99"], False, available[1:])
    assert [(board.received, board.resets) for board in boards] == seen
    assert count(boards[0].link) > before


@needs_micropython
def test_a_board_that_is_asked_goes_on(desk):
    """What USB does not tell of a board is asked for when somebody names it by its id."""
    boards, before = one_that_runs_and_one_that_does_not(desk)
    available = [Port(str(boards[0].link), "0001", "CP2102 USB to UART"), Port(str(boards[1].link))]
    running, idle = ports.ask_all(available)
    assert running == "CP2102 USB to UART, id:0001: it runs a program"
    assert idle.startswith("Pico W, id ")
    board_id = idle.split()[3].rstrip(",")
    assert ports.choose([f"id:{board_id}"], False, available) == [str(boards[1].link)]
    with pytest.raises(FlashingError, match="No program on them was stopped"):
        ports.choose(["id:99"], False, available)
    assert count(boards[0].link) > before


@needs_micropython
def test_a_board_that_is_left_out_goes_on(desk):
    board = desk.board()
    with Link(str(board.link)) as link:
        link.put("/main.py", COUNTS)
    result = desk.flash(board, rows={})
    assert (result.result, result.exit_code) == ("skipped", 0)
    assert count(board.link) > 0


@needs_micropython
def test_boards_lists_what_is_plugged_in(desk, tmp_path, monkeypatch, capsys):
    board = desk.board("rp2")
    drive = tmp_path / "media" / "RPI-RP2"
    drive.mkdir(parents=True)
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nBoard-ID: RPI-RP2\n")
    monkeypatch.setattr(ports, "connected", lambda: [Port(str(board.link), "e660")])
    monkeypatch.setattr(drives, "_roots", lambda: [tmp_path / "media"])
    list_boards(asks=True, as_json=False)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{board.link}  Pico W, id ")
    assert second.startswith(f"{drive}  RP2040 without MicroPython")
    received = board.received
    list_boards(asks=False, as_json=True)
    first, second = json.loads(capsys.readouterr().out)
    assert first == {"port": str(board.link), "serial_number": "e660", "board": "unknown, id:e660"}
    assert board.received == received
    monkeypatch.setattr(ports, "connected", list)
    monkeypatch.setattr(drives, "_roots", list)
    list_boards(asks=False, as_json=False)
    assert "No board is plugged in" in capsys.readouterr().err
