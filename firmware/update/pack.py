"""A read-only file system in one file: a folder of small files takes a fifth of the flash so.

firmware.pack in a slot is its firmware/. The file: the size of its table of folders in bytes, on
a line; the table, "\\n" and then a line a folder, "coap 8412 310\\n": its path, where after the
table its list begins, and the size of that; the contents of all files; the lists, "\\n" and then a
line a file, "udp.mpy 8123 1021\\n": its name, where after the table it begins, and its size.
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
    """What vfs.mount takes. `file`: the opened pack. Raises ValueError and OSError.

    Of the lists it keeps that of one folder: an import asks for several names in the same.
    """

    def __init__(self, file):
        self._file = file
        self._folders = file.read(int(file.readline()))
        self._start = file.tell()
        self._folder = None
        if not self._read_list(""):
            raise ValueError("it is no pack of this firmware's")

    def mount(self, readonly, mkfs):
        """There is nothing to do."""

    def umount(self):
        """Close the file."""
        self._file.close()

    def stat(self, path):
        """Return what os.stat does. Raises OSError."""
        found = self._find(path)
        if found:
            return (_FILE, 0, 0, 0, 0, 0, found[1], 0, 0, 0)
        if not _entry(self._folders, path[1:]):
            raise OSError(_ENOENT)
        return (_FOLDER, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    def ilistdir(self, path):
        """Yield what os.ilistdir does. Raises OSError."""
        start = path[1:] and path[1:] + "/"
        for name, _, _ in _entries(self._folders):
            if name.startswith(start) and name and "/" not in name[len(start) :]:
                yield name[len(start) :], _FOLDER, 0
        if not self._read_list(path[1:]):
            raise OSError(_ENOENT)
        for name, _, size in _entries(self._list):
            yield name, _FILE, 0, int(size)

    def open(self, path, mode):
        """Open a file for reading. Raises OSError."""
        if "w" in mode or "a" in mode or "+" in mode:
            raise OSError(_EROFS)
        found = self._find(path)
        if not found:
            raise OSError(_ENOENT)
        return _Opened(self._file, self._start + found[0], found[1])

    def _find(self, path):
        """Return where a file begins after the table, and its size; None without such a file."""
        folder, _, name = path.rpartition("/")
        if self._read_list(folder[1:]):
            return _entry(self._list, name)

    def _read_list(self, folder):
        """Let the list be that of a folder; return whether there is one."""
        if folder != self._folder:
            found = _entry(self._folders, folder)
            if not found:
                return False
            self._file.seek(self._start + found[0])
            self._list = self._file.read(found[1])
            self._folder = folder
        return True


def _entry(lines, name):
    """Return the two numbers in the line of a name, None without one."""
    name = b"\n" + name.encode() + b" "
    at = lines.find(name)
    if at >= 0:
        at += len(name)
        return [int(number) for number in lines[at : lines.find(b"\n", at)].split(b" ")]


def _entries(lines):
    return [line.rsplit(" ", 2) for line in lines.decode().split("\n") if line]


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
