"""README's application over coaps, on a board with memory for one DTLS session."""

from __future__ import annotations

import socket
import sys

import pytest

from host_tests.power_up_bench import KEY, SECRET, PowerUps, config_for
from host_tests.readme import read_block
from host_tests.virtual_bench import needs_micropython
from tools.fake_thingsboard.certificates import issue, new_ca
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard

# More than one session and its handshake want, with what lies waste between; less than two.
ROOM = 54 * 1024
APPLICATION_DATA = 23
TRANSMISSIONS = 5
LOOPS = 4
# Modules take memory outside of the heap, too.
WAIT = """\
    print("ready")
    import time
    time.sleep_ms(20_000)
    while True:
"""


class Silent(DTLSRelay):
    """A relay that loses the first `lost` datagrams of an application."""

    lost = 0

    def _from_clients(self):
        if self.lost and self._socket.recv(1, socket.MSG_PEEK)[0] == APPLICATION_DATA:
            self.lost -= 1
            self._socket.recv(65536)
        else:
            super()._from_clients()


def told(tmp_path, monkeypatch, app):
    """What an application prints of each try, the first of which gets no answer."""
    # So that the limit is where it says, and not where glibc last took a piece.
    monkeypatch.setenv("MALLOC_TOP_PAD_", "0")
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
            if line.startswith(("telemetry: ", "no answer", "out of memory")):
                tries.append(line)
                if len(tries) == LOOPS:
                    ups.board.cut_power()

        with relay:
            config = config_for(f"coaps://localhost:{relay.port}", ca="ca.der", ntp=None)
            ups.put(
                config, app.replace("    while True:\n", WAIT), speed=200, files={"ca.der": ca.der}
            )
            ups.provision()
            relay.lost = TRANSMISSIONS
            ups.power_up(stay=True, on_line=on_line)
    return tries


needs_a_limit = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process")


@needs_a_limit
@needs_micropython
def test_the_application_recovers(tmp_path, monkeypatch):
    tries = told(tmp_path, monkeypatch, read_block("app.py"))
    assert tries == ["no answer to 5 datagrams", *["telemetry: 2.01"] * (LOOPS - 1)]


@needs_a_limit
@needs_micropython
def test_one_that_closes_nothing_does_not(tmp_path, monkeypatch):
    app = read_block("app.py")
    leaking = app.replace("client.close()", "kept.append(client)")
    assert leaking != app
    tries = told(tmp_path, monkeypatch, f"kept = []\n{leaking}")
    assert tries[0] == "no answer to 5 datagrams"
    assert tries[-1] == "out of memory for the DTLS handshake"
    assert "telemetry: 2.01" not in tries
