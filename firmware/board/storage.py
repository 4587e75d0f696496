"""Small files on flash, saved so that no power cut loses one.

On littlefs a reader finds the old content or the new, never a mixture and never nothing, when a
file is written under another name, closed, and renamed.
"""

import os
from errno import ENOENT

from firmware.errors import FirstbootError


class Storage:
    """The files of a file system.

    `root`: a folder in front of every path. `open` and `os`: what MicroPython calls so.
    """

    def __init__(self, root="", open=open, os=os):
        self._root = root
        self._open = open
        self._os = os

    def read(self, path):
        """Return a file's bytes, or None when there is no such file. Raises FirstbootError."""
        try:
            with self._open(self._root + path, "rb") as file:
                return file.read()
        except OSError as error:
            if error.errno == ENOENT:
                return None
            raise FirstbootError(
                "%s cannot be read: %s" % (path, error), "Flash the board again if this stays."
            )

    def exists(self, path):
        """Return whether there is such a file. Raises OSError when that cannot be told."""
        try:
            self._os.stat(self._root + path)
        except OSError as error:
            if error.errno == ENOENT:
                return False
            raise
        return True

    def save(self, path, content):
        """Replace a file's content by these bytes, or raise FirstbootError.

        What was written is read back before it takes the old content's place, and again after.
        """
        temporary = path + ".new"
        try:
            with self._open(self._root + temporary, "wb") as file:
                file.write(content)
            self._verify(temporary, content)
            self._os.rename(self._root + temporary, self._root + path)
            self._verify(path, content)
        except OSError as error:
            self._discard(temporary)
            raise FirstbootError(
                "%s cannot be saved: %s" % (path, error),
                "Free space on the flash; if it has space, the flash is worn or read-only.",
            )

    def remove(self, path):
        """Remove a file if it is there. Raises FirstbootError."""
        try:
            if self.exists(path):
                self._os.remove(self._root + path)
        except OSError as error:
            raise FirstbootError(
                "%s cannot be removed: %s" % (path, error),
                "Flash the board again if this stays.",
            )

    def set_aside(self, path):
        """Rename a file to a name that is free and return that name. Raises FirstbootError."""
        number = 1
        while self.exists("%s.bad%d" % (path, number)):
            number += 1
        aside = "%s.bad%d" % (path, number)
        try:
            self._os.rename(self._root + path, self._root + aside)
        except OSError as error:
            raise FirstbootError(
                "%s cannot be renamed: %s" % (path, error), "Flash the board again."
            )
        return aside

    def _verify(self, path, content):
        if self.read(path) != content:
            raise FirstbootError(
                "%s was written but reads back differently" % path,
                "The flash is worn; use another board if this stays.",
            )

    def _discard(self, temporary):
        try:
            self._os.remove(self._root + temporary)
        except OSError:
            # It was never made, or the next save overwrites it.
            pass
