"""The verb `provision`: whatever becomes of a reply or of the process, the same command goes on."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from host_tests.processes import started
from tools.fake_thingsboard.codec import decode
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.virtual_board.flash import PROJECT
from tools.virtual_board.lock import locked

KEY, SECRET, NAME = "provision-key", "provision-secret", "sensor-1"
FOLDER = NAME + ".attempt"


class Link:
    """Stands between a client and a server, and loses every reply while `loses` is true.

    The server sees the port that the client has, one for each.
    """

    def __init__(self, port: int):
        self.loses = False
        self._server = ("127.0.0.1", port)
        self._front = self._bound()
        self._upstream: dict = {}
        self._is_over = False
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Link:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._is_over = True
        self._thread.join()
        for each in (self._front, *self._upstream.values()):
            each.close()

    @property
    def uri(self) -> str:
        return f"coap://127.0.0.1:{self._front.getsockname()[1]}"

    @staticmethod
    def _bound() -> socket.socket:
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        each.bind(("127.0.0.1", 0))
        return each

    def _carry(self) -> None:
        while not self._is_over:
            sockets = [self._front, *self._upstream.values()]
            for ready in select.select(sockets, [], [], 0.05)[0]:
                datagram, peer = ready.recvfrom(2000)
                if ready is self._front:
                    upstream = self._upstream.setdefault(peer, None) or self._bound()
                    self._upstream[peer] = upstream
                    upstream.sendto(datagram, self._server)
                elif not self.loses:
                    client = next(peer for peer, each in self._upstream.items() if each is ready)
                    self._front.sendto(datagram, client)


class Site:
    """A ThingsBoard behind a link, and a folder in which commands are run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.thingsboard = ThingsBoard(KEY, SECRET)
        self.server = FakeThingsBoard(self.thingsboard)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Site:
        self._stack.enter_context(self.server)
        self.link = self._stack.enter_context(Link(self.server.port))
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    @property
    def token(self) -> str:
        (device,) = self.thingsboard.devices.values()
        return device.token

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def restart(self) -> None:
        """Restart the server: it forgets its duplicates and keeps its devices."""
        self.server.__exit__(None, None, None)
        self.server.__enter__()

    def start(self, *more: str, name: str | None = NAME, key: str = KEY, server: str = ""):
        arguments = ["provision", "--server", server or self.link.uri, "--key", key]
        arguments += ["--secret", SECRET, *(["--name", name] if name else []), *more]
        return started(
            [sys.executable, "-c", "from tools.cli import main; main()", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *more: str, **options):
        """Run the command; (exit code, standard output, standard error)."""
        with self.start(*more, **options) as process:
            said, complaints = process.communicate(timeout=30)
        assert "Traceback" not in complaints
        return process.returncode, said, complaints

    def lose_reply(self, *more: str, end: int = signal.SIGKILL, devices: int = 1, **options):
        """Run it until ThingsBoard has provisioned, lose the reply, and end the process."""
        self.link.loses = True
        with self.start(*more, **options) as process:
            deadline = time.monotonic() + 20
            while len(self.thingsboard.devices) < devices and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(end)
            said, complaints = process.communicate(timeout=20)
        self.link.loses = False
        assert said == "" and len(self.thingsboard.devices) == devices
        return process.returncode, complaints

    def provisioned(self, *more: str, **options) -> str:
        """Run it, and see that it ends well; the token that it shows."""
        exit_code, said, complaints = self.run(*more, **options)
        assert exit_code == 0, complaints
        shown = json.loads(said)
        assert (shown["status"], shown["credentialsType"]) == ("SUCCESS", "ACCESS_TOKEN")
        return shown["credentialsValue"]

    @property
    def posts(self) -> list[dict]:
        """The bodies of the requests that came, each once."""
        messages = [decode(each.data) for each in self.server.received]
        bodies = {m.message_id: bytes(m.payload) for m in messages if m.code == 2}
        return [json.loads(body) for body in bodies.values()]


@pytest.fixture
def site(tmp_path):
    with Site(tmp_path) as site:
        yield site


def test_a_reply_that_is_lost_with_the_process(site):
    """The same bytes from the same port: the server says again what it said."""
    site.lose_reply()
    assert site.left == [FOLDER]
    assert (site.folder / FOLDER).stat().st_mode & 0o077 == 0
    assert site.provisioned() == site.token
    assert site.left == [] and len(site.posts) == 1


def test_a_reply_that_the_server_has_forgotten(site):
    site.lose_reply()
    site.restart()
    assert site.provisioned() == site.token
    assert site.left == []


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles only")
def test_ctrl_c_says_where_it_goes_on(site):
    exit_code, complaints = site.lose_reply(end=signal.SIGINT)
    assert exit_code == 130
    assert complaints.count(f"kept in {FOLDER}: the same command goes on with it") == 2
    site.restart()
    assert site.provisioned() == site.token


def test_a_key_that_is_renewed_meanwhile(site):
    site.lose_reply()
    site.thingsboard.key = "renewed-key"
    exit_code, said, complaints = site.run()
    assert exit_code in (0, 3)  # whether it is said again, or anew
    if exit_code:
        assert json.loads(said)["status"] == "NOT_FOUND" and "goes on with it" in complaints
        assert site.provisioned(key="renewed-key") == site.token
    assert site.left == []


def test_a_key_that_was_mistyped(site):
    site.lose_reply()
    exit_code, said, complaints = site.run(key="mistyped")
    assert exit_code == 3 and json.loads(said)["status"] == "NOT_FOUND"
    assert f"kept in {FOLDER}" in complaints and site.left == [FOLDER]
    assert site.provisioned() == site.token
    assert site.left == []


def test_another_server_meanwhile(site):
    site.lose_reply()
    with FakeThingsBoard(ThingsBoard(KEY, SECRET)) as other:
        assert site.provisioned(server=other.uri) == other.thingsboard.devices[NAME].token
        assert other.thingsboard.devices[NAME].token != site.token
    assert site.left == [FOLDER]
    site.restart()
    assert site.provisioned() == site.token
    assert site.left == []


def test_a_server_that_chooses_the_token(site):
    """It is asked with the documented fields only, and again with the same bytes."""
    chooses = ("--access-token", "server")
    site.lose_reply(*chooses)
    assert site.provisioned(*chooses) == site.token
    assert [set(body) for body in site.posts] == [
        {"deviceName", "provisionDeviceKey", "provisionDeviceSecret"}
    ]
    assert site.left == []
    exit_code, said, complaints = site.run(*chooses)
    assert exit_code == 3 and json.loads(said)["status"] == "FAILURE"


def test_a_device_without_a_name(site):
    site.lose_reply(name=None)
    (name,) = site.thingsboard.devices
    assert site.left == ["provision.attempt"]
    site.restart()
    assert site.provisioned(name=None) == site.token
    assert len(name) == 20 and site.left == []
    site.provisioned(name=None)
    assert len(site.thingsboard.devices) == 2


def test_what_is_refused_at_once_leaves_nothing(site):
    exit_code, said, complaints = site.run(key="wrong")
    assert exit_code == 3 and "provisionDeviceKey" in complaints and site.left == []
    site.thingsboard.add_device(NAME)
    exit_code, said, _ = site.run("--json")
    outcome = json.loads(said)
    assert (exit_code, outcome["code"]) == (3, "4.00") and site.left == []
    assert json.loads(outcome["payload"])["status"] == "FAILURE"
    exit_code, said, complaints = site.run(server="coap://no-such-host.invalid")
    assert (exit_code, said) == (1, "") and "was not found" in complaints
    assert site.left == []


def test_credentials_that_were_saved_and_not_shown(site):
    """The process was killed between the two. They are shown, and nobody is asked."""
    folder = site.folder / FOLDER
    folder.mkdir()
    found = {
        "server": site.link.uri,
        "deviceName": NAME,
        "credentialsType": "ACCESS_TOKEN",
        "credentialsValue": "the-token",
    }
    (folder / "credentials.json").write_text(json.dumps(found), encoding="utf-8")
    exit_code, said, complaints = site.run(server="coap://127.0.0.2:9")
    assert (exit_code, said) == (1, "") and f'Ask for "{NAME}" at {site.link.uri}' in complaints
    assert site.provisioned() == "the-token"
    assert site.server.received == [] and site.left == []


def test_silence_is_4_and_the_same_command_goes_on(site, monkeypatch):
    from firmware.coap.exchange import Exchange
    from tools import provision

    monkeypatch.chdir(site.folder)
    site.link.loses = True
    shown, said = [], []

    def run() -> int:
        return provision.provision(
            site.link.uri, KEY, SECRET, NAME, "device", shown.append, said.append
        )

    with monkeypatch.context() as patch:
        patch.setattr(Exchange, "ACK_TIMEOUT", 10)
        assert run() == 4
    assert shown[-1].code is None and "no answer to 5 datagrams" in shown[-1].explanation
    assert f"kept in {FOLDER}: the same command goes on" in shown[-1].explanation
    site.link.loses = False
    assert run() == 0 and json.loads(shown[-1].payload)["credentialsValue"] == site.token
    assert site.left == []


def test_two_at_once(site):
    (site.folder / FOLDER).mkdir()
    with locked(site.folder / FOLDER):
        exit_code, said, complaints = site.run()
    assert exit_code == 1 and "is in use by another provision" in complaints
    assert site.provisioned() == site.token


def test_names_that_are_no_names_of_folders(site):
    for name in ("../up", "a/b c", "Gerät", "n" * 255):
        site.lose_reply(name=name, devices=len(site.thingsboard.devices) + 1)
        (folder,) = site.left
        assert folder.endswith(".attempt") and folder.isascii()
        assert site.provisioned(name=name) == site.thingsboard.devices[name].token
        assert site.left == []
