"""No control character from outside reaches a terminal as one."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import sys
import threading

import pytest

from host_tests.flash_bench import Desk
from host_tests.processes import BARE, started
from host_tests.virtual_bench import needs_micropython
from tools.flash.link import Link
from tools.terminal import ConsoleFilter, one_line, printable
from tools.virtual_board.flash import PROJECT

EVIL = "\x1b]0;evil\x07\x1b[31m\x9b2J\u202e"
SPELT = r"\x1b]0;evil\x07\x1b[31m\x9b2J\u202e"
# Sequences that these tools write themselves: colours, and what bars move by.
OWN = re.compile(r"\x1b\[[\d;]*m|\x1b\[\??\d+[hlABCDK]|\x1b\[[HK]|\r|\n|\t")


def on_a_terminal(*arguments, cwd) -> str:
    """What a verb shows on a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from tools.cli import main; main()", *map(str, arguments)]
    environment = BARE | {"PYTHONPATH": str(PROJECT), "TERM": "xterm"}
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    shown = b""
    with started(command, cwd=cwd, env=environment, **terminal) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # the verb has ended
        process.wait(timeout=30)
    os.close(ours)
    return shown.decode()


def controls(shown: str) -> str:
    """The control characters in it that are none of these tools' own."""
    rest = OWN.sub("", shown)
    return rest if printable(rest) != rest else ""


def test_printable():
    assert printable(EVIL) == SPELT
    assert printable("lines\nstay\tas they are, ünd ✓") == "lines\nstay\tas they are, ünd ✓"
    assert one_line("a\nok  b\t") == r"a\nok  b\t"


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ((b">>> a\x08\x1b[K\r\n",), b">>> a\x08\x1b[K\r\n"),
        ((b"\x1b", b"[2", b"D"), b"\x1b[2D"),
        ((b"\x1b]0;x\x07", b"\x1b[31m"), rb"\x1b]0;x\x07\x1b[31m"),
        (("ü".encode(),), "ü".encode()),
    ],
)
def test_a_console_may_edit_its_line(pieces, shown):
    console = ConsoleFilter()
    assert b"".join(console.feed(piece) for piece in pieces) == shown


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path, has_firmware=True) as desk:
        (tmp_path / "config.json").write_bytes(desk.config())
        yield desk


@needs_micropython
def test_a_board_s_console_and_files(desk, tmp_path):
    board = desk.board()
    app = f"def run(credentials):\n    print({EVIL!r})\n    raise ValueError({EVIL!r})\n"
    (tmp_path / "app.py").write_text(app, encoding="utf-8")
    shown = on_a_terminal("flash", "--port", board.link, "--app", "app.py", cwd=tmp_path)
    assert r"\x1b]0;evil" in shown and not controls(shown)
    assert "\x9b" not in shown and "\u202e" not in shown
    credentials = {
        "deviceName": EVIL,
        "server": "coap://a",
        "credentialsType": "ACCESS_TOKEN",
        "credentialsValue": "t",
    }
    for verb in (("doctor",), ("reset", "--credentials")):
        with Link(str(board.link)) as link:
            link.put("/credentials.json", json.dumps(credentials).encode())
        shown = on_a_terminal(*verb, "--port", board.link, cwd=tmp_path)
        assert r"\x1b]0;evil" in shown and not controls(shown)


def test_what_a_person_hands_over(tmp_path):
    (tmp_path / "boards.csv").write_text(f"id,{EVIL}\n", encoding="utf-8")
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "main.py").touch()
    (tmp_path / "board" / "evil.txt").write_text(EVIL, encoding="utf-8")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    for arguments in (
        ("read", "--flash", "board", "evil.txt"),
        ("read", "--flash", EVIL, "x"),
        ("flash", "--config", EVIL),
        ("doctor", "--config", "config.json", "--port", EVIL),
        ("provision", "--server", f"coap://{EVIL}", "--key", "k", "--secret", "s"),
        (EVIL,),
    ):
        shown = on_a_terminal(*arguments, cwd=tmp_path)
        assert shown and not controls(shown), shown


def test_what_a_server_says(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            request, peer = server.recvfrom(2048)
            token = request[4 : 4 + (request[0] & 15)]
            reply = bytes([0x60 | len(token), 0x41]) + request[2:4] + token + b"\xff"
            server.sendto(reply + EVIL.encode(), peer)

        answers = threading.Thread(target=answer)
        answers.start()
        uri = f"coap://127.0.0.1:{server.getsockname()[1]}"
        shown = on_a_terminal(
            "provision", "--server", uri, "--key", "k", "--secret", "s", cwd=tmp_path
        )
        answers.join()
    assert SPELT in shown and not controls(shown)
