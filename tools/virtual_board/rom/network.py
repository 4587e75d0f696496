"""The `network` module of the board that is played, over a simulated radio.

Status codes and errors follow ports/esp32/network_wlan.c and extmod/network_cyw43.c.
"""

import time

import radio
import supervisor
from station import station

_ESP32 = supervisor.settings["kind"] == "esp32"
_NAME_BYTES_MAX = 32

STA_IF = 0
AP_IF = 1
if _ESP32:
    STAT_IDLE = 1000
    STAT_CONNECTING = 1001
    STAT_GOT_IP = 1010
    STAT_BEACON_TIMEOUT = 200
    STAT_NO_AP_FOUND = 201
    STAT_WRONG_PASSWORD = 202
    STAT_ASSOC_FAIL = 203
    STAT_CONNECT_FAIL = 203
    STAT_HANDSHAKE_TIMEOUT = 204
    STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY = 210
    STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD = 211
    STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD = 212
    _ASSOC_LEAVE = 8
    _STATUS = {
        radio.NO_NETWORK: STAT_NO_AP_FOUND,
        radio.BAD_PASSWORD: STAT_WRONG_PASSWORD,
        radio.LOST: STAT_BEACON_TIMEOUT,
        radio.LEFT: _ASSOC_LEAVE,
    }
    _OPTIONS = {"reconnects": -1, "protocol": 7, "bandwidth": 2, "txpower": 20.0, "pm": 1}
else:
    STAT_IDLE = 0
    STAT_CONNECTING = 1
    STAT_GOT_IP = 3
    STAT_CONNECT_FAIL = -1
    STAT_NO_AP_FOUND = -2
    STAT_WRONG_PASSWORD = -3
    _JOINED_WITHOUT_ADDRESS = 2  # has no constant on the board either
    _STATUS = {
        radio.IDLE: STAT_IDLE,
        radio.JOINING: STAT_CONNECTING,
        radio.NO_ADDRESS: _JOINED_WITHOUT_ADDRESS,
        radio.UP: STAT_GOT_IP,
        radio.NO_NETWORK: STAT_NO_AP_FOUND,
        radio.BAD_PASSWORD: STAT_WRONG_PASSWORD,
        radio.LOST: STAT_IDLE,
    }
    _OPTIONS = {"txpower": 31, "pm": 10555714}


def hostname(*name):
    if not name:
        return station.hostname
    if len(name[0].encode()) > _NAME_BYTES_MAX:
        raise ValueError
    station.hostname = name[0]


def country(*code):
    if not code:
        return station.country
    if len(code[0]) != 2:
        raise ValueError
    station.country = code[0]


class WLAN:
    IF_STA = 0
    IF_AP = 1
    if _ESP32:
        PM_NONE = 0
        PM_PERFORMANCE = 1
        PM_POWERSAVE = 2
        SEC_OPEN = 0
        SEC_WEP = 1
        SEC_WPA = 2
        SEC_WPA2 = 3
        SEC_WPA_WPA2 = 4
        SEC_WPA3 = 6
        SEC_WPA2_WPA3 = 7
    else:
        PM_NONE = 16
        PM_PERFORMANCE = 10555714
        PM_POWERSAVE = 17
        SEC_OPEN = 0
        SEC_WPA_WPA2 = 4194310
        SEC_WPA3 = 16777220
        SEC_WPA2_WPA3 = 20971524

    def __init__(self, interface_id=STA_IF):
        if interface_id not in (STA_IF, AP_IF) and _ESP32:
            raise ValueError("invalid WLAN interface identifier")
        self._is_station = interface_id == STA_IF
        self._access_point_active = False

    def active(self, *is_active):
        if not is_active:
            return station.active if self._is_station else self._access_point_active
        if self._is_station:
            if not is_active[0]:
                station.radio.leave()
                station.radio.cure("cycle")
            station.active = bool(is_active[0])
        else:
            self._access_point_active = bool(is_active[0])
            supervisor.tell("access point", active=self._access_point_active)

    if _ESP32:

        def connect(self, ssid=None, key=None, *, bssid=None):
            state = self._station_state()
            if not station.active:
                raise OSError("Wifi Not Started")
            if station.radio.wedged == "raises":
                raise OSError("Wifi Internal Error")
            if state in (radio.JOINING, radio.NO_ADDRESS):
                raise OSError("Wifi Internal State Error")
            station.radio.join(ssid or "", key or "", station.now)

    else:

        def connect(self, ssid, key=None, *, security=-1, bssid=None, channel=-1):
            self._station_state()
            if not station.active or station.radio.wedged == "raises":
                raise OSError(-1)
            station.radio.join(ssid, key or "", station.now)

        def deinit(self):
            self.active(False)

    def disconnect(self):
        self._station_state()
        if _ESP32 and not station.active:
            raise OSError("Wifi Not Started")
        station.radio.leave()

    def isconnected(self):
        return self._is_station and station.state == radio.UP

    def status(self, *param):
        if param:
            return self._parameter(param[0])
        if not self._is_station:
            return None if _ESP32 else STAT_IDLE
        state = station.state
        if not _ESP32:
            return _STATUS.get(state, STAT_IDLE)
        if state == radio.UP:
            return STAT_GOT_IP
        failure = station.radio.failure
        silent = supervisor.scenario["wrong_password_shows_connecting"]
        if failure == radio.NO_NETWORK or (failure == radio.BAD_PASSWORD and not silent):
            return _STATUS[failure]
        if state in (radio.JOINING, radio.NO_ADDRESS):
            return STAT_CONNECTING
        return _STATUS[failure] if failure else STAT_IDLE

    def ifconfig(self, *configuration):
        if configuration:
            return None
        if self.isconnected():
            return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
        return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

    def scan(self):
        state = self._station_state()
        if not station.active:
            raise OSError("STA must be active")
        if _ESP32 and state in (radio.JOINING, radio.NO_ADDRESS):
            raise OSError("Wifi Internal State Error")
        time.sleep_ms(supervisor.scenario["scan_ms"])
        return [
            (
                b"" if network.get("hidden") else network["ssid"].encode(),
                b"\x02\0\0\0\0\x01",
                1,
                -50,
                3 if network["password"] else 0,
                0,
            )
            for network in station.radio.in_range(station.now)
        ]

    def config(self, *param, **settings):
        if (len(param) == 1) == bool(settings):
            raise TypeError("either pos or kw args are allowed")
        if param:
            return self._option(param[0])
        for key, value in settings.items():
            if key in ("hostname", "dhcp_hostname"):
                hostname(value)
            elif key in _OPTIONS:
                _OPTIONS[key] = value
                if key == "reconnects":
                    station.radio.attempts = radio.FOREVER if value < 0 else value + 1
            else:
                raise ValueError("unknown config param")

    def _option(self, name):
        if name == "mac":
            return supervisor.mac()
        if name in ("ssid", "essid"):
            return station.radio.ssid or ""
        if name in ("hostname", "dhcp_hostname"):
            return station.hostname
        if name == "channel":
            return 1
        if name in _OPTIONS:
            return _OPTIONS[name]
        raise ValueError("unknown config param")

    def _parameter(self, name):
        if name != "rssi" or not self._is_station:
            raise ValueError("unknown status param")
        return -50

    def _station_state(self):
        if not self._is_station:
            raise OSError("STA required")
        return station.state
