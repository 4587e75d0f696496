"""What is in a slot of a bundle. Imported only where something is."""

from hashlib import sha256

from micropython import const

_PIECE = const(512)  # bytes that are read at a time


class Contents:
    """Of a firmware.update.writer.Folder. Raises OSError when the flash fails."""

    def __init__(self, board, folder):
        self._idle = board.idle
        self._folder = folder

    def check_manifest(self):
        """Raise UpdateError when the manifest is not whole."""
        from firmware.update.manifest import read

        with self._folder.open(self._folder.manifest) as lines:
            read(lines, self._folder.mpy)

    def files(self):
        """Yield what Folder.file_of gives of each file that the manifest names."""
        with self._folder.open(self._folder.manifest) as lines:
            for line in lines:
                found = self._folder.file_of(line)
                if found:
                    yield found

    def replay(self, left, update):
        """Call `update` with the first `left` bytes of the bundle, in order.

        Returns False, and leaves out what follows, when some are not kept.
        """
        left -= self.feed(self._folder.manifest, left, update)
        for name, size, _, is_taken in self.files():
            if left and size:
                if not is_taken:
                    return False
                left -= self.feed(name, left, update)
        return True

    def is_whole(self):
        """Return whether all files are as the SHA-256 in its manifest say."""
        for name, size, digest, is_taken in self.files():
            if is_taken:
                found = sha256()
                there = self._folder.size_of(name)
                if there != size or self.feed(name, size, found.update) != size:
                    return False
                if found.digest().hex() != digest:
                    return False
        return True

    def feed(self, name, most, update):
        """Call `update` with a file's first bytes, `most` at most; return how many there were."""
        left = most
        buffer = memoryview(bytearray(_PIECE))
        with self._folder.open(name) as file:
            while left:
                size = file.readinto(buffer[: min(left, _PIECE)])
                if not size:
                    break
                update(buffer[:size])
                left -= size
                self._idle()
        return most - left
