"""A first config.json: asked for in a terminal, or given as options."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys

from host_tests.flash_bench import Desk
from host_tests.power_up_bench import KEY, SECRET
from host_tests.processes import BARE, started
from host_tests.readme import read_block
from host_tests.virtual_bench import needs_micropython
from tools.flash import init as asking
from tools.flash import ports
from tools.flash.ports import Port
from tools.virtual_board.flash import PROJECT

COMMAND = [sys.executable, "-c", "from tools.cli import main; main()", "init"]
ENVIRONMENT = BARE | {"PYTHONPATH": str(PROJECT), "TERM": "dumb"}


def in_a_terminal(answers: list[str], folder) -> tuple[int, str]:
    """Answer each question as it comes; gives the exit code and what was shown."""
    ours, theirs = pty.openpty()
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    shown, asked = b"", 0
    with started(COMMAND, cwd=folder, env=ENVIRONMENT, **terminal) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 4096):
                shown += piece
                if shown.endswith(b": ") and asked < len(answers):
                    os.write(ours, answers[asked].encode() + b"\n")
                    asked += 1
        except OSError:
            pass  # it has ended
        code = process.wait(timeout=30)
    os.close(ours)
    return code, shown.decode()


def test_no_answer(tmp_path):
    """The end of input, as Ctrl-C, ends it before anything is written."""
    code, shown = in_a_terminal(["\x04"], tmp_path)
    assert code == 130 and shown.endswith("\n") and not list(tmp_path.iterdir())


def test_five_questions(server, tmp_path):
    answers = ["home", "correct horse", server.uri.removeprefix("coap://"), KEY, SECRET, "", "n"]
    code, shown = in_a_terminal(answers, tmp_path)
    assert code == 0, shown
    assert "correct horse" not in shown and SECRET not in shown
    assert "answers CoAP" in shown and "python3 -m tools flash\r\n" in shown
    path = tmp_path / "config.json"
    assert not (tmp_path / "app.py").exists()
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "wifi": {"ssid": "home", "password": "correct horse"},
        "server": server.uri,
        "provisioning": {
            "deviceName": "sensor-{id}",
            "provisionDeviceKey": KEY,
            "provisionDeviceSecret": SECRET,
        },
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_mistake_is_asked_for_again(server, tmp_path):
    answers = ["home", "short", "correct horse", "thingsboard..example.com", "x y", server.uri]
    answers += [KEY, SECRET, "sensor-{ID}", "sensor-{id}", ""]
    code, shown = in_a_terminal(answers, tmp_path)
    assert code == 0 and "flash --app app.py" in shown, shown
    assert (tmp_path / "app.py").read_text(encoding="utf-8") == read_block("app.py")
    assert "a password of 8 to 64 bytes" in shown and "short" not in shown
    assert "has a part that is empty" in shown and "did you mean `{id}`?" in shown
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (written["server"], written["wifi"]["password"]) == (server.uri, "correct horse")


def by_options(folder, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, "FIRSTBOOT_SECRET": SECRET, "FIRSTBOOT_WIFI_PASSWORD": "correct horse"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_without_a_terminal(server, tmp_path):
    options = ("--ssid", "home", "--server", server.uri, "--key", KEY, "--name", "kitchen")
    done = by_options(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert written["provisioning"]["deviceName"] == "kitchen"
    again = by_options(tmp_path, *options)
    assert again.returncode == 2 and "is there already" in again.stderr
    assert by_options(tmp_path, *options, "--force").returncode == 0


def test_an_application_to_begin_with(server, tmp_path):
    options = ("--ssid", "home", "--server", server.uri, "--key", KEY, "--force")
    app = tmp_path / "app.py"
    assert by_options(tmp_path, *options).returncode == 0 and not app.exists()
    done = by_options(tmp_path, *options, "--app")
    assert done.returncode == 0 and "flash --app app.py\n" in done.stdout
    assert app.read_text(encoding="utf-8") == read_block("app.py")
    power_up = [*COMMAND[:-1], "power-up", "--config", "config.json", "--flash", "board.img"]
    stays = [*power_up, "--app", "app.py", "--stay", "--timeout", "6", "--json"]
    found = subprocess.run(stays, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert "connected: " in found.stdout + found.stderr, found
    assert [device for device in server.thingsboard.devices.values() if device.telemetry]


def test_an_application_that_is_there_stays(server, tmp_path):
    app = tmp_path / "app.py"
    app.write_text("mine")
    answers = ["home", "correct horse", server.uri, KEY, SECRET, ""]
    code, shown = in_a_terminal(answers, tmp_path)
    assert code == 0 and "app.py" not in shown and app.read_text() == "mine"
    options = ("--ssid", "home", "--server", server.uri, "--key", KEY, "--force", "--app")
    done = by_options(tmp_path, *options)
    assert done.returncode == 0 and "app.py is there already, and stays as it is." in done.stdout
    assert app.read_text() == "mine"


def test_a_server_over_dtls_wants_its_ca(tmp_path):
    done = by_options(tmp_path, "--ssid", "home", "--server", "coaps://localhost", "--key", KEY)
    assert done.returncode == 0 and "beside it, as ca.pem" in done.stdout
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (written["server"], written["ca"]) == ("coaps://localhost", "ca.pem")


def test_what_is_missing_is_named(tmp_path):
    done = by_options(tmp_path, "--ssid", "home")
    assert done.returncode == 2 and "--server, --key missing" in done.stderr
    assert not (tmp_path / "config.json").exists()


def test_a_mistake_is_not_written(server, tmp_path):
    done = by_options(
        tmp_path, "--ssid", "home", "--server", server.uri, "--key", KEY, "--name", "x-{ID}"
    )
    assert done.returncode == 5 and "did you mean `{id}`" in done.stderr
    assert "Correct the options" in done.stderr
    assert not (tmp_path / "config.json").exists()


@needs_micropython
def test_the_networks_that_a_plugged_board_hears(tmp_path, monkeypatch):
    with Desk(tmp_path) as desk:
        board = desk.board(networks=[{"ssid": "home"}, {"ssid": "next door"}])
        monkeypatch.setattr(ports, "connected", lambda: [Port(str(board.link))])
        assert set(asking._of_a_board(ports.connected)) == {"home", "next door"}
