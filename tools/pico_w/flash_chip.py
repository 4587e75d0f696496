"""The flash chip of an emulated board: its id, and each of its operations as it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rp2040py.rp2040 import RP2040

_PAGE_PROGRAM, _SECTOR_ERASE, _BLOCK_ERASE, _READ_UNIQUE_ID = 0x02, 0x20, 0xD8, 0x4B
_SIZES = {_SECTOR_ERASE: 4096, _BLOCK_ERASE: 65536}
_HEADER = 4  # an opcode and an address
_UNIQUE_ID_AT = 5  # after the opcode and four bytes of nothing
UNIQUE_ID_SIZE = 8


class Operation(NamedTuple):
    """An erase or a program: `address` and `size` in bytes, `ms` of emulated board time."""

    kind: str
    address: int
    size: int
    ms: float


class FlashChip:
    """What rp2040py's chip lacks: an id of its own, and somebody who watches.

    `on_operation` is called before an operation is done, `on_done` after it; `operations` has all.
    rp2040py 0.3.6 has no seam for either: the two methods are private there.
    """

    def __init__(self, unique_id: bytes):
        if len(unique_id) != UNIQUE_ID_SIZE:
            raise ValueError(f"the id of a Pico W has {UNIQUE_ID_SIZE} bytes, not {len(unique_id)}")
        self.unique_id = unique_id
        self.operations: list[Operation] = []
        self.on_operation: Callable[[Operation], None] = lambda operation: None
        self.on_done: Callable[[Operation], None] = lambda operation: None

    def attach(self, rp2040: RP2040) -> None:
        """Become the chip on a board (rp2040py's ExternalDevice)."""
        self._rp2040 = rp2040
        self._ssi = rp2040.ssi
        self._shift_any, self._apply = self._ssi._shift_byte, self._ssi._apply_command
        self._ssi._shift_byte = self._shift
        self._ssi._apply_command = self._on_command

    def do_half(self, operation: Operation) -> None:
        """Do half of an operation, as a power cut in the middle of it would."""
        flash, start = self._rp2040.flash, operation.address
        half = operation.size // 2
        if operation.kind == "erase":
            flash[start : start + half] = b"\xff" * half
        else:
            data = self._ssi._tx_buffer[_HEADER : _HEADER + half]
            for offset, byte in enumerate(data):
                flash[start + offset] &= byte

    def _shift(self, byte: int) -> int:
        answer = self._shift_any(byte)
        command = self._ssi._tx_buffer
        at = len(command) - 1 - _UNIQUE_ID_AT
        if command[0] == _READ_UNIQUE_ID and 0 <= at < UNIQUE_ID_SIZE:
            return self.unique_id[at]
        return answer

    def _on_command(self) -> None:
        operation = self._operation()
        if operation:
            self.operations.append(operation)
            self.on_operation(operation)
        self._apply()
        if operation:
            self.on_done(operation)

    def _operation(self) -> Operation | None:
        """What the command that has come in does to the flash, if anything."""
        command = self._ssi._tx_buffer
        if len(command) < _HEADER or not self._ssi._write_enabled:
            return None
        address = int.from_bytes(command[1:_HEADER], "big")
        if command[0] == _PAGE_PROGRAM:
            return Operation("program", address, len(command) - _HEADER, self._ms)
        size = _SIZES.get(command[0])
        return Operation("erase", address & ~(size - 1), size, self._ms) if size else None

    @property
    def _ms(self) -> float:
        return self._rp2040.clock.nanos / 1e6
