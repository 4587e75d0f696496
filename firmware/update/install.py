"""A bundle is written into a slot that neither runs nor is needed to come back.

In the slot stand, besides the bundle's files: /a/package, what ThingsBoard calls it, and the key
that it is checked by, from before the first byte on; /a/manifest.new, the manifest as it comes;
/a/manifest, once all of it has come, is whole, signed, and for this board. Before that nothing else
of the bundle is written. After a power cut the files themselves say how far it was.
"""

import json
import sys

from micropython import const

from firmware.memory import give_back
from firmware.update.errors import UpdateError, passing
from firmware.update.tree import MANIFEST, PACKAGE, discard

# What a download goes on at: a multiple of each block size of CoAP.
_STEP = const(1024)


class Installation:
    """A bundle's way into a slot: `begin`, `write` from `offset` on, `finish`, `switch`.

    `settings`: `update` of config.json. `place`: the slot, which comes back no more from the moment
    on that this is made. After `begin` there are `offset`: how many bytes of the bundle need not
    come again, a multiple of 1024, or all of it; and `writer`: what `write` is, and goes on without
    the rest. Raises UpdateError while a trial needs both slots; all methods raise it for a bundle
    that is not taken, and FirstbootError when the flash fails.
    """

    offset = 0
    writer = None

    def __init__(self, board, settings):
        self._board = board
        self._settings = settings
        self.place, self._unneeded, self._root_firmware = _choose(board.storage)
        # Only now, when that is given back.
        from firmware.update.writer import Folder

        version = getattr(sys.implementation, "_mpy", 0)
        mpy = "%d.%d" % (version & 0xFF, version >> 8 & 3) if version else "-"
        self._folder = Folder(board.storage, self.place, MANIFEST, mpy)

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
            return self._contents().replay(self.offset, update)
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
            is_whole = self._contents().is_whole()
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
        from firmware.update.slots import State

        State(self._board.storage).switch(self.place, self._package, self._settings)

    def close(self):
        """Close the file that is open; `begin` goes on where it was."""
        if self.writer:
            self.writer.close()
            self.writer = None

    def discard(self):
        """Forget what came: `begin` starts at 0 again."""
        self.close()
        discard(self._board.storage, self.place, self._board.idle)

    def _contents(self):
        from firmware.update.contents import Contents

        return Contents(self._board, self._folder)

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
            self._contents().check_manifest()
            return True
        except UpdateError:
            return False

    def _start_over(self):
        """Make the slot one that is empty, for the package."""
        storage = self._board.storage
        for place in self._unneeded:
            # One that has failed, too.
            discard(storage, place, self._board.idle)
        from firmware.update.admission import check_room

        check_room(storage, self._package["size"])
        self._folder.make_folders(PACKAGE)
        storage.save(self.place + PACKAGE, json.dumps(self._package).encode())

    def _find_offset(self):
        """Find out how much of the bundle is there, and be ready for what follows."""
        from firmware.update.writer import Writer

        there = self._folder.size_of(MANIFEST)
        if there < 0:
            key = self._settings["key"]
            what = self._board, self._folder, self._package, key, self._root_firmware
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


def _choose(storage):
    """Return the slot that may be written, all that nobody needs, and the root's version."""
    from firmware.update.slots import State

    state = State(storage)
    slot = state.slot()
    if not slot:
        raise passing(
            "the version that runs is on trial, and the one before may have to come back",
            "Wait until it is confirmed.",
        )
    # Also when all of a package is there: its application may have changed it.
    state.give_up(slot)
    chosen = slot, state.unneeded(), state.root_firmware()
    give_back("update.slots")
    return chosen


def _flash_fails(error):
    return passing("the update cannot be written: %s" % error, "Free space on the flash.")
