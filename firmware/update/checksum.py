"""The checksums that ThingsBoard has packages by, taken as their bytes come."""

import hashlib
from binascii import crc32

_OF_HASHLIB = "MD5 SHA256 SHA384 SHA512"


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
        # Only now, since hardly anybody chooses it.
        from firmware.update.murmur3 import Murmur32, Murmur128

        return Murmur32() if algorithm == "MURMUR3_32" else Murmur128()
    return None


class _CRC32:
    _value = 0

    def update(self, data):
        self._value = crc32(data, self._value)

    def digest(self):
        # As Guava has it: the least significant byte first.
        return self._value.to_bytes(4, "little")
