"""Whether there is something to do about updates over the air: all that a board loads till then."""

import gc
from binascii import crc32

from firmware.memory import give_back

_SLOTS = "/slots.json"
_STEPS = (
    "update.job update.slots update.tree update.errors update.download update.install update.slot"
    " update.manifest update.admission update.signature update.checksum update.murmur3"
    " thingsboard.ota coap.stream coap.blockwise"
)


class Watch:
    """Loads firmware.update.job when there is something to do, and gives it back after.

    `settings`: `update` of config.json.
    """

    _job = _mark = None
    _is_settled = _is_hurried = False

    def __init__(self, session, settings):
        self._session = session
        self._settings = settings
        # Something may not have been told.
        self._is_new = session.board.exists(_SLOTS)
        session.observe().follow_attributes(self.on_attributes)

    def on_attributes(self, values):
        """Look at all shared attributes, of which some may have changed."""
        assigned = [values[key] for key in sorted(values) if key[:3] in ("fw_", "sw_")]
        mark = crc32(repr(assigned).encode()) if assigned else None
        if mark != self._mark:
            self._mark = mark
            self._is_new = True

    @property
    def is_busy(self):
        """Whether a package is to be taken."""
        return self._job is not None and self._job.package is not None

    def is_due(self):
        """Return whether there is a step to do now."""
        trial = self._session.board.trial
        if trial and trial.is_over and not self._is_settled:
            # There is something to tell, and another package may be taken.
            self._is_settled = self._is_new = True
        if self._is_new:
            return True
        job = self._job
        if not job:
            return False
        if job.is_done():
            self._job = None
            give_back(_STEPS)
            return False
        return job.is_due()

    def step(self):
        """Return the steps of what is due: a state that is told, or a block."""
        if self._is_new:
            self._is_new = False
            if not self._job:
                gc.collect()
                # Only now, since it is needed for minutes in years.
                from firmware.update.job import Job

                self._job = Job(self._session, self._settings, self._is_hurried)
            self._job.look(self._session.observed.shared or {})
        return self._job.step() if self.is_due() else ()

    def hurry(self):
        """The board is about to sleep deep: do now what might wait."""
        trial = self._session.board.trial
        if trial:
            trial.before_sleep()
        self._is_hurried = True
        if self._job:
            self._job.is_hurried = True
