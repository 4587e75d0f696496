"""What comes next of an update, when that is no block. Imported only then.

A package is begun, and its manifest judged; when all of it is there, it is checked and switched to.
"""

from micropython import const

from firmware.memory import give_back

# How many states are told until all of a package is there, and until it is switched to.
_DOWNLOADED = const(2)
_ALL = const(4)
_DOWNLOAD = "coap.block coap.blocks thingsboard.ota update.download update.transfer"
_LOADED = (
    "update.files update.contents update.admission update.manifest update.tree update.errors"
    " board.modulus"
)


def next_step(job):
    """Return what does what is next for a Job: a function of it, which returns its steps.

    Most are in modules of their own: while they run, this one need not be there.
    """
    give_back("update.installing")
    told = job.told
    if job.is_untold:
        from firmware.update.states import tell_outcome as step
    elif (not told and job.writer) or (
        job.place and (told < _DOWNLOADED or (job.is_verified and told < _ALL))
    ):
        from firmware.update.states import tell as step
    elif job.is_admitted:
        from firmware.update.intake import go_on as step
    elif job.arrived:
        step = _judge
    elif job.place:
        step = _restart if job.is_verified else _verify
    elif not job.writer:
        from firmware.update.install import begin as step
    else:
        step = _let_go
    return step


def _let_go(job):
    """Let a Job be without its download: what it takes is wanted for what is next."""
    writer = job.writer
    if writer.is_full:
        job.arrived = writer.place
        job.writer = job.blocks = None
        give_back("update.intake")
    else:
        # All of it has come.
        taken = job.checksum
        job.close()
        job.checksum, job.place = taken, writer.place
    give_back(_DOWNLOAD)
    return ()


def _judge(job):
    """Take the manifest of a Job's package, or raise UpdateError."""
    _admit(job.session.board, job.arrived, job.package, job.settings["key"])
    job.is_admitted = True
    give_back(_LOADED)
    return ()


def _verify(job):
    """Check that what is there is what was assigned, and what the bundle says."""
    package = job.package
    taken, job.checksum = job.checksum, None
    if taken and taken.digest() != bytes.fromhex(package["checksum"]):
        discard(job.session.board, job.place)
        from firmware.update.errors import passing

        raise passing(
            "the bytes do not have the %(checksum_algorithm)s of ThingsBoard" % package,
            "Upload the bundle again if this stays.",
        )
    del taken
    verify(job.session.board, job.place)
    job.is_verified = True
    give_back(_LOADED)
    return ()


# What each of these loads may be given back when it has returned.
def _admit(*what):
    from firmware.update.admission import admit

    admit(*what)


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
    return ()
