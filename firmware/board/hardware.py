"""This board: the one place that touches the clock, the radio, the LED and the watchdog.

Everything above is handed a Board, so that a test can hand in its own.
"""

import sys
from binascii import hexlify
from os import urandom
from time import gmtime, sleep_ms, ticks_add, ticks_diff, ticks_ms, time

import machine
import network
from micropython import const

from firmware.board.indicator import Indicator
from firmware.board.storage import Storage
from firmware.coap.udp import UDP, resolve

# The Pico W's watchdog can wait no longer.
_LONGEST_WATCHDOG = const(8388)
_IDLE = const(50)
_FROM_1970_TO_2000 = const(946_684_800)


class Board:
    """The board that this code runs on.

    `ticks`, `random`: time.ticks_ms, os.urandom. `resolve`, `open_transport`: the network's, see
    firmware.coap.udp. `network`: MicroPython's module. `root`: a folder in front of every path.
    """

    root = ""
    network = network
    # One for all: an application's Board feeds what the first one started.
    _watchdog = None
    # What firmware.rejection goes on with.
    attempt_again = None
    # Whether firmware.board.clock has set it since power-up.
    clock_is_set = False

    def __init__(self):
        self.storage = Storage(self.root)
        self.indicator = Indicator()

    ticks = staticmethod(ticks_ms)
    random = staticmethod(urandom)
    resolve = staticmethod(resolve)
    open_transport = UDP

    @property
    def id(self):
        """The board's unique id in hex: 12 digits on an ESP32, 16 on a Pico W."""
        return hexlify(machine.unique_id()).decode()

    @property
    def description(self):
        """The interpreter, its version and the board's id, for a person."""
        version = ".".join(str(number) for number in sys.implementation.version[:3])
        return "%s %s, id %s" % (sys.implementation.name, version, self.id)

    @property
    def now(self):
        """What the clock says, in seconds since 1970. A cold one says 2000 or 2021."""
        return int(time()) + _epoch()

    def set_clock(self, seconds):
        """Set the clock, in seconds since 1970, UTC."""
        year, month, day, hour, minute, second, weekday = gmtime(seconds - _epoch())[:7]
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))

    def sessions(self, config):
        """Return what opens DTLS sessions with `server`, for connect; None for plain CoAP."""
        if not config["secure"]:
            return None
        from firmware.board.security import sessions

        return sessions(self, config)

    def use_led(self, pin):
        """Show the states on the LED at a pin, None for none. A board without one is fine."""
        if self.indicator.led:
            self.indicator.led(0)
        try:
            self.indicator.led = machine.Pin(pin, machine.Pin.OUT).value
        except (ValueError, TypeError):
            self.indicator.led = None

    def start_watchdog(self, seconds):
        """Reset the board when nothing calls `idle` for so long. It cannot be stopped."""
        if self._watchdog:
            return
        try:
            Board._watchdog = machine.WDT(timeout=seconds * 1000)
        except ValueError:
            Board._watchdog = machine.WDT(timeout=_LONGEST_WATCHDOG)

    def idle(self):
        """What every wait does at least every 50 ms: feed the watchdog, move the LED."""
        if self._watchdog:
            self._watchdog.feed()
        self.indicator.blink()

    def sleep(self, ms):
        """Wait. Ctrl-C ends it."""
        end = ticks_add(ticks_ms(), ms)
        while True:
            self.idle()
            left = ticks_diff(end, ticks_ms())
            if left <= 0:
                return
            sleep_ms(min(left, _IDLE))

    def reset(self):
        """Restart the board."""
        machine.reset()


def _epoch():
    """Return when the board's time begins, in seconds since 1970: an ESP32's in 2000."""
    return _FROM_1970_TO_2000 if gmtime(0)[0] == 2000 else 0
