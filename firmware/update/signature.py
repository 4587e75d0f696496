"""A bundle's signature: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2). Pure."""

from micropython import const

from firmware.board.modulus import modulus
from firmware.update.errors import UpdateError

_EXPONENT = const(65537)
# What says that a SHA-256 follows (RFC 8017 section 9.2, note 1).
_SHA256 = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"


def check(key, signature, digest):
    """Check the signature of a bundle; raise UpdateError when it is missing or wrong.

    `key`: `update.key` of config.json. `signature`: its bytes, None for none. `digest`: the SHA-256
    of what is signed.
    """
    if not signature:
        raise UpdateError(
            "the bundle is not signed, and config.json has an `update.key`",
            "Sign it: bundle --sign key.pem.",
        )
    if not is_signed(modulus(key), signature, digest):
        raise UpdateError(
            "the bundle's signature is not of the key that config.json has as `update.key`",
            "Sign it with that key: bundle --sign key.pem.",
        )


def is_signed(key, signature, digest):
    """Return whether the signature of a SHA-256 was made with the key of which this is the modulus.

    All are bytes, big endian. The public exponent is 65537.
    """
    size = len(key)
    number = int.from_bytes(signature, "big")
    key = int.from_bytes(key, "big")
    if len(signature) != size or number >= key:
        return False
    padding = b"\xff" * (size - 3 - len(_SHA256) - len(digest))
    expected = b"\0\1" + padding + b"\0" + _SHA256 + digest
    return pow(number, _EXPONENT, key).to_bytes(size, "big") == expected
