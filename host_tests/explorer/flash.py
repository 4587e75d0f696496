"""A flash chip of a few blocks, and a littlefs on it that the firmware takes for its own."""

from __future__ import annotations

from collections.abc import Callable, Container

from littlefs import LittleFS, LittleFSError, lfs

from tools.virtual_board.boards import KINDS

BLOCK_SIZE = 4096
_ERASED = b"\xff" * BLOCK_SIZE
_LOOKAHEAD_SIZE = 32
_BLOCK_CYCLES = 100  # MicroPython's
_DISK_VERSION = 0x00020000
# littlefs' types of what has a name, and MicroPython's.
_FOLDER = 2
_KINDS = {1: 0x8000, _FOLDER: 0x4000}

Image = tuple[bytes, ...]


class Chip:
    """NOR flash: an erase sets bits, a program only clears them.

    `watch(operation, half)` is called before each program and erase with the image that a power
    cut in the middle of it leaves. The program numbered `decays` loses a bit once littlefs has
    compared it with what it wrote. Operations whose number is in `fails` are not done: an error.
    The first has the number 1.
    """

    def __init__(self, image: Image, watch: Callable[[str, Image], None] | None = None):
        self.blocks = list(image)
        self.watch = watch
        self.decays: int | None = None
        self.fails: Container[int] = ()
        self.operations = 0
        self._decayed: tuple[int, bytes] | None = None

    @property
    def image(self) -> Image:
        return tuple(self.blocks)

    # What littlefs calls

    def read(self, config, block: int, offset: int, size: int) -> bytes:
        return self.blocks[block][offset : offset + size]

    def prog(self, config, block: int, offset: int, data: bytes) -> int:
        data = bytes(data)
        half = self._programmed(block, offset, data[: len(data) // 2])
        if not self._begin("program", block, half):
            return LittleFSError.Error.LFS_ERR_IO
        self.blocks[block] = self._programmed(block, offset, data)
        if self.operations == self.decays:
            at = next(index for index, byte in enumerate(data) if byte)
            flipped = data[:at] + bytes((data[at] & data[at] - 1,)) + data[at + 1 :]
            self._decayed = block, self._programmed(block, offset, flipped)
        return 0

    def erase(self, config, block: int) -> int:
        half = BLOCK_SIZE // 2
        if not self._begin("erase", block, _ERASED[:half] + self.blocks[block][half:]):
            return LittleFSError.Error.LFS_ERR_IO
        self.blocks[block] = _ERASED
        return 0

    def sync(self, config) -> int:
        self._decay()
        return 0

    def _begin(self, operation: str, block: int, half: bytes) -> bool:
        """Show what a cut in the middle leaves; return whether the chip does the operation."""
        self._decay()
        self.operations += 1
        if self.watch:
            image = self.blocks.copy()
            image[block] = half
            self.watch(f"{operation} of block {block}", tuple(image))
        return self.operations not in self.fails

    def _decay(self) -> None:
        if self._decayed:
            block, content = self._decayed
            self.blocks[block] = content
            self._decayed = None

    def _programmed(self, block: int, offset: int, data: bytes) -> bytes:
        old = self.blocks[block]
        end = offset + len(data)
        before = old[offset:end]
        if before != _ERASED[: len(data)]:
            data = bytes(a & b for a, b in zip(before, data, strict=True))
        return old[:offset] + data + old[end:]


class Files:
    """`open` and `os` over the littlefs on a chip, with OSError where MicroPython raises it.

    Raises LittleFSError when there is no file system on it. `is_read`: nothing is written, so the
    cache may be larger than on a board.
    """

    def __init__(self, chip: Chip, kind: str, format: bool = False, is_read: bool = False):
        self._chip = chip
        prog_size = KINDS[kind].prog_size
        cache_size = BLOCK_SIZE if is_read else 4 * prog_size
        self._littlefs = LittleFS(
            context=chip,
            mount=False,
            block_size=BLOCK_SIZE,
            block_count=len(chip.blocks),
            read_size=cache_size,  # as much at once as fits: that changes nothing on the chip
            prog_size=prog_size,
            cache_size=cache_size,
            lookahead_size=_LOOKAHEAD_SIZE,
            block_cycles=_BLOCK_CYCLES,
            disk_version=_DISK_VERSION,
        )
        if format:
            self._littlefs.format()
        self._littlefs.mount()

    def open(self, path: str, mode: str) -> _File:
        if mode == "ab" and path.rpartition("/")[2] not in self.listdir(path.rpartition("/")[0]):
            mode = "wb"  # which littlefs-python wants to be said
        return _File(self._littlefs.fs, path, mode)

    def stat(self, path: str) -> tuple[int, ...]:
        """As MicroPython's, with the kind and the size."""
        found = _call(self._littlefs.stat, path)
        return (_KINDS[found.type], 0, 0, 0, 0, 0, found.size, 0, 0, 0)

    def statvfs(self, path: str) -> tuple[int, ...]:
        """As MicroPython's: the size and the number of the blocks, and how many are free."""
        count = len(self._chip.blocks)
        free = count - _call(lfs.fs_size, self._littlefs.fs)
        return (BLOCK_SIZE, BLOCK_SIZE, count, free, free, 0, 0, 0, 0, 255)

    def mkdir(self, path: str) -> None:
        _call(self._littlefs.mkdir, path)

    def rename(self, old: str, new: str) -> None:
        _call(self._littlefs.rename, old, new)

    def remove(self, path: str) -> None:
        _call(lfs.remove, self._littlefs.fs, path)

    rmdir = remove

    def listdir(self, path: str = "/") -> list[str]:
        return _call(self._littlefs.listdir, path or "/")

    def ilistdir(self, path: str = "/"):
        return [(info.name, 0x8000, 0, info.size) for info in self._littlefs.scandir(path)]

    def read_all(self) -> dict[str, bytes]:
        """Every file's content, by path."""
        return dict(sorted(self._walk("")))

    def _walk(self, folder: str):
        for info in self._littlefs.scandir(folder or "/"):
            path = f"{folder}/{info.name}"
            if info.type == _FOLDER:
                yield from self._walk(path)
            else:
                yield path, self.read(path)

    def read(self, path: str) -> bytes:
        with self.open(path, "rb") as file:
            return file.read()

    def write(self, path: str, content: bytes) -> None:
        with self.open(path, "wb") as file:
            file.write(content)


class _File:
    """An open file. Nothing is on the flash for good before it is closed."""

    def __init__(self, fs, path: str, mode: str):
        self._fs = fs
        self._file = _call(lfs.file_open, fs, path, mode)

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = _call(lfs.file_size, self._fs, self._file)
        return bytes(_call(lfs.file_read, self._fs, self._file, size))

    def readinto(self, buffer: memoryview) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int) -> None:
        _call(lfs.file_seek, self._fs, self._file, offset, 0)

    def readline(self) -> bytes:
        offset = _call(lfs.file_tell, self._fs, self._file)
        line, end, _ = self.read().partition(b"\n")
        self.seek(offset + len(line + end))
        return line + end

    def __iter__(self):
        return iter(self.read().splitlines(keepends=True))

    def write(self, content: bytes) -> int:
        return _call(lfs.file_write, self._fs, self._file, bytes(content))

    def flush(self) -> None:
        _call(lfs.file_sync, self._fs, self._file)

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            _call(lfs.file_close, self._fs, file)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def _call(function, *arguments):
    try:
        return function(*arguments)
    except LittleFSError as error:
        raise OSError(-error.code, str(error)) from error
