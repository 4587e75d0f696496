"""The Wi-Fi station of the board that is played: what all WLAN objects and sockets share."""

import time

import radio
import supervisor

_ESP32 = supervisor.settings["kind"] == "esp32"


class Station:
    """`on_address_change` is called when an address has come or gone."""

    def __init__(self):
        self.active = bool(supervisor.scenario["associated"])
        self.hostname = "mpy-esp32" if _ESP32 else "PicoW"
        self.country = "XX"
        self.on_address_change = None
        self._has_address = False
        self._address_count = 0
        self._power_up = time.ticks_ms()
        self._radio = None

    @property
    def now(self):
        """Time since power-up, ms."""
        return time.ticks_diff(time.ticks_ms(), self._power_up)

    @property
    def radio(self):
        """The radio, among the networks of the scenario; its state is the one now."""
        if self._radio is None:
            self._start()
        has_address = self._radio.at(self.now) == radio.UP
        if has_address != self._has_address or self._radio.address_count != self._address_count:
            self._has_address = has_address
            self._address_count = self._radio.address_count
            if self.on_address_change:
                self.on_address_change()
        return self._radio

    @property
    def state(self):
        """The radio's state now."""
        return self.radio.at(self.now)

    @property
    def has_address(self):
        return self.state == radio.UP

    @property
    def is_silent(self):
        """Whether nothing gets through, address or not."""
        return self.radio.silent_until is not None

    @property
    def associated(self):
        """The SSID joined, or None."""
        return self.radio.ssid if self.state in (radio.UP, radio.NO_ADDRESS) else None

    def _start(self):
        scenario = supervisor.scenario
        self._radio = radio.Radio(
            scenario["networks"],
            scenario["scan_ms"],
            radio.FOREVER if _ESP32 else 1,
            scenario["first_join_refused"],
        )
        for trouble in ("silent_until", "wedged", "wedged_until"):
            setattr(self._radio, trouble, scenario[trouble])
        if supervisor.settings.get("reset_cause") in ("hard", "watchdog", "deepsleep"):
            self._radio.cure("reset")
        if scenario["associated"]:
            self._radio.survive(scenario["associated"], self.now)


station = Station()
