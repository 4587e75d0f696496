"""The `network` module of the board that is played, over a simulated radio.

Status codes and errors follow ports/esp32/network_wlan.c and extmod/network_cyw43.c.
"""

import time

import radio
import supervisor
from access_point import ADDRESS, access_point
from station import station

_ESP32 = supervisor.settings["kind"] == "esp32"
_NAME_BYTES_MAX = 32
_EPERM = 1
_EIO = 5

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
    _ASSOC_TOO_MANY = 5
    _STATUS = {
        radio.NO_NETWORK: STAT_NO_AP_FOUND,
        radio.BAD_PASSWORD: STAT_WRONG_PASSWORD,
        radio.LOST: STAT_BEACON_TIMEOUT,
        radio.REFUSED["security"]: STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD,
        radio.REFUSED["weak"]: STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD,
        radio.REFUSED["full"]: _ASSOC_TOO_MANY,
    }
    # An ESP32 goes on trying; of other failures it says meanwhile that it joins.
    _SHOWN_WHILE_JOINING = (
        radio.NO_NETWORK,
        radio.BAD_PASSWORD,
        radio.REFUSED["security"],
        radio.REFUSED["weak"],
    )
    _OPTIONS = {"reconnects": -1, "protocol": 7, "bandwidth": 2, "txpower": 20.0, "pm": 1}
    # What a scan says of a network with a password, WPA2's.
    _SECURED = 3
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
        radio.REFUSED["security"]: STAT_CONNECT_FAIL,
        radio.REFUSED["weak"]: STAT_CONNECT_FAIL,
        radio.REFUSED["full"]: STAT_CONNECT_FAIL,
    }
    _OPTIONS = {"txpower": 31, "pm": 10555714}
    _SECURED = 5

# What config takes of an access point, by the name that it is kept under.
_OF_ACCESS_POINT = {
    "ssid": "ssid",
    "essid": "ssid",
    "key": "key",
    "password": "key",
    "security": "security",
    "channel": "channel",
}
if _ESP32:
    _OF_ACCESS_POINT.update(authmode="security", hidden="hidden", max_clients="max_clients")


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
        self._interface = station if self._is_station else access_point

    def active(self, *is_active):
        if not is_active:
            return self._interface.active
        self._interface.switch(bool(is_active[0]))

    if _ESP32:

        def connect(self, ssid=None, key=None, *, bssid=None):
            state = self._station_state()
            if not station.active:
                raise OSError("Wifi Not Started")
            if station.radio.wedged == "raises":
                raise OSError("Wifi Internal Error")
            if state in (radio.JOINING, radio.NO_ADDRESS):
                raise OSError("Wifi Internal State Error")
            station.join(_bytes(ssid or ""), key or "")

    else:

        def connect(self, ssid, key=None, *, security=-1, bssid=None, channel=-1):
            self._station_state()
            if not station.active:
                raise OSError(_EPERM)
            if station.radio.wedged == "raises":
                raise OSError(_EIO)
            station.join(_bytes(ssid), key or "")

        def deinit(self):
            self.active(False)

    def disconnect(self):
        self._station_state()
        if _ESP32 and not station.active:
            raise OSError("Wifi Not Started")
        station.radio.leave()

    def isconnected(self):
        if self._is_station:
            return station.state == radio.UP
        return bool(access_point.stations)

    def status(self, *param):
        if param:
            return self._parameter(param[0])
        if not self._is_station:
            return None if _ESP32 else (STAT_GOT_IP if access_point.active else STAT_IDLE)
        state = station.state
        if not _ESP32:
            return _STATUS.get(state, STAT_IDLE)
        if state == radio.UP:
            return STAT_GOT_IP
        failure = station.radio.failure
        if failure == radio.LEFT:
            return STAT_IDLE  # also while it joins anew
        silent = supervisor.scenario["wrong_password_shows_connecting"]
        if failure == radio.BAD_PASSWORD and silent:
            failure = None
        if failure in _SHOWN_WHILE_JOINING:
            return _STATUS[failure]
        if state in (radio.JOINING, radio.NO_ADDRESS):
            return STAT_CONNECTING
        return _STATUS[failure] if failure else STAT_IDLE

    def ifconfig(self, *configuration):
        if configuration:
            return None
        if not self._is_station and (access_point.active or _ESP32):
            return (ADDRESS, "255.255.255.0", ADDRESS, "0.0.0.0" if _ESP32 else "8.8.8.8")
        if self._is_station and self.isconnected():
            address = station.radio.address
            if address:
                router = address.rpartition(".")[0] + ".1"
                return (address, "255.255.255.0", router, router)
            return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
        return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

    def scan(self):
        state = station.state
        if _ESP32 and not station.active:
            raise OSError("STA must be active")
        if not (station.active or access_point.active):
            raise OSError(_EPERM)
        if _ESP32 and state in (radio.JOINING, radio.NO_ADDRESS):
            return []  # whatever esp_wifi_scan_start says
        time.sleep_ms(supervisor.scenario["scan_ms"])
        return [
            (
                b"" if network.get("hidden") else network["name"],
                network["bssid"],
                network["channel"],
                network["rssi"],
                _security(network),
                False if _ESP32 else 1,
            )
            for network in station.radio.in_range(station.now)
        ]

    def config(self, *param, **settings):
        if (len(param) == 1) == bool(settings):
            raise TypeError("either pos or kw args are allowed")
        if param:
            return self._option(param[0])
        of_access_point = {}
        for key, value in settings.items():
            if key in ("hostname", "dhcp_hostname"):
                hostname(value)
            elif key in _OPTIONS:
                _OPTIONS[key] = value
                if key == "reconnects":
                    station.radio.attempts = radio.FOREVER if value < 0 else value + 1
            elif key in _OF_ACCESS_POINT:
                if _ESP32 and self._is_station and key != "channel":
                    raise OSError("AP required")
                of_access_point[_OF_ACCESS_POINT[key]] = value
            else:
                raise ValueError("unknown config param")
        if of_access_point and not (_ESP32 and self._is_station):
            access_point.configure(of_access_point)

    def _option(self, name):
        if name == "mac":
            return supervisor.mac(self._is_station)
        if name in ("hostname", "dhcp_hostname"):
            return station.hostname
        if name == "channel":
            return access_point.settings["channel"]
        if name in _OPTIONS:
            return _OPTIONS[name]
        if name in ("ssid", "essid") and self._is_station:
            ssid = station.radio.ssid or b""
            # An ESP32 reads on behind a name of 32 bytes, into the password.
            read_on = _ESP32 and len(ssid) == _NAME_BYTES_MAX
            return ssid.decode() + (station.radio.key if read_on else "")
        if name in ("key", "password") or name not in _OF_ACCESS_POINT:
            raise ValueError("unknown config param")
        if _ESP32 and self._is_station:
            raise OSError("AP required")
        return access_point.settings[_OF_ACCESS_POINT[name]]

    def _parameter(self, name):
        if name == "stations":
            if self._is_station:
                raise (OSError if _ESP32 else ValueError)("AP required")
            return access_point.stations
        if name != "rssi" or not self._is_station:
            raise ValueError("unknown status param")
        if _ESP32 and not station.associated:
            raise OSError("Wifi Not Connected")
        return station.radio.rssi

    def _station_state(self):
        if not self._is_station:
            raise OSError("STA required")
        return station.state


def _bytes(name):
    return name.encode() if isinstance(name, str) else bytes(name)


def _security(network):
    if network["security"] is not None:
        return network["security"]
    return _SECURED if network["password"] else 0
