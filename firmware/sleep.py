"""How a device on a battery ends its work, and what it keeps until it wakes. No driver.

Imported only by who sleeps.
"""

import json
from time import ticks_diff

from micropython import const

from firmware import session as sessions
from firmware.errors import FirstbootError
from firmware.memory import drop_half_loaded
from firmware.thingsboard.readings import restore, saved
from firmware.thingsboard.telemetry import encoded

_KEPT = "/asleep.json"

# ms that calls have to come, counted from ThingsBoard's last answer. It sends those that wait some
# 15 ms after the board observes them; the rest is the way there and back.
_QUIET = const(500)
_FOREVER = const(1 << 29)
_LONGEST = const(30_000)  # ms; calls may come without end
# ms; a download that is not done by then goes on at the next wake.
_LONGEST_UPDATE = const(600_000)


class Session(sessions.Session):
    """A Session that begins with what was kept while the board slept, and ends.

    `awake`: after how many ms nothing is asked or waited for any more; None for never.
    """

    def __init__(self, awake, *arguments):
        super().__init__(*arguments)
        self.awake = awake
        self._began = self.board.ticks()
        self._has_kept = _restore(self)

    def left(self):
        """Return how many ms are left, at least 0."""
        if not self.awake:
            return _FOREVER
        return max(0, self.awake - ticks_diff(self.board.ticks(), self._began))

    def patience(self):
        """Return how many s the Wi-Fi is tried: no longer than the board is to be awake."""
        return max(1, self.left() // 1000)

    def until_sleep(self, sessions):
        """Return what opens DTLS sessions, and waits no longer than the board is to be awake."""

        def open_session(transport, host):
            return sessions(transport, host, self.left())

        return open_session

    def waits(self):
        """Return whether the next try may not be yet."""
        return not self.left() or super().waits()

    def receive(self, timeout):
        """Wait up to so long, in ms; return a datagram, or None. Raises NoResponse at the end."""
        attempt = self.board.attempt_again
        client = self.client or (attempt and attempt.client)
        if not client:
            return super().receive(timeout)
        left = self.left()
        if not left:
            from firmware.coap.failure import too_late

            raise too_late(self.awake, client.exchange)
        return super().receive(min(timeout, left))

    def hear(self, timeout):
        """Wait up to so long for what ThingsBoard sends by itself, and take it."""
        if self.left():
            super().hear(timeout)
        else:
            self.board.sleep(timeout)

    def succeeded(self):
        """All that was due is done: what was kept is in ThingsBoard."""
        super().succeeded()
        if self._has_kept:
            self._has_kept = False
            _forget(self.board)


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
        elif session.retry_at is not None or not (session.observed and session.observed.calls):
            return
        else:
            left = _QUIET - ticks_diff(ticks(), session.sent_at)
            if left <= 0:
                return
            yield left


def deep(session, ms):
    """Keep what could not be sent, switch the radio off, and sleep deep."""
    board = session.board
    session.disconnect()
    try:
        keep(session)
    except (FirstbootError, MemoryError) as error:
        drop_half_loaded()
        board.indicator.say("not kept", *str(error).split("\n"))
        # Telemetry alone may still fit where all at once did not.
        session.backlog.keep()
    if board.trial:
        board.trial.before_sleep()
    board.indicator.say("sleep: %d s" % (ms // 1000))
    board.deep_sleep(ms)


def keep(session):
    """Keep telemetry, attributes and replies to calls: in memory that lasts, else on flash.

    With `persist` telemetry is on flash, and in memory only when it cannot be saved there. Raises
    FirstbootError and MemoryError.
    """
    board, backlog = session.board, session.backlog
    calls = replies(session.observed and session.observed.calls)
    attributes = backlog.attributes.values if backlog.attributes else {}
    rest = b'{"attributes":%s,"calls":%s,"telemetry":' % (
        encoded(attributes, None),
        json.dumps(calls).encode(),
    )
    waits = backlog or calls
    # What is in both comes twice.
    is_saved = backlog.persist and backlog.keep()
    telemetry = b"[]" if is_saved else saved(backlog.queue)
    is_remembered = board.remember(rest + telemetry + b"}" if waits else b"")
    if is_remembered and not is_saved:
        backlog.forget()
    elif not backlog.persist:
        backlog.keep()
    if is_remembered or not (attributes or calls):
        board.storage.remove(_KEPT)
    else:
        content = rest + b"[]}"
        if content != board.storage.read(_KEPT):
            board.storage.save(_KEPT, content)


def replies(calls):
    """Return the replies of Calls that did not get through: [id, call, reply], both as JSON."""
    return [
        [id, call.decode(), reply.decode()]
        for id, call, reply, _ in (calls.open if calls else ())
        if reply
    ]


def _restore(session):
    """Take back what was kept, if it can be read; return whether there was something."""
    board, backlog = session.board, session.backlog
    found = False
    try:
        for content in (board.storage.read(_KEPT), board.recall()):
            if content:
                found = True
                kept = json.loads(content)
                restore(backlog.queue, kept["telemetry"])
                if kept["attributes"]:
                    backlog.put_attributes(kept["attributes"])
                session.kept_calls = [
                    [id, call.encode(), reply.encode(), 1] for id, call, reply in kept["calls"]
                ]
    except FirstbootError as error:
        board.indicator.say(*str(error).split("\n"))
    except (ValueError, TypeError, KeyError, AttributeError):
        board.indicator.say("%s cannot be read: what it kept is lost" % _KEPT)
    return found


def _forget(board):
    board.remember(b"")
    try:
        board.storage.remove(_KEPT)
    except FirstbootError as error:
        board.indicator.say(*str(error).split("\n"))
