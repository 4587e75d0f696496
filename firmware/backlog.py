"""What a device has to send: telemetry with its time, client attributes. Kept on flash if asked."""

from time import ticks_diff

from micropython import const

from firmware.errors import FirstbootError
from firmware.thingsboard.telemetry import Queue, encoded, is_known

_SAVED = "/telemetry.json"
_BETWEEN_SAVES = const(600_000)  # ms; what keeps the flash from wearing out
_LATE = const(5_000)  # ms; from then on it matters when a reading was


class Backlog:
    """`queue`: telemetry; `attributes`: of each the last value. See firmware.device.Device."""

    is_saved = False
    # In ticks, None for never.
    saved_at = None

    def __init__(self, board, limit, keeps, persist):
        self._board = board
        self.persist = persist
        self.queue = Queue(limit, keeps)
        self.attributes = {}
        # What the clock said, and when.
        self._clock = board.now_ms, board.ticks()
        self._restore()

    def __bool__(self):
        return bool(len(self.queue) or self.attributes)

    def put(self, values, ts):
        """Let telemetry wait; see firmware.device.Device.send_telemetry."""
        self.check_clock()
        if isinstance(values, list):
            for each in values:
                self.queue.put(each["values"], each.get("ts") or self._clock[0])
        else:
            self.queue.put(values, ts or self._clock[0])

    def put_attributes(self, values):
        """Let client attributes wait."""
        encoded(values)
        self.attributes.update(values)

    def sent_attributes(self, sent):
        """Remove attributes that were sent, but for those that have another value since."""
        for key in sent:
            if key in self.attributes and self.attributes[key] is sent[key]:
                del self.attributes[key]

    def check_clock(self):
        """Note what the clock says, and correct what was noted by one that was not set."""
        before, at = self._clock
        self._clock = self._board.now_ms, self._board.ticks()
        now, ticks = self._clock
        if is_known(now) and not is_known(before):
            self.queue.shift(now - before - ticks_diff(ticks, at))

    def wants_clock(self):
        """Return whether a reading has waited for long, and its time is not known."""
        oldest = self.queue.oldest
        self.check_clock()
        return oldest is not None and not is_known(oldest) and self._clock[0] - oldest > _LATE

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
                board.storage.save(_SAVED, self.queue.saved())
                self.is_saved = True
                self.saved_at = board.ticks()
            elif self.is_saved:
                board.storage.remove(_SAVED)
                self.is_saved = False
        except FirstbootError as error:
            board.indicator.say(*str(error).split("\n"))

    def _restore(self):
        try:
            saved = self._board.storage.read(_SAVED)
            self.is_saved = saved is not None
            if saved:
                self.queue.restore(saved)
        except FirstbootError as error:
            self._board.indicator.say(*str(error).split("\n"))
        except (ValueError, TypeError):
            self._board.indicator.say("%s is not what a device has saved" % _SAVED)
