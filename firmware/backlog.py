"""What a device has to send: telemetry with its time, client attributes. Kept on flash if asked."""

import json
from time import ticks_diff

from micropython import const

from firmware.errors import FirstbootError
from firmware.thingsboard.telemetry import Queue, check_reading, encoded, given_time, is_known

_SAVED = "/telemetry.json"
_BETWEEN_SAVES = const(600_000)  # ms; what keeps the flash from wearing out
_AT_ONCE = const(1_000)  # ms; readings that are closer together have followed each other
# Unconfirmed readings that nobody answered; the next one is confirmed.
_MOST_UNANSWERED = const(3)
_LATE = const(5_000)  # ms; from then on it matters when a reading was


class Backlog:
    """`queue`: telemetry; `attributes`: of each the last value. See firmware.device.Device."""

    is_saved = is_once = False
    # In ticks, None for never.
    saved_at = None
    _is_known = False
    # Dropped readings that were told of.
    _unanswered = _told = 0
    # ms since the beginning, which are the time as long as the clock does not say it.
    _uptime = _now = 0
    # The time that was given last.
    _last = -1
    # The number of the first reading that may get lost, as Queue counts them.
    _first_once = 0
    # What `next` gave last, see Queue.batch; attributes, or None.
    _number = 0
    _attributes = None
    # Each reading before that number goes out alone; whether each attribute does.
    _together_from = 0
    _is_apart = False

    def __init__(self, board, limit, keeps, persist):
        self._board = board
        self.persist = persist
        self.queue = Queue(limit, keeps)
        self.attributes = {}
        self._at = board.ticks()
        self._restore()

    def __bool__(self):
        return bool(len(self.queue) or self.attributes)

    def put(self, values, ts, confirm=True):
        """Let telemetry wait; see firmware.device.Device.send_telemetry."""
        self.check_clock()
        is_alone = not len(self.queue)
        if isinstance(values, list):
            for each in values:
                check_reading(each)
            for each in values:
                self._put(each["values"], each.get("ts"))
        else:
            self._put(values, ts)
        if confirm or not is_alone:
            self._first_once = self.queue.first + len(self.queue)

    def put_attributes(self, values):
        """Let client attributes wait. Raises ValueError."""
        encoded(values, None)
        for key in values:
            encoded({key: values[key]})
        self.attributes.update(values)

    def next(self, largest, confirm=True):
        """Return (resource, body) of what is to be sent next; `largest`: the most bytes of it.

        `confirm`: whether it has to be confirmed. Then `is_once` says whether it may get lost.
        """
        self.is_once = False
        if len(self.queue):
            self.is_once = (
                not confirm
                and self._unanswered < _MOST_UNANSWERED
                and self.queue.first >= self._first_once
            )
            self._attributes = None
            is_apart = self.queue.first < self._together_from
            self._number, body = self.queue.batch(0 if is_apart else largest)
            return "telemetry", body
        self._attributes = {}
        size = 1
        parts = []
        for key in self.attributes:
            part = encoded({key: self.attributes[key]})[1:-1]
            size += len(part) + 1
            if parts and (size > largest or self._is_apart):
                break
            parts.append(part)
            self._attributes[key] = self.attributes[key]
        return "attributes", b"{%s}" % b",".join(parts)

    def sent(self, is_answered=True):
        """Remove what `next` gave, but for attributes that have another value since."""
        if self._attributes is None:
            self.queue.sent(self._number)
            self._unanswered = 0 if is_answered else self._unanswered + 1
            self.is_once = False
            dropped = self.queue.dropped
            if dropped != self._told and not len(self.queue):
                self._board.indicator.say("telemetry dropped: %d readings" % (dropped - self._told))
                self._told = dropped
        else:
            for key in self._attributes:
                if key in self.attributes and self.attributes[key] is self._attributes[key]:
                    del self.attributes[key]
            self._is_apart = self._is_apart and bool(self.attributes)
        self.save()

    def refused(self, probe):
        """The steps after ThingsBoard refused what `next` gave: each of it goes out alone, then.

        What was refused alone is dropped. `probe`: the steps of an empty reading, which raise
        FirstbootError when ThingsBoard takes no JSON at all.
        """
        yield from probe
        if self._attributes is not None:
            refused = self._attributes if self._is_apart else ()
            self._is_apart = True
        else:
            refused = self.queue.refuse(self._number) if self._number <= self._together_from else ()
            self._together_from = max(self._number, self._together_from)
            self._told += bool(refused)
        if refused:
            names = ", ".join(refused)
            self._board.indicator.say("dropped, since ThingsBoard answers 4.00 to it: " + names)
            self.sent()

    def check_clock(self):
        """Note what the clock says, and correct what was noted by one that was not set."""
        board = self._board
        ticks, clock = board.ticks(), board.now_ms
        self._uptime += ticks_diff(ticks, self._at)
        self._at = ticks
        is_known_now = is_known(clock) and not board.clock_is_guessed
        if is_known_now and not self._is_known:
            self.queue.shift(clock - self._uptime)
            self._last += clock - self._uptime
        self._is_known = is_known_now
        self._now = clock if is_known_now else self._uptime

    def wants_clock(self):
        """Return whether a reading has waited for long, and its time is not known."""
        oldest = self.queue.oldest
        self.check_clock()
        return oldest is not None and not is_known(oldest) and self._uptime - oldest > _LATE

    def save(self):
        """Keep on flash what waits, with `persist`, when the last time is 10 minutes ago."""
        is_soon = False
        if self.saved_at is not None:
            passed = ticks_diff(self._board.ticks(), self.saved_at)
            # Less than 0: it is days ago.
            is_soon = 0 <= passed < _BETWEEN_SAVES
        if not len(self.queue) or (self.persist and not is_soon):
            self.keep()

    def keep(self):
        """Keep on flash what waits, and nothing else."""
        board = self._board
        try:
            if len(self.queue):
                # Also when it fails: a flash that is full is worn out by tries, too.
                self.saved_at = board.ticks()
                self.is_saved = True
                board.storage.save(_SAVED, self.queue.saved())
            else:
                self.forget()
        except (FirstbootError, MemoryError) as error:
            board.indicator.say("telemetry not saved", *str(error).split("\n"))

    def forget(self):
        """Remove what was kept. Raises FirstbootError."""
        if self.is_saved:
            self._board.storage.remove(_SAVED)
            self.is_saved = False

    def _put(self, values, ts):
        if not ts:
            ts = self._next()
        else:
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
        board = self._board
        try:
            saved = board.storage.read(_SAVED)
            self.is_saved = saved is not None
            if saved:
                self.queue.restore(json.loads(saved))
        except FirstbootError as error:
            board.indicator.say(*str(error).split("\n"))
        except (ValueError, TypeError):
            board.indicator.say("%s cannot be read: what it kept is lost" % _SAVED)
