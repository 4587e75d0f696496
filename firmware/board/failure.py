"""Why the board is not joined, and what the flash would not do. Imported only when it happened.

The numbers are WLAN.status(): each board has its own, and not all have a name. 1002 is
firmware.board.wifi's for an ESP32 without an address.
"""

from firmware.errors import FirstbootError

_DISTANCE = "Check the distance to the access point, and that it is not full."
_PASSWORD = "Check `wifi.password`."
_NAME = "Check `wifi.ssid` letter by letter; the board hears 2.4 GHz only."
_SECURITY = "Let the network speak WPA2 or WPA3, or for an open one take `wifi.password` out."


def explain(board, wifi, status, patience):
    """Return (error, whether the radio itself may be the trouble).

    `wifi`: config.json's. `status`: the last WLAN.status(), or what the network stack raised.
    `patience`: how long it was tried, in s. The error's `reason` is "not in range", "wrong
    password", "security", "too weak", "no address" or "not joined".
    """
    ssid = wifi["ssid"]
    if isinstance(status, Exception):
        return _explain_raised(ssid, status)
    is_esp32 = board.network.STAT_IDLE == 1000
    if status in ((201, 210, 211) if is_esp32 else (-1, -2)):
        error = _explain_security(board, wifi)
        if error:
            return error, False
    reason = "not joined"
    what = 'not joined "%s" in %d s (status %d)' % (ssid, patience, status)
    fix = "Check `wifi.password`, the distance, and the network's DHCP server."
    is_wedged = False
    if status == (1002 if is_esp32 else 2):
        reason = "no address"
        what = 'joined "%s", but it gives no address' % ssid
        fix = "Check the network's DHCP server."
    elif is_esp32:
        if status == 201:
            reason = "not in range"
            what = 'no network "%s" in range' % ssid
            fix = _NAME
        elif status in (210, 211):
            reason = "security"
            what = '"%s" is in range, but not with a security that this board takes' % ssid
            fix = _SECURITY
        elif status == 212:
            reason = "too weak"
            what = '"%s" is too weak here' % ssid
            fix = _DISTANCE
        elif status in (15, 202, 204):  # 15 and 204: the handshake timed out
            reason = "wrong password"
            what = '"%s" did not take the password' % ssid
            fix = _PASSWORD
        elif status in (2, 4, 5, 200, 203, 205):
            reason = "too weak"
            what = '"%s" let the board go (status %d)' % (ssid, status)
            fix = _DISTANCE
        else:
            is_wedged = status >= 1000
    elif status == -2:
        reason = "not in range"
        what = 'no network "%s" in range' % ssid
        fix = _NAME
    elif status == -3:
        reason = "wrong password"
        what = '"%s" did not take the password' % ssid
        fix = _PASSWORD
    else:
        is_wedged = status >= 0
    return _error(what, fix, reason), is_wedged


def _explain_raised(ssid, raised):
    text = str(raised) or type(raised).__name__
    lower = text.lower()
    if "invalid password" in lower:
        what = 'the radio cannot use the password for "%s"' % ssid
        return _error(what, _PASSWORD, "wrong password"), False
    if "memory" in lower or isinstance(raised, MemoryError):
        return _error(
            'no memory is left to join "%s": %s' % (ssid, text),
            "Power the board off and on; let app.py take less memory before it joins.",
        ), True
    return _error(
        'the radio could not join "%s": %s' % (ssid, text),
        "Check the board's power supply; power it off and on.",
    ), True


def _explain_security(board, wifi):
    """Return the error of a network that is heard and has a password where config.json has none,
    or the reverse; None when it is not heard, or both are alike.
    """
    from firmware.board.wifi_scan import heard

    ssid = wifi["ssid"]
    is_open = [security == 0 for name, security in heard(board) if name == wifi["name"]]
    if is_open and all(is_open) and wifi["password"]:
        return _error(
            '"%s" is an open network and takes no password' % ssid,
            "Take `wifi.password` out, if you trust that network.",
            "wrong password",
        )
    if is_open and not any(is_open) and not wifi["password"]:
        return _error('"%s" wants a password' % ssid, _PASSWORD, "wrong password")


def _error(what, fix, reason="not joined"):
    error = FirstbootError(what, fix)
    error.reason = reason
    return error


def not_done(path, done, why):
    """Return the error of a file that cannot be read, saved and so on. `done`: which of these."""
    return FirstbootError(
        "%s cannot be %s: %s" % (path, done, why),
        "Free space on the flash; flash the board again if this stays.",
    )


def set_aside(storage, path):
    """Rename a file that is not what was saved; return the error that says so."""
    number = 1
    while storage.exists(aside := "%s.bad%d" % (path, number)):
        number += 1
    storage.rename(path, aside)
    return FirstbootError(
        "%s is not what this firmware writes; it is now %s" % (path, aside),
        "Look at that file if you put it there; the board goes on without it.",
    )
