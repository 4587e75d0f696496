"""The files that a slot's manifest names, one after another. Imported only where one is asked for.

Files are named by their path on the board, such as "/a/app.mpy". Raises OSError when the flash
fails.
"""

import sys

from micropython import const

from firmware.memory import give_back

_ENOENT = const(2)
# As firmware.update.tree, which is not loaded for it while a block is in memory.
_MANIFEST = "/manifest"


def mpy():
    """Return which .mpy files the board takes, such as "6.3"."""
    version = getattr(sys.implementation, "_mpy", 0)
    return "%d.%d" % (version & 0xFF, version >> 8 & 3) if version else "-"


def opened(storage, path, mode="rb"):
    """Return a file, open."""
    return storage.open(storage.root + path, mode)


def size_of(storage, path):
    """Return the size of a file, -1 when there is none."""
    try:
        return storage.os.stat(storage.root + path)[6]
    except OSError as error:
        if error.errno != _ENOENT:
            raise
        return -1


def make_folders(storage, path):
    """Make the folders that a file stands in."""
    at = path.find("/", 1)
    while at > 0:
        if size_of(storage, path[:at]) < 0:
            storage.os.mkdir(storage.root + path[:at])
        at = path.find("/", at + 1)


def next_file(storage, place, at):
    """Return where a manifest goes on after the next file that it names from `at` on, and the file.

    A file is (path, size, SHA-256 in hex, whether the board takes it); None: there is none. The
    manifest was checked before; raises ValueError when it is damaged.
    """
    at, line = _next_line(storage, place, at)
    if not line:
        return at, None
    _, version, size, digest, name = line.decode().split(" ", 4)
    own = mpy()
    # 6 is any 6.x.
    is_taken = version in ("-", own, own.split(".")[0])
    return at, (place + "/" + name, int(size), digest, is_taken)


def _next_line(storage, place, at):
    # Opened anew each time, and apart: what an open file takes is wanted for what follows.
    with opened(storage, place + _MANIFEST) as lines:
        lines.seek(at)
        while True:
            line = lines.readline()
            at += len(line)
            if line.startswith(b"file "):
                return at, line[:-1]
            if len(line) < 2:
                return at, None


def begin_file(writer, file, there=-1):
    """Let a Writer write a file, of which `there` bytes are there; -1: none, nor the file."""
    path, size, _, is_taken = file
    writer.left = size - max(0, there)
    if is_taken and there < size:
        make_folders(writer.storage, path)
        writer.out = opened(writer.storage, path, "ab" if there > 0 else "wb")
        if not writer.left:
            writer.close()


def begin_next(writer):
    """Let a Writer write the next file. Raises UpdateError, too, when there is none."""
    writer.at, file = next_file(writer.storage, writer.place, writer.at)
    if not file:
        from firmware.update.errors import passing

        raise passing("the package is longer than its bundle", "Upload it again if this stays.")
    begin_file(writer, file)
    give_back("update.files update.tree")
