"""firmware.update.admission beside the package cryptography, which is not ours."""

from __future__ import annotations

import base64
import hashlib
import random

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from firmware.board.modulus import modulus
from firmware.update.admission import is_signed

SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
WITHOUT_NULL = bytes.fromhex("302f300b0609608648016503040201" + "0420")
SHA1 = bytes.fromhex("3021300906052b0e03021a05000414")


@pytest.fixture(scope="module", params=[2048, 3072])
def key(request):
    return rsa.generate_private_key(65537, request.param)


def signs(key, signature: bytes, digest: bytes) -> bool:
    """Whether a board that has the public key finds that it signed a SHA-256."""
    number = key.public_key().public_numbers().n
    content = number.to_bytes(key.key_size // 8, "big")
    known = base64.b64encode(content).decode()
    assert modulus(known) == content
    return is_signed(known, (int.from_bytes(signature, "big"), len(signature)), digest)


def raw(key, block: bytes) -> bytes:
    """What the private key makes of a padded block, whatever it is."""
    numbers = key.private_numbers()
    n = numbers.public_numbers.n
    return pow(int.from_bytes(block, "big"), numbers.d, n).to_bytes(key.key_size // 8, "big")


def test_what_it_signs_is_taken(key):
    for _ in range(10):
        content = random.randbytes(100)
        signature = key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        assert signs(key, signature, hashlib.sha256(content).digest())
        assert not signs(key, signature, hashlib.sha256(content + b"x").digest())


def test_what_is_padded_in_another_way_is_refused(key):
    size = key.key_size // 8
    digest = hashlib.sha256(b"content").digest()

    def block(start=b"\0\1", fill=b"\xff", end=b"\0", kind=SHA256, tail=b"", filled=None):
        rest = end + kind + digest + tail
        count = size - len(start) - len(rest) if filled is None else filled
        return (start + fill * count + rest).ljust(size, b"\x5a")

    assert signs(key, raw(key, block()), digest)
    for wrong in (
        block(start=b"\0\2"),
        block(start=b"\0\0"),
        block(fill=b"\xfe"),
        block(fill=b"\0"),
        block(end=b"\1"),
        block(kind=WITHOUT_NULL),
        block(kind=SHA1),
        block(kind=b""),
        block(tail=b"\0"),
        # Garbage behind what is right (Bleichenbacher, 2006).
        block(filled=8),
        block(filled=0),
    ):
        assert not signs(key, raw(key, wrong), digest)
    for other in (
        key.sign(b"content", padding.PKCS1v15(), hashes.SHA512()),
        key.sign(b"content", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
    ):
        assert not signs(key, other, digest)
