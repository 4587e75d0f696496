"""The flash of a virtual board: an image (micropython) or a folder (cpython).

An image holds littlefs, as boards do, or FAT, as some ESP32 boards do.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath

from littlefs import LittleFS, LittleFSError

from tools import private, roles
from tools.virtual_board.boards import KINDS
from tools.virtual_board.errors import FlashError, NotOnFlash
from tools.virtual_board.fat import is_fat, make_fat, read_fat
from tools.virtual_board.lock import locked

PROJECT = Path(__file__).resolve().parents[2]
_FILE_KEYS = ("ca", "certificate", "key")
LITTLEFS, FAT = "littlefs", "FAT"
RUNTIMES = ("micropython", "cpython")
_READ_SIZE = 32
_LOOKAHEAD_SIZE = 32
# The on-disk format that every MicroPython since 1.23 mounts; newer ones raise it as they write.
_DISK_VERSION = 0x00020000


def put_on_flash(
    flash: Path,
    kind: str,
    runtime: str,
    config: bytes | Path | None,
    app: bytes | Path | None = None,
    source: Path | dict[str, bytes] = PROJECT,
    files: dict[str, bytes] | None = None,
    file_system: str = LITTLEFS,
) -> None:
    """Make a new flash with boot.py, main.py and firmware/ from `source`, config.json and app.py.

    `source`: a folder, or its files by name. `files`: others, by name. Of the firmware only what
    `config` asks for is put there. `file_system`: LITTLEFS or FAT, of an image.

    A half-made flash never stands under the name `flash`; an old one is replaced. Raises
    FlashError when something else has that name, or a board is powered up from it.
    """
    flash = Path(flash)
    if isinstance(config, Path):
        config = config.read_bytes()
    contents = _firmware(source, config)
    contents.update(files or {})
    for name, content in (("config.json", config), ("app.py", app)):
        if content is not None:
            contents[name] = content if isinstance(content, bytes) else Path(content).read_bytes()
    if flash.exists():
        check_flash(flash, kind, runtime)
        with locked(flash):
            _make(flash, kind, runtime, contents, file_system)
    else:
        flash.parent.mkdir(parents=True, exist_ok=True)
        _make(flash, kind, runtime, contents, file_system)


def files_named_in(config: Path) -> dict[str, bytes]:
    """The files that a config.json wants on the flash, from beside it: certificates and a key.

    One that is not there is left out, for the firmware to report.
    """
    try:
        given = json.loads(config.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        given = None
    names = [given.get(key) for key in _FILE_KEYS] if isinstance(given, dict) else []
    names = [name.strip("/") for name in names if isinstance(name, str)]
    return {name: (config.parent / name).read_bytes() for name in names if _is_file(config, name)}


def _is_file(config: Path, name: str) -> bool:
    try:
        return bool(name) and (config.parent / name).is_file()
    except (OSError, ValueError):
        # Something else in the place of a name, such as all of a key.
        return False


def put_file(flash: Path, name: str, content: bytes) -> None:
    """Put one file on a flash that is there. Raises FlashError, and OSError without space."""
    with locked(flash):
        if flash.is_dir():
            private.replace(flash / name, content)
            return
        files = _mounted(flash, bytearray(flash.read_bytes()))
        try:
            with files.open(name, "wb") as file:
                file.write(content)
            files.unmount()
        except LittleFSError as error:
            raise FlashError(f"{flash} does not take {name}: {error}") from error
        private.replace(flash, bytes(files.context.buffer))


def make_blank(flash: Path, kind: str, file_system: str = LITTLEFS) -> None:
    """Make the flash of a new board: MicroPython is on it, and nothing of ours."""
    files = dict(KINDS[kind].files_when_new)
    _make(Path(flash), kind, "micropython", files, file_system)


def read_file(flash: Path, path: str) -> bytes:
    """A file's content. Raises NotOnFlash when it is absent, FlashError when `flash` is none."""
    flash = Path(flash)
    if not flash.exists():
        raise FlashError(f"{flash} does not exist")
    name = PurePosixPath("/", path).relative_to("/")
    if not name.parts or ".." in name.parts:
        raise NotOnFlash(f"{flash} has no file {path}")
    if flash.is_dir():
        if not (flash / "main.py").is_file():
            raise FlashError(f"{flash} is no flash: it has no main.py")
        file = flash / name
        if not file.is_file():
            raise NotOnFlash(f"{flash} has no file {path}")
        return file.read_bytes()
    kind = _kind_of(flash)
    if is_fat(flash):
        content = read_fat(flash, kind, f"/{name}")
        if content is None:
            raise NotOnFlash(f"{flash} has no file {path}")
        return content
    try:
        with (
            open(flash, "rb") as image,
            mmap.mmap(image.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            files = _mounted(flash, content)  # it has to outlive the file opened in it
            with files.open(str(name), "rb") as file:
                return file.read()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotOnFlash(f"{flash} has no file {path}") from error


def check_flash(flash: Path, kind: str, runtime: str) -> None:
    """Raise FlashError unless `flash` looks like what `runtime` plays a `kind` board from."""
    if not flash.exists():
        raise FlashError(f"{flash} does not exist; put_on_flash makes it")
    if runtime == "cpython":
        if not flash.is_dir():
            raise FlashError(f"{flash} is a file, but the flash of the cpython runtime is a folder")
        if not (flash / "main.py").is_file():
            raise FlashError(f"{flash} is no flash: it has no main.py")
    elif flash.is_dir():
        raise FlashError(
            f"{flash} is a folder, but the flash of the micropython runtime is a littlefs image"
        )
    elif _kind_of(flash) != kind:
        raise FlashError(f"{flash} is the flash of another board, {_kind_of(flash)}, not {kind}")


def read_firmware(source: Path) -> dict[str, bytes]:
    """The boot.py, main.py and firmware/ of a folder, source or what mpy-cross made of it."""
    if not (source / "main.py").is_file():
        raise FlashError(f"{source} has no main.py to put on a flash")
    files = [source / "boot.py", source / "main.py", *sorted(source.glob("firmware/**/*.*py"))]
    return {
        file.relative_to(source).as_posix(): file.read_bytes() for file in files if file.is_file()
    }


def _firmware(source: Path | dict[str, bytes], config: bytes | None) -> dict[str, bytes]:
    given = source if isinstance(source, dict) else read_firmware(Path(source))
    return {name: given[name] for name in roles.chosen(given, roles.asked_for(config))}


def _make(
    flash: Path, kind: str, runtime: str, contents: dict[str, bytes], file_system: str
) -> None:
    half_made = flash.with_name(f".{flash.name}.{os.getpid()}.part")
    try:
        if runtime == "micropython":
            (make_fat if file_system == FAT else _write_image)(half_made, kind, contents)
            os.replace(half_made, flash)
        else:
            _write_folder(half_made, contents)
            _replace_folder(half_made, flash)
    except LittleFSError as error:
        raise FlashError(f"{flash} cannot hold the files: {error}") from error
    finally:
        _remove(half_made)


def _kind_of(image: Path) -> str:
    size = image.stat().st_size
    for kind, board in KINDS.items():
        if size == board.flash_size:
            return kind
    sizes = ", ".join(f"{kind}: {board.flash_size}" for kind, board in KINDS.items())
    raise FlashError(f"{image} is not a flash image: it has {size} bytes ({sizes})")


def _littlefs(content: bytearray | mmap.mmap, kind: str, disk_version: int = 0) -> LittleFS:
    board = KINDS[kind]
    return LittleFS(
        context=_Chip(content),
        mount=False,
        block_size=board.block_size,
        block_count=board.block_count,
        read_size=_READ_SIZE,
        prog_size=board.prog_size,
        cache_size=4 * board.prog_size,
        lookahead_size=_LOOKAHEAD_SIZE,
        disk_version=disk_version,
    )


class _Chip:
    """Flash in memory. littlefs-python's own makes a line of a log of every operation."""

    def __init__(self, content: bytearray | mmap.mmap):
        self.buffer = content

    def read(self, config, block: int, offset: int, size: int) -> bytes | bytearray:
        start = block * config.block_size + offset
        return self.buffer[start : start + size]

    def prog(self, config, block: int, offset: int, data: bytes) -> int:
        start = block * config.block_size + offset
        self.buffer[start : start + len(data)] = data
        return 0

    def erase(self, config, block: int) -> int:
        return self.prog(config, block, 0, b"\xff" * config.block_size)

    def sync(self, config) -> int:
        return 0


def _mounted(image: Path, content: bytearray | mmap.mmap) -> LittleFS:
    files = _littlefs(content, _kind_of(image))
    try:
        files.mount()
    except LittleFSError as error:
        raise FlashError(f"{image} holds no littlefs file system: {error}") from error
    return files


def _write_image(image: Path, kind: str, contents: dict[str, bytes]) -> None:
    # Firmware comes first, and is the same on many boards.
    same, own = [], []
    for each in contents.items():
        is_same = not own and each[0].startswith(("boot.py", "main.py", "firmware/"))
        (same if is_same else own).append(each)
    files = _littlefs(bytearray(_image_with(kind, tuple(same))), kind, _DISK_VERSION)
    files.mount()
    _write_files(files, own)
    private.write(image, files.context.buffer)


@lru_cache(maxsize=4)
def _image_with(kind: str, contents: tuple[tuple[str, bytes], ...]) -> bytes:
    files = _littlefs(bytearray(b"\xff" * KINDS[kind].flash_size), kind, _DISK_VERSION)
    files.format()
    files.mount()
    _write_files(files, contents)
    return bytes(files.context.buffer)


def _write_files(files: LittleFS, contents: Iterable[tuple[str, bytes]]) -> None:
    for name, content in contents:
        files.makedirs(str(PurePosixPath(name).parent), exist_ok=True)
        with files.open(name, "wb") as file:
            file.write(content)
    files.unmount()


def _write_folder(folder: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        private.write(file, content)


def _replace_folder(new: Path, folder: Path) -> None:
    old = new.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
