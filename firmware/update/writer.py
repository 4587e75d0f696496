"""A bundle's bytes go into a slot as they come: all that a download needs of one meanwhile."""

from micropython import const

from firmware.update.errors import passing

# After so many bytes what came is there for good. A cut costs so much at most.
_FLUSH = const(16_384)


class Folder:
    """A slot's files, by names such as "/app.mpy". `place`: "/a" or "/b".

    `manifest`: the name of what says which files there are. `mpy`: which .mpy files the board
    takes, such as "6.3". Raises OSError when the flash fails.
    """

    def __init__(self, storage, place, manifest, mpy):
        self.storage = storage
        self.place = place
        self.manifest = manifest
        self.mpy = mpy

    def path(self, name):
        """Return the path of a file."""
        return self.storage.root + self.place + name

    def open(self, name, mode="rb"):
        """Open a file."""
        return self.storage.open(self.path(name), mode)

    def size_of(self, name):
        """Return the size of a file, -1 when there is none."""
        try:
            return self.storage.os.stat(self.path(name))[6]
        except OSError:
            return -1

    def make_folders(self, name):
        """Make the folders that a file stands in, and the slot's own."""
        at = 0
        while at >= 0:
            if self.size_of(name[:at]) < 0:
                self.storage.os.mkdir(self.path(name[:at]))
            at = name.find("/", at + 1)

    def file_of(self, line):
        """Return (name, size, SHA-256 in hex, whether the board takes it) of a manifest's line.

        None for one of no file. It was checked before; raises ValueError when it is damaged.
        """
        if not line.startswith(b"file "):
            return None
        _, mpy, size, digest, path = line[:-1].decode().split(" ", 4)
        # 6 is any 6.x.
        return "/" + path, int(size), digest, mpy in ("-", self.mpy, self.mpy.split(".")[0])


class Writer:
    """Where the next bytes of a bundle go: its manifest, then one file after another.

    `manifest`: a firmware.update.intake.Intake's arguments. `left`: how many bytes of the file that
    it is at are still to come. `again`: how many bytes come that are there.
    """

    left = again = _at = 0
    _out = _intake = None

    def __init__(self, folder, manifest):
        self._folder = folder
        self._manifest = manifest

    def write(self, data):
        """Take the next bytes of the bundle. Raises UpdateError."""
        data = memoryview(data)
        again = min(len(data), self.again)
        self.again -= again
        data = data[again:]
        try:
            while len(data):
                data = self._take_manifest(data) if self._manifest else self._take(data)
        except (OSError, ValueError) as error:
            # ValueError: the manifest was damaged after it was checked.
            raise passing("the update cannot be written: %s" % error, "Free space on the flash.")

    def next(self):
        """Return what Folder.file_of gives of the next file, None when there is none."""
        # Opened anew each time: what an open file takes is wanted for the file that is written.
        with self._folder.open(self._folder.manifest) as lines:
            lines.seek(self._at)
            while True:
                line = lines.readline()
                self._at += len(line)
                found = self._folder.file_of(line)
                if found or len(line) < 2:
                    return found

    def begin(self, name, size, digest, is_taken, there=-1):
        """Begin a file of which `there` bytes are there; -1: none, nor the file."""
        self.left = size - max(0, there)
        self._unsaved = 0
        if is_taken and there < size:
            self._folder.make_folders(name)
            self._out = self._folder.open(name, "ab" if there > 0 else "wb")
        self._close_at_the_end()

    def close(self):
        """Close the file that is open."""
        if self._out:
            self._out.close()
            self._out = None
        if self._intake:
            self._intake.close()

    def _take_manifest(self, data):
        """Take bytes of the manifest; return those that follow it."""
        if not self._intake:
            # Only now, since it is a few blocks of all.
            from firmware.update.intake import Intake

            self._intake = Intake(*self._manifest)
        rest = self._intake.take(data)
        if rest is None:
            return b""
        self._manifest = self._intake = None
        return rest

    def _take(self, data):
        """Take bytes of a file; return those of the next one."""
        if not self.left:
            found = self.next()
            if not found:
                raise passing(
                    "the package is longer than its bundle", "Upload it again if this stays."
                )
            self.begin(*found)
        part = data[: self.left]
        if self._out:
            self._out.write(part)
            self._unsaved += len(part)
            if self._unsaved >= _FLUSH:
                self._out.flush()
                self._unsaved = 0
        self.left -= len(part)
        self._close_at_the_end()
        return data[len(part) :]

    def _close_at_the_end(self):
        if self._out and not self.left:
            self._out.close()
            self._out = None
