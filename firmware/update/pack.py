"""A read-only file system in one file: a folder of small files takes a fifth of the flash so.

firmware.pack in a slot is its firmware/. The file: the size of its index in bytes, on a line; the
index, "\\n" and then a line a file, "coap/udp.mpy 8123 1021\\n", its path, where its contents begin
after the index, and its size; then the contents.
"""

import io

from micropython import const

_FOLDER = const(0x4000)
_FILE = const(0x8000)
_ENOENT = const(2)
_EROFS = const(30)
# py/stream.h: how much MicroPython reads at once when it loads a module.
_GET_BUFFER_SIZE = const(11)
_BUFFER = const(248)


def mount(place):
    """Let firmware.pack in a slot be its firmware/. Raises ValueError and OSError."""
    import vfs

    vfs.mount(Pack(open(place + "/firmware.pack", "rb")), place + "/firmware")


class Pack:
    """What vfs.mount takes. `file`: the opened pack. Raises ValueError and OSError."""

    def __init__(self, file):
        self._file = file
        self._index = file.read(int(file.readline()))
        self._start = file.tell()

    def mount(self, readonly, mkfs):
        """There is nothing to do."""

    def umount(self):
        """Close the file."""
        self._file.close()

    def stat(self, path):
        """Return what os.stat does. Raises OSError."""
        if path == "/" or self._index.find(b"\n" + path[1:].encode() + b"/") >= 0:
            return (_FOLDER, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        return (_FILE, 0, 0, 0, 0, 0, self._find(path)[1], 0, 0, 0)

    def ilistdir(self, path):
        """Yield what os.ilistdir does."""
        start = path[1:] and path[1:] + "/"
        folder = None
        for line in self._index.decode().split("\n"):
            if line and line.startswith(start):
                name, slash, rest = line[len(start) :].partition("/")
                if slash and name != folder:
                    folder = name
                    yield name, _FOLDER, 0
                elif not slash:
                    name, _, size = name.split(" ")
                    yield name, _FILE, 0, int(size)

    def open(self, path, mode):
        """Open a file for reading. Raises OSError."""
        if "w" in mode or "a" in mode or "+" in mode:
            raise OSError(_EROFS)
        at, size = self._find(path)
        return _Opened(self._file, self._start + at, size)

    def _find(self, path):
        """Return where a file begins after the index, and its size."""
        index = self._index
        name = b"\n" + path[1:].encode() + b" "
        at = index.find(name)
        if at < 0:
            raise OSError(_ENOENT)
        at += len(name)
        return [int(number) for number in index[at : index.find(b"\n", at)].split(b" ")]


class _Opened(io.IOBase):
    """A part of an open file."""

    def __init__(self, file, at, size):
        self._file = file
        self._at = at
        self._left = size

    def readinto(self, buffer):
        self._file.seek(self._at)
        size = self._file.readinto(memoryview(buffer)[: min(len(buffer), self._left)])
        self._at += size
        self._left -= size
        return size

    def ioctl(self, request, argument):
        return _BUFFER if request == _GET_BUFFER_SIZE else 0
