"""What runs after an update is on trial, until it has proven itself or failed.

It is proven when ThingsBoard answers at or after `trial` s, when the application says so, or when
it sleeps deep after ThingsBoard has answered. Timers end what does not get there: they interrupt
endless loops, too, if not those in C code, for which there is a watchdog.
"""

import gc
import sys
from time import ticks_add, ticks_diff, ticks_ms

import machine
from micropython import const

from firmware.board.indicator import Indicator

# Bytes kept free for what has to be done when the application has taken all others.
_RESERVE = const(4096)
# ms from one look at the time to the next.
_EVERY = const(500)


class Trial:
    """The trial of what runs. `state`: a firmware.update.slots.State.

    Made by the root's firmware.update.start, and found by all as Board.trial.
    """

    is_over = False
    _is_reached = False

    def __init__(self, state):
        self._state = state
        self._indicator = Indicator()
        self._began = ticks_ms()
        self._reserve = bytearray(_RESERVE)
        self._end_in(state.found["contact"])
        self._timers = _timers()
        for timer in self._timers:
            timer.init(mode=machine.Timer.PERIODIC, period=_EVERY, callback=self.look)

    def contact(self):
        """ThingsBoard has answered. Raises FirstbootError when the flash fails."""
        if self.is_over:
            return
        left = self._left()
        if left <= 0:
            self.confirm()
        elif not self._is_reached:
            self._is_reached = True
            self._end_in(left + self._state.found["contact"])

    def is_due(self):
        """Return whether ThingsBoard's next answer confirms it."""
        return not self.is_over and self._left() <= 0

    def confirm(self):
        """The new version is proven, and stays. Raises FirstbootError when the flash fails."""
        if not self.is_over:
            self._state.confirm()
            self.is_over = True
            self._reserve = None
            self._say("is confirmed")

    def look(self, timer=None):
        """Fail when it is too late. Again and again, in case that it comes to nothing.

        Called by the timers, and by every wait of the firmware's. `timer`: which one, or None.
        """
        if self.is_over:
            # Only here it is certain that no application has taken it.
            if timer:
                timer.deinit()
        elif ticks_diff(ticks_ms(), self._ends) >= 0:
            if self._is_reached:
                self.fail("ThingsBoard has not answered when it was to be confirmed")
            else:
                self.fail(
                    "it has not reached ThingsBoard within %d s" % self._state.found["contact"]
                )

    def before_sleep(self):
        """The board is about to sleep deep: what has reached ThingsBoard is proven."""
        if self._is_reached:
            try:
                self.confirm()
            except Exception as error:
                # It stays on trial, and sleeps all the same.
                self._say("cannot be confirmed: %s" % error)

    def fail(self, why):
        """Let the version before come back, and reset. `why`: in words, for ThingsBoard."""
        self.free_memory()
        try:
            self._say("failed: %s" % why)
            self._state.fail(why)
        finally:
            # Whatever happened: a reset takes a start, and no start is left some time.
            machine.reset()

    def free_memory(self):
        """Give back what is kept for the end, and what the application has."""
        self._reserve = None
        sys.modules.pop("app", None)
        gc.collect()

    def _left(self):
        """Return how many s of the trial are left."""
        return self._state.found["trial"] - ticks_diff(ticks_ms(), self._began) // 1000

    def _end_in(self, seconds):
        self._ends = ticks_add(ticks_ms(), seconds * 1000)

    def _say(self, what):
        package = self._state.package()
        self._indicator.say("update: %s %s %s" % (package["title"], package["version"], what))


def _timers():
    """Return timers, of which an application may take some.

    An ESP32 has four, each one object for all who ask for it, and since MicroPython 1.29 others
    with no number; a Pico W has only those, and no two who ask have the same.
    """
    found = []
    for number in (-1, 3, 2, 1):
        try:
            found.append(machine.Timer(number))
        except ValueError:
            # There is none of that number.
            pass
    return found
