"""Small files on flash, saved so that no power cut loses one.

On littlefs a reader finds the old content or the new, never a mixture and never nothing, when a
file is written under another name, closed, and renamed.
"""

import os
from errno import ENOENT

from micropython import const

# What makes the board a device, and the attempt to get it.
CREDENTIALS = "/credentials.json"
ATTEMPT = "/attempt.json"

_PART = const(64)  # bytes


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
            self._write(self.root + new, content)
            if self._do("read", self._holds, new, content):
                self.os.rename(self.root + new, self.root + path)
                if self._do("read", self._holds, path, content):
                    return
            trouble = "it reads back differently"
        except OSError as error:
            trouble = error
        try:
            self.os.remove(self.root + new)
        except OSError:
            # It was never made, or the next save overwrites it.
            pass
        from firmware.board.failure import not_done

        raise not_done(path, "saved", trouble)

    def finish(self, path):
        """Let the temporary file of a save take the file's place: the save was cut before."""
        self._do("saved", self.os.rename, path + ".new", self.root + path)

    def remove(self, path):
        """Remove a file if it is there, and first what a save of it left that was cut."""
        for each in (path + ".new", path):
            self._do("removed", self.os.remove, each)

    def rename(self, path, new):
        """Give a file another name."""
        self._do("renamed", self.os.rename, path, self.root + new)

    def _write(self, path, content):
        # Apart: as long as anybody holds a file, it takes a KB of a Pico W's heap.
        with self.open(path, "wb") as file:
            file.write(content)

    def _content(self, path):
        with self.open(path, "rb") as file:
            return file.read()

    def _holds(self, path, content):
        """Return whether a file is these bytes; in parts, since there is little memory now."""
        with self.open(path, "rb") as file:
            for start in range(0, len(content) + 1, _PART):
                if file.read(_PART) != content[start : start + _PART]:
                    return False
        return True

    def _do(self, done, call, path, *more):
        """Return what a call gives, or None when there is no such file."""
        try:
            return call(self.root + path, *more)
        except OSError as error:
            if error.errno != ENOENT:
                from firmware.board.failure import not_done

                raise not_done(path, done, error)
