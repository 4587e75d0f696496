"""The firmware compiled, once for all tests of this process."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from tools.measure.bench import compile_to, firmware_files
from tools.virtual_board.flash import PROJECT, read_firmware


@cache
def compiled() -> dict[str, bytes]:
    """What `flash` puts on a board, by name, for put_on_flash."""
    with tempfile.TemporaryDirectory() as folder:
        compile_to(PROJECT, firmware_files(PROJECT, with_optional=True), Path(folder))
        for name in ("boot.py", "main.py"):
            shutil.copy(PROJECT / name, folder)
        return read_firmware(Path(folder))
