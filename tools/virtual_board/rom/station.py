"""The Wi-Fi station of the board that is played: what all WLAN objects and sockets share."""

import binascii
import time

import radio
import supervisor
from clock import clock

_ESP32 = supervisor.settings["kind"] == "esp32"


class Station:
    """`on_address_change` is called when an address has come or gone, `on_join` with the channel
    of each network that is joined. `route`: which interface what is sent leaves through, where it
    is for no neighbour: "station", "access point", None for none. On a Pico W it is the one that
    came up last (netif_set_default in cyw43_lwip.c); on an ESP32 always the station.
    """

    def __init__(self):
        self.active = bool(supervisor.scenario["associated"] or supervisor.scenario["joining"])
        self.route = "station" if _ESP32 or self.active else None
        self.hostname = "mpy-esp32" if _ESP32 else "PicoW"
        self.country = "XX"
        self.on_address_change = None
        self.on_join = None
        self._has_address = False
        self._address_count = 0
        self._power_up = time.ticks_ms()
        self._radio = None

    @property
    def now(self):
        """Time since power-up, ms."""
        return time.ticks_diff(time.ticks_ms(), self._power_up)

    def switch(self, is_active):
        """Switch the station on or off."""
        if not is_active:
            self.radio.leave()
            self.radio.cure("cycle")
        self.route_through("station", is_active and not self.active, not is_active)
        self.active = is_active

    def route_through(self, interface, comes_up, goes_down=False):
        """An interface comes up or goes down."""
        if _ESP32:
            return
        if comes_up:
            self.route = interface
        elif goes_down and self.route == interface:
            self.route = None

    @property
    def radio(self):
        """The radio, among the networks of the scenario; its state is the one now."""
        if self._radio is None:
            self._start()
        has_address = self._radio.at(self.now) == radio.UP
        if has_address != self._has_address or self._radio.address_count != self._address_count:
            self._has_address = has_address
            if has_address and self.on_join:
                self.on_join(self._radio.channel)
            self._address_count = self._radio.address_count
            if self.on_address_change:
                self.on_address_change()
        return self._radio

    @property
    def state(self):
        """The radio's state now."""
        clock.skips = False
        return self.radio.at(self.now)

    def join(self, name, key):
        """Begin to join a network. One that takes no time takes the board no wait either."""
        self.radio.join(name, key, self.now)
        clock.skips = self.state == radio.UP

    @property
    def has_address(self):
        return self.state == radio.UP

    @property
    def is_silent(self):
        """Whether nothing gets through, address or not."""
        return self.radio.silent_until is not None

    @property
    def associated(self):
        """The SSID joined, None for none and for one that is no text."""
        if self.state not in (radio.UP, radio.NO_ADDRESS):
            return None
        try:
            return self.radio.ssid.decode()
        except UnicodeError:
            return None

    @property
    def joining(self):
        """SSID and key of a join that goes on; None for none and for an SSID that is no text."""
        if self.state != radio.JOINING:
            return None
        try:
            return [self.radio.ssid.decode(), self.radio.key]
        except UnicodeError:
            return None

    def _start(self):
        scenario = supervisor.scenario
        self._radio = radio.Radio(
            [_known(number, each) for number, each in enumerate(scenario["networks"])],
            scenario["scan_ms"],
            radio.FOREVER if _ESP32 else 1,
            scenario["first_join_refused"],
        )
        for trouble in ("silent_until", "wedged", "wedged_until"):
            setattr(self._radio, trouble, scenario[trouble])
        if supervisor.settings.get("reset_cause") in ("hard", "watchdog", "deepsleep"):
            self._radio.cure("reset")
        if scenario["associated"]:
            self._radio.survive(scenario["associated"].encode(), self.now)
        elif scenario["joining"]:
            ssid, key = scenario["joining"]
            self._radio.join(ssid.encode(), key, self.now)


def _known(number, network):
    """A network of the scenario as the radio knows it: its name in bytes."""
    name = network.get("ssid_hex")
    return dict(
        network,
        name=binascii.unhexlify(name) if name else network["ssid"].encode(),
        bssid=b"\x02\0\0\0\1" + bytes([number]),
    )


station = Station()
