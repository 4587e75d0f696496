"""Join the Wi-Fi network of config.json, or say why not."""

from time import ticks_add, ticks_diff

from micropython import const

from firmware.errors import FirstbootError

_DEADLINE = const(30_000)
_RECONNECT = const(5_000)
_POLL = const(100)

# Status codes that the boards have but MicroPython does not name on both.
_PICO_NO_ADDRESS = const(2)
_ESP32_HANDSHAKE_TIMEOUT = const(204)
_ESP32_NO_COMPATIBLE_AP = (210, 211, 212)


def join(config, board=None):
    """Join; return at once when joined already. Raises FirstbootError after 30 s.

    `config`: what firmware.board.config.load returns.
    """
    if board is None:
        from firmware.board.hardware import Board

        board = Board()
    network = board.network
    ssid = config["wifi"]["ssid"]
    try:
        wlan = network.WLAN(network.STA_IF)
        if wlan.active() and wlan.isconnected() and _joined(wlan) == ssid.encode():
            return
        board.indicator.show("Wi-Fi", 'joining "%s"' % ssid)
        _prepare(network, wlan, config["wifi"])
        status = _connect(board, wlan, config["wifi"])
    except (OSError, RuntimeError, ValueError) as error:
        raise FirstbootError(
            'the radio could not join "%s": %s' % (ssid, error),
            "Check the board's power supply; power it off and on if this stays.",
        )
    if status is not None:
        raise _explain(network, status, ssid)
    board.indicator.show("Wi-Fi", 'joined "%s" as %s' % (ssid, wlan.ifconfig()[0]))


def _joined(wlan):
    # An ESP32 reads on behind a name of 32 bytes, into the password.
    return wlan.config("ssid").encode()[:32]


def _prepare(network, wlan, wifi):
    """Set what has to stand before the radio is on, and switch it on."""
    network.hostname(wifi["hostname"])
    if wifi["country"]:
        network.country(wifi["country"])
    wlan.active(True)
    if wlan.status() != network.STAT_IDLE:
        # A soft reset ends neither an association nor an ESP32's attempts at one.
        wlan.disconnect()


def _connect(board, wlan, wifi):
    """Return None when joined, else the status that tells most about why not."""
    network = board.network
    key = (wifi["password"],) if wifi["password"] else ()
    wlan.connect(wifi["ssid"], *key)
    telling = network.STAT_CONNECTING
    now = board.ticks()
    end = ticks_add(now, _DEADLINE)
    reconnect = ticks_add(now, _RECONNECT)
    while not wlan.isconnected():
        status = wlan.status()
        if status not in (network.STAT_IDLE, network.STAT_CONNECTING, network.STAT_GOT_IP):
            telling = status
        now = board.ticks()
        if ticks_diff(now, end) >= 0:
            wlan.disconnect()
            return telling
        # The ESP32 goes on trying by itself. The Pico W stops at a failure, a negative status,
        # and one can be wrong the first time.
        if status < 0 and ticks_diff(now, reconnect) >= 0:
            reconnect = ticks_add(now, _RECONNECT)
            wlan.connect(wifi["ssid"], *key)
        board.sleep(_POLL)
    return None


def _explain(network, status, ssid):
    if status == network.STAT_NO_AP_FOUND or status in _ESP32_NO_COMPATIBLE_AP:
        return FirstbootError(
            'no network "%s" in range' % ssid,
            "Check `wifi.ssid` letter by letter; the board hears 2.4 GHz only, up to WPA2 or WPA3.",
        )
    if status == network.STAT_WRONG_PASSWORD or status == _ESP32_HANDSHAKE_TIMEOUT:
        return FirstbootError(
            '"%s" did not take the password' % ssid, "Check `wifi.password` in config.json."
        )
    if status == _PICO_NO_ADDRESS:
        return FirstbootError(
            'joined "%s", but it gives no address' % ssid, "Check the network's DHCP server."
        )
    return FirstbootError(
        'not joined "%s" in %d s (status %d)' % (ssid, _DEADLINE // 1000, status),
        "Check `wifi.password`, the distance, and that the network gives addresses by DHCP.",
    )
