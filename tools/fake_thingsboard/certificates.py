"""Certificates to test with: a CA, and what it issues. Made with the cryptography package."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)
# For whom a cold clock is not the certificate's fault: a board that knows no time counts from the
# date of its firmware.
LONG = {"valid_from_days": -3650, "valid_for_days": 3650 + 366}


@dataclass(frozen=True)
class Issued:
    """A certificate, its private key, and the certificate that issued it (itself for a root)."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    issuer: Issued | None = None

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """The certificate and those above it, without the root."""
        above = self.issuer.chain_pem if self.issuer and self.issuer.issuer else b""
        return self.pem + above

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def key_der(self) -> bytes:
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def new_key(kind: str = "EC"):
    """A private key: EC (secp256r1) or RSA (2048 bits)."""
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def issue(
    names: list[str],
    issuer: Issued | None = None,
    *,
    is_ca: bool = False,
    key: str = "EC",
    valid_from_days: int = -1,
    valid_for_days: int = 31,
) -> Issued:
    """A certificate for host names and IP addresses, from `issuer` or self-signed."""
    private_key = new_key(key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    begin = datetime.datetime.now(datetime.timezone.utc) + valid_from_days * _DAY
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + valid_for_days * _DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    signer = issuer.key if issuer else private_key
    return Issued(builder.sign(signer, hashes.SHA256()), private_key, issuer)


def new_ca(name: str = "firstboot test CA", issuer: Issued | None = None, **options) -> Issued:
    """The certificate of a CA: a root, or an intermediate of `issuer`."""
    return issue([name], issuer, is_ca=True, **options)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
