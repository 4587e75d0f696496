"""The heap of an emulated board's MicroPython, read from its memory without its noticing."""

from __future__ import annotations

import re

from rp2040py.memory_map import RAM_START_ADDRESS

from tools.pico_w.machine import Machine

# What micropython.mem_info(1) prints; then the heap's parts can be found.
QUESTION = (
    b"import micropython, gc; micropython.mem_info(1); print('heap', 'has', gc.mem_free())\r\n"
)
_POOL = re.compile(r"from ([0-9a-f]+):")
_TOTAL = re.compile(r"GC: total: (\d+)")
_FIRST_ROW = re.compile(r"00000000: (\S{64})")
_GAP_MAX = 1024
_BLOCK = 16  # bytes
_BLOCKS_A_BYTE = 4
# By a byte of the allocation table: how many of its four blocks are free.
_FREE = bytes(sum(not byte >> shift & 3 for shift in (0, 2, 4, 6)) for byte in range(256))


class Heap:
    """Where the heap is in `machine`, from what the board answered to QUESTION.

    It is at the same place in every life of an image. Raises ValueError when it cannot be found.
    """

    def __init__(self, said: str, machine: Machine):
        pool, total, row = _POOL.search(said), _TOTAL.search(said), _FIRST_ROW.search(said)
        if not (pool and total and row):
            raise ValueError(f"no heap in {said!r}")
        blocks = int(total[1]) // _BLOCK
        self._size = blocks // _BLOCKS_A_BYTE
        # The table stands before the pool, with a bit a block for finalisers after it.
        last = int(pool[1], 16) - RAM_START_ADDRESS - self._size - blocks // 8
        start = last - _GAP_MAX
        at = machine.memory(start, _GAP_MAX + len(row[1])).rfind(_packed(row[1]))
        if at < 0:
            raise ValueError("the heap's allocation table is not where it should be")
        self._table = start + at

    def free(self, machine: Machine) -> int:
        """Bytes that are free now; garbage that was not collected yet is not."""
        table = machine.memory(self._table, self._size)
        return sum(table.translate(_FREE)) * _BLOCK


def _packed(row: str) -> bytes:
    """A row of mem_info's layout as it is in the allocation table."""
    kinds = [{".": 0, "=": 2}.get(letter, 1) for letter in row]
    quads = [kinds[at : at + _BLOCKS_A_BYTE] for at in range(0, len(kinds), _BLOCKS_A_BYTE)]
    return bytes(sum(kind << 2 * at for at, kind in enumerate(quad)) for quad in quads)
