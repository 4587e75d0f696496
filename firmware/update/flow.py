"""What comes next of an update, when that is no block. Imported only then."""

from micropython import const

from firmware.errors import FirstbootError
from firmware.memory import give_back

# How many states are told until all of a package is there, and until it is switched to.
_DOWNLOADED = const(2)
_ALL = const(4)


def next_step(job):
    """Return the steps of what is next for a Job. Raises FirstbootError."""
    give_back("update.flow")
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
            from firmware.update.installing import begin

            begin(job)
        elif job.writer and job.writer.is_full:
            from firmware.update.installing import admit

            admit(job)
        elif not job.is_verified:
            from firmware.update.installing import complete

            complete(job)
        else:
            _restart(job)
    except OSError as error:
        from firmware.update.errors import flash_fails

        raise flash_fails(error)
    return ()


def _restart(job):
    """Let what is there run from the next start on, which is at once."""
    from firmware.update.slots import State

    session = job.session
    storage = session.board.storage
    try:
        State(storage).switch(job.place, job.package, job.settings)
    except FirstbootError as error:
        from firmware.update.errors import passing

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
