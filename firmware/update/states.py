"""What is to be done about what ThingsBoard assigns, what it is told, and what has failed.

All of it stands in /slots.json. Imported only for a step of that.
"""

from time import ticks_add

from micropython import const

from firmware.coap.message import POST
from firmware.errors import FirstbootError
from firmware.memory import give_back, give_back_room
from firmware.retry import backoff
from firmware.thingsboard.telemetry import encoded
from firmware.update.slots import State

_STATES = ("DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING")
# How often a package is begun again that may pass then.
_MOST_TRIES = const(3)
_LOADED = "update.states update.slots update.tree thingsboard.ota"


def look(job, values):
    """Let a Job know what is to be done. `values`: all shared attributes."""
    state = State(job.session.board.storage)
    job.is_untold = bool(state.untold())
    # Without a trial the root runs, since there could be none: that waits for nothing.
    is_proving = state.on_trial and (job.session.board.trial or not state.slot())
    package = _chosen(state, values, is_proving)
    if not (package and job.package and package["mark"] == job.package["mark"]):
        _end(job)
        if package:
            _begin(job, package, state.found["progress"])
    give_back(_LOADED)


def _begin(job, package, progress):
    """Let a Job take a package. `progress`: of State, how far it was."""
    is_its = progress and progress[:2] == [package["kind"], package["mark"]]
    job.package = package
    job.told = progress[2] if is_its else 0
    drawn = job.session.board.random(2)
    # Boards that are assigned a package together must not ask for it together.
    wait = job.settings["spread"] * 1000 * (drawn[0] << 8 | drawn[1]) >> 16
    _wait(job, wait)
    job.say("is assigned; it begins within %d s" % (wait // 1000 + 1))


def _wait(job, ms):
    """Let a Job do nothing for its package for so long."""
    job.not_before = ticks_add(job.session.board.ticks(), ms)


def _end(job):
    """There is nothing to take any more: let a Job give back what a package took."""
    job.tries = 0
    job.package = None
    job.close()


def _chosen(state, values, is_proving):
    """Return the package to take, software first.

    None for one that runs or has failed, and for any while what runs is on trial: what became of it
    is told first.
    """
    from firmware.thingsboard.ota import KINDS, assigned

    for kind in KINDS:
        package = assigned(values, kind)
        if package:
            words = package["title"], package["version"], package["checksum"]
            has_failed = state.has_failed(*words)
            is_to_be_told = "FAILED" in (state.found["untold"] or "")
            if state.found["failed"] and not (has_failed or is_to_be_told):
                _forgive(state)
            running = state.package()
            is_running = running and words == (
                running["title"],
                running["version"],
                running["checksum"],
            )
            if not is_proving and not (is_running or has_failed):
                return package
            break
    return None


def _forgive(state):
    try:
        state.forgive()
    except FirstbootError:
        # The flash is full: another time.
        pass


def tell(job):
    """The steps that tell the next state of a Job's package, and note that it was told."""
    package = job.package
    state = _STATES[job.told]
    job.say(state)
    yield from _send(job.session, _state_of(package["kind"], state))
    give_back("thingsboard.ota")
    # First, since it is told once also when the flash is full.
    job.told += 1
    State(job.session.board.storage).keep([package["kind"], package["mark"], job.told])
    give_back(_LOADED)


def tell_outcome(job):
    """The steps that tell how an update has ended, and note that it was told."""
    state = State(job.session.board.storage)
    found = state.found
    kind = found["progress"][0] if found["progress"] else "sw"
    outcome = state.untold()
    why = found["failed"]["why"] if outcome == "FAILED" else None
    yield from _send(job.session, _state_of(kind, outcome, why, state.package()))
    try:
        state.told(outcome)
    except FirstbootError:
        # The flash is full: it is told again after a restart, and holds up nothing now.
        pass
    # As in tell. The answer may have ended a trial.
    job.is_untold = bool(state.untold())
    give_back(_LOADED)


def _state_of(*what):
    from firmware.thingsboard.ota import state_of

    return state_of(*what)


def _send(session, values):
    return session.ask(POST, "telemetry", encoded(values))


def fail(job, error):
    """Let a Job try again later, or note that its package has failed. `error`: an UpdateError."""
    package = job.package
    board = job.session.board
    why = ". ".join(str(error).split("\n"))
    job.say(why)
    job.tries += 1
    if error.may_pass and job.tries < _MOST_TRIES:
        job.close()
        _wait(job, backoff(job.tries, board.random))
    else:
        _refuse(board.storage, package, job.told, why)
        _end(job)
        job.is_untold = True
    # With what it failed in.
    give_back_room("update", "watch trial start job")


def no_memory(board, package, told):
    """Note that a package has failed for want of memory. `told`: see _refuse."""
    why = "there is not enough memory to take the update"
    board.indicator.say("update: %(title)s %(version)s: " % package + why)
    why += ". Let the application take less, or freeze the firmware."
    _refuse(board.storage, package, told, why)
    give_back(_LOADED)


def _refuse(storage, package, told, why):
    """Note that a package has failed, of which so many states are told."""
    state = State(storage)
    try:
        _note(state, package, told, why)
    except FirstbootError:
        slot = state.slot()
        if not slot:
            raise
        from firmware.update.tree import discard

        # What came of it has taken the room for that, or what would come back.
        state.give_up(slot)
        discard(storage, slot)
        _note(state, package, told, why)


def _note(state, package, told, why):
    # What there was no room for was not begun. In one save: else it would be, with nothing told.
    progress = None if told else [package["kind"], package["mark"], len(_STATES)]
    state.refuse(package["title"], package["version"], package["checksum"], why, progress)
