"""README's application over coaps, on a board with memory for one DTLS session."""

from __future__ import annotations

import inspect
import socket
import sys

import pytest

from host_tests.power_up_bench import KEY, SECRET, PowerUps, config_for
from host_tests.readme import read_block
from host_tests.virtual_bench import needs_micropython
from tools.fake_thingsboard.certificates import issue, new_ca
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.dtls_session import random_of_hello
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.virtual_board import process

# Beside an open session: less than another one and its handshake want.
ROOM = 16 * 1024
TRIES = 2
# More may follow, of late answers to an earlier request.
NO_ANSWER = "failed: no answer to 5 datagrams"
# With a session, and with the modules that it takes: they take memory outside of the heap, too.
WAIT = """\
    device.send_telemetry({"temperature": 20.5})
    print("ready")
    while True:
"""
LEAK = """\
from firmware.session import Session

kept = []


def disconnect(session):
    kept.append(session.client)
    session.client = None


Session.disconnect = disconnect
"""


class Silent(DTLSRelay):
    """A relay that, once it `is_silent`, loses all that comes before the next session begins."""

    is_silent = False

    def _from_clients(self):
        if self.is_silent:
            # Not so many datagrams: some may be an earlier request's, sent again meanwhile.
            self.is_silent = random_of_hello(self._socket.recv(65536, socket.MSG_PEEK)) is None
        if self.is_silent:
            self._socket.recv(65536)
        else:
            super()._from_clients()


def told(tmp_path, monkeypatch, before=""):
    """What README's application says of each try after the first, which then gets no answer."""
    # So that the limit is where it says, and not where glibc last took a piece.
    monkeypatch.setenv("MALLOC_TOP_PAD_", "0")
    # A process that is forked has room that was freed before.
    monkeypatch.setattr(process, "start", inspect.unwrap(process.start))
    app = read_block("app.py")
    waiting = app.replace("    while True:\n", WAIT)
    assert waiting != app
    ca = new_ca()
    issued = issue(["localhost"], ca)
    tries = []
    with FakeThingsBoard(ThingsBoard(KEY, SECRET)) as server:
        relay = Silent(
            (server.host, server.port),
            issued.chain_pem,
            issued.key_pem,
            on_session=server.open_session,
        )
        ups = PowerUps(tmp_path / "flash", "esp32", "micropython", server)

        def on_line(line):
            if line == "ready":
                ups.board.limit_memory(ROOM)
                relay.is_silent = True
                tries.clear()
            told = line.partition("] ")[2]
            if told.startswith(("connected: ", "failed: ")):
                tries.append(told)
                if len(tries) == TRIES:
                    ups.board.cut_power()

        with relay:
            config = config_for(f"coaps://localhost:{relay.port}", ca="ca.der", ntp=None)
            ups.put(config, before + waiting, speed=200, files={"ca.der": ca.der})
            ups.provision()
            ups.power_up(stay=True, on_line=on_line)
    return tries


needs_a_limit = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process")


@needs_a_limit
@needs_micropython
def test_the_application_recovers(tmp_path, monkeypatch):
    tries = told(tmp_path, monkeypatch)
    assert tries[0].startswith(NO_ANSWER)
    assert tries[1].startswith("connected: coaps://")


@needs_a_limit
@needs_micropython
def test_one_that_closes_nothing_does_not(tmp_path, monkeypatch):
    tries = told(tmp_path, monkeypatch, LEAK)
    assert tries[0].startswith(NO_ANSWER)
    assert tries[1:] == ["failed: out of memory for the DTLS handshake"] * (TRIES - 1)
