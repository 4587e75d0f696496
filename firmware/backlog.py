"""What a device has to send: telemetry with its time, client attributes. Kept on flash if asked."""

import json
from time import ticks_diff

from micropython import const

from firmware.errors import FirstbootError
from firmware.memory import drop_half_loaded
from firmware.thingsboard.telemetry import Queue, encoded, is_known

_SAVED = "/telemetry.json"
_BETWEEN_SAVES = const(600_000)  # ms; what keeps the flash from wearing out
_AT_ONCE = const(1_000)  # ms; readings that are closer together have followed each other
# Unconfirmed readings that nobody answered; the next one is confirmed.
_MOST_UNANSWERED = const(3)
_LATE = const(5_000)  # ms; from then on it matters when a reading was


class Backlog:
    """`queue`: telemetry; `attributes`: ClientAttributes, or None. See firmware.device.Device."""

    attributes = None
    is_saved = is_once = False
    # In ticks, None for never.
    saved_at = None
    # The number of the first reading that is not on flash, as Queue counts them.
    _saved_to = 0
    # What `next` gave last is for: "telemetry" or "attributes".
    resource = None
    # Each reading before that number goes out alone.
    together_from = 0
    # Dropped readings that were told of.
    told = 0
    _is_known = False
    _unanswered = 0
    # ms since the beginning, which are the time as long as the clock does not say it.
    _uptime = _now = 0
    # The time that was given last.
    _last = -1
    # The number of the first reading that may get lost, as Queue counts them.
    _first_once = 0

    def __init__(self, board, limit, keeps, persist):
        self.board = board
        self.persist = persist
        self.queue = Queue(limit, keeps)
        self._at = board.ticks()
        self._restore()

    def __bool__(self):
        return bool(self.queue.readings or (self.attributes and self.attributes.values))

    def put(self, values, ts, confirm=True):
        """Let telemetry wait; see firmware.device.Device.send_telemetry.

        Raises MemoryError, too, when that has dropped some of it, which is counted.
        """
        is_alone = not len(self.queue)
        left = len(values) if isinstance(values, list) else 1
        try:
            self.check_clock()
            if isinstance(values, list):
                from firmware.thingsboard.readings import check_reading

                for each in values:
                    check_reading(each)
                for each in values:
                    self._put(each["values"], each.get("ts"))
                    left -= 1
            else:
                self._put(values, ts)
        except MemoryError:
            self.queue.dropped += left
            raise
        if confirm or not is_alone:
            self._first_once = self.queue.first + len(self.queue)

    def put_attributes(self, values):
        """Let client attributes wait. Raises ValueError."""
        if not self.attributes:
            from firmware.thingsboard.client_attributes import ClientAttributes

            self.attributes = ClientAttributes()
        self.attributes.put(values)

    def next(self, largest, confirm=True):
        """Return the body of what is to be sent next to `resource`; `largest`: its most bytes.

        `confirm`: whether it has to be confirmed. Then `is_once` says whether it may get lost.
        """
        queue = self.queue
        if not len(queue):
            self.resource = "attributes"
            self.is_once = False
            return self.attributes.next(largest)
        self.resource = "telemetry"
        self.is_once = (
            not confirm and self._unanswered < _MOST_UNANSWERED and queue.first >= self._first_once
        )
        return queue.batch(0 if queue.first < self.together_from else largest)

    def sent(self, is_answered=True):
        """Remove what `next` gave, but for attributes that have another value since."""
        if self.resource == "attributes":
            self.attributes.sent()
        else:
            self.queue.sent()
            self._unanswered = 0 if is_answered else self._unanswered + 1
            self.is_once = False
            dropped = self.queue.dropped
            if dropped != self.told and not len(self.queue):
                self.board.indicator.say("telemetry dropped: %d readings" % (dropped - self.told))
                self.told = dropped
        self.save()

    def refused(self, probe):
        """The steps after ThingsBoard refused what `next` gave.

        `probe`: see firmware.thingsboard.refused.
        """
        from firmware.thingsboard.refused import refused

        return refused(self, probe, self.board.indicator)

    def check_clock(self):
        """Note what the clock says, and correct what was noted by one that was not set."""
        board = self.board
        ticks, clock = board.ticks(), board.now_ms
        self._uptime += ticks_diff(ticks, self._at)
        self._at = ticks
        is_known_now = is_known(clock) and not board.clock_is_guessed
        if is_known_now and not self._is_known:
            self.queue.shift(clock - self._uptime)
            self._last += clock - self._uptime
            self._saved_to = 0  # with other times
        self._is_known = is_known_now
        self._now = clock if is_known_now else self._uptime

    def wants_clock(self):
        """Return whether a reading has waited for long, and its time is not known."""
        readings = self.queue.readings
        oldest = readings[0][0] if readings else None
        self.check_clock()
        return oldest is not None and not is_known(oldest) and self._uptime - oldest > _LATE

    def save(self):
        """Keep on flash what waits, with `persist`, if it is new and the last time 10 min ago."""
        is_soon = False
        if self.saved_at is not None:
            passed = ticks_diff(self.board.ticks(), self.saved_at)
            # Less than 0: it is days ago.
            is_soon = 0 <= passed < _BETWEEN_SAVES
        is_new = self.queue.first + len(self.queue) > self._saved_to
        if not len(self.queue) or (self.persist and is_new and not is_soon):
            self.keep()

    def keep(self):
        """Keep on flash what waits, and nothing else; return whether that came to something."""
        board = self.board
        try:
            if len(self.queue):
                # Also when it fails: a flash that is full is worn out by tries, too.
                self.saved_at = board.ticks()
                self.is_saved = True
                from firmware.thingsboard.readings import saved

                board.storage.save(_SAVED, saved(self.queue))
                self._saved_to = self.queue.first + len(self.queue)
            else:
                self.forget()
            return True
        except (FirstbootError, MemoryError) as error:
            drop_half_loaded()
            board.indicator.say("telemetry not saved", *str(error).split("\n"))
            return False

    def forget(self):
        """Remove what was kept. Raises FirstbootError."""
        if self.is_saved:
            self.board.storage.remove(_SAVED)
            self.is_saved = False

    def _put(self, values, ts):
        if not ts:
            ts = self._next()
        else:
            from firmware.thingsboard.readings import given_time

            ts = given_time(ts)
            if not is_known(ts):
                # It is not of a clock that was not set, and goes as it is.
                encoded(values)
                values, ts = {"ts": ts, "values": values}, None
        self.queue.put(values, ts)

    def _next(self):
        """Return the time of a reading that has none: now, and never that of the one before.

        A second one of the same ms would take the first one's place in ThingsBoard.
        """
        now = self._now
        if now <= self._last < now + _AT_ONCE:
            now = self._last + 1
        self._last = now
        return now

    def _restore(self):
        """Take back what was saved, if it can be read."""
        board = self.board
        try:
            saved = board.storage.read(_SAVED)
            self.is_saved = saved is not None
            if self.persist or self.is_saved:
                # Now, since later the memory may be short.
                from firmware.thingsboard.readings import restore

                if saved:
                    restore(self.queue, json.loads(saved))
        except FirstbootError as error:
            board.indicator.say(*str(error).split("\n"))
        except (ValueError, TypeError):
            board.indicator.say("%s cannot be read: what it kept is lost" % _SAVED)
