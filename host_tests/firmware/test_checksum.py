"""firmware.update.checksum: ThingsBoard's checksums of packages, as Guava's Hashing has them."""

import hashlib

from firmware.update.checksum import checksum

TEXT = b"The quick brown fox jumps over the lazy dog"
# CRC-32 from its check value; MurmurHash3 from smhasher's verification and Guava's own tests.
KNOWN = (
    ("MD5", b"", "d41d8cd98f00b204e9800998ecf8427e"),
    ("SHA256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("CRC32", b"123456789", "2639f4cb"),
    ("MURMUR3_32", b"", "00000000"),
    ("MURMUR3_32", b"abc", "fa93ddb3"),
    ("MURMUR3_32", TEXT, "23f74f2e"),
    ("MURMUR3_128", b"", "00000000000000000000000000000000"),
    ("MURMUR3_128", b"abc", "6778ad3f3f3f96b4522dca264174a23b"),
    ("MURMUR3_128", TEXT, "6c1b07bc7bbc4be347939ac4a93c437a"),
)


def test_known_values():
    for algorithm, data, expected in KNOWN:
        taken = checksum(algorithm)
        taken.update(data)
        assert taken.digest().hex() == expected, algorithm


def test_pieces_of_any_size_are_the_whole():
    data = bytes(range(256)) * 5
    for algorithm in ("MD5", "SHA256", "CRC32", "MURMUR3_32", "MURMUR3_128"):
        whole = checksum(algorithm)
        whole.update(data)
        digest = whole.digest()
        for size in (1, 3, 16, 17, 1024):
            taken = checksum(algorithm)
            for place in range(0, len(data), size):
                taken.update(memoryview(data)[place : place + size])
            assert taken.digest() == digest, (algorithm, size)


def test_one_that_the_board_has_not():
    for algorithm, name in (("SHA384", "sha384"), ("SHA512", "sha512")):
        assert (checksum(algorithm) is not None) == hasattr(hashlib, name)
    assert checksum("SHA3") is None and checksum("") is None
