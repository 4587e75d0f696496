"""Join the Wi-Fi network of config.json, or say why not.

A radio heals here, too: a network that is joined and carries nothing is left and joined anew, a
radio that will not do is switched off and on, and when that does not help the board resets.
"""

from micropython import const

from firmware.errors import Silence

_POLL = const(100)  # ms
_POLLS = const(300)
_POLLS_TO_RECONNECT = const(50)
_OFF = const(500)  # ms that a radio is off, to be as after power-up
_ROUNDS_TO_RESET = const(6)


def join(config, board=None):
    """Join; return at once when joined already, unless nothing came since the last time.

    Raises FirstbootError after 30 s. `config`: what firmware.board.config.load returns.
    """
    if board is None:
        from firmware.board.hardware import Board

        board = Board()
    network = board.network
    wifi = config["wifi"]
    ssid = wifi["ssid"]
    radio = board.radio
    is_silent = Silence.count
    Silence.count = 0
    try:
        wlan = network.WLAN(network.STA_IF)
        if _is_joined(wlan, ssid):
            if not is_silent:
                radio["silent"] = 0
                return
            radio["silent"] += 1
            board.indicator.say('Wi-Fi: nothing came through "%s"; joining it anew' % ssid)
        board.indicator.show("Wi-Fi", 'joining "%s"' % ssid)
        if radio["failed"] or radio["silent"] > 1:
            wlan.active(False)
            board.sleep(_OFF)
        network.hostname(wifi["hostname"])
        if wifi["country"]:
            network.country(wifi["country"])
        wlan.active(True)
        if wlan.status() not in (1000, 0):  # idle
            # A soft reset ends neither an association nor an ESP32's attempts at one.
            wlan.disconnect()
        status = _connect(board, wlan, ssid, wifi["password"] or None)
    except Exception as error:
        # Of whatever class: which one is the network stack's affair.
        status = error
    if status is None:
        radio["failed"] = radio["wedged"] = 0
        board.indicator.show("Wi-Fi", 'joined "%s" as %s' % (ssid, wlan.ifconfig()[0]))
        return
    from firmware.board.wifi_failure import explain

    error, is_wedged = explain(board, wifi, status)
    radio["failed"] += 1
    radio["wedged"] = radio["wedged"] + 1 if is_wedged else 0
    if radio["wedged"] >= _ROUNDS_TO_RESET:
        board.indicator.show("failed", *str(error).split("\n"))
        board.indicator.say("Wi-Fi: the radio does not come back; the board resets")
        board.reset()
    raise error


def _is_joined(wlan, ssid):
    """Return whether the board is joined to a network with this name."""
    if not (wlan.active() and wlan.isconnected()):
        return False
    try:
        # An ESP32 reads on behind a name of 32 bytes, into the password.
        return wlan.config("ssid").encode()[:32] == ssid.encode()
    except ValueError:
        # The name is not in UTF-8.
        return False


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
