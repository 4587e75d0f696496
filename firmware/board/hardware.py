"""This board: the one place that touches the clock, the radio, the LED and the watchdog.

Everything above is handed a Board, so that a test can hand in its own.
"""

import os
import sys
import time
from errno import ENOENT

import machine
import network
from micropython import const

from firmware.board import indicator

_LONGEST_SLEEP = const(4_200_000)  # ms
# How what the firmware keeps through a deep sleep begins.
_OURS = b'{"attributes":'

# When the board's time begins, in seconds since 1970: an ESP32's in 2000.
_EPOCH = 946_684_800 if time.gmtime(0)[0] == 2000 else 0


class Board:
    """The board that this code runs on.

    `id`: its unique id in hex, 12 digits on an ESP32, 16 on a Pico W. `chip`: such as "ESP32" or
    "RP2040", empty where MicroPython does not say. `description`: the interpreter, its version
    and the id, for a person. `ticks`, `random`, `reset`: time.ticks_ms, os.urandom, machine.reset.
    `network`: MicroPython's module. `root`: a folder in front of every path.
    """

    root = ""
    network = network
    id = machine.unique_id().hex()
    chip = getattr(sys.implementation, "_machine", "").split(" ")[-1]
    description = "%s %d.%d.%d, id %s" % (
        (sys.implementation.name,) + sys.implementation.version[:3] + (id,)
    )
    ticks = staticmethod(time.ticks_ms)
    random = staticmethod(os.urandom)
    reset = staticmethod(machine.reset)
    # That of an update which has to prove itself, see firmware.update.trial; one for all, too.
    trial = None
    # How long the watchdog waits, in s, None for none, and what feeds it: one for all, since an
    # application's Board feeds what the first one started.
    watchdog = _feed = _indicator = None
    _storage = None
    # What firmware.provisioning.rejection goes on with.
    attempt_again = None
    # What firmware.board.wifi remembers from join to join, one for all, as there is one radio.
    radio = {"silent": 0, "failed": 0, "wedged": 0}
    # Functions that every wait calls besides: one list for all, as there is one processor.
    background = []
    # Whether firmware.board.clock has asked for it since power-up; None: what it says is doubted.
    clock_is_set = False
    # When nobody answered, in ticks.
    clock_asked_at = None
    # Whether it says no more than that this firmware is older: one for all, too.
    clock_is_guessed = False
    # Whether a DTLS handshake is made step by step, so that other tasks can run: firmware.aio's.
    in_steps = False

    def __init__(self):
        # One for all, so that the console's seconds go on.
        Board._indicator = Board._indicator or indicator.Indicator()
        self.indicator = Board._indicator
        # Of which certificates firmware.board.security has said that they end soon.
        self.ends_said = []

    @property
    def storage(self):
        """The files on flash; its module is loaded for who needs more than `read`."""
        if self._storage is None:
            from firmware.board.storage import Storage

            self._storage = Storage(self.root)
        return self._storage

    def read(self, path):
        """Return a file's bytes, or None when there is no such file. Raises OSError."""
        try:
            with open(self.root + path, "rb") as file:
                return file.read()
        except OSError as error:
            if error.errno != ENOENT:
                raise
            return None

    def exists(self, path):
        """Return whether there is such a file."""
        try:
            os.stat(self.root + path)
            return True
        except OSError:
            return False

    @property
    def now(self):
        """What the clock says, in seconds since 1970. A cold one says 2000 or 2021."""
        return int(time.time()) + _EPOCH

    @property
    def now_ms(self):
        """The same in ms."""
        now = time.time_ns() // 1_000_000
        return now + _EPOCH * 1000 if _EPOCH else now

    def set_clock(self, seconds, is_guess=False):
        """Set the clock, in seconds since 1970, UTC. `is_guess`: nobody said so."""
        Board.clock_is_guessed = is_guess
        date = time.gmtime(seconds - _EPOCH)
        machine.RTC().datetime(date[:3] + (date[6],) + date[3:6] + (0,))

    @property
    def address(self):
        """This board's IP address in the Wi-Fi, None when it is not joined."""
        wlan = network.WLAN(network.STA_IF)
        return wlan.ifconfig()[0] if wlan.isconnected() else None

    def resolve(self, host, port):
        """Return the IP addresses of a host, see firmware.coap.udp."""
        if not network.WLAN(network.STA_IF).isconnected():
            # A Pico W would look for the name for ever.
            raise OSError("the board has left its Wi-Fi")
        from firmware.coap.udp import resolve

        return resolve(host, port)

    def open_transport(self, address, port, local_port=0):
        """Return a socket for one server, see firmware.coap.udp."""
        from firmware.coap.udp import UDP

        return UDP(address, port, local_port)

    def sessions(self, config, kind=None):
        """Return what opens DTLS sessions with `server`, for connect; None for plain CoAP.

        `kind`: the credentialsType that they are for, None for what config.json asks for.
        """
        if config["secure"]:
            from firmware.board import security

            return security.sessions(self, config, kind)

    def use_led(self, pin):
        """Show the states on the LED at a pin, None for none. A board without one is fine."""
        indicator = self.indicator
        if indicator.led:
            indicator.led(0)
        indicator.level = indicator.led = None
        if pin == "LED" and sys.platform == "esp32":
            # No ESP32's own MicroPython has a pin of that name.
            return
        try:
            indicator.led = machine.Pin(pin, machine.Pin.OUT).value
        except (ValueError, TypeError):
            pass

    def button(self, pin):
        """Return what says whether the button between a pin and ground is pressed."""
        value = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP).value
        return lambda: not value()

    def start_watchdog(self, seconds):
        """Reset the board when nothing calls `idle` for so long. It cannot be stopped."""
        if not self._feed:
            try:
                watchdog = machine.WDT(timeout=seconds * 1000)
            except ValueError:
                # The Pico W's can wait no longer.
                watchdog = machine.WDT(timeout=8388)
            Board._feed = watchdog.feed
            Board.watchdog = seconds

    def idle(self):
        """What every wait does at least every 50 ms: feed the watchdog, move the LED."""
        if self._feed:
            self._feed()
        for work in self.background:
            work()
        self.indicator.blink()

    def recall(self):
        """Return what `remember` kept through a deep sleep, b"" for nothing."""
        memory = getattr(machine.RTC(), "memory", bytes)
        content = memory()
        return content if content.startswith(_OURS) else b""

    def remember(self, content):
        """Keep bytes through a deep sleep, b"" for none; return whether this board can.

        An ESP32 has 2 KB of memory for that. What an application keeps there stays.
        """
        memory = getattr(machine.RTC(), "memory", None)
        if not memory or not (self.recall() or memory() == b""):
            return False
        try:
            memory(content)
            return True
        except ValueError:
            memory(b"")
            return False

    def deep_sleep(self, ms):
        """Switch the radio off and sleep deep for so long; the board starts anew then."""
        wlan = network.WLAN(network.STA_IF)
        wlan.active(False)
        if sys.platform == "rp2":
            # Else its radio stays on, and wakes the board.
            wlan.deinit()
            while ms > _LONGEST_SLEEP:
                machine.lightsleep(_LONGEST_SLEEP)
                ms -= _LONGEST_SLEEP
        machine.deepsleep(ms)

    def sleep(self, ms):
        """Wait for at least so long. Ctrl-C ends it."""
        while ms > 0:
            self.idle()
            time.sleep_ms(min(ms, 50))
            ms -= 50
