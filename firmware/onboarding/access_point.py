"""The access point of an ESP32 or a Pico W, beside its station: for phones alone.

MicroPython's lwIP forwards nothing between the two (IP_FORWARD is off on both boards), and DNS
answers with the board alone: there is no way to the network behind.
"""

from micropython import const

_CLIENTS = const(4)
_ESP32_OPEN = const(0)
_ESP32_WPA2 = const(3)
_PICO_W_OPEN = const(0)
_PICO_W_WPA2 = const(0x00400004)  # with AES; MicroPython has a name for the mixture with WPA only


def in_range(board, wifi):
    """Return the networks in range, see wifi_scan.heard_with_strength; the station is off then.

    `wifi`: of config.json, for the country.
    """
    # Here, since modules of a step are given back while this one stays.
    from firmware.board.wifi import switch_on
    from firmware.board.wifi_scan import heard_with_strength

    switch_on(board, wifi)
    try:
        # An ESP32 that joins hears nothing.
        board.network.WLAN(board.network.STA_IF).disconnect()
    except OSError:
        # A radio that will not do may hear all the same.
        pass
    heard = heard_with_strength(board)
    # Else phones lose the access point while an ESP32 looks for a network.
    switch_off(board)
    return heard


def switch_off(board):
    """Switch the station off, so that the radio is the access point's."""
    board.network.WLAN(board.network.STA_IF).active(False)


def is_in_wifi(board, address):
    """Return whether an address is one of the Wi-Fi that is joined, too.

    Where it is the access point's, the Wi-Fi's router and DNS would be the board itself.
    """
    own, mask = board.network.WLAN(board.network.STA_IF).ifconfig()[:2]
    for one, other, part in zip(own.split("."), address.split("."), mask.split(".")):
        if (int(one) ^ int(other)) & int(part):
            return False
    return True


class AccessPoint:
    """Is there from the start, until `close`. An empty `password` leaves it open.

    Whoever closes it, or joins a network beside it, has to switch the station on anew: a Pico W
    sends through what came up last.
    """

    def __init__(self, board, ssid, password):
        network = board.network
        # The next join begins with a radio that was off.
        board.radio["failed"] += 1
        self._wlan = wlan = network.WLAN(network.AP_IF)
        try:
            if network.STAT_IDLE == 1000:
                # In one call, and not before it is active; it is open until then.
                wlan.active(True)
                security = _ESP32_WPA2 if password else _ESP32_OPEN
                wlan.config(ssid=ssid, key=password, security=security, max_clients=_CLIENTS)
            else:
                security = _PICO_W_WPA2 if password else _PICO_W_OPEN
                wlan.config(ssid=ssid, key=password, security=security)
                wlan.active(True)
            self.address = wlan.ifconfig()[0]
        except Exception:
            # Of whatever class: without its password it would be anybody's.
            self.close()
            raise

    def is_used(self):
        """Return whether a phone is on it."""
        try:
            return self._wlan.isconnected()
        except OSError:
            return False

    def close(self):
        """Switch it off."""
        self._wlan.active(False)
