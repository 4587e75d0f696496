"""Join the Wi-Fi network of config.json, or say why not.

The numbers are WLAN.status(): from 200 on an ESP32's, below a Pico W's. Not all have a name.
"""

from micropython import const

from firmware.errors import FirstbootError

_POLL = const(100)  # ms
_POLLS = const(300)
_POLLS_TO_RECONNECT = const(50)


def join(config, board=None):
    """Join; return at once when joined already. Raises FirstbootError after 30 s.

    `config`: what firmware.board.config.load returns.
    """
    if board is None:
        from firmware.board.hardware import Board

        board = Board()
    network = board.network
    wifi = config["wifi"]
    ssid = wifi["ssid"]
    try:
        wlan = network.WLAN(network.STA_IF)
        joined = wlan.active() and wlan.isconnected() and wlan.config("ssid").encode()
        # An ESP32 reads on behind a name of 32 bytes, into the password.
        if joined and joined[:32] == ssid.encode():
            return
        board.indicator.show("Wi-Fi", 'joining "%s"' % ssid)
        network.hostname(wifi["hostname"])
        if wifi["country"]:
            network.country(wifi["country"])
        wlan.active(True)
        if wlan.status() not in (1000, 0):  # idle
            # A soft reset ends neither an association nor an ESP32's attempts at one.
            wlan.disconnect()
        status = _connect(board, wlan, ssid, wifi["password"] or None)
    except (OSError, RuntimeError, ValueError) as error:
        raise FirstbootError(
            'the radio could not join "%s": %s' % (ssid, error),
            "Check the board's power supply; power it off and on.",
        )
    if status is None:
        board.indicator.show("Wi-Fi", 'joined "%s" as %s' % (ssid, wlan.ifconfig()[0]))
        return
    if status in (201, 210, 211, 212, -2):
        what = 'no network "%s" in range' % ssid
        fix = "Check `wifi.ssid` letter by letter; the board hears 2.4 GHz, up to WPA2 or WPA3."
    elif status in (202, 204, -3):
        what = '"%s" did not take the password' % ssid
        fix = "Check `wifi.password`."
    elif status == 2:
        what = 'joined "%s", but it gives no address' % ssid
        fix = "Check the network's DHCP server."
    else:
        what = 'not joined "%s" in 30 s (status %d)' % (ssid, status)
        fix = "Check `wifi.password`, the distance, and the network's DHCP server."
    raise FirstbootError(what, fix)


def _connect(board, wlan, ssid, key):
    """Return None when joined, else the status that tells most about why not."""
    telling = None
    status = -1
    for poll in range(_POLLS):
        # The ESP32 goes on trying by itself. The Pico W stops at a failure, a negative status,
        # and one can be wrong the first time: it is told again every 5 s.
        if status < 0 and poll % _POLLS_TO_RECONNECT == 0:
            wlan.connect(ssid, key)
        board.sleep(_POLL)
        if wlan.isconnected():
            return None
        status = wlan.status()
        if status not in (1000, 1001, 1010, 0, 1, 3):  # idle, joining, joined
            telling = status
    wlan.disconnect()
    return telling or status
