"""The `time` module with the clock of the board that is played: its epoch, and cold at power-up.

mbedTLS reads the host's clock all the same, and checks certificates against that.
"""

import time

import supervisor

_ESP32 = supervisor.settings["kind"] == "esp32"
_FROM_1970_TO_2000 = 946684800
_FROM_1970_TO_2021 = 1609459200
_EPOCH = _FROM_1970_TO_2000 if _ESP32 else 0


class Clock:
    """MicroPython's time module, `host`, with a clock that can be set.

    While `skips`, a sleep takes no time, and the ticks go on by as much; else it takes the part of
    its time that `hurry` of the scenario says, as a timer does, and they do as well.
    """

    skips = False
    hurry = supervisor.scenario.get("hurry", 1)

    def __init__(self, host):
        self.host = host
        self._skipped = 0
        self.set(_FROM_1970_TO_2000 if _ESP32 else _FROM_1970_TO_2021)

    def set(self, seconds):
        """Set the clock, in seconds since 1970."""
        self._ahead = int(seconds - time.time())

    def time(self):
        return int(time.time()) + self._ahead - _EPOCH

    def time_ns(self):
        return time.time_ns() + (self._ahead - _EPOCH) * 1_000_000_000

    def gmtime(self, seconds=None):
        return time.gmtime((self.time() if seconds is None else seconds) + _EPOCH)[:8]

    localtime = gmtime

    def mktime(self, fields):
        year, month, day, hour, minute, second = fields[:6]
        # March is the first month of a year that ends with the leap day.
        year -= month < 3
        days = 365 * year + year // 4 - year // 100 + year // 400
        days += (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
        return days * 86400 + hour * 3600 + minute * 60 + second - _EPOCH

    def sleep_ms(self, ms):
        slept = 0 if self.skips else ms // self.hurry
        self._skipped += ms - slept
        if slept:
            self.host.sleep_ms(slept)

    def reach(self, ticks):
        """Let the ticks go on to `ticks`, unless they are past them."""
        self._skipped += max(0, self.ticks_diff(ticks, self.ticks_ms()))

    def ticks_ms(self):
        return self.host.ticks_add(self.host.ticks_ms(), self._skipped)

    def __getattr__(self, name):
        return getattr(self.host, name)


clock = Clock(time)
