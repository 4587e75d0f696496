"""The files in a slot, of which its manifest says what they have to be."""

from hashlib import sha256

from micropython import const

from firmware.update import manifest
from firmware.update.tree import MANIFEST, discard

BLOCK = const(4096)
NEW_MANIFEST = "/manifest.new"

# Blocks that stay free for the application's data.
_SPARE = const(8)
_PIECE = const(512)  # bytes that are read at a time


class Slot:
    """A slot's files, by names such as "/app.mpy". `place`: "/a" or "/b". `mpy`: see manifest.

    Raises OSError when the flash fails.
    """

    def __init__(self, board, place, mpy):
        self.storage = board.storage
        self._idle = board.idle
        self.place = place
        self._mpy = mpy

    def open(self, name, mode):
        """Open a file."""
        return self.storage.open(self._path(name), mode)

    def size_of(self, name):
        """Return the size of a file, -1 when there is none."""
        try:
            return self.storage.os.stat(self._path(name))[6]
        except OSError:
            return -1

    def rename(self, old, new):
        """Rename a file."""
        self.storage.os.rename(self._path(old), self._path(new))

    def make_folders(self, name):
        """Make the folders that a file stands in, and the slot's own."""
        at = 0
        while at >= 0:
            if self.size_of(name[:at]) < 0:
                self.storage.os.mkdir(self._path(name[:at]))
            at = name.find("/", at + 1)

    def discard(self):
        """Remove all that is in it."""
        discard(self.storage, self.place, self._idle)

    def read_manifest(self, name=MANIFEST):
        """Return the Manifest of the slot. Raises UpdateError when it is not whole."""
        with self.open(name, "rb") as lines:
            return manifest.read(lines, self._mpy)

    def files(self):
        """Yield what the manifest says of each file, see firmware.update.manifest.files."""
        with self.open(MANIFEST, "rb") as lines:
            yield from manifest.files(lines, self._mpy)

    def free(self):
        """Return how many bytes may be written."""
        found = self.storage.os.statvfs(self.storage.root or "/")
        return max(0, found[1] * found[4] - _SPARE * BLOCK)

    def replay(self, left, update):
        """Call `update` with the first `left` bytes of the bundle, in order.

        Returns False, and leaves out what follows, when some are not kept.
        """
        left -= self.feed(MANIFEST, left, update)
        for name, size, _, is_taken in self.files():
            if left and size:
                if not is_taken:
                    return False
                left -= self.feed(name, left, update)
        return True

    def is_whole(self):
        """Return whether all is as the SHA-256 in its manifest say."""
        self.read_manifest()
        for name, size, digest, is_taken in self.files():
            if is_taken:
                found = sha256()
                if self.size_of(name) != size or self.feed(name, size, found.update) != size:
                    return False
                if found.digest().hex() != digest:
                    return False
        return True

    def feed(self, name, most, update):
        """Call `update` with a file's first bytes, `most` at most; return how many there were."""
        left = most
        # Not kept: while a block is on its way the heap is wanted for that.
        buffer = memoryview(bytearray(_PIECE))
        with self.open(name, "rb") as file:
            while left:
                size = file.readinto(buffer[: min(left, _PIECE)])
                if not size:
                    break
                update(buffer[:size])
                left -= size
                self._idle()
        return most - left

    def _path(self, name):
        return "%s%s%s" % (self.storage.root, self.place, name)
