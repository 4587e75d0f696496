"""How a device that runs on a battery ends its work. Imported only when it sleeps. No driver."""

from time import ticks_diff

from micropython import const

# ms that calls have to come, counted from ThingsBoard's last answer. It sends those that wait some
# 15 ms after the board observes them; the rest is the way there and back.
_QUIET = const(500)
_LONGEST = const(30_000)  # ms; calls may come without end
# ms; a download that is not done by then goes on at the next wake.
_LONGEST_UPDATE = const(600_000)


def windows(session):
    """Yield how long to wait on, in ms, until all is sent and what waited has been taken."""
    ticks = session.board.ticks
    began = ticks()
    yield 0
    update = session.observed and session.observed.update
    if update:
        update.hurry()
    while ticks_diff(ticks(), began) < (_LONGEST_UPDATE if update and update.is_busy else _LONGEST):
        if session.is_due():
            yield 0
        elif session.retry_at is not None or not (
            session.observed and session.observed.takes_calls
        ):
            return
        else:
            left = _QUIET - ticks_diff(ticks(), session.sent_at)
            if left <= 0:
                return
            yield left


def deep(session, ms):
    """Keep what could not be sent, switch the radio off, and sleep deep."""
    session.disconnect()
    session.backlog.keep()
    if session.board.trial:
        session.board.trial.before_sleep()
    session.board.indicator.say("sleep: %d s" % (ms // 1000))
    session.board.deep_sleep(ms)
