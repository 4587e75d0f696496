"""What comes next of an update, when that is no block. Imported only then.

A package is begun, and its manifest judged; when all of it is there, it is checked and switched to.
"""

from micropython import const

from firmware.errors import FirstbootError
from firmware.memory import give_back

# How many states are told until all of a package is there, and until it is switched to.
_DOWNLOADED = const(2)
_ALL = const(4)
_DOWNLOAD = "coap.block coap.blocks update.download"
_LOADED = "update.install update.files update.contents update.admission update.tree update.errors"


def next_step(job):
    """Return the steps of what is next for a Job. Raises FirstbootError."""
    give_back("update.installing")
    if job.is_untold:
        from firmware.update.states import tell_outcome

        return tell_outcome(job)
    told = job.told
    if (not told and job.writer) or (
        job.place and (told < _DOWNLOADED or (job.is_verified and told < _ALL))
    ):
        from firmware.update.states import tell

        return tell(job)
    try:
        if not (job.writer or job.place):
            _begin(job)
        elif job.writer and job.writer.is_full:
            _admit(job)
        elif not job.is_verified:
            _complete(job)
        else:
            _restart(job)
    except (OSError, ValueError) as error:
        # ValueError: what was checked on it is damaged.
        from firmware.update.errors import flash_fails

        raise flash_fails(error)
    except FirstbootError as error:
        if hasattr(error, "may_pass"):
            raise
        # The flash fails, as firmware.board.storage says it.
        from firmware.update.errors import passing

        raise passing(error.what, error.fix)
    return ()


def _begin(job):
    """Let a Job's package come.

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
        "the checksum that ThingsBoard has for the package is no %s in hex" % algorithm,
        "Upload it again under another version, and let ThingsBoard make the checksum.",
    )


def _admit(job):
    """Let a Job's package be taken as its manifest is. Raises UpdateError when it is not."""
    board = job.session.board
    place = job.writer.place
    # The download begins anew after it: its memory is wanted for this.
    job.writer = job.blocks = None
    give_back("update.intake " + _DOWNLOAD)
    _judge(board, place, job.package, job.settings["key"])
    give_back(_LOADED)
    job.writer = _passed_on(board.storage, place)
    give_back("update.intake " + _LOADED)


def _complete(job):
    """All of a Job's package has come: check it in the step after. Raises UpdateError."""
    if job.writer:
        taken, place = job.checksum, job.writer.place
        job.writer.close()
        job.close()
        job.checksum, job.place = taken, place
        give_back(_DOWNLOAD)
    else:
        _verify(job)
    give_back(_LOADED)


def _verify(job):
    """Check that what is there is what was assigned, and what the bundle says."""
    package = job.package
    taken, job.checksum = job.checksum, None
    if taken and taken.digest() != bytes.fromhex(package["checksum"]):
        discard(job.session.board, job.place)
        from firmware.update.errors import passing

        raise passing(
            "the bytes do not have the %(checksum_algorithm)s that ThingsBoard has for them"
            % package,
            "Upload the bundle again if this stays.",
        )
    del taken
    verify(job.session.board, job.place)
    job.is_verified = True


# What each of these loads may be given back when it has returned.
def begun(job):
    """Begin with a Job's package; return its slot, where its bytes go, and their offset."""
    from firmware.update.install import begin, choose

    board = job.session.board
    place, unneeded = choose(board.storage)
    return (place,) + begin(board, job.settings, job.package, place, unneeded)


def _checksum(algorithm):
    from firmware.update.checksum import checksum

    return checksum(algorithm)


def replay(job, place):
    """Call a Job's checksum with what is there; return whether all of that could be."""
    from firmware.update.contents import replay

    return replay(job.session.board, place, job.offset, job.checksum.update)


def _judge(*what):
    from firmware.update.admission import admit

    admit(*what)


def _passed_on(storage, place):
    from firmware.update.download import Writer
    from firmware.update.intake import pass_on

    writer = Writer(storage, place)
    pass_on(writer)
    return writer


def verify(board, place):
    """Check that a slot is as its SHA-256 say; else discard it, and raise UpdateError."""
    from firmware.update.contents import verify

    verify(board, place)


def discard(board, place):
    """Forget what is in a slot."""
    from firmware.update.tree import discard

    discard(board.storage, place, board.idle)


def _restart(job):
    """Let what is there run from the next start on, which is at once."""
    from firmware.update.slots import State

    session = job.session
    storage = session.board.storage
    try:
        State(storage).switch(job.place, job.package, job.settings)
    except MemoryError:
        # Perhaps as it was read back.
        if State(storage).running != job.place:
            raise
    try:
        session.disconnect()
        session.backlog.keep()
        job.say("the board starts anew")
    finally:
        # Whatever happened: nothing else starts what is switched to.
        session.board.reset()
