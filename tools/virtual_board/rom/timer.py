"""`machine.Timer` of the board that is played, on MicroPython.

The callback is called between two instructions of the program, in an endless loop as well; a sleep
of the program's is not cut short for it. A Pico W also stops a timer that nobody refers to any
more, which a program here is not punished for.
"""

import _thread
import time

import micropython
import supervisor
from clock import clock

_ESP32 = supervisor.settings["kind"] == "esp32"
_ESP32_TIMERS = 4


class _Alarm:
    """What counts time: a Pico W has one for each Timer, an ESP32 one for each number."""

    # Of what runs; a thread of another one ends.
    count = 0


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    _alarms = {}

    def __init__(self, *id, **options):
        if _ESP32:
            (number,) = id
            if not 0 <= number < _ESP32_TIMERS:
                raise ValueError("invalid Timer number")
            self._alarm = Timer._alarms.setdefault(number, _Alarm())
        else:
            if id not in ((), (-1,)):
                raise ValueError("Timer doesn't exist")
            self._alarm = _Alarm()
        if options:
            self.init(**options)

    def init(self, *, mode=PERIODIC, period=-1, tick_hz=1000, freq=None, callback=None):
        self.deinit()
        ms = 1000 / freq if freq else period * 1000 / tick_hz
        ms = int(ms) & 0xFFFFFFFF
        arguments = (self, self._alarm.count, ms // clock.hurry, mode, _on_time(callback, ms))
        _thread.start_new_thread(_count_down, arguments)

    def deinit(self):
        self._alarm.count += 1


def _on_time(callback, ms):
    """A timer's callback, before which the ticks go on by what it did not wait of its `ms`."""
    due = clock.ticks_add(clock.ticks_ms(), ms)

    def on_time(timer):
        nonlocal due
        clock.reach(due)
        due = clock.ticks_add(clock.ticks_ms(), ms)
        callback(timer)

    return on_time


def _count_down(timer, count, ms, mode, callback):
    while True:
        time.sleep_ms(ms)
        if timer._alarm.count != count:
            return
        try:
            micropython.schedule(callback, timer)
        except RuntimeError:
            pass  # too many wait; a board loses it as well
        if mode == Timer.ONE_SHOT:
            return
