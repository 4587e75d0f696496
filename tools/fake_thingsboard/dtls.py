"""DTLS in front of a CoAP server: a relay that ends each client's session and passes on what is
inside, from a UDP port of its own. So a new session is a new client, as it is to ThingsBoard.

DTLS is OpenSSL's, through pyOpenSSL.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from tools.fake_thingsboard.dtls_session import Session, random_of_hello
from tools.fake_thingsboard.wire import Datagram, bound_socket, format_peer

_LARGEST_RECEIVED = 1130  # bytes of a datagram from a client: ThingsBoard drops larger ones
_TICK = 0.05  # seconds
_SESSIONS_MAX = 1000
_IDLE_MAX = 86_400.0  # seconds, after which ThingsBoard forgets a session


class DTLSRelay:
    """A DTLS server for the CoAP server at `upstream`, an (address, port), on a thread.

    `certificate` and `key`: PEM, the certificate with those above it. A client is asked for its
    certificate: any will do, and none will; `client_ca`: PEM; then it has to be from that CA.
    `on_session`: called with the address that a new session has to the CoAP server, and with the
    client's certificate in PEM or None. `ciphers`: OpenSSL's list.
    `received` and `sent` are the datagrams on the wire, encrypted or not.
    Raises OSError when it cannot bind, ValueError for an unusable certificate or key.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        certificate: bytes,
        key: bytes,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        client_ca: bytes | None = None,
        on_session: Callable[[tuple[str, int], str | None], None] | None = None,
        ciphers: str | None = None,
        log: Callable[[str], None] | None = None,
    ):
        self.upstream = upstream
        self.host = host
        self.port = port
        self.on_session = on_session
        self.log = log
        self.received: list[Datagram] = []
        self.sent: list[Datagram] = []
        self.handshakes = 0
        self.failures: list[str] = []
        self.closed = 0  # sessions that their client ended with a close-notify
        self._sessions: dict[tuple, Session] = {}
        self._cookie_key = os.urandom(16)
        self._context = self._make_context(certificate, key, client_ca, ciphers)
        self._stopping = threading.Event()
        self._to_forget: deque[threading.Event] = deque()  # each set when it is done

    @property
    def uri(self) -> str:
        return "coaps://" + format_peer((self.host, self.port))

    def __enter__(self) -> DTLSRelay:
        self._socket = bound_socket(self.host, self.port)
        self.port = self._socket.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ, self._from_clients)
        self._thread = threading.Thread(target=self._run, name="DTLSRelay", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stopping.set()
        self._thread.join()
        for session in list(self._sessions.values()):
            self._forget(session)
        self._selector.close()
        self._socket.close()

    def forget_sessions(self) -> None:
        """Lose every session, as a server does that restarts; no client is told."""
        forgotten = threading.Event()
        self._to_forget.append(forgotten)
        forgotten.wait(1.0)

    def _make_context(self, certificate, key, client_ca, ciphers) -> SSL.Context:
        context = SSL.Context(SSL.DTLS_SERVER_METHOD)
        try:
            first, *above = x509.load_pem_x509_certificates(certificate)
            context.use_certificate(first)
            for each in above:
                context.add_extra_chain_cert(each)
            context.use_privatekey(load_pem_private_key(key, None))
            context.check_privatekey()
        except (SSL.Error, TypeError, ValueError) as error:
            raise ValueError(f"the certificate and its key are unusable: {error}") from None
        if client_ca:
            store = context.get_cert_store()
            for each in x509.load_pem_x509_certificates(client_ca):
                store.add_cert(crypto.X509.from_cryptography(each))
            context.set_verify(
                SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *args: bool(args[-1])
            )
        else:
            context.set_verify(SSL.VERIFY_PEER, lambda *args: True)
        if ciphers:
            context.set_cipher_list(ciphers.encode())
        context.set_cookie_generate_callback(self._cookie)
        context.set_cookie_verify_callback(
            lambda connection, cookie: hmac.compare_digest(cookie, self._cookie(connection))
        )
        return context

    def _cookie(self, connection: SSL.Connection) -> bytes:
        peer = repr(connection.get_app_data()).encode()
        return hmac.new(self._cookie_key, peer, hashlib.sha256).digest()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(_TICK):
                key.data()
            while self._to_forget:
                for session in list(self._sessions.values()):
                    self._forget(session)
                self._to_forget.popleft().set()
            now = time.monotonic()
            for session in list(self._sessions.values()):
                session.retransmit()
                if now - session.used > _IDLE_MAX:
                    self._forget(session)

    def _from_clients(self) -> None:
        datagram, peer = self._socket.recvfrom(65536)
        self.received.append(Datagram(time.monotonic(), peer[:2], datagram))
        if len(datagram) > _LARGEST_RECEIVED:
            self.say(peer, f"dropped: a datagram of {len(datagram)} bytes")
            return
        session = self._sessions.get(peer)
        hello = random_of_hello(datagram)
        if session is None or hello not in (None, session.hello):
            self._greet(datagram, peer)
            return
        try:
            session.take(datagram)
        except SSL.ZeroReturnError:
            self.closed += 1
            self._forget(session)
        except SSL.Error as error:
            self._fail(session, error)

    def _greet(self, datagram: bytes, peer: tuple) -> None:
        """Answer a ClientHello: with a cookie first, with a session once that comes back."""
        session = Session(self, self._context, peer)
        try:
            session.connection.bio_write(datagram)
            session.connection.DTLSv1_listen()
        except SSL.WantReadError:
            session.flush()
            return
        except SSL.Error:
            return  # no ClientHello
        if peer in self._sessions:
            self._forget(self._sessions[peer])
        while len(self._sessions) >= _SESSIONS_MAX:
            self._forget(min(self._sessions.values(), key=lambda each: each.used))
        session.hello = random_of_hello(datagram)
        self._sessions[peer] = session
        session.open()
        self._selector.register(session.inside, selectors.EVENT_READ, session.from_server)
        try:
            session.take(b"")
        except SSL.Error as error:
            self._fail(session, error)

    def _fail(self, session: Session, error: SSL.Error) -> None:
        session.flush()
        reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
        text = "; ".join(reason[-1] for reason in reasons) or type(error).__name__
        self.failures.append(text)
        self.say(session.peer, f"no DTLS session: {text}")
        self._forget(session)

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.peer, None)
        if session.inside:
            self._selector.unregister(session.inside)
            session.inside.close()
            session.inside = None

    def transmit(self, datagram: bytes, peer: tuple) -> None:
        self.sent.append(Datagram(time.monotonic(), peer[:2], datagram))
        self._socket.sendto(datagram, peer)

    def say(self, peer: tuple, text: str) -> None:
        if self.log:
            self.log(f"{format_peer(peer)} {text}")
