"""A bundle's manifest as it comes, and whether the bundle is taken. Imported only for that.

What reads it is given back before what judges it is loaded.
"""

import sys

from micropython import const

from firmware.memory import give_back
from firmware.update.errors import UpdateError
from firmware.update.tree import discard

# Bytes of a manifest, and of its longest line: the signature's.
LARGEST = const(16_384)
LONGEST_LINE = const(710)

_NEW_MANIFEST = "/manifest.new"
_LOADED = "update.intake update.admission update.tree"


class Intake:
    """Takes the bytes of a manifest into a slot's Folder.

    `package`: ThingsBoard's title, version and size. `key`: `update.key` of config.json.
    `firmware`: the version of the root's. Raises UpdateError for a bundle that is not taken: then
    nothing is left of it.
    """

    _column = _size = 0

    def __init__(self, board, folder, package, key, firmware):
        self._board = board
        self._folder = folder
        self._package = package
        self._key = key
        self._firmware = firmware
        self._out = folder.open(_NEW_MANIFEST, "wb")

    def take(self, data):
        """Take bytes; return those that follow the manifest, None when it goes on.

        Raises OSError, too.
        """
        try:
            size = self._find_end(data)
            self._out.write(data[:size])
            if size is None:
                return None
            self.close()
            self._check()
        except UpdateError:
            self.close()
            discard(self._board.storage, self._folder.place, self._board.idle)
            raise
        path = self._folder.path
        self._folder.storage.os.rename(path(_NEW_MANIFEST), path(self._folder.manifest))
        give_back(_LOADED)
        return data[size:]

    def close(self):
        """Close the file."""
        if self._out:
            self._out.close()
            self._out = None

    def _find_end(self, data):
        """Return how many of these bytes are the manifest's, None when all are and it goes on."""
        column = self._column
        for at in range(len(data)):
            if data[at] != 10:
                column += 1
                if column > LONGEST_LINE:
                    break
            elif column:
                column = 0
            else:
                return at + 1
        self._column = column
        self._size += len(data)
        if column > LONGEST_LINE or self._size > LARGEST:
            from firmware.update.manifest import malformed

            raise malformed("it does not begin with a manifest")

    def _check(self):
        with self._folder.open(_NEW_MANIFEST) as lines:
            found = _read(lines, self._folder.mpy)
        give_back("update.manifest")
        if self._key:
            _check_signature(self._key, found)
            give_back("update.signature board.modulus")
        from firmware.update.admission import BLOCK, check, check_room

        version = sys.implementation.version[:3]
        check(found, self._package, sys.platform, version, self._firmware)
        check_room(self._board.storage, found["blocks"] * BLOCK)


# Each of these is through with what it loads as it returns.
def _read(lines, mpy):
    from firmware.update.manifest import read

    return read(lines, mpy)


def _check_signature(key, found):
    from firmware.update.signature import check

    check(key, found["signature"], found["signed"])
