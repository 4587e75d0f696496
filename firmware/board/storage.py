"""Small files on flash, saved so that no power cut loses one.

On littlefs a reader finds the old content or the new, never a mixture and never nothing, when a
file is written under another name, closed, and renamed.
"""

import os
from errno import ENOENT


class Storage:
    """The files of a file system. Each method raises FirstbootError when the flash fails.

    `root`: a folder in front of every path. `open` and `os`: what MicroPython calls so.
    """

    def __init__(self, root="", open=open, os=os):
        self.root = root
        self.open = open
        self.os = os

    def read(self, path):
        """Return a file's bytes, or None when there is no such file."""
        return self._do("read", self._content, path)

    def exists(self, path):
        """Return whether there is such a file."""
        return self._do("read", self.os.stat, path) is not None

    def save(self, path, content):
        """Replace a file's content by these bytes.

        What was written is read back before it takes the old content's place, and again after.
        """
        new = path + ".new"
        try:
            with self.open(self.root + new, "wb") as file:
                file.write(content)
            if self.read(new) == content:
                self.os.rename(self.root + new, self.root + path)
                if self.read(path) == content:
                    return
            trouble = "it reads back differently"
        except OSError as error:
            trouble = error
        try:
            self.os.remove(self.root + new)
        except OSError:
            # It was never made, or the next save overwrites it.
            pass
        raise _trouble(path, "saved", trouble)

    def finish(self, path):
        """Let the temporary file of a save take the file's place: the save was cut before."""
        self._do("saved", self.os.rename, path + ".new", self.root + path)

    def remove(self, path):
        """Remove a file if it is there, and first what a save of it left that was cut."""
        for each in (path + ".new", path):
            self._do("removed", self.os.remove, each)

    def set_aside(self, path):
        """Rename a file to a name that is free and return that name."""
        number = 1
        while self.exists(aside := "%s.bad%d" % (path, number)):
            number += 1
        self._do("renamed", self.os.rename, path, self.root + aside)
        return aside

    def _content(self, path):
        with self.open(path, "rb") as file:
            return file.read()

    def _do(self, done, call, path, *more):
        """Return what a call gives, or None when there is no such file."""
        try:
            return call(self.root + path, *more)
        except OSError as error:
            if error.errno != ENOENT:
                raise _trouble(path, done, error)


def _trouble(path, done, why):
    # Only now, since the start of a provisioned board reads files and needs no error.
    from firmware.errors import FirstbootError

    return FirstbootError(
        "%s cannot be %s: %s" % (path, done, why),
        "Free space on the flash; flash the board again if this stays.",
    )
