"""A bundle is written into a slot that neither runs nor is needed to come back.

In the slot stand, besides the bundle's files: /a/package, what ThingsBoard calls it, and the key
that it is checked by, from before the first byte on; /a/manifest.new, the manifest as it comes;
/a/manifest, once all of it has come, is whole, signed, and for this board. Before that nothing else
of the bundle is written. After a power cut the files themselves say how far it was.
"""

import json
import sys
from hashlib import sha256

from micropython import const

from firmware.board.kept import VERSION
from firmware.update.errors import UpdateError, passing
from firmware.update.room import check_room
from firmware.update.slots import SLOTS, State
from firmware.update.tree import MANIFEST, PACKAGE, discard
from firmware.update.writer import Folder, Writer

# What is loaded with it, and not needed while bytes come.
LOADED = "update.install update.manifest update.slots update.room update.tree board.kept"

# What a download goes on at: a multiple of each block size of CoAP.
_STEP = const(1024)
_PIECE = const(512)  # bytes that are read at a time


class Installation:
    """A bundle's way into a slot: `begin`, `write` from `offset` on, `finish`, `switch`.

    `settings`: `update` of config.json. `place`: the slot. After `begin` there are `offset`: how
    many bytes of the bundle need not come again, a multiple of 1024, or all of it; and `writer`:
    what `write` is, and goes on without the rest. Raises UpdateError while a trial needs both
    slots; all methods raise it for a bundle that is not taken, and FirstbootError when the flash
    fails.
    """

    offset = 0
    writer = None

    def __init__(self, board, settings):
        self._board = board
        self._settings = settings
        self._state = State(board.storage)
        self.place = self._state.slot()
        if not self.place:
            raise passing(
                "the version that runs is on trial, and the one before may have to come back",
                "Wait until it is confirmed.",
            )
        version = getattr(sys.implementation, "_mpy", 0)
        mpy = "%d.%d" % (version & 0xFF, version >> 8 & 3) if version else "-"
        self._folder = Folder(board.storage, self.place, MANIFEST, mpy)
        self._slot = Slot(board, self._folder)

    def begin(self, title, version, size, checksum):
        """Begin with the package that ThingsBoard calls so, or go on with it.

        What another one left is removed. `size`: in bytes.
        """
        package = {"title": title, "version": version, "size": size, "checksum": checksum}
        # What came under another key was not checked by this one.
        package["key"] = self._settings["key"]
        self.close()
        self._package = package
        self._is_finished = False
        # Also when all of it is there: its application may have changed it.
        self._state.give_up(self.place)
        try:
            if self._begun() != package or not self._has_good_manifest():
                self._start_over()
            self._find_offset()
        except OSError as error:
            raise _flash_fails(error)

    def replay(self, update):
        """Call `update` with the bytes of the bundle before `offset`, in order.

        Returns False, and not all of them were there, when some are of files for other boards,
        which no slot keeps. Then the bundle's own SHA-256 decide.
        """
        try:
            return self._slot.replay(self.offset, update)
        except OSError as error:
            raise _flash_fails(error)

    def write(self, data):
        """Take the next bytes of the bundle."""
        self.writer.write(data)

    def finish(self):
        """All of it was written: check that each file is on flash as its SHA-256 says."""
        package = self._package
        self.begin(package["title"], package["version"], package["size"], package["checksum"])
        if self.offset != package["size"]:
            raise passing("the package ended before its bundle did", "It is asked for again.")
        try:
            is_whole = self._slot.is_whole()
        except OSError as error:
            raise _flash_fails(error)
        if not is_whole:
            self.discard()
            raise passing(
                "what was downloaded is not what the bundle's SHA-256 say",
                "It is downloaded again.",
            )
        self._is_finished = True

    def switch(self):
        """Let it run from the next start on, on trial. Checks it first, if `finish` has not."""
        if not self._is_finished:
            self.finish()
        settings = self._settings
        trial, contact = settings["trial"], settings["contact"]
        self._state.switch(self.place, self._package, trial, contact, VERSION)

    def close(self):
        """Close the file that is open; `begin` goes on where it was."""
        if self.writer:
            self.writer.close()
            self.writer = None

    def discard(self):
        """Forget what came: `begin` starts at 0 again."""
        self.close()
        discard(self._board.storage, self.place, self._board.idle)

    def _begun(self):
        """Return the package that was begun in the slot, None when there is none."""
        try:
            return json.loads(self._board.storage.read(self.place + PACKAGE) or b"")
        except ValueError:
            return None

    def _has_good_manifest(self):
        """Return whether the manifest, if it is there, is what was checked."""
        if self._folder.size_of(MANIFEST) < 0:
            return True
        try:
            self._slot.read_manifest()
            return True
        except UpdateError:
            return False

    def _start_over(self):
        """Make the slot one that is empty, for the package."""
        storage = self._board.storage
        for place in SLOTS:
            # One that is no more needed, such as one that has failed, too.
            if place == self.place or place not in (self._state.running, self._state.before):
                discard(storage, place, self._board.idle)
        check_room(storage, self._package["size"])
        self._folder.make_folders(PACKAGE)
        storage.save(self.place + PACKAGE, json.dumps(self._package).encode())

    def _find_offset(self):
        """Find out how much of the bundle is there, and be ready for what follows."""
        there = self._folder.size_of(MANIFEST)
        if there < 0:
            firmware = self._state.root_firmware or VERSION
            key = self._settings["key"]
            what = self._board, self._folder, self._package, key, firmware
            self.writer = Writer(self._folder, what)
            self.offset = 0
            return
        self.writer = writer = Writer(self._folder, None)
        while not writer.left:
            found = writer.next()
            if not found:
                break
            name, size, _, is_taken = found
            # What a board does not take is not kept, and need not come.
            kept = self._folder.size_of(name) if is_taken else size
            if kept > size:
                kept = -1  # its application has written to it
            writer.begin(*(found + (kept,)))
            there += max(0, kept)
        self.offset = there if there == self._package["size"] else there - there % _STEP
        writer.again = there - self.offset


class Slot:
    """What is in a firmware.update.writer.Folder. Raises OSError when the flash fails."""

    def __init__(self, board, folder):
        self._idle = board.idle
        self._folder = folder

    def read_manifest(self):
        """Return what the manifest says. Raises UpdateError when it is not whole."""
        # Only now, since a new download looks at none.
        from firmware.update.manifest import read

        with self._folder.open(MANIFEST) as lines:
            return read(lines, self._folder.mpy)

    def files(self):
        """Yield what Folder.file_of gives of each file that the manifest names."""
        with self._folder.open(MANIFEST) as lines:
            for line in lines:
                found = self._folder.file_of(line)
                if found:
                    yield found

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


def _flash_fails(error):
    return passing("the update cannot be written: %s" % error, "Free space on the flash.")
