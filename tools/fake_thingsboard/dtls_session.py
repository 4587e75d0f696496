"""A DTLS session with one client, and what is on the wire of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

_MTU = 1200  # bytes of a datagram to a client
_RECORD_HEADER = 13


class Session:
    """One client of a dtls.DTLSRelay: the connection, and the plain socket that stands for it."""

    def __init__(self, relay, context: SSL.Context, peer: tuple):
        self.peer = peer
        self.inside: socket.socket | None = None
        self.hello: bytes | None = None  # the client's random, to know another handshake by
        self.used = time.monotonic()
        self._relay = relay
        self._established = False
        self.connection = SSL.Connection(context, None)
        self.connection.set_app_data(peer)
        self.connection.set_accept_state()
        self.connection.set_ciphertext_mtu(_MTU)

    def open(self) -> None:
        """Take a UDP port to the CoAP server."""
        family = socket.AF_INET6 if ":" in self._relay.upstream[0] else socket.AF_INET
        self.inside = socket.socket(family, socket.SOCK_DGRAM)
        self.inside.connect(self._relay.upstream)
        self.inside.setblocking(False)

    def take(self, datagram: bytes) -> None:
        """Take a datagram from the client, and pass on what is inside. Raises SSL.Error."""
        self.used = time.monotonic()
        if datagram:
            self.connection.bio_write(datagram)
        try:
            if not self._established:
                self.connection.do_handshake()
                self._established = True
                self._relay.handshakes += 1
                self._relay.say(self.peer, f"DTLS session, {self.connection.get_cipher_name()}")
                self._announce()
                self.flush()
            while True:
                self.inside.send(self.connection.recv(65536))
        except SSL.WantReadError:
            self.flush()

    def _announce(self) -> None:
        if self._relay.on_session:
            certificate = self.connection.get_peer_certificate(as_cryptography=True)
            pem = certificate and certificate.public_bytes(Encoding.PEM).decode()
            self._relay.on_session(self.inside.getsockname()[:2], pem)

    def from_server(self) -> None:
        """Pass a datagram of the CoAP server on to the client."""
        try:
            self.connection.send(self.inside.recv(65536))
        except (OSError, SSL.Error):
            return  # nothing listens upstream, or the session is not open yet
        self.flush()

    def retransmit(self) -> None:
        """Let OpenSSL send a handshake flight again when it is due."""
        if not self._established and self.connection.DTLSv1_get_timeout() == 0:
            try:
                self.connection.DTLSv1_handle_timeout()
            except SSL.Error:
                return
            self.flush()

    def flush(self) -> None:
        """Send what OpenSSL wants sent, in datagrams of whole records."""
        try:
            records = self.connection.bio_read(1 << 20)
        except SSL.WantReadError:
            return
        for datagram in _datagrams(records):
            self._relay.transmit(datagram, self.peer)


def random_of_hello(datagram: bytes) -> bytes | None:
    """The client's random in an unencrypted ClientHello (RFC 6347 section 4.3.2), or None."""
    is_handshake = datagram[:1] == b"\x16" and datagram[3:5] == b"\0\0"
    return datagram[27:59] if is_handshake and datagram[13:14] == b"\x01" else None


def _datagrams(records: bytes) -> Iterator[bytes]:
    begin = end = 0
    while end < len(records):
        size = _RECORD_HEADER + int.from_bytes(records[end + 11 : end + 13], "big")
        if begin < end and end + size - begin > _MTU:
            yield records[begin:end]
            begin = end
        end += size
    if begin < end:
        yield records[begin:end]
