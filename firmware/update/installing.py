"""A package is begun, and when all of it is there, checked and switched to. Imported only then."""

from firmware.errors import FirstbootError
from firmware.memory import give_back
from firmware.update.errors import UpdateError, passing

_DOWNLOAD = "coap.block coap.blocks"
_LOADED = (
    "update.installing update.install update.contents update.manifest update.slots update.admission"
    " update.tree"
)


def begin(job):
    """Let a Job have the Download of its package.

    Raises UpdateError when it cannot be taken, or there is no room for it.
    """
    package = job.package
    session = job.session
    if package["url"]:
        raise UpdateError(
            "the package is not in ThingsBoard, but at a URL", "Upload the bundle itself."
        )
    installation = begun(job)
    algorithm = package["checksum_algorithm"]
    # Only now, when what found out how much is there is not needed any more.
    from firmware.update.checksum import checksum

    taken = checksum(algorithm)
    if taken and installation.offset and not installation.replay(taken.update):
        taken = None
    if not taken:
        session.board.indicator.say(
            "update: %s is not checked, but the bundle's own SHA-256" % algorithm
        )
    writer, offset = installation.writer, installation.offset
    del installation
    give_back("update.checksum " + _LOADED)
    job.begin(writer, offset, taken)


def complete(job):
    """Take the next step with a Job's package. Raises UpdateError."""
    if job.download:
        taken = job.download.checksum
        job.close()
        job.checksum = taken
        job.is_there = True
        give_back(_DOWNLOAD)
    elif not job.place:
        _verify(job)
    else:
        _restart(job)
    give_back("update.writer " + _LOADED)


def _verify(job):
    """Check that what is there is what was assigned, and what the bundle says."""
    package = job.package
    installation = begun(job)
    if job.checksum and job.checksum.digest().hex() != package["checksum"].lower():
        installation.discard()
        raise passing(
            "the bytes do not have the %(checksum_algorithm)s %(checksum)s" % package,
            "Upload the bundle again if this stays.",
        )
    installation.finish()
    job.place = installation.place


def begun(job):
    """Return the Installation of a Job's package, begun."""
    # Only here, since a restart needs none.
    from firmware.update.install import Installation

    package = job.package
    installation = Installation(job.session.board, job.settings)
    installation.begin(package["title"], package["version"], package["size"], package["checksum"])
    return installation


def _restart(job):
    """Let what is there run from the next start on, which is at once."""
    from firmware.update.slots import State

    session = job.session
    storage = session.board.storage
    try:
        State(storage).switch(job.place, job.package, job.settings)
    except FirstbootError as error:
        raise passing(error.what, error.fix)
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
