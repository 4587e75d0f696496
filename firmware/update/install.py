"""A bundle is written into a slot that neither runs nor is needed to come back: where it begins.

In its slot stand, besides the bundle's files: /a/manifest.new, the manifest as it comes, and
/a/manifest.rest, what comes with the last of it; once all of it has come, is whole, signed, and for
this board, /a/package, what ThingsBoard calls it, and the key that it was checked by, and
/a/manifest. Before that no file of the bundle is written, and what may come back from that slot
stays. After a power cut the files themselves say how far it was.
"""

import json

from micropython import const

from firmware.memory import give_back
from firmware.update.tree import MANIFEST, PACKAGE, REST, discard

# What a download goes on at: a multiple of each block size of CoAP.
_STEP = const(1024)
# Blocks that the largest manifest takes, with its folder and what comes with its end.
_OF_A_MANIFEST = const(8)
_LOADED = "update.install update.files update.contents update.admission update.tree update.errors"


class Installation:
    """A bundle's way into a slot: `begin`, `write` from `offset` on, `finish`, `switch`.

    `settings`: `update` of config.json. `place`: the slot. Raises UpdateError while a trial needs
    both slots; all methods raise it for a bundle that is not taken, and FirstbootError when the
    flash fails.
    """

    offset = 0
    _writer = None

    def __init__(self, board, settings):
        self._board = board
        self._settings = settings
        self.place, self._unneeded = choose(board.storage)

    def begin(self, title, version, size, checksum):
        """Begin with the package that ThingsBoard calls so, or go on with it: at `offset`."""
        package = {"title": title, "version": version, "size": size, "checksum": checksum}
        self.close()
        self._package = package
        self._is_finished = False
        what = self._board, self._settings, package, self.place, self._unneeded
        self._writer, self.offset = _done(begin_package, *what)

    def write(self, data):
        """Take the next bytes of the bundle."""
        _done(self._writer.write, data)
        if self._writer.is_full:
            from firmware.update.admission import admit
            from firmware.update.download import Writer
            from firmware.update.intake import pass_on

            _done(admit, self._board, self.place, self._package, self._settings["key"])
            self._writer = Writer(self._board.storage, self.place)
            _done(pass_on, self._writer)

    def finish(self):
        """All of it was written: check that each file is on flash as its SHA-256 says."""
        from firmware.update.contents import verify

        self.close()
        _done(verify, self._board, self.place)
        self._is_finished = True

    def switch(self):
        """Let it run from the next start on, on trial. Checks it first, if `finish` has not."""
        from firmware.update.slots import State

        if not self._is_finished:
            self.finish()
        State(self._board.storage).switch(self.place, self._package, self._settings)

    def close(self):
        """Close the file that is open; `begin` goes on where it was."""
        if self._writer:
            self._writer.close()
            self._writer = None


def _done(do, *what):
    """Return what is returned; the flash's errors are UpdateErrors."""
    try:
        return do(*what)
    except (OSError, ValueError) as error:
        from firmware.update.errors import flash_fails

        raise flash_fails(error)


def begin(job):
    """Let a Job's package come; no steps.

    Raises UpdateError when it cannot be taken, or there is no room for it.
    """
    package = job.package
    if package["url"]:
        from firmware.update.errors import UpdateError

        raise UpdateError(
            "the package is not in ThingsBoard, but at a URL", "Upload the bundle itself."
        )
    if package["lacks"]:
        from firmware.update.errors import doubtful

        # They may come one by one.
        raise doubtful(
            "ThingsBoard assigns a package, but no %(kind)s_%(lacks)s that is one" % package
        )
    algorithm = package["checksum_algorithm"]
    _check_checksum(algorithm, package["checksum"])
    place, job.writer, job.offset = begun(job)
    give_back(_LOADED)
    job.checksum = _checksum(algorithm)
    give_back("update.checksum")
    if job.checksum and job.offset and not replay(job, place):
        job.checksum = None
    if not job.checksum:
        job.session.board.indicator.say(
            "update: %s is not checked, but the bundle's own SHA-256" % algorithm
        )
    give_back(_LOADED)
    return ()


def _check_checksum(algorithm, text):
    """Check that a text can be a checksum of this algorithm. Raises UpdateError."""
    taken = _checksum(algorithm)
    try:
        if not taken or len(bytes.fromhex(text)) == len(taken.digest()):
            return
    except ValueError:
        # It is not in hex.
        pass
    from firmware.update.errors import UpdateError

    raise UpdateError(
        "ThingsBoard's checksum of the package is no %s in hex" % algorithm,
        "Upload it again, and let ThingsBoard make the checksum.",
    )


# What each of these loads may be given back when it has returned.
def begun(job):
    """Begin with a Job's package; return its slot, where its bytes go, and their offset."""
    board = job.session.board
    place, unneeded = choose(board.storage)
    return (place,) + begin_package(board, job.settings, job.package, place, unneeded)


def _checksum(algorithm):
    from firmware.update.checksum import checksum

    return checksum(algorithm)


def replay(job, place):
    """Call a Job's checksum with what is there; return whether all of that could be."""
    from firmware.update.contents import replay

    return replay(job.session.board, place, job.offset, job.checksum.update)


def choose(storage):
    """Return the slot that may be written, and all that nobody needs.

    The first may be what comes back, and then is not among the others. Raises UpdateError while a
    trial needs both.
    """
    from firmware.update.slots import State

    state = State(storage)
    slot = state.slot()
    if not slot:
        from firmware.update.errors import passing

        raise passing(
            "the version that runs is on trial, and the one before may have to come back",
            "Wait until it is confirmed.",
        )
    give_back("update.slots")
    return slot, state.unneeded()


def begin_package(board, settings, package, place, unneeded):
    """Begin with a package, or go on with it; return where its bytes go, and their offset.

    What another one left is removed. `settings`: `update` of config.json. `package`: ThingsBoard's
    `title`, `version`, `size` in bytes and `checksum`. `place`, `unneeded`: what `choose` gives.

    The first is a firmware.update.intake.Intake or firmware.update.download.Writer; the other how
    many bytes of the bundle need not come again, a multiple of 1024, or all of it. Raises OSError.
    """
    from firmware.update.admission import check_room, give_up, packaged

    storage = board.storage
    try:
        begun = json.loads(storage.read(place + PACKAGE) or b"")
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        begun = None
    # What came under another key was not checked by this one.
    if begun == packaged(package, settings["key"]) and _has_good_manifest(storage, place):
        # Its application may have changed it.
        give_up(storage, place)
        storage.remove(place + REST)
        return _found(storage, place, package["size"])
    for each in unneeded:
        # One that has failed, too.
        discard(storage, each, board.idle)
    from firmware.update.files import make_folders
    from firmware.update.intake import Intake

    check_room(storage, place, package["size"])
    if storage.os.statvfs(storage.root or "/")[4] < _OF_A_MANIFEST:
        # The version before is in its way.
        give_up(storage, place)
        discard(storage, place, board.idle)
    make_folders(storage, place + MANIFEST)
    return Intake(storage, place, package["size"]), 0


def _has_good_manifest(storage, place):
    from firmware.update.contents import has_good_manifest

    return has_good_manifest(storage, place)


def _found(storage, place, size):
    """Return the Writer of what is missing of a bundle of this size, and the offset of that."""
    from firmware.update.download import Writer
    from firmware.update.files import begin_file, next_file, size_of

    writer = Writer(storage, place)
    there = size_of(storage, place + MANIFEST)
    while not writer.left:
        writer.at, file = next_file(storage, place, writer.at)
        if not file:
            break
        # What a board does not take is not kept, and need not come.
        kept = size_of(storage, file[0]) if file[3] else file[1]
        if kept > file[1]:
            kept = -1  # its application has written to it
        begin_file(writer, file, kept)
        there += max(0, kept)
    offset = there if there == size else there - there % _STEP
    writer.again = there - offset
    return writer, offset
