"""The virtual board at a serial port, driven by mpremote's own command line and by hand."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tests.processes import MPREMOTE
from host_tests.virtual_bench import both_kinds
from tools.virtual_board.errors import FlashError
from tools.virtual_board.flash import make_blank, read_file
from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.serial_board import SerialBoard

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not find_micropython().package_folder,
    reason="a virtual board at a serial port needs Linux and the MicroPython of requirements.txt",
)
RAW = b"raw REPL; CTRL-B to exit\r\n>"
INTERRUPTIONS = 50


class Bench:
    def __init__(self, folder: Path):
        self.folder = folder
        self.flash = folder / "flash.img"

    def board(self, kind="esp32", **options) -> SerialBoard:
        if not self.flash.exists():
            make_blank(self.flash, kind)
        return SerialBoard(self.flash, kind, self.folder / "tty", **options)

    def mpremote(self, *arguments: str, code: int = 0) -> str:
        """Run mpremote's command line on the board; gives what it printed."""
        command = [*MPREMOTE, "connect", str(self.folder / "tty")]
        done = subprocess.run(
            [*command, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=20
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout.replace("\r\n", "\n")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


class Terminal:
    """A program at the other end of the cable."""

    def __init__(self, board: SerialBoard):
        import serial

        self.port = serial.Serial(str(board.link), timeout=5)
        self.heard = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_) -> None:
        self.port.close()

    def type(self, text: bytes) -> None:
        self.port.write(text)

    def read_to(self, ending: bytes) -> bytes:
        """What is said up to and with `ending`."""
        while ending not in self.heard:
            more = self.port.read(max(1, self.port.in_waiting))
            assert more, f"no {ending} in {self.heard[-500:]}"
            self.heard += more
        text, _, self.heard = self.heard.partition(ending)
        return text + ending

    def enter_raw_repl(self) -> None:
        self.type(b"\r\x01")
        self.read_to(RAW)

    def run(self, code: str) -> bytes:
        """Run code in the raw REPL; gives its output."""
        self.begin(code)
        output = self.read_to(b"\x04")[:-1]
        errors = self.read_to(b"\x04>")[:-2]
        assert not errors, errors
        return output

    def begin(self, code: str) -> None:
        self.type(code.encode() + b"\x04")
        self.read_to(b"OK")


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_files_through_mpremote(bench):
    bench.write("one.py", "print('one')\n")
    bench.write("tree/a/b.txt", "b" * 5000)
    bench.write("tree/c.txt", "c")
    with bench.board():
        bench.mpremote("fs", "cp", "one.py", ":one.py", "+", "fs", "mkdir", "lib")
        assert bench.mpremote("fs", "cat", "one.py") == "print('one')\n"
        digest = hashlib.sha256(b"print('one')\n").hexdigest()
        assert digest in bench.mpremote("fs", "sha256sum", "one.py")
        bench.mpremote("fs", "cp", "-r", "tree", ":")
        listing = bench.mpremote("fs", "tree", "+", "fs", "ls", "tree", "+", "df")
        assert "b.txt" in listing and "c.txt" in listing and "2097152" in listing
        bench.mpremote("fs", "cp", ":tree/a/b.txt", "back.txt")
        bench.mpremote("fs", "rm", "one.py", "+", "fs", "rm", "-r", ":tree")
        assert "tree" not in bench.mpremote("fs", "ls")
    assert (bench.folder / "back.txt").read_text() == "b" * 5000


def test_code_through_mpremote(bench):
    bench.write("script.py", "import sys\nprint('ran', __name__)\n")
    with bench.board(id="a1b2c3d4e5f6"):
        chained = ("eval", "6*7", "+", "exec", "x = 1", "+", "run", "script.py")
        assert bench.mpremote(*chained, "resume", "exec", "print(x)") == "42\nran __main__\n1\n"
        assert "ZeroDivisionError" in bench.mpremote("exec", "1/0", code=1)
        unique_id = "import machine; print(machine.unique_id().hex())"
        assert bench.mpremote("exec", unique_id) == "a1b2c3d4e5f6\n"


def test_mip_installs_from_a_local_package(bench):
    package = {"urls": [["thing/__init__.py", "thing/__init__.py"]], "version": "1"}
    bench.write("package.json", json.dumps(package))
    bench.write("thing/__init__.py", "answer = 42\n")
    with bench.board():
        bench.mpremote("mip", "install", "./package.json")
        assert bench.mpremote("exec", "import thing; print(thing.answer)") == "42\n"
    assert read_file(bench.flash, "lib/thing/__init__.py") == b"answer = 42\n"


@both_kinds
def test_a_board_says_what_it_is(bench, kind):
    with bench.board(kind) as board, Terminal(board) as terminal:
        terminal.enter_raw_repl()
        said = terminal.run("import os, sys; print(sys.platform, os.uname().sysname, sys.version)")
        assert said.startswith({"esp32": b"esp32 esp32 ", "rp2": b"rp2 rp2 "}[kind])
        assert b"Pico W" in terminal.run("print(sys.implementation)") or kind == "esp32"
        terminal.type(b"\x02")
        assert b"linux" not in terminal.read_to(b">>> ")


def test_which_reset_runs_what(bench):
    make_blank(bench.flash, "esp32")
    with bench.board() as board, Terminal(board) as terminal:
        terminal.enter_raw_repl()
        for name in ("boot.py", "main.py"):
            content = f"print('{name}', __name__)\nseen = 1"
            terminal.run(f"with open('{name}', 'w') as f: x = f.write({content!r})")
        raw = b"\r\nMPY: soft reboot\r\nboot.py __main__\r\nraw REPL; CTRL-B to exit\r\n>"
        terminal.type(b"\x04")
        assert terminal.read_to(RAW).endswith(b"OK" + raw)
        terminal.begin("import machine; machine.soft_reset()")
        assert b"main.py" not in terminal.read_to(RAW)
        assert terminal.run("print(seen, 'machine' in globals())") == b"1 False\r\n"
        terminal.type(b"\x02\x04")
        terminal.read_to(b"MPY: soft reboot\r\nboot.py __main__\r\nmain.py __main__\r\n")
        terminal.read_to(b">>> ")
        terminal.type(b"import machine; machine.reset()\r")
        assert b"soft reboot" not in terminal.read_to(b"main.py __main__\r\n")
        terminal.read_to(b">>> ")
        terminal.type(b"import machine; print(machine.reset_cause())\r")
        terminal.read_to(b"2\r\n>>> ")
        assert board.resets == ["soft", "soft", "soft", "hard"]


def test_mpremote_resets(bench):
    with bench.board() as board:
        bench.mpremote("soft-reset")
        bench.mpremote("resume", "reset")
        deadline = time.monotonic() + 5
        while board.resets != ["soft", "hard"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert board.resets == ["soft", "hard"]


def test_the_watchdog_resets(bench):
    with bench.board() as board, Terminal(board) as terminal:
        terminal.enter_raw_repl()
        terminal.begin("import machine; machine.WDT(timeout=100)")
        terminal.read_to(b">>> ")
        assert board.resets == ["watchdog"]
        terminal.type(b"import machine; print(machine.reset_cause())\r")
        terminal.read_to(b"3\r\n>>> ")


BLOCKED = """\
import socket
if "s" in globals(): s.close()  # an ESP32 has few
s = socket.socket(2, 2)
s.bind(('127.0.0.1', 0))
print(1)
"""
SITUATIONS = {
    "busy loop": "print(1)\nwhile True: pass",
    "allocations": "print(1)\nwhile True: x = [[i] for i in range(300)]",
    "sleep": "import time; print(1); time.sleep(1000)",
    "recvfrom": BLOCKED + "s.recvfrom(100)",
    "prints": "while True: print('flood', 1.5, {})",
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_ctrl_c_at_any_time(bench, situation):
    chance = random.Random(situation)
    with bench.board() as board, Terminal(board) as terminal:
        terminal.enter_raw_repl()
        for _ in range(INTERRUPTIONS):
            terminal.begin(SITUATIONS[situation])
            terminal.read_to(b"\n")
            time.sleep(chance.random() * 0.02)
            terminal.type(b"\x03")
            assert b"KeyboardInterrupt" in terminal.read_to(b"\x04>")
        assert terminal.run("print(len([0] * 1000))") == b"1000\r\n"
        assert board.resets == []


def test_ctrl_c_at_the_prompt_only_clears_the_line(bench):
    with bench.board() as board, Terminal(board) as terminal:
        terminal.enter_raw_repl()
        terminal.type(b"\x02")
        terminal.read_to(b">>> ")
        terminal.type(b"1 +\x03")
        terminal.read_to(b"\r\n>>> ")
        terminal.type(b"while True: pass\r\r\r\x03")
        assert b"KeyboardInterrupt" in terminal.read_to(b"\r\n>>> ")
        assert board.resets == []


def test_nobody_has_to_read_what_a_board_prints(bench):
    make_blank(bench.flash, "esp32")
    with bench.board() as board:
        with Terminal(board) as terminal:
            terminal.enter_raw_repl()
            terminal.begin("n = 0\nwhile True:\n n += 1\n print(n)")
            time.sleep(0.05)
        time.sleep(0.1)
        assert bench.mpremote("resume", "eval", "n > 10000") == "True\n"


def test_a_pulled_cable_leaves_the_board_running(bench):
    with bench.board() as board:
        with Terminal(board) as terminal:
            terminal.enter_raw_repl()
            terminal.run("kept = 1")
            board.pull_cable()
            assert not board.link.is_symlink()
            with pytest.raises(OSError):
                terminal.port.read(1)
        board.plug_in()
        with Terminal(board) as terminal:
            terminal.enter_raw_repl()
            assert terminal.run("print(kept)") == b"1\r\n"


def test_the_power_can_fail_at_any_byte(bench):
    with bench.board() as board:
        with Terminal(board) as terminal:
            terminal.enter_raw_repl()
            before = board.received
            code = "open('kept', 'w').close()\x04"
            board.at_byte(len(code) + 3, board.cut_power)
            terminal.run(code[:-1])
            terminal.type(b"print('never')\x04")
            deadline = time.monotonic() + 5
            while board.received < before + len(code) + 15 and time.monotonic() < deadline:
                time.sleep(0.005)
        with Terminal(board) as terminal:
            board.power_on()
            assert b"never" not in terminal.read_to(b">>> ")
    assert read_file(bench.flash, "kept") == b""


def test_a_link_is_made_where_nothing_else_is(bench):
    bench.write("tty", "somebody's")
    with pytest.raises(RuntimeError, match="Name another link"), bench.board():
        pass
    assert (bench.folder / "tty").read_text() == "somebody's"


def test_one_board_at_a_time_on_a_flash(bench, tmp_path):
    with bench.board(), pytest.raises(FlashError, match="another board"):
        SerialBoard(bench.flash, "esp32", tmp_path / "other").__enter__()
