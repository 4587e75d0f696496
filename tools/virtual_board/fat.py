"""A flash whose file system is FAT, as an ESP32 has one whose partition says so."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tools import private
from tools.virtual_board.boards import KINDS
from tools.virtual_board.errors import FlashError
from tools.virtual_board.interpreter import find_micropython

_ROM = Path(__file__).resolve().parent / "rom"
_HEAP = "8m"
_ABSENT = 3  # the exit code of what found no such file
# At the end of a boot sector's first 512 bytes.
_MARK = b"\x55\xaa"

_MOUNT = """
import os, sys, vfs
rom, image, block_size, block_count, path = sys.argv[1:]
sys.path.append(rom)
from block_device import BlockDevice
chip = BlockDevice(open(image, "r+b"), int(block_size), int(block_count))
"""
_MAKE = """
vfs.VfsFat.mkfs(chip)
vfs.mount(vfs.VfsFat(chip), "/flash")
def copy(folder, to):
    for name, kind, *_ in os.ilistdir(folder):
        if kind & 0x4000:
            os.mkdir(to + "/" + name)
            copy(folder + "/" + name, to + "/" + name)
        else:
            with open(folder + "/" + name, "rb") as file, open(to + "/" + name, "wb") as other:
                other.write(file.read())
copy(path, "/flash")
vfs.umount("/flash")
chip.file.close()
"""
_READ = """
vfs.mount(vfs.VfsFat(chip), "/flash")
try:
    with open("/flash" + path, "rb") as file:
        sys.stdout.buffer.write(file.read())
except OSError:
    sys.exit(3)
"""


def is_fat(image: Path) -> bool:
    """Whether a flash image has a FAT file system."""
    with image.open("rb") as file:
        return file.read(512).endswith(_MARK)


def make_fat(image: Path, kind: str, contents: dict[str, bytes]) -> None:
    """Make the flash of a board of `kind` with these files by name. Raises FlashError."""
    private.write(image, b"\xff" * KINDS[kind].flash_size)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        _run(_MAKE, image, kind, folder)


def read_fat(image: Path, kind: str, path: str) -> bytes | None:
    """A file's content, None when there is no such file. Raises FlashError."""
    return _run(_READ, image, kind, path)


def _run(script: str, image: Path, kind: str, path: str) -> bytes | None:
    """Run MicroPython with its own FAT on an image; what it prints, None for no such file."""
    board = KINDS[kind]
    geometry = (str(board.block_size), str(board.block_count))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "fat.py")
        file.write_text(_MOUNT + script, encoding="utf-8")
        command = [find_micropython().command, "-X", f"heapsize={_HEAP}", str(file), str(_ROM)]
        done = subprocess.run([*command, str(image), *geometry, path], capture_output=True)
    if done.returncode == _ABSENT:
        return None
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise FlashError(f"{image}: {said}")
    return done.stdout
