"""The `machine` module of the board that is played: pins, watchdog, resets, identity."""

import sys
import time

import supervisor
from clock import clock

if sys.implementation.name == "micropython":
    from timer import Timer  # noqa: F401
from station import station

_ESP32 = supervisor.settings["kind"] == "esp32"
_WATCHDOG_MS_MAX = 8388  # of a Pico W
_INPUT_ONLY = range(34, 40) if _ESP32 else ()
_OUTPUT = 2  # in an ESP32's modes

PWRON_RESET = 1
WDT_RESET = 3
if _ESP32:
    HARD_RESET = 2
    DEEPSLEEP_RESET = 4
    SOFT_RESET = 5
    _CAUSES = {"power": 1, "hard": 2, "watchdog": 3, "deepsleep": 4, "soft": 5}
else:
    # The chip knows only whether its watchdog fired, which is also how machine.reset() works.
    _CAUSES = {"power": 1, "hard": 3, "watchdog": 3, "deepsleep": 3, "soft": 1}


_RTC_MEMORY = 2048  # bytes


def reset():
    supervisor.reset("hard")


def soft_reset():
    sys.exit()


def deepsleep(time_ms=0):
    supervisor.reset("deepsleep", after_ms=time_ms)


def reset_cause():
    return _CAUSES[supervisor.settings["reset_cause"]]


def unique_id():
    return supervisor.unique_id()


def freq(*hz):
    return None if hz else (160000000 if _ESP32 else 125000000)


def idle():
    time.sleep_ms(1)


def lightsleep(time_ms=0):
    time.sleep_ms(time_ms)


class Pin:
    if _ESP32:
        IN = 1
        OUT = 3
        OPEN_DRAIN = 7
        PULL_DOWN = 1
        PULL_UP = 2
    else:
        IN = 0
        OUT = 1
        OPEN_DRAIN = 2
        PULL_UP = 1
        PULL_DOWN = 2

    _levels = {}

    _pulled_up = set()

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self._name = _pin_name(id)
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None):
        if self._name in _INPUT_ONLY and mode != -1 and mode & _OUTPUT:
            raise ValueError("pin can only be input")
        if pull == Pin.PULL_UP:
            Pin._pulled_up.add(self._name)
        elif pull != -1:
            Pin._pulled_up.discard(self._name)
        if value is not None:
            self.value(value)

    def value(self, *level):
        if not level:
            if self._name in Pin._pulled_up:
                return 0 if _is_pressed(self._name) else 1
            return Pin._levels.get(self._name, 0)
        level = 1 if level[0] else 0
        if Pin._levels.get(self._name) != level:
            Pin._levels[self._name] = level
            supervisor.tell("pin", pin=self._name, value=level)

    def __call__(self, *level):
        return self.value(*level)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self.value())


def _is_pressed(name):
    times = supervisor.scenario["pressed"].get(str(name), ())
    return any(start <= station.now < end for start, end in times)


def _pin_name(id):
    if isinstance(id, Pin):
        return id._name
    if _ESP32:
        if isinstance(id, int) and 0 <= id < 40 and id not in (20, 24, 28, 29, 30, 31):
            return id
        raise ValueError("invalid pin")
    if isinstance(id, int):
        if 0 <= id < 30:
            return id
        raise ValueError("invalid pin")
    if id in ("LED", "WL_GPIO0"):
        return "LED"
    if id in ("WL_GPIO1", "WL_GPIO2"):
        return id
    # 23 to 25 lead to the radio, and have no name.
    if id in ["GP" + str(number) for number in range(29) if not 23 <= number <= 25]:
        return int(id[2:])
    if not isinstance(id, str):
        raise ValueError("invalid pin")
    raise ValueError('unknown named pin "' + str(id) + '"')


class RTC:
    """The clock. CPython's own `time` goes on showing the host's."""

    def datetime(self, *value):
        if not value:
            year, month, day, hour, minute, second, weekday = clock.gmtime()[:7]
            return (year, month, day, weekday, hour, minute, second, 0)
        year, month, day, _, hour, minute, second, _ = value[0]
        local = clock.mktime((year, month, day, hour, minute, second))
        clock.set(local - clock.mktime((1970, 1, 1, 0, 0, 0)))
        supervisor.tell("clock", set_to=list(value[0]))

    if _ESP32:

        def memory(self, *content):
            """What stays through every reset, but not without power."""
            if not content:
                return bytes.fromhex(supervisor.settings["rtc_memory"])
            if len(content[0]) > _RTC_MEMORY:
                raise ValueError("buffer too long")
            supervisor.settings["rtc_memory"] = bytes(content[0]).hex()


class WDT:
    def __init__(self, id=0, timeout=5000):
        if _ESP32:
            if timeout <= 0:
                raise ValueError("WDT timeout too short")
        elif id != 0:
            raise ValueError("WDT(" + str(id) + ") doesn't exist")
        elif not 0 <= timeout <= _WATCHDOG_MS_MAX:
            raise ValueError("timeout exceeds " + str(_WATCHDOG_MS_MAX))
        elif timeout == 0:
            supervisor.reset("watchdog")
        supervisor.tell("watchdog", timeout_ms=timeout)

    def feed(self):
        supervisor.tell("feed")
