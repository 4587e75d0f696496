"""What is to be done about what ThingsBoard assigns, what it is told, and what has failed.

All of it stands in /slots.json. Imported only for a step of that.
"""

from time import ticks_add, ticks_diff

from micropython import const

from firmware.coap.message import POST
from firmware.errors import FirstbootError
from firmware.memory import give_back, give_back_room
from firmware.retry import backoff, spread
from firmware.thingsboard.telemetry import encoded
from firmware.update.slots import LONGEST_WHY, State

_STATES = ("DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING")
# How often a package is begun again that may pass then.
_MOST_TRIES = const(3)
# ms for which ThingsBoard may serve another package than it says it has assigned, and in how many
# starts it may, of a board that sleeps deep sooner.
_LONGEST_DOUBT = const(600_000)
_MOST_DOUBTS = const(10)
_LONGEST_WAIT = const(3_600_000)
_SAID_BY = "coap.failure coap.misfit thingsboard.answers thingsboard.refusals"
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
    # Another version of this firmware may have noted less, or more.
    job.told, job.tries, job.doubts = ((progress[2:] if is_its else []) + [0, 0, 0])[:3]
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
    job.tries = job.doubts = job.failures = 0
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
    _keep(job)
    give_back(_LOADED)


def _keep(job):
    """Note how far a Job's package is."""
    package = job.package
    progress = [package["kind"], package["mark"], job.told, job.tries, job.doubts]
    State(job.session.board.storage).keep(progress)


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


def of_package(error):
    """Return the UpdateError of what a step of an update has failed for; one is itself."""
    if hasattr(error, "may_pass"):
        return error
    if isinstance(error, FirstbootError):
        # The flash fails, as firmware.board.storage says it.
        from firmware.update.errors import passing

        return passing(error.what, error.fix)
    # ValueError: what was checked on it is damaged.
    from firmware.update.errors import flash_fails

    return flash_fails(error)


def fail(job, error):
    """Let a Job try again later, or note that its package has failed. `error`: an UpdateError."""
    package = job.package
    board = job.session.board
    # What to do is said, however long a title is.
    why = "%s. %s" % (error.what[: LONGEST_WHY - len(error.fix) - 2], error.fix)
    is_over = _is_over(job, error)
    if is_over:
        job.say(why)
        try:
            _refuse(board.storage, package, job.told, why)
            _end(job)
            job.is_untold = True
        except (FirstbootError, OSError):
            # The flash does not take that, either.
            is_over = False
    if not is_over:
        wait = spread(min(error.retry_after, _LONGEST_WAIT), board.random)
        wait = max(wait, backoff(job.failures, board.random))
        job.failures += 1
        _wait(job, wait)
        job.say("%s; it is asked for again within %d s" % (error.what, wait // 1000 + 1))
    # With what it failed in, and what said so.
    give_back_room("update", "watch trial start job")
    give_back(_SAID_BY)


def _is_over(job, error):
    """Return whether a Job's package has failed; note that it may not have, where it may not."""
    if error.may_pass:
        job.close()
        job.tries += 1
        is_over = job.tries >= _MOST_TRIES
    elif error.is_doubtful:
        job.session.observed.doubt()
        now = job.session.board.ticks()
        if job.doubtful_since is not None:
            return ticks_diff(now, job.doubtful_since) > _LONGEST_DOUBT
        job.doubtful_since = now
        job.doubts += 1
        is_over = job.doubts >= _MOST_DOUBTS
    else:
        return not error.is_outage
    if not is_over:
        try:
            # A board that starts anew counts on.
            _keep(job)
        except FirstbootError:
            # The flash is full.
            pass
    return is_over


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
