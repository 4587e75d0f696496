"""A computer's DTLS session, on OpenSSL, with what it shows of the server's certificates."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import time

from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from tools import shims

shims.install()

from firmware.errors import CoapError, NoResponse  # noqa: E402

_HANDSHAKE_WITHIN = 15.0  # seconds
_MTU = 1472
_DATAGRAM = 2048


class Session:
    """A session with `host` over a transport of firmware.coap.udp, which is this one's then.

    `authorities`: the CA certificates in PEM or DER, None for whatever the server shows. `chain`
    holds the server's certificates, its own first; `complaint` is what OpenSSL says of them. A
    complaint is no error here, see `check`. Raises CoapError when there is no session.
    """

    # As the firmware's: ThingsBoard drops records of over 1130 bytes.
    largest_block = 512

    def __init__(self, transport, host: str, authorities: bytes | None = None):
        self._transport = transport
        self.host = host
        self.complaint = ""
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER, self._on_certificate)
        if authorities is not None:
            store = context.get_cert_store()
            for authority in certificates_in(authorities):
                store.add_cert(crypto.X509.from_cryptography(authority))
        self._connection = SSL.Connection(context, None)
        self._connection.set_connect_state()
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            host = ""
        if host:
            self._connection.set_tlsext_host_name(host.encode("idna"))
        self._connection.set_ciphertext_mtu(_MTU)
        self._shake_hands()
        self.chain = [
            each.to_cryptography() for each in self._connection.get_peer_cert_chain() or ()
        ]
        self.cipher = self._connection.get_cipher_name() or ""

    def send(self, datagram: bytes) -> None:
        """Send a datagram inside the session. Raises OSError."""
        self._connection.send(datagram)
        self._flush()

    def receive(self, size: int, timeout: int) -> bytes | None:
        """Wait up to `timeout` ms for a datagram; None when none came. Raises NoResponse."""
        deadline = time.monotonic() + timeout / 1000
        while True:
            try:
                return self._connection.recv(size)
            except SSL.WantReadError:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                record = self._transport.receive(_DATAGRAM, int(left * 1000) + 1)
                if record:
                    self._connection.bio_write(bytes(record))
            except SSL.Error:
                raise NoResponse("the DTLS session is over", "Start this again.") from None

    def check(self) -> None:
        """Raise CoapError unless the server's certificate is right for the host and the CA."""
        for problem in problems_of(self):
            raise CoapError(problem, "See README.md, coaps.")

    def close(self) -> None:
        """Say goodbye and give the transport back."""
        with contextlib.suppress(SSL.Error, OSError):
            self._connection.shutdown()
            self._flush()
        self._transport.close()

    def _on_certificate(self, connection, certificate, number, depth, is_good) -> bool:
        if not is_good and not self.complaint:
            self.complaint = _reason(number)
        return True

    def _shake_hands(self) -> None:
        deadline = time.monotonic() + _HANDSHAKE_WITHIN
        while True:
            try:
                self._connection.do_handshake()
                self._flush()
                return
            except SSL.WantReadError:
                self._flush()
            except SSL.Error as error:
                reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
                said = "; ".join(reason[-1] for reason in reasons) or type(error).__name__
                raise CoapError(f"the DTLS handshake failed: {said}", "See its log.") from None
            if time.monotonic() > deadline:
                raise NoResponse(
                    f"{self.host} did not answer the DTLS handshake",
                    "Is it ThingsBoard's port for CoAP over DTLS, UDP 5684, and is that enabled?",
                )
            left = self._connection.DTLSv1_get_timeout()
            record = None
            with contextlib.suppress(OSError):
                record = self._transport.receive(_DATAGRAM, int((left or 0.2) * 1000) + 1)
            if record:
                self._connection.bio_write(bytes(record))
            else:
                self._connection.DTLSv1_handle_timeout()

    def _flush(self) -> None:
        while True:
            try:
                record = self._connection.bio_read(_DATAGRAM)
            except SSL.WantReadError:
                return
            self._transport.send(record)


def certificates_in(content: bytes) -> list[x509.Certificate]:
    """The certificates in a file, in PEM or DER. Raises ValueError."""
    if b"-----BEGIN" in content:
        return x509.load_pem_x509_certificates(content)
    return [x509.load_der_x509_certificate(content)]


def name_of(subject: x509.Name) -> str:
    """What a person calls a certificate's subject or issuer."""
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else subject.rfc4514_string()


def names_in(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [name_of(certificate.subject)]
    names = found.get_values_for_type(x509.DNSName)
    return [*names, *map(str, found.get_values_for_type(x509.IPAddress))]


def problems_of(session: Session) -> list[str]:
    """What is wrong with the server's certificates for this host, a line each."""
    if not session.chain:
        return ["the server shows no certificate"]
    certificate = session.chain[0]
    problems = []
    now = datetime.datetime.now(datetime.timezone.utc)
    if certificate.not_valid_after_utc < now:
        problems.append(
            f"the server's certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}"
        )
    elif certificate.not_valid_before_utc > now:
        begins = f"{certificate.not_valid_before_utc:%Y-%m-%d}"
        problems.append(f"the server's certificate is not valid before {begins}")
    elif session.complaint:
        problems.append(f"the server's certificate was not issued by the CA: {session.complaint}")
    names = names_in(certificate)
    if not any(_fits(session.host.lower(), name.lower()) for name in names):
        problems.append(
            f"the server's certificate is for {', '.join(names)}, not for {session.host}"
        )
    return problems


def _fits(host: str, name: str) -> bool:
    if name.startswith("*."):
        return "." in host and host.partition(".")[2] == name[2:]
    return host == name


def _reason(number: int) -> str:
    return {
        10: "it has expired",
        18: "it is self-signed",
        19: "a self-signed certificate is above it",
        20: "the certificate above it is missing or another",
        21: "the certificate above it is missing or another",
    }.get(number, f"OpenSSL's error {number}")
