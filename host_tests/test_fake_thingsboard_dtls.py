"""The fake ThingsBoard inside DTLS, asked by OpenSSL: sessions, certificates, datagrams' sizes."""

from __future__ import annotations

import json
import socket
import time

import pytest
from OpenSSL import SSL

from tools.fake_thingsboard.certificates import Issued, issue, new_ca
from tools.fake_thingsboard.codec import CON, Message, decode, encode
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard

KEY, SECRET, TOKEN = "the-key", "the-secret", "A1b2C3d4E5f6G7h8I9j0"
GET, POST = 1, 2
CONTENT, CREATED, UNAUTHORIZED, NOT_FOUND = 0x45, 0x41, 0x81, 0x84
NO_TOKEN = ("api", "v1", "attributes")


class Session:
    """A DTLS session with a relay, and requests in it."""

    def __init__(self, relay: DTLSRelay, issued: Issued | None = None):
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        if issued:
            context.use_certificate(issued.certificate)
            context.use_privatekey(issued.key)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((relay.host, relay.port))
        self._connection = SSL.Connection(context, None)
        self._connection.set_connect_state()
        self._connection.set_ciphertext_mtu(1400)
        self._message_id = 0
        self._until_done(self._connection.do_handshake)

    def ask(self, code: int, path: tuple[str, ...], payload: bytes = b"", timeout=2.0) -> Message:
        """Raises TimeoutError when there is no answer."""
        self._message_id += 1
        request = Message(CON, code, self._message_id, b"token", path, (), payload)
        self._connection.send(encode(request))
        return decode(self._until_done(lambda: self._connection.recv(65536), timeout))

    def _until_done(self, step, timeout: float = 2.0):
        self.socket.settimeout(timeout)
        while True:
            try:
                result = step()
                self._flush()
                return result
            except SSL.WantReadError:
                self._flush()
            self._connection.bio_write(self.socket.recv(65536))

    def _flush(self) -> None:
        try:
            self.socket.send(self._connection.bio_read(65536))
        except SSL.WantReadError:
            return


@pytest.fixture(scope="module")
def issued():
    return issue(["127.0.0.1"], new_ca())


@pytest.fixture(scope="module")
def client():
    return issue(["sensor"], new_ca("the devices' CA"))


@pytest.fixture
def thingsboard():
    return ThingsBoard(KEY, SECRET)


@pytest.fixture
def connect(thingsboard, issued):
    """Opens a session with a server, with or without a certificate; all end with the test."""
    sessions = []
    with FakeThingsBoard(thingsboard) as server:
        upstream = server.host, server.port
        with DTLSRelay(
            upstream, issued.chain_pem, issued.key_pem, on_session=server.open_session
        ) as relay:

            def connect(certificate=None):
                sessions.append(Session(relay, certificate))
                return sessions[-1]

            yield connect
            for session in sessions:
                session.socket.close()


def attributes_of(token: str) -> tuple[str, ...]:
    return ("api", "v1", token, "attributes")


def provision(session: Session, **fields) -> Message:
    body = {"provisionDeviceKey": KEY, "provisionDeviceSecret": SECRET, **fields}
    return session.ask(POST, ("api", "v1", "provision"), json.dumps(body).encode())


def test_in_a_session_with_a_certificate_that_is_known_any_token_is_the_certificate_s_device(
    thingsboard, connect, client
):
    thingsboard.add_device("a", certificate=client.pem.decode())
    thingsboard.add_device("b", TOKEN, shared_attributes={"b": 1})
    session = connect(client)
    for path in (NO_TOKEN, attributes_of("NONSENSE"), attributes_of(TOKEN)):
        assert session.ask(GET, path).code == NOT_FOUND
    thingsboard.set_attributes("a", "shared", {"a": 1})
    assert session.ask(GET, attributes_of(TOKEN)).payload == b'{"shared":{"a":1}}'
    other = connect()
    assert other.ask(GET, attributes_of(TOKEN)).payload == b'{"shared":{"b":1}}'
    assert other.ask(GET, attributes_of("NONSENSE")).code == UNAUTHORIZED
    assert other.ask(GET, NO_TOKEN).code == UNAUTHORIZED


def test_a_certificate_counts_from_the_session_after_the_one_that_provisioned_it(connect, client):
    session = connect(client)
    fields = {"credentialsType": "X509_CERTIFICATE", "hash": client.pem.decode()}
    assert session.ask(GET, NO_TOKEN).code == UNAUTHORIZED
    assert provision(session, deviceName="a", **fields).code == CREATED
    assert session.ask(GET, NO_TOKEN).code == UNAUTHORIZED
    assert connect(client).ask(GET, NO_TOKEN).code == NOT_FOUND
    assert connect().ask(GET, NO_TOKEN).code == UNAUTHORIZED
    assert connect(issue(["another"])).ask(GET, NO_TOKEN).code == UNAUTHORIZED


def test_a_new_session_is_a_new_execution(thingsboard, connect):
    for number in (1, 2):
        assert provision(connect(), token=str(number)).code == CREATED
    assert len(thingsboard.devices) == 2


def test_a_server_that_restarts_has_no_sessions_and_knows_a_certificate_in_a_new_one(
    thingsboard, issued, client
):
    thingsboard.add_device("a", certificate=client.pem.decode())
    with FakeThingsBoard(thingsboard) as server:
        upstream = server.host, server.port
        options = {"on_session": server.open_session}
        with DTLSRelay(upstream, issued.chain_pem, issued.key_pem, **options) as relay:
            server.operator.on_restart = relay.forget_sessions
            session = Session(relay, client)
            assert session.ask(GET, NO_TOKEN).code == NOT_FOUND
            server.restart()
            with pytest.raises(TimeoutError):
                session.ask(GET, NO_TOKEN, timeout=0.1)
            session.socket.close()
            session = Session(relay, client)
            assert session.ask(GET, NO_TOKEN).code == NOT_FOUND
            session.socket.close()


def test_a_session_that_was_quiet_for_hours_is_still_there(thingsboard, issued):
    thingsboard.add_device("a", TOKEN)
    with (
        FakeThingsBoard(thingsboard) as server,
        DTLSRelay((server.host, server.port), issued.chain_pem, issued.key_pem) as relay,
    ):
        session = Session(relay)
        assert session.ask(GET, attributes_of(TOKEN)).code == NOT_FOUND
        for each in relay._sessions.values():
            each.used -= 20 * 3600
        time.sleep(0.2)  # the relay has looked
        assert session.ask(GET, attributes_of(TOKEN)).code == NOT_FOUND
        assert relay.handshakes == 1
        session.socket.close()


def test_1093_bytes_are_answered_and_1094_are_not(thingsboard, connect):
    thingsboard.add_device("a", TOKEN)
    session = connect()
    path = ("api", "v1", TOKEN, "telemetry")
    rest = len(encode(Message(CON, POST, 1, b"token", path, (), b"x"))) - 1
    body = b'{"x":"%s"}'
    largest = body % (b"y" * (1093 - rest - len(body % b"")))
    assert session.ask(POST, path, largest).code == CREATED
    with pytest.raises(TimeoutError):
        session.ask(POST, path, largest + b" ", timeout=0.2)
    assert len(thingsboard.devices["a"].telemetry) == 1
