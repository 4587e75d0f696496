"""Provisioning inside DTLS, whole: the real firmware on the virtual board, OpenSSL's DTLS."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from cryptography import x509

from firmware.board.clock import BUILT
from host_tests.power_up_bench import BOARDS, KEY, PASSWORD, SECRET, config_for
from host_tests.processes import started
from host_tests.virtual_bench import needs_micropython
from tools.fake_thingsboard.certificates import Issued, issue, new_ca
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.serve import new_credentials
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.virtual_board.flash import PROJECT
from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.scenario import Scenario

boards = pytest.mark.parametrize("lane", BOARDS)
one_lane = pytest.mark.parametrize("lane", BOARDS[:1])
cpython = pytest.mark.parametrize("lane", [("esp32", "cpython")])
NAMES = ["localhost", "127.0.0.1"]
APPLICATION_DATA, ALERT = 23, 21
CLIENT_HELLO = 1
BAD_CONFIGURATION = 5
BOARD = {
    "kind": "rp2",
    "reset_cause": "power",
    "scenario": Scenario(
        id="0123456789abcdef", networks=[{"ssid": "home"}], associated="home", datagram_queue=16
    ),
}


class Made:
    """The certificates of these tests, made once."""

    def __init__(self):
        self.ca = new_ca()
        self.good = issue(NAMES, self.ca)
        self.intermediate = new_ca("firstboot test intermediate", self.ca)
        self.client = issue(["sensor"], new_ca("the devices' CA"))


@pytest.fixture(scope="module")
def made():
    return Made()


class Wire(DTLSRelay):
    """A relay with something on the wire. `drop`, `spoil`: take a datagram to or from clients."""

    def __init__(self, server: FakeThingsBoard, issued: Issued, **options):
        upstream = server.host, server.port
        options.setdefault("on_session", server.open_session)
        super().__init__(upstream, issued.chain_pem, issued.key_pem, **options)
        self.on_received = lambda number, datagram: None
        self.on_sent = lambda number, datagram: [datagram]

    def _from_clients(self):
        waiting = self._socket.recv(65536, socket.MSG_PEEK)
        if self.on_received(len(self.received), waiting) == "drop":
            self._socket.recv(65536)
            self.received.append(None)
        else:
            super()._from_clients()

    def transmit(self, datagram, peer):
        number = len(self.sent)
        super_transmit = super().transmit
        for each in self.on_sent(number, datagram):
            super_transmit(each, peer)
        if len(self.sent) == number:
            self.sent.append(None)

    def everything(self) -> bytes:
        """What an eavesdropper has."""
        return b"".join(d.data for d in self.received + self.sent if d)

    def application_data(self) -> list[bytes]:
        return [d.data for d in self.received if d and d.data[0] == APPLICATION_DATA]


@pytest.fixture
def wire(server, made):
    """The server behind DTLS, with a good certificate."""
    with Wire(server, made.good) as wire:
        yield wire


def secure(uri: str, **changes) -> dict:
    return config_for(uri, **{"ca": "ca.der", "ntp": None, **changes})


def put(ups, made, wire, files=None, boot="", app=None, speed=1, **changes):
    config = secure(wire.uri, **changes)
    ups.put(config, app, boot, speed, files={"ca.der": made.ca.der, **(files or {})})


def has(outcome, *parts: str) -> None:
    """The console shows these, in this order."""
    console = "\n".join(outcome.lines)
    position = 0
    for part in parts:
        assert part in console[position:], f"{part!r} is not where it belongs in:\n{console}"
        position = console.index(part, position) + len(part)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# It works


@boards
@pytest.mark.parametrize("name", NAMES)
def test_provisioning(ups, made, wire, name):
    ups.put(secure(f"coaps://{name}:{wire.port}"), files={"ca.der": made.ca.der})
    ups.provision()
    assert wire.handshakes == 1
    assert len(ups.server.received) == 1


@boards
def test_nobody_on_the_way_reads_the_secret_or_the_token(ups, made, wire):
    put(ups, made, wire)
    ups.provision()
    token = json.loads(ups.read("/credentials.json"))["credentialsValue"]
    seen = wire.everything()
    assert len(seen) > 1000
    for secret in (KEY, SECRET, token, PASSWORD, "provisionDevice", "credentialsValue", "/api/v1"):
        assert secret.encode() not in seen
    inside = ups.server.received[0].data + ups.server.sent[0].data
    assert SECRET.encode() in inside and token.encode() in inside


@one_lane
@pytest.mark.parametrize("kind", ["RSA", "chain", "chain of RSA", "PEM", "several CAs"])
def test_kinds_of_certificates(ups, made, server, kind):
    ca, key = made.ca, "RSA" if "RSA" in kind else "EC"
    if "RSA" in kind:
        ca = new_ca(key="RSA")
    issuer = new_ca("an intermediate", ca, key=key) if "chain" in kind else ca
    content = ca.der
    if kind == "PEM":
        content = b"Subject: a CA\r\n" + ca.pem.replace(b"\n", b"\r\n")
    if kind == "several CAs":
        content = new_ca("another CA").pem + ca.pem
    with Wire(server, issue(NAMES, issuer, key=key)) as wire:
        put(ups, made, wire, files={"ca.der": content})
        ups.provision()


@boards
def test_the_application_uses_coaps_too(ups, made, wire):
    app = """
    from firmware.board import config, wifi
    from firmware.board.hardware import Board
    from firmware.coap.connect import connect

    def run(credentials):
        board = Board()
        settings = config.load(board, provisioned=True)
        wifi.join(settings, board)
        client = connect(credentials["server"], board.sessions(settings), idle=board.idle)
        path = "/api/v1/%s/telemetry" % credentials["credentialsValue"]
        for _ in range(2):
            print(client.post(path, b'{"temperature": 21.5}').code)
        client.close()
    """
    put(ups, made, wire, app=app)
    has(ups.power_up(stay=True), "provisioned:", "65", "65")
    (device,) = ups.thingsboard.devices.values()
    assert device.telemetry == ('{"temperature":21.5}',) * 2
    assert wire.handshakes == 2
    assert device.token.encode() not in wire.everything()


@boards
def test_plain_coap_imports_nothing_of_it(ups):
    # What is given back before the application runs, too.
    boot = """
    import builtins
    import sys

    load = builtins.__import__
    sys.modules["loaded"] = loaded = set()

    def note(*what):
        module = load(*what)
        loaded.update(sys.modules)
        return module

    builtins.__import__ = note
    """
    app = """
    import sys

    def run(credentials):
        print("modules", sorted(sys.modules["loaded"]))
    """
    ups.put(app=app, boot=boot)
    (line,) = [line for line in ups.power_up(stay=True).lines if line.startswith("modules")]
    assert "firmware.coap.client" in line
    for module in ("dtls", "security", "clock", "'tls'", "'ssl'"):
        assert module not in line.replace("'clock'", "")  # the virtual board's own


# The server's certificate


def expired(made, names=NAMES, **options):
    return issue(names, made.ca, valid_from_days=-30, valid_for_days=29, **options)


UNKNOWN = ["certificate was not issued by the CA in `ca`", "somebody else answers"]
# What is wrong: how it is made, and what the board says.
BAD = {
    "expired": (
        expired,
        ["certificate has expired (this board's clock says 20", "Renew"],
    ),
    "not yet valid": (
        lambda made: issue(NAMES, made.ca, valid_from_days=2),
        ["certificate is not valid yet (this board's clock says 20", "`ntp`"],
    ),
    "wrong name": (
        lambda made: issue(["other.example.com"], made.ca),
        ["certificate is not for 127.0.0.1", "Write `server` with a name"],
    ),
    "unknown issuer": (lambda made: issue(NAMES, new_ca("a stranger")), UNKNOWN),
    "self-signed": (lambda made: issue(NAMES), UNKNOWN),
}
WORSE = {
    "the CA's name but not its key": (lambda made: issue(NAMES, new_ca()), UNKNOWN),
    "issued by no CA": (lambda made: issue(NAMES, issue(["middle"], made.ca)), UNKNOWN),
    "expired and for another name": (
        lambda made: expired(made, ["other"]),
        ["certificate is not for 127.0.0.1 and has expired", "Write `server`"],
    ),
    "expired, RSA": (
        lambda made: expired(made, key="RSA"),
        ["certificate has expired"],
    ),
}


@pytest.mark.parametrize(
    ("lane", "which"),
    [
        pytest.param(*lane.values, which, marks=lane.marks, id=f"{which}-{lane.id}")
        for which in BAD
        for lane in BOARDS
    ]
    + [pytest.param(*BOARDS[0].values, which, marks=BOARDS[0].marks, id=which) for which in WORSE],
)
def test_a_bad_certificate_is_refused(ups, made, server, which):
    make, says = {**BAD, **WORSE}[which]
    with Wire(server, make(made)) as wire:
        put(ups, made, wire)
        outcome = ups.power_up(cut_at="next try in")
        has(outcome, "provisioning: asking", "failed: the server's ", *says, "next try in")
        assert wire.handshakes == 0
        assert not wire.application_data()
        assert not server.received
        assert SECRET.encode() not in wire.everything()
        # It is told, and does not wait for a time-out.
        until = time.monotonic() + 5
        while wire.received[-1].data[0] != ALERT and time.monotonic() < until:
            time.sleep(0.01)
        assert wire.received[-1].data[0] == ALERT


@one_lane
def test_verify_false_is_said_at_every_power_up(ups, server):
    with Wire(server, issue(["anything"])) as wire:
        ups.put(config_for(wire.uri, verify=False, ntp=None))
        warning = "`verify` is false: anybody can answer in the server's place and read the secret"
        outcome = ups.provision()
        has(outcome, warning, "provisioned:")
        assert "clock" not in "\n".join(outcome.lines)
        has(ups.power_up(), "found in", warning)


# The board's own certificate


@one_lane
@pytest.mark.parametrize("form", ["pem", "der"])
def test_a_client_certificate(ups, made, server, form):
    client = made.client
    files = {
        "device." + form: getattr(client, form),
        "device.key": getattr(client, "key_" + form),
    }
    with Wire(server, made.good, client_ca=client.issuer.pem) as wire:
        put(ups, made, wire, files, certificate="device." + form, key="device.key")
        ups.provision()
    saved = json.loads(ups.read("/credentials.json"))
    assert saved["credentialsType"] == "X509_CERTIFICATE"
    assert saved["credentialsValue"] == base64.b64encode(client.der).decode()
    assert client.der in wire.everything()


@one_lane
def test_thingsboard_reads_every_datagram_of_a_large_request(ups, made, wire):
    """It reads 1130 bytes of a DTLS datagram, in which 1024 of a body hardly fit."""
    client = issue(["sensor"], new_ca("the devices' CA", key="RSA"), key="RSA")
    files = {"device.pem": client.pem, "device.key": client.key_pem}
    put(ups, made, wire, files, certificate="device.pem", key="device.key")
    ups.provision()
    lengths = [len(datagram) for datagram in wire.application_data()]
    assert len(lengths) >= 3
    assert 512 < max(lengths) <= 1130


@one_lane
def test_a_client_certificate_and_an_access_token(ups, made, wire):
    files = {"device.pem": made.client.pem, "device.key": made.client.key_pem}
    provisioning = {"credentialsType": "ACCESS_TOKEN"}
    config = {"certificate": "device.pem", "key": "device.key", "provisioning": provisioning}
    put(ups, made, wire, files, **config)
    ups.provision()
    assert json.loads(ups.read("/credentials.json"))["credentialsType"] == "ACCESS_TOKEN"


@one_lane
def test_a_server_that_wants_another_client_certificate(ups, made, server):
    with Wire(server, made.good, client_ca=made.ca.pem) as wire:
        put(ups, made, wire)
        outcome = ups.power_up(cut_at="next try in")
        has(outcome, "failed: the server ended", "it wants another client certificate")
        assert not server.received and not wire.application_data()


@one_lane
@pytest.mark.parametrize(
    ("files", "keys", "says"),
    [
        ({"ca.der": None}, {}, "`ca` names a file that is not on the board"),
        ({"ca.der": b"nothing"}, {}, "`ca` names a file that holds no certificate"),
        ({"ca.der": b"-----BEGIN CERTIFICATE-----\n"}, {}, "`ca` names a file that holds no"),
        ({}, {"ca": None}, "`ca` is missing; over coaps `verify` needs it"),
        ({}, {"certificate": "c"}, "`key` is missing; over coaps `certificate` needs it"),
        ({}, {"key": "k"}, "`certificate` is missing; over coaps `key` needs it"),
        (
            {"k": b"x"},
            {"certificate": "c", "key": "k"},
            "`key` names a file that holds no unencrypted",
        ),
        ({"c": b"x"}, {"certificate": "c", "key": "k"}, "`certificate` names a file that holds no"),
        ({}, {"server": "coap://127.0.0.1"}, "`ca` is for coaps, but `server` begins with coap:"),
    ],
)
def test_what_is_wrong_with_the_files_is_a_mistake_in_config_json(
    ups, made, wire, files, keys, says
):
    there = {"ca.der": made.ca.der, "c": made.client.der, "k": made.client.key_der, **files}
    there = {name: content for name, content in there.items() if content is not None}
    ups.put({**secure(wire.uri), **keys}, files=there)
    outcome = ups.power_up()
    assert outcome.exit_code == BAD_CONFIGURATION
    has(outcome, "config.json:", says)
    assert not wire.received


# The clock


class TimeServer:
    """SNTP on 127.0.0.1. `lie`: seconds by which it is wrong."""

    def __init__(self, lie: int = 0):
        self.lie = lie
        self.requests = 0

    def __enter__(self) -> TimeServer:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            request, peer = self._socket.recvfrom(100)
            if not request:
                return
            self.requests += 1
            now = int(time.time()) + 2_208_988_800 + self.lie
            stamp = struct.pack("!II", now & 0xFFFFFFFF, 0)
            head = b"\x24\x02" + bytes(22)
            self._socket.sendto(head + request[40:] + bytes(8) + stamp, peer)

    @property
    def boot(self) -> str:
        """A boot.py with which UDP port 123 is this server's."""
        return f"""
        from firmware.board.hardware import Board

        def open_transport(self, address, port, local_port, before=Board.open_transport):
            return before(self, address, {self.port} if port == 123 else port, local_port)

        Board.open_transport = open_transport
        """


SHOW_THE_CLOCK = """
import time
from firmware.board.hardware import Board

def run(credentials):
    print("epoch", time.gmtime(0)[0], "now", Board().now, "date", time.gmtime()[:3])
"""


def clock_of(outcome) -> dict:
    (line,) = [line for line in outcome.lines if line.startswith("epoch")]
    return dict(re.findall(r"(\w+) ([\d]+|\(.*\))", line))


@boards
def test_the_clock_is_set_before_the_handshake(ups, made, wire):
    with TimeServer() as times:
        put(ups, made, wire, boot=times.boot, app=SHOW_THE_CLOCK, ntp=["127.0.0.1"])
        outcome = ups.power_up(stay=True)
        assert times.requests == 1
    has(
        outcome, "provisioning: asking", "clock set to 20", "UTC by host 1 of `ntp`", "provisioned:"
    )
    shown = clock_of(outcome)
    assert shown["epoch"] == {"esp32": "2000", "rp2": "1970"}[ups.kind]
    assert abs(int(shown["now"]) - time.time()) < 30
    today = time.gmtime()
    assert shown["date"] == f"({today.tm_year}, {today.tm_mon}, {today.tm_mday})"


@boards
def test_without_time_the_floor_counts(ups, made, wire):
    """A server that lies by ten years back is one that gives no time."""
    with TimeServer(lie=-10 * 365 * 86400) as times:
        put(ups, made, wire, None, times.boot, SHOW_THE_CLOCK, 30, ntp=["127.0.0.1"])
        outcome = ups.power_up(stay=True)
    says = "clock set to this firmware's date, 20"
    has(outcome, says, "no answer from any host of", "checked against that date", "provisioned:")
    assert 0 <= int(clock_of(outcome)["now"]) - BUILT < 86400  # the board's clock runs faster


@boards
def test_what_ends_soon_is_said(ups, made, server):
    """The server's certificate is seen in the handshake."""
    with Wire(server, issue(NAMES, made.ca, valid_for_days=20)) as wire:
        ca = new_ca(valid_for_days=20)
        put(ups, made, wire, files={"ca.der": made.ca.pem + ca.pem})
        outcome = ups.provision()
    has(outcome, "the server's certificate ends on 20", "Renew it")
    assert "".join(outcome.lines).count("the server's certificate ends on") == 1


@boards
def test_a_new_ca_of_serve_is_good_for_a_board_that_knows_no_time(ups, server):
    ca, (certificate, key) = new_credentials("localhost")
    upstream = server.host, server.port
    with DTLSRelay(upstream, certificate, key, on_session=server.open_session) as relay:
        config = secure(relay.uri, ca="ca.pem")
        assert x509.load_pem_x509_certificate(ca).not_valid_before_utc.timestamp() < BUILT
        assert x509.load_pem_x509_certificate(certificate).not_valid_before_utc.timestamp() < BUILT
        ups.put(config, files={"ca.pem": ca})
        assert "ends on" not in "".join(ups.provision().lines)


def test_the_floor_is_fresh():
    """BUILT is moved on when firmware changes: it is at most 90 days before the last change."""
    git = ["git", "log", "-1", "--format=%ct", "--", "boot.py", "main.py", "firmware"]
    try:
        done = subprocess.run(git, cwd=PROJECT, capture_output=True, text=True, check=True)
        changed = int(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        pytest.skip("this folder is no git checkout: the date of the last change is not known")
    assert BUILT % 86400 == 0
    assert changed + 86400 >= BUILT, "BUILT in firmware/board/clock.py lies in the future"
    assert changed - BUILT < 90 * 86400, "move BUILT in firmware/board/clock.py on to today"


# No session


@one_lane
@pytest.mark.parametrize(
    ("key", "ciphers"),
    [("EC", "ECDHE-ECDSA-CHACHA20-POLY1305"), ("RSA", "AES256-GCM-SHA384")],
    ids=["unknown", "without forward secrecy"],
)
def test_no_cipher_in_common(ups, made, server, key, ciphers):
    with Wire(server, issue(NAMES, made.ca, key=key), ciphers=ciphers) as wire:
        put(ups, made, wire)
        outcome = ups.power_up(cut_at="next try in")
        has(outcome, "failed: the server ended the DTLS handshake", "no cipher in common")
        assert not server.received


@one_lane
@pytest.mark.parametrize("there", ["nothing", "somebody silent", "plain CoAP"])
def test_no_answer(ups, made, server, there):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = {"plain CoAP": server.port}.get(there, silent.getsockname()[1])
        if there == "nothing":
            silent.close()
        config = secure(f"coaps://127.0.0.1:{port}")
        ups.put(config, speed=100, files={"ca.der": made.ca.der})
        outcome = ups.power_up(cut_at="next try in")
    has(outcome, "failed: 127.0.0.1 did not answer", "plain CoAP does", "5684", "next try in")


@boards
def test_a_server_that_stops_half_way(ups, made, wire):
    wire.on_sent = lambda number, datagram: [datagram] if number < 2 else []
    put(ups, made, wire, speed=100)
    outcome = ups.power_up(cut_at="next try in")
    has(outcome, "failed: 127.0.0.1 began the DTLS handshake and did not end it", "next try in")
    wire.on_sent = lambda number, datagram: [datagram]
    ups.provision()


@one_lane
@pytest.mark.parametrize("old", ["1.24", "1.25"])
def test_a_micropython_that_is_too_old(ups, made, wire, old):
    boot = {
        "1.24": """
        import sys
        class tls: pass
        sys.modules["tls"] = tls
        """,
        "1.25": """
        import sys
        import firmware.coap.dtls
        class implementation:
            name = "micropython"
            version = (1, 25, 0)
        class old:
            pass
        old.implementation = implementation
        firmware.coap.dtls.sys = old
        """,
    }[old]
    put(ups, made, wire, boot=boot)
    outcome = ups.power_up(cut_at="next try in")
    has(outcome, "failed: coaps needs DTLS", "MicroPython 1.26 or newer", "never falls back")
    assert not wire.received and not ups.server.received


@cpython
def test_an_interpreter_without_tls(ups, made, wire):
    put(ups, made, wire)
    outcome = ups.power_up(cut_at="next try in")
    has(outcome, "failed: coaps needs DTLS", "MicroPython 1.26 or newer", "never falls back")
    assert not wire.received and not ups.server.received


# What gets lost, and power cuts


@one_lane
@pytest.mark.parametrize(
    ("lost", "number"), [("received", 0), ("received", 2), ("sent", 0), ("sent", 1), ("sent", 2)]
)
def test_a_lost_datagram_of_the_handshake_is_sent_again(ups, made, wire, lost, number):
    def on_received(count, datagram):
        return "drop" if lost == "received" and count == number else None

    def on_sent(count, datagram):
        return [] if lost == "sent" and count == number else [datagram]

    wire.on_received, wire.on_sent = on_received, on_sent
    put(ups, made, wire)
    ups.provision()
    assert len(ups.server.received) == 1


@boards
def test_power_cuts_at_every_datagram_of_the_handshake(ups, made, wire):
    """Cut after cut on one flash; with the last the request arrived and its reply was lost."""
    put(ups, made, wire)
    for step in ("hello", "hello with a cookie", "keys", "request"):
        seen = set()

        def cut(_, datagram, step=step, seen=seen):
            name = "request" if datagram[0] == APPLICATION_DATA else "keys"
            if datagram[13] == CLIENT_HELLO:
                name = "hello" if datagram[59 + 1] == 0 else "hello with a cookie"
            if name == step and not seen:
                seen.add(name)
                ups.board.cut_power()

        wire.on_received = cut
        outcome = ups.power_up()
        assert outcome.ended == "power cut", (step, outcome.lines)
        assert ups.read("/credentials.json") is None
        assert ups.read("/attempt.json") is not None
    wire.on_received = lambda count, datagram: None
    wait_for(lambda: ups.thingsboard.devices)
    ups.provision()
    # The second request is a new one to ThingsBoard, and FAILURE; the probe finds the token.
    requests = [datagram for datagram in ups.server.received if datagram.data[1]]
    assert [datagram.data[1] for datagram in requests] == [2, 2, 1]
    assert len({(datagram.peer, datagram.data[2:4]) for datagram in requests}) == 3


@one_lane
def test_a_lost_reply_with_the_server_s_token_needs_an_operator_and_says_so(ups, made, wire):
    put(ups, made, wire, access_token="server")
    warning = '`access_token` is "server": over coaps a lost reply would need an operator'
    wire.on_sent = lambda number, datagram: [] if datagram[0] == APPLICATION_DATA else [datagram]

    def on_line(line):
        if "clock" in line:
            wait_for(lambda: ups.thingsboard.devices)
            ups.board.cut_power()

    has(ups.power_up(on_line=on_line), warning)
    wire.on_sent = lambda number, datagram: [datagram]
    outcome = ups.power_up()
    assert outcome.exit_code == 3
    has(outcome, warning, "refused:", "or it did so before", "delete it there")
    ups.thingsboard.delete_device(next(iter(ups.thingsboard.devices)))
    has(ups.provision(), warning, "provisioned:")
    assert warning not in "\n".join(ups.power_up().lines)


@one_lane
def test_the_server_forgets_the_session(ups, made, wire):
    """It restarts before it answers: silence, then a session of its own for the next try."""
    lost = []

    def on_received(count, datagram):
        if datagram[0] == APPLICATION_DATA and not lost:
            lost.append(datagram)
            wire.forget_sessions()

    wire.on_received = on_received
    put(ups, made, wire, speed=60)
    has(ups.provision(), "failed: no answer to 5 datagrams", "next try in", "provisioned:")
    assert wire.handshakes == 2


# What comes from elsewhere


@boards
def test_spoofed_and_replayed_datagrams_change_nothing(ups, made, wire):
    record = b"\x17\xfe\xfd\0\0\0\0\0\0\0\x09\0\x08"
    noise = [
        b"",
        b"\0",
        b"\x60\x45\x12\x34",  # plain CoAP
        record + b"\x60\x45\0\0\xff{}\n",  # application data, not encrypted
        b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x09\0\x28" + bytes(40),  # and with a wrong tag
        b"\x16\xfe\xfd\0\0\0\0\0\0\0\x07\xff\xff" + bytes(100),  # longer than it is
        bytes(range(256)) * 5,
    ]
    last = []

    def on_sent(number, datagram):
        replayed = last[-3:]
        last.append(datagram)
        return [*noise, datagram, *replayed, datagram]

    wire.on_sent = on_sent
    put(ups, made, wire)
    outcome = ups.provision(datagram_queue=100)
    assert len(ups.server.received) == 1, outcome.lines
    assert wire.handshakes == 1


@one_lane
@pytest.mark.parametrize(
    ("spoofed", "says"),
    [
        (
            b"\x15\xfe\xfd\0\0\0\0\0\0\0\x05\0\x02\x02\x28",
            "the server ended the DTLS handshake (alert 40)",
        ),
        (b"\x16\xfe\xfd\0\0\0\0\0\0\0\x05\0\x0c" + bytes(12), "the DTLS handshake failed"),
    ],
    ids=["an alert", "a message"],
)
def test_what_is_spoofed_in_a_handshake_ends_that_try_only(ups, made, wire, spoofed, says):
    """No key protects the first messages: whoever can send in the server's name can spoil them."""
    wire.on_sent = lambda number, datagram: [spoofed, datagram] if number == 0 else [datagram]
    put(ups, made, wire, speed=30)
    has(ups.provision(), f"failed: {says}", "next try in", "provisioned:")


# Memory


@needs_micropython
def test_sessions_give_their_memory_back(made, server):
    """Sessions that work, that fail, that stop half-way: heap and process stay as large."""
    bad = issue(["other"], made.ca)
    with (
        Wire(server, made.good) as good,
        Wire(server, bad) as wrong,
        Wire(server, made.good) as half,
    ):
        half.on_sent = lambda number, datagram: [] if datagram[13] == 2 else [datagram]
        ports = {"good": good.port, "wrong": wrong.port, "half": half.port}
        done = subprocess.run(
            [find_micropython().command, "-m", "host_tests.dtls_memory", json.dumps(ports)],
            input=made.ca.pem.decode(),
            capture_output=True,
            text=True,
            timeout=60,
            cwd=PROJECT,
            env={**os.environ, "MICROPYPATH": ".frozen", "VIRTUAL_BOARD": json.dumps(BOARD)},
        )
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {
        "good": "ok",
        "wrong": "the server's certificate is not for localhost",
        "half": "localhost began the DTLS handshake and did not end it",
    }
    for line in done.stdout.splitlines():
        grown = json.loads(line)
        assert grown["outcome"] == outcomes[grown["kind"]]
        assert grown["heap"] <= 0, grown
        assert grown["process"] <= 64 * 1024, grown


# Other people's servers


@one_lane
@pytest.mark.parametrize("program", ["coap-server-openssl", "coap-server-gnutls"])
@pytest.mark.parametrize("key", ["EC", "RSA"])
def test_libcoap_s_servers(ups, made, tmp_path, program, key):
    """They are no ThingsBoard: what they answer, they answer inside a session."""
    command = shutil.which(program)
    if command is None:
        pytest.skip(f"{program} is not on this computer (Debian: libcoap3-bin)")
    issued = issue(NAMES, made.ca, key=key)
    (tmp_path / "cert.pem").write_bytes(issued.pem)
    (tmp_path / "key.pem").write_bytes(issued.key_pem)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["-A", "127.0.0.1", "-p", str(port - 1), "-n", "-v", "0"]
    options += ["-c", str(tmp_path / "cert.pem"), "-j", str(tmp_path / "key.pem")]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with started([command, *options], **silent):
        time.sleep(0.3)
        config = secure(f"coaps://localhost:{port}")
        ups.put(config, files={"ca.der": made.ca.der})
        outcome = ups.power_up(cut_at="next try in")
        has(outcome, "failed: the server answered 4.")


@needs_micropython
def test_serve_and_power_up(tmp_path):
    """The verbs, as a person uses them: a new CA, beside it a config.json that names it."""
    tools = [sys.executable, "-c", "from tools.cli import main; main()"]
    with started(
        [*tools, "serve", "--coaps", "--port", "0", "--new-ca", str(tmp_path / "ca.pem")]
        + ["--key", KEY, "--secret", SECRET],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as serve:
        uri = serve.stdout.readline().split("test with: ")[1].split()[0]
        config = tmp_path / "config.json"
        config.write_text(json.dumps(secure(uri, ca="ca.pem")), encoding="utf-8")
        flash = ["--flash", str(tmp_path / "flash"), "--config", str(config)]
        done = subprocess.run(
            [*tools, "power-up", *flash], cwd=PROJECT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@needs_micropython
def test_the_demo():
    demo = [sys.executable, "-c", "from tools.cli import main; main()", "demo", "--coaps"]
    done = subprocess.run(demo, cwd=PROJECT, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("ThingsBoard is at coaps://", "DTLS session, ECDHE-", "hello from", "none."):
        assert words in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--cert", "pyproject.toml"],
        ["--coaps"],
        ["--coaps", "--cert", "pyproject.toml"],
        ["--coaps", "--cert", "pyproject.toml", "--cert-key", "missing"],
        ["--coaps", "--cert", "pyproject.toml", "--cert-key", "pyproject.toml"],
        ["--coaps", "--new-ca", "x", "--cert", "pyproject.toml"],
    ],
)
def test_wrong_usage_of_serve(options):
    serve = [sys.executable, "-c", "from tools.cli import main; main()", "serve", "--port", "0"]
    done = subprocess.run([*serve, *options], cwd=PROJECT, capture_output=True, timeout=30)
    assert done.returncode == 2, done.stderr
    assert not (PROJECT / "x").exists()


def test_a_computer_trusts_nobody_by_itself():
    provision = [sys.executable, "-c", "from tools.cli import main; main()", "provision"]
    options = ["--server", "coaps://localhost", "--key", KEY, "--secret", SECRET]
    done = subprocess.run([*provision, *options], cwd=PROJECT, capture_output=True, timeout=30)
    assert done.returncode == 2 and b"coaps needs --ca, or --no-verify" in done.stderr
