"""The access point of the board that is played, and the phone on it: the host of the test.

A board's port below 1024, or one at ADDRESS, is a free port of the host's loopback, which the
event "port" tells; DHCP is tools/virtual_board/dhcp.py's. What comes from 127.0.0.1 is the
phone's, at `PHONE`; what comes from another address of 127.0.0.0/8 comes through the Wi-Fi that the
station has joined.

Sources: ports/esp32/network_wlan.c, extmod/network_cyw43.c, shared/netutils/dhcpserver.c,
ports/rp2/main.c of MicroPython; cyw43_lwip.c and cyw43_ctrl.c of cyw43-driver; esp_wifi.h.
"""

import os

import supervisor
from station import station

_ESP32 = supervisor.settings["kind"] == "esp32"

ADDRESS = "192.168.4.1"
_PHONE_MAC = b"\x02\0\0\0\0\x50"
_HOST = "127.0.0.1"
_MAPPED_BELOW = 1024
# Above those that hosts choose by themselves and those that an attempt draws.
_FIRST_PORT = 61000
_PORTS = 4500
# How long nobody on it hears the board when its channel moves with the station's.
_MOVE_MS = 300
_OPEN = 0
_WPA2 = 3 if _ESP32 else 0x00400004


class AccessPoint:
    """One radio serves it and the station: its channel is that of the network that is joined."""

    # ESP-IDF's DHCP server begins at 2, MicroPython's own at 16.
    PHONE = "192.168.4.2" if _ESP32 else "192.168.4.16"

    def __init__(self):
        self.active = bool(supervisor.scenario.get("access_point"))
        end = supervisor.unique_id()[-3:].hex().upper()
        self.settings = {
            "ssid": "ESP_" + end if _ESP32 else "PICO" + end[-4:],
            "key": "" if _ESP32 else "picoW123",
            "security": _OPEN if _ESP32 else _WPA2,
            "hidden": False,
            "max_clients": 4,
            "channel": 1 if _ESP32 else 3,
        }
        self._was_heard = False
        self._deaf_until = 0
        self._ports = supervisor.settings.get("ports") or {}
        station.on_join = self._follow
        if self.active:
            station.route_through("access point", True)

    def switch(self, is_active):
        was_active, self.active = self.active, is_active
        if not is_active:
            self._was_heard = False
        station.route_through("access point", is_active and not was_active, not is_active)
        if is_active and not _ESP32:
            self._tell()
        else:
            supervisor.tell("access point", active=is_active)

    def configure(self, settings):
        """Take settings. Raises OSError as an ESP32 does; a Pico W starts it anew."""
        given = dict(self.settings)
        given.update(settings)
        if _ESP32 and not self.active:
            raise OSError("Wifi Invalid Mode")
        if _ESP32 and given["security"] != _OPEN and len(given["key"]) < 8:
            raise OSError("Wifi Invalid Password")
        self.settings = given
        if self.active:
            if not _ESP32:
                self._was_heard = False
                station.route_through("access point", True)
            self._tell()

    def _tell(self):
        supervisor.tell(
            "access point",
            active=True,
            ssid=self.settings["ssid"],
            is_open=self.settings["security"] == _OPEN,
            hidden=self.settings["hidden"],
            channel=self.settings["channel"],
        )

    @property
    def is_mistaken(self):
        """Whether the Wi-Fi that is joined has its addresses: lwIP takes either for the other, so
        that replies to a phone, and questions to that Wi-Fi's router, are lost.
        """
        address = self.active and station.has_address and station.radio.address
        return bool(address) and address.rpartition(".")[0] == ADDRESS.rpartition(".")[0]

    @property
    def hears(self):
        """Whether what the phone sends comes in, and it gets what the board sends."""
        away = supervisor.scenario["phone"]
        now = station.now
        return (
            self.active
            and not self.is_mistaken
            and now >= self._deaf_until
            and (away is None or any(start <= now < end for start, end in away))
        )

    @property
    def stations(self):
        """What WLAN.status("stations") gives."""
        if not self.hears or (supervisor.scenario["phone"] is None and not self._was_heard):
            return []
        return [(_PHONE_MAC, self.PHONE) if _ESP32 else (_PHONE_MAC,)]

    def heard(self):
        """The phone has sent something: it has joined, unless the scenario says when it does."""
        self._was_heard = True

    def _follow(self, channel):
        if channel != self.settings["channel"]:
            self.settings["channel"] = channel
            self._deaf_until = station.now + _MOVE_MS
            if self.active:
                supervisor.tell("access point", active=True, channel=channel)

    def is_mapped(self, address):
        """Whether what is bound to an address is the phone's to reach."""
        return 0 < address[1] < _MAPPED_BELOW or address[0] == ADDRESS

    def bind(self, bind_host, protocol, port):
        """Bind by bind_host(name, port); gives the host's port: that of the last time, if any."""
        name = "%s %d" % (protocol, port)
        known = self._ports.get(name)
        for _ in range(20):
            drawn = _FIRST_PORT + int.from_bytes(os.urandom(2), "little") % _PORTS
            try:
                bind_host(_HOST, known or drawn)
                self._ports[name] = known or drawn
                return self._ports[name]
            except OSError as error:
                failure = error
                known = None
        raise failure

    def tell_port(self, protocol, port, host_port):
        """Say where on the host the board's port is."""
        supervisor.tell("port", protocol=protocol, port=port, host_port=host_port)

    def as_seen(self, address):
        """The address that a board sees in place of the host's."""
        return (self.PHONE, address[1]) if address[0] == _HOST else address

    def on_host(self, address):
        """The reverse of as_seen."""
        return (_HOST, address[1]) if address[0] == self.PHONE else address


access_point = AccessPoint()
