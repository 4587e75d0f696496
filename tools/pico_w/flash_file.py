"""The flash of an emulated board in a file, written as the board writes: a cut may come any time.

It is an image of the virtual board's kind rp2: the same file system of the same size.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tools import roles
from tools.flash import content
from tools.pico_w.flash_chip import Operation
from tools.pico_w.machine import FILES_AT, FILES_SIZE, Machine
from tools.virtual_board.flash import put_on_flash

KIND, RUNTIME = "rp2", "micropython"  # whose images these are


class FlashFile:
    """`path`, kept as `machine` has it from now on."""

    def __init__(self, path: Path, machine: Machine):
        self._machine = machine
        self._descriptor = os.open(path, os.O_RDWR)
        machine.flash_chip.on_done = self._write

    def close(self) -> None:
        """Nothing is written any more."""
        self._machine.flash_chip.on_done = lambda operation: None
        os.close(self._descriptor)

    def _write(self, operation: Operation) -> None:
        start = max(0, operation.address - FILES_AT)
        end = min(operation.address + operation.size - FILES_AT, FILES_SIZE)
        if start < end:
            os.lseek(self._descriptor, start, os.SEEK_SET)
            os.write(self._descriptor, self._machine.files_from(start, end))


def put_firmware(
    flash: Path,
    config: bytes,
    app: bytes | None = None,
    files: dict[str, bytes] | None = None,
) -> None:
    """Make a new flash with the firmware as the tools put it on a board: compiled.

    Compiling it on the board costs this computer a quarter of a minute.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, data in content.firmware(asked_for=roles.asked_for(config)).items():
            path = Path(folder, name.strip("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        put_on_flash(flash, KIND, RUNTIME, config, app, Path(folder), files)


def make_erased(flash: Path) -> None:
    """Make the flash of a new board: MicroPython makes a file system there when it starts."""
    part = flash.with_name(f".{flash.name}.{os.getpid()}.part")
    part.write_bytes(b"\xff" * FILES_SIZE)
    os.replace(part, flash)
