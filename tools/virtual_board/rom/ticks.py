"""The `time` module with ticks that wrap at 2**30, as on boards; the unix port's never wrap."""

import time

_PERIOD = 1 << 30


class Time:
    """MicroPython's time module, whose ticks_ms and ticks_us begin at `start`."""

    def __init__(self, start):
        self._ms_offset = start - time.ticks_ms()
        self._us_offset = start - time.ticks_us()

    def ticks_ms(self):
        return (time.ticks_ms() + self._ms_offset) % _PERIOD

    def ticks_us(self):
        return (time.ticks_us() + self._us_offset) % _PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % _PERIOD

    def ticks_diff(self, end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def __getattr__(self, name):
        return getattr(time, name)
