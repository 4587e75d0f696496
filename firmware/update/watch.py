"""Whether there is something to do about updates over the air: all that a board loads till then."""

import gc
from binascii import crc32
from time import ticks_add, ticks_diff

from micropython import const

from firmware.errors import FirstbootError
from firmware.memory import drop_half_loaded, give_back, give_back_room
from firmware.retry import backoff

# How often there may be too little memory for a package before it has failed.
_MOST_SHORTAGES = const(3)
_SLOTS = "/slots.json"
_OTHERS = "coap.block coap.blocks thingsboard.ota"


class Watch:
    """Loads firmware.update.job when there is something to do, and gives it back after.

    `settings`: `update` of config.json.
    """

    _job = _mark = None
    _is_settled = _is_hurried = False
    # In ticks, after there was not enough memory; None: at once.
    _not_before = None
    _shortages = 0

    def __init__(self, session, settings):
        self._session = session
        self._settings = settings
        # Something may not have been told.
        self._is_new = session.board.exists(_SLOTS)
        session.observe().follow_attributes(self.on_attributes)

    def on_attributes(self, values):
        """Look at all shared attributes, of which some may have changed."""
        try:
            assigned = [values[key] for key in sorted(values) if key[:3] in ("fw_", "sw_")]
            mark = crc32(repr(assigned).encode()) if assigned else None
        except (MemoryError, RuntimeError):  # RuntimeError: nested too deep
            # The application goes on; a later look shows whether there is something new.
            self._is_new = True
            return
        if mark != self._mark:
            self._mark = mark
            self._is_new = True
            self._shortages = 0

    @property
    def is_busy(self):
        """Whether a package is to be taken."""
        return self._job is not None and self._job.package is not None

    def is_due(self):
        """Return whether there is a step to do now."""
        session = self._session
        trial = session.board.trial
        if trial and trial.is_over and not self._is_settled:
            # There is something to tell, and another package may be taken.
            self._is_settled = self._is_new = True
        if self._is_new:
            wait = self._not_before
            return wait is None or self._is_hurried or ticks_diff(wait, session.board.ticks()) <= 0
        job = self._job
        if not job:
            return False
        if job.is_untold or job.package:
            return job.is_due()
        self._give_back()
        return False

    def step(self):
        """The steps of what is due: a state that is told, or a block. Raises FirstbootError."""
        try:
            if self._is_new:
                if not self._job:
                    gc.collect()
                    # Only now, since it is needed for minutes in years.
                    from firmware.update.job import Job

                    self._job = Job(self._session, self._settings, self._is_hurried)
                self._job.look(self._session.observed.shared or {})
                self._is_new = False
                self._not_before = None
            if self.is_due():
                try:
                    yield from self._job.step()
                except FirstbootError as error:
                    self._job.failed(error)
        except MemoryError:
            self._do_without()

    def on_disconnect(self):
        """The connection is gone; the board may sleep deep, or reset, before there is another."""
        if self._job:
            self._job.flush()

    def hurry(self):
        """The board is about to sleep deep: do now what might wait."""
        trial = self._session.board.trial
        if trial:
            trial.before_sleep()
        self._is_hurried = True
        if self._job:
            self._job.is_hurried = True

    def _give_back(self):
        self._job = None
        give_back_room("update", "watch trial start")
        give_back(_OTHERS)

    def _do_without(self):
        """There is not enough memory: give all back; in the end it has failed."""
        session = self._session
        job = self._job
        package, told = (job.package, job.told) if job else (None, 0)
        self._is_new = True
        self._shortages += 1
        self._not_before = ticks_add(
            session.board.ticks(), backoff(self._shortages, session.board.random)
        )
        if job:
            job.close()
            del job
        self._give_back()
        drop_half_loaded()
        gc.collect()
        if package and self._shortages >= _MOST_SHORTAGES:
            try:
                from firmware.update.states import no_memory

                no_memory(session.board, package, told)
                self._shortages = 0
            except (MemoryError, FirstbootError):
                # Not for this either, or no room: it is tried again.
                drop_half_loaded()
