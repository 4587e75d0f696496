"""Join the Wi-Fi network of config.json, or say why not.

A radio heals here, too: a network that is joined and carries nothing is left and joined anew, a
radio that will not do is switched off and on, and when that does not help the board resets.
"""

from micropython import const

from firmware.errors import Silence

_POLL = const(50)  # ms
PATIENCE = const(30)  # s
_POLLS_TO_RECONNECT = const(100)
# What stands for it with an ESP32; a Pico W has a status of its own.
_NO_ADDRESS = const(1002)
_OFF = const(500)  # ms that a radio is off, to be as after power-up
_ROUNDS_TO_RESET = const(6)


def join(config, board=None, trouble=None):
    """Join; return at once when joined already, unless nothing came through.

    Raises FirstbootError after 30 s for each network. `config`: what firmware.board.config.load
    returns. `trouble`: what the last try to reach the server raised, None for none; after Silence
    the network is joined anew.
    """
    if board is None:
        from firmware.board.hardware import Board

        board = Board()
    for ms in join_steps(config, board, trouble):
        board.sleep(ms)


def join_steps(config, board, trouble=None, patience=PATIENCE):
    """The steps of `join`: they yield how long to wait, in ms. `patience`: for each network, in s.

    What MicroPython does in one piece: switch the radio on, and look which networks there are.
    """
    networks = config["networks"]
    joined = _joined(board, networks)
    if joined:
        if not isinstance(trouble, Silence):
            board.radio["silent"] = 0
            return
        board.radio["silent"] += 1
        ssid = joined["ssid"]
        board.indicator.say('Wi-Fi: nothing came through "%s"; joining it anew' % ssid)
    if len(networks) > 1:
        from firmware.board.wifi_scan import in_order

        switch_on(board, networks[0])
        networks = in_order(board, networks, joined)
    for wifi in networks[:-1]:
        error = yield from _join(board, wifi, patience)
        if not error:
            return
        board.indicator.say(*str(error).split("\n"))
    error = yield from _join(board, networks[-1], patience)
    if error:
        raise error


def join_anew(board, wifi, patience=PATIENCE):
    """Join a network, also one that is joined; return None, or the error that says why not.

    `wifi`: one of config.json's `networks`. `patience`: how long it is tried, in s.
    """
    steps = _join(board, wifi, patience)
    try:
        while True:
            board.sleep(next(steps))
    except StopIteration as end:
        return end.value


def _leave(wlan):
    try:
        wlan.disconnect()
    except OSError:
        # There was nothing to leave.
        pass


def _join(board, wifi, patience):
    """The steps that join a network; they return None, or the error that says why not."""
    ssid = wifi["ssid"]
    radio = board.radio
    board.indicator.show("Wi-Fi", 'joining "%s"' % ssid)
    try:
        wlan = board.network.WLAN(board.network.STA_IF)
        if radio["failed"] or radio["silent"] > 1:
            wlan.active(False)
            yield _OFF
        switch_on(board, wifi)
        if wlan.status():
            # A soft reset ends neither an association nor an ESP32's attempts at one, which can
            # say of them that it is idle.
            _leave(wlan)
        status = yield from _connect(board, wlan, ssid, wifi["password"] or None, patience)
    except Exception as error:
        # Of whatever class: which one is the network stack's affair.
        status = error
    if status is None:
        radio["failed"] = radio["wedged"] = 0
        board.indicator.show("Wi-Fi", 'joined "%s" as %s' % (ssid, wlan.ifconfig()[0]))
        return None
    from firmware.board.failure import explain

    error, is_wedged = explain(board, wifi, status, patience)
    radio["failed"] += 1
    radio["wedged"] = radio["wedged"] + 1 if is_wedged else 0
    if radio["wedged"] >= _ROUNDS_TO_RESET:
        board.indicator.show("failed", *str(error).split("\n"))
        board.indicator.say("Wi-Fi: the radio does not come back; the board resets")
        board.reset()
    return error


def switch_on(board, wifi):
    """Switch the station on, with the hostname and the country of one of config.json's networks."""
    network = board.network
    network.hostname(wifi["hostname"])
    if wifi["country"]:
        network.country(wifi["country"])
    network.WLAN(network.STA_IF).active(True)


def _joined(board, networks):
    """Return that of the networks which the board is joined to, None for none."""
    try:
        wlan = board.network.WLAN(board.network.STA_IF)
        if wlan.active() and wlan.isconnected():
            # An ESP32 reads on behind a name of 32 bytes, into the password.
            name = wlan.config("ssid").encode()[:32]
            for wifi in networks:
                if name == wifi["name"]:
                    return wifi
    except Exception:
        # Of whatever class: a name that is not in UTF-8, a radio that will not do.
        pass


def _connect(board, wlan, ssid, key, patience):
    """The steps that return None when joined, else the status that tells most about why not."""
    telling = None
    # An ESP32's is the last failure's until there is another one.
    before = wlan.status()
    status = -1
    for poll in range(patience * 1000 // _POLL):
        # The ESP32 goes on trying by itself. The Pico W stops at a failure, a negative status,
        # and one can be wrong the first time: it is told again every 5 s.
        if status < 0 and poll % _POLLS_TO_RECONNECT == 0:
            wlan.connect(ssid, key)
        yield _POLL
        if wlan.isconnected():
            return None
        status = wlan.status()
        if status == before:
            continue
        before = None
        if status not in (1000, 1001, 1010, 0, 1, 3):  # idle, joining, joined
            telling = status
    if board.network.STAT_IDLE == 1000 and _is_associated(wlan):
        telling = _NO_ADDRESS
    wlan.disconnect()
    return telling or status


def _is_associated(wlan):
    """Return whether an ESP32 is in a network, with an address or without: it shows no status."""
    try:
        wlan.status("rssi")
        return True
    except OSError:
        return False
