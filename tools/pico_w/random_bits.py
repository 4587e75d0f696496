"""The ring oscillator of an emulated board, from which MicroPython draws its randomness."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from rp2040py.peripherals.peripheral import BasePeripheral
from rp2040py.rp2040 import RP2040

_ROSC_BASE = 0x40060
_STATUS, _RANDOM_BIT = 0x18, 0x1C
_STABLE_AND_ENABLED = 1 << 31 | 1 << 12


class RingOscillator(BasePeripheral):
    """rp2040py has none: every bit there is a 1, and every token the same.

    `getrandbits`: where the bits come from, such as random.Random(seed).getrandbits.
    """

    def __init__(self, rp2040: RP2040, getrandbits: Callable[[int], int]):
        super().__init__(rp2040, "ROSC")
        self._getrandbits = getrandbits

    def read_uint32(self, offset: int) -> int:
        if offset == _RANDOM_BIT:
            return self._getrandbits(1)
        return _STABLE_AND_ENABLED if offset == _STATUS else 0

    def write_uint32(self, offset: int, value: int) -> None:
        """It cannot be tuned."""


class RandomBits:
    """Puts the oscillator on a board (rp2040py's ExternalDevice)."""

    def __init__(self, getrandbits: Callable[[int], int] = secrets.randbits):
        self._getrandbits = getrandbits

    def attach(self, rp2040: RP2040) -> None:
        rp2040.peripherals[_ROSC_BASE] = RingOscillator(rp2040, self._getrandbits)
