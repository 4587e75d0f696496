"""Small files in memory, on which an operation can be cut: as littlefs keeps them, or as FAT."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable

FILE_SYSTEMS = ("littlefs", "fat")


class Folder:
    """`open` and `os` over `files`, content by path.

    `watch(operation)` is called whenever the power may fail: before an operation, and on FAT also
    inside it, with `files` as that leaves them. A file that is written is there, torn, from the
    first byte on; one that takes another's place does so after that one is removed. On littlefs a
    file's content is the old one until the new is closed, and a rename replaces at once.
    """

    def __init__(self, files: dict[str, bytes], file_system: str, watch: Callable[[str], None]):
        self.files = files
        self.is_fat = file_system == "fat"
        self.watch = watch

    def open(self, path: str, mode: str) -> _File:
        if mode == "rb":
            return _File(self, path, self._find(path))
        self.watch(f"before {path} is opened")
        if self.is_fat or path not in self.files:
            self.files[path] = b""
        return _File(self, path, None)

    def stat(self, path: str):
        return (0x8000, 0, 0, 0, 0, 0, len(self._find(path)), 0, 0, 0)

    def rename(self, old: str, new: str) -> None:
        content = self._find(old)
        self.watch(f"before {old} is renamed")
        if self.is_fat and new in self.files:
            del self.files[new]
            self.watch(f"after {new} was removed, for {old} to take its place")
        self.files[new] = content
        del self.files[old]

    def remove(self, path: str) -> None:
        self._find(path)
        self.watch(f"before {path} is removed")
        del self.files[path]

    def listdir(self, path: str = "/") -> list[str]:
        return [name[1:] for name in self.files]

    def _find(self, path: str) -> bytes:
        if path not in self.files:
            raise OSError(errno.ENOENT, f"there is no {path}")
        return self.files[path]


class _File:
    """An open file; `content` is None while it is written."""

    def __init__(self, folder: Folder, path: str, content: bytes | None):
        self._folder = folder
        self._path = path
        self._content = io.BytesIO(content or b"")
        self._written: bytes | None = None

    def read(self, size: int | None = None) -> bytes:
        return self._content.read(size)

    def write(self, content: bytes) -> int:
        self._written = bytes(content)
        if self._folder.is_fat:
            self._folder.watch(f"before {self._path} is written")
            self._folder.files[self._path] = self._written[: len(content) // 2]
        return len(content)

    def close(self) -> None:
        if self._written is not None:
            self._folder.watch(f"before {self._path} is closed")
            self._folder.files[self._path] = self._written
            self._written = None

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
