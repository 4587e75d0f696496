"""The checksums that ThingsBoard has packages by, taken as their bytes come.

MurmurHash3 is that with seed 0, as Guava's Hashing has it. Source: Austin Appleby, MurmurHash3.cpp:
MurmurHash3_x86_32 and MurmurHash3_x64_128.
"""

import hashlib
from binascii import crc32

_OF_HASHLIB = "MD5 SHA256 SHA384 SHA512"
_MASK_32 = 0xFFFFFFFF
_MASK_64 = 0xFFFFFFFFFFFFFFFF


def checksum(algorithm):
    """Return what has `update(data)` and `digest()`; None for one that this board cannot take.

    `algorithm`: as ThingsBoard names it.
    """
    if algorithm in _OF_HASHLIB.split():
        # Boards have SHA-256, most of them MD5.
        made = getattr(hashlib, algorithm.lower(), None)
        return made and made()
    if algorithm == "CRC32":
        return _CRC32()
    if algorithm in ("MURMUR3_32", "MURMUR3_128"):
        return Murmur32() if algorithm == "MURMUR3_32" else Murmur128()
    return None


class _CRC32:
    _value = 0

    def update(self, data):
        self._value = crc32(data, self._value)

    def digest(self):
        # As Guava has it: the least significant byte first.
        return self._value.to_bytes(4, "little")


class Murmur32:
    """The one of 32 bits."""

    def __init__(self):
        self._hash = self._size = 0
        self._rest = b""

    def update(self, data):
        """Take the next bytes."""
        self._size += len(data)
        data = self._rest + bytes(data)
        whole = len(data) & ~3
        self._rest = data[whole:]
        hash = self._hash
        for place in range(0, whole, 4):
            hash ^= _scrambled(int.from_bytes(data[place : place + 4], "little"))
            hash = (hash << 13 | hash >> 19) & _MASK_32
            hash = hash * 5 + 0xE6546B64 & _MASK_32
        self._hash = hash

    def digest(self):
        """Return the hash, the least significant byte first."""
        hash = self._hash ^ _scrambled(int.from_bytes(self._rest, "little")) ^ self._size
        hash = (hash ^ hash >> 16) * 0x85EBCA6B & _MASK_32
        hash = (hash ^ hash >> 13) * 0xC2B2AE35 & _MASK_32
        return (hash ^ hash >> 16).to_bytes(4, "little")


class Murmur128:
    """The one of 128 bits, made for computers of 64 bits."""

    def __init__(self):
        self._low = self._high = self._size = 0
        self._rest = b""

    def update(self, data):
        """Take the next bytes."""
        self._size += len(data)
        data = self._rest + bytes(data)
        whole = len(data) & ~15
        self._rest = data[whole:]
        low, high = self._low, self._high
        for place in range(0, whole, 16):
            low ^= _first(int.from_bytes(data[place : place + 8], "little"))
            low = _sum(_rotated(low, 27), high) * 5 + 0x52DCE729 & _MASK_64
            high ^= _second(int.from_bytes(data[place + 8 : place + 16], "little"))
            high = _sum(_rotated(high, 31), low) * 5 + 0x38495AB5 & _MASK_64
        self._low, self._high = low, high

    def digest(self):
        """Return the hash, the least significant byte first."""
        high = self._high ^ _second(int.from_bytes(self._rest[8:], "little")) ^ self._size
        low = self._low ^ _first(int.from_bytes(self._rest[:8], "little")) ^ self._size
        low = _sum(low, high)
        high = _sum(high, low)
        low, high = _mixed(low), _mixed(high)
        low = _sum(low, high)
        high = _sum(high, low)
        return low.to_bytes(8, "little") + high.to_bytes(8, "little")


def _scrambled(word):
    word = word * 0xCC9E2D51 & _MASK_32
    return (word << 15 | word >> 17) * 0x1B873593 & _MASK_32


def _sum(one, other):
    return one + other & _MASK_64


def _rotated(word, bits):
    return (word << bits | word >> 64 - bits) & _MASK_64


def _first(word):
    return _rotated(word * 0x87C37B91114253D5 & _MASK_64, 31) * 0x4CF5AD432745937F & _MASK_64


def _second(word):
    return _rotated(word * 0x4CF5AD432745937F & _MASK_64, 33) * 0x87C37B91114253D5 & _MASK_64


def _mixed(word):
    word = (word ^ word >> 33) * 0xFF51AFD7ED558CCD & _MASK_64
    word = (word ^ word >> 33) * 0xC4CEB9FE1A85EC53 & _MASK_64
    return word ^ word >> 33
