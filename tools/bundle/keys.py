"""Keys that bundles are signed with: RSA, PKCS#1 v1.5, SHA-256, as boards check it."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

# Boards know the modulus alone: the exponent is always this one.
_EXPONENT = 65537
_SMALLEST, _LARGEST = 2048, 4096  # bits


class KeyFileError(Exception):
    """Why a file cannot be used as a key, and what to do."""


def generated() -> rsa.RSAPrivateKey:
    """A new key, in memory alone."""
    return rsa.generate_private_key(public_exponent=_EXPONENT, key_size=_SMALLEST)


def new_key(path: Path) -> rsa.RSAPrivateKey:
    """Make a key and write it, for its owner alone. Raises KeyFileError, and OSError.

    A file that is there is never replaced.
    """
    key = generated()
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    binary = getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path} is there already, and a key is not replaced") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    return key


def load_key(path: Path) -> rsa.RSAPrivateKey:
    """The private key in a PEM file. Raises KeyFileError, and OSError."""
    text = path.read_bytes()
    if b"PUBLIC KEY" in text or b"CERTIFICATE" in text:
        raise KeyFileError(f"{path} is no private key, and only a private key signs")
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except TypeError:
        raise KeyFileError(
            f"{path} is encrypted: decrypt it first, with openssl pkey -in {path}"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path} is no private key in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyFileError(f"{path} is no RSA key, and boards check RSA only")
    if not _SMALLEST <= key.key_size <= _LARGEST:
        raise KeyFileError(
            f"{path} is an RSA key of {key.key_size} bits; {_SMALLEST} to {_LARGEST} will do"
        )
    if key.public_key().public_numbers().e != _EXPONENT:
        raise KeyFileError(f"{path} has another public exponent than {_EXPONENT}")
    return key


def modulus(key: rsa.RSAPrivateKey) -> str:
    """What boards know a key by: `update.key` in config.json."""
    number = key.public_key().public_numbers().n
    return b64encode(number.to_bytes(key.key_size // 8, "big")).decode()


def signer(key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    """What signs bytes with a key."""
    return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def is_signed_by(known: str, data: bytes, signature: bytes) -> bool:
    """Whether the signature of bytes is that of the key with the modulus `known`.

    Raises KeyFileError when that is none.
    """
    try:
        number = int.from_bytes(b64decode(known, validate=True), "big")
        public = rsa.RSAPublicNumbers(_EXPONENT, number).public_key()
    except (Base64Error, ValueError):
        raise KeyFileError("`update.key` is no modulus of an RSA key in base64") from None
    try:
        public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
