"""A bundle is written into a slot that neither runs nor is needed to come back.

In the slot stand, besides the bundle's files: /a/package, what ThingsBoard calls it, from before
the first byte on; /a/manifest.new, the manifest as it comes; /a/manifest, once all of it has come,
is whole, signed, and for this board. Before that nothing else of the bundle is written. After a
power cut the files themselves say how far it was.
"""

import json
import sys

from micropython import const

from firmware.board.kept import VERSION
from firmware.update import manifest
from firmware.update.admission import check, check_room
from firmware.update.errors import UpdateError, passing
from firmware.update.slot import BLOCK, NEW_MANIFEST, Slot
from firmware.update.slots import SLOTS, State
from firmware.update.tree import MANIFEST, PACKAGE, discard

# What a download goes on at: a multiple of each block size of CoAP.
_STEP = const(1024)
# After so many bytes what came is there for good. A cut costs so much at most.
_FLUSH = const(16_384)


class Installation:
    """A bundle's way into a slot: `begin`, `write` from `offset` on, `finish`, `switch`.

    `settings`: `update` of config.json. `offset`: after `begin`, how many bytes of the bundle need
    not come again: a multiple of 1024, or all of it. Raises UpdateError while a trial needs both
    slots; all methods raise it for a bundle that is not taken, and FirstbootError when the flash
    fails.
    """

    offset = 0

    def __init__(self, board, settings):
        self._storage = board.storage
        self._idle = board.idle
        self._settings = settings
        self._state = State(board.storage)
        place = self._state.slot()
        if not place:
            raise passing(
                "the version that runs is on trial, and the one before may have to come back",
                "Wait until it is confirmed.",
            )
        self._mpy = manifest.mpy_version(sys.implementation)
        self._slot = Slot(board, place, self._mpy)
        self._out = self._files = None

    def begin(self, title, version, size, checksum):
        """Begin with the package that ThingsBoard calls so, or go on with it.

        What another one left is removed. `size`: in bytes.
        """
        package = {"title": title, "version": version, "size": size, "checksum": checksum}
        self.close()
        self._package = package
        # Also when all of it is there: its application may have changed it.
        self._state.give_up(self._slot.place)
        try:
            if self._begun() != package:
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
        data = memoryview(data)
        # What is on flash beyond `offset` comes again.
        again = min(len(data), self._again)
        self._again -= again
        data = data[again:]
        try:
            while len(data):
                data = self._take_content(data) if self._files else self._take_manifest(data)
        except OSError as error:
            raise _flash_fails(error)

    def finish(self):
        """All of it was written: check that each file is on flash as its SHA-256 says."""
        try:
            while self._files and not self._left and self._next():
                pass
            if not self._files or self._left:
                raise passing("the package ended before its bundle did", "It is asked for again.")
            if not self._slot.is_whole():
                self.discard()
                raise passing(
                    "what was downloaded is not what the bundle's SHA-256 say",
                    "It is downloaded again.",
                )
        except OSError as error:
            raise _flash_fails(error)
        self.close()
        self._is_finished = True

    def switch(self):
        """Let it run from the next start on, on trial. Checks it first, if `finish` has not."""
        if not self._is_finished:
            self.finish()
        settings = self._settings
        self._state.switch(
            self._slot.place, self._package, settings["trial"], settings["contact"], VERSION
        )

    def close(self):
        """Close the file that is open; `begin` goes on where it was."""
        if self._out:
            self._out.close()
        if self._files:
            self._files.close()
        self._out = self._files = None
        self._left = self._again = 0
        self._is_finished = False

    def _begun(self):
        """Return the package that was begun in the slot, None when there is none."""
        try:
            return json.loads(self._storage.read(self._slot.place + PACKAGE) or b"")
        except ValueError:
            return None

    def _start_over(self):
        """Make the slot one that is empty, for the package."""
        self.discard()
        for place in SLOTS:
            # Such as one that has failed.
            if place not in (self._state.running, self._state.before):
                discard(self._storage, place, self._idle)
        check_room(self._package["size"], self._slot.free())
        self._slot.make_folders(PACKAGE)
        self._storage.save(self._slot.place + PACKAGE, json.dumps(self._package).encode())

    def discard(self):
        """Forget what came: `begin` starts at 0 again."""
        self.close()
        self._slot.discard()

    def _find_offset(self):
        """Find out how much of the bundle is there, and be ready for what follows."""
        there = self._slot.size_of(MANIFEST)
        if there < 0:
            self.offset = 0
            return
        self._files = self._slot.files()
        while self._next(is_resumed=True):
            there += self._there
            if self._left:
                break
        self.offset = there if there == self._package["size"] else there - there % _STEP
        self._again = there - self.offset

    def _take_manifest(self, data):
        """Take bytes of the manifest; return those that follow it."""
        if not self._out:
            self._out = self._slot.open(NEW_MANIFEST, "wb")
            self._end = manifest.End()
        try:
            size = self._end.find(data)
            self._out.write(data[:size])
            if size is None:
                return data[:0]
            self._out.close()
            self._check_manifest()
        except UpdateError:
            self.discard()
            raise
        self._out = None
        self._slot.rename(NEW_MANIFEST, MANIFEST)
        self._files = self._slot.files()
        return data[size:]

    def _check_manifest(self):
        found = self._slot.read_manifest(NEW_MANIFEST)
        check(
            found,
            self._package,
            self._settings["key"],
            sys.platform,
            sys.implementation.version[:3],
            self._state.root_firmware or VERSION,
        )
        check_room(found.blocks * BLOCK, self._slot.free())

    def _next(self, is_resumed=False):
        """Go on to the next file of the bundle; return False when there is none.

        `is_resumed`: go on with what is there of it, `_there` bytes.
        """
        try:
            name, size, _, is_taken = next(self._files)
        except StopIteration:
            return False
        self._left = size
        self._there = 0
        if is_taken:
            there = self._slot.size_of(name) if is_resumed else -1
            if there > size:
                there = -1  # its application has written to it
            if there < size:
                self._slot.make_folders(name)
                self._out = self._slot.open(name, "ab" if there > 0 else "wb")
            self._there = max(0, there)
            self._unsaved = 0
        elif is_resumed:
            # Its bytes are not kept, and need not come.
            self._there = size
        self._left -= self._there
        self._close_file_at_its_end()
        return True

    def _take_content(self, data):
        """Take bytes of a file; return those of the next ones."""
        if not self._left and not self._next():
            raise passing("the package is longer than its bundle", "Upload it again if this stays.")
        part = data[: self._left]
        if self._out:
            self._out.write(part)
            self._unsaved += len(part)
            if self._unsaved >= _FLUSH:
                self._out.flush()
                self._unsaved = 0
        self._left -= len(part)
        self._close_file_at_its_end()
        return data[len(part) :]

    def _close_file_at_its_end(self):
        if self._out and not self._left:
            self._out.close()
            self._out = None


def _flash_fails(error):
    return passing("the update cannot be written: %s" % error, "Free space on the flash.")
