"""What the start of a provisioned board needs of its config.json, kept on flash.

It is good for as long as what it was made of is the same, by content: the console's first line,
which names the board, its MicroPython and this firmware, /credentials.json and /config.json. Then
nothing else is looked at, and the application runs at once.
"""

import json
from hashlib import sha256

KEPT = "/start.json"
VERSION = "1.0.0"

_CREDENTIALS = "/credentials.json"
# Newer credentials, whose save was cut before it took their place; empty when it was cut earlier.
_NEW_CREDENTIALS = "/credentials.json.new"
_CONFIG = "/config.json"


def first_line(board):
    """Return the console's first line."""
    return "firstboot %s on %s" % (VERSION, board.description)


def found_line(credentials):
    """Return what the console says of credentials that were found."""
    return '"%s", found in %s' % (credentials["deviceName"], _CREDENTIALS)


def unchanged(board):
    """Say what each power-up says, and return (credentials, what was kept).

    Returns None, and says nothing, when there is something to look at.
    """
    read = board.read
    try:
        kept = json.loads(read(KEPT))
        content = read(_CREDENTIALS)
        if read(_NEW_CREDENTIALS) or kept["of"] != _digest(board, content, read(_CONFIG)):
            return None
        credentials = json.loads(content)
        found = found_line(credentials)
        if kept["onboarding_pin"] is not None:
            from firmware.onboarding.button import Button

            # Else it restarts the board into onboarding.
            button = Button(board, kept["onboarding_pin"], board.reset)
            if button.was_pressed:
                button.close()
                return None
        prepare(board, kept)
        remarks = kept["remarks"]
    except Exception:
        # Of whatever class: firmware.power_up finds out what it is, and says it.
        return None
    board.indicator.say(first_line(board))
    board.indicator.show("provisioned", found)
    for remark in remarks:
        board.indicator.say(*remark)
    return credentials, kept


def prepare(board, config):
    """Start the watchdog, and let the codec encode and decode, as config.json says."""
    if config["watchdog"]:
        board.start_watchdog(config["watchdog"])
    if config["codec"] == "microcoapy":
        from firmware.coap import microcoapy

        microcoapy.install()


def keep(board, config, remarks):
    """Keep what the next start needs. Raises FirstbootError.

    `config`: what firmware.board.config.load returns, None when it cannot be used. `remarks`: what
    each power-up says, a list of lines each.
    """
    read = board.storage.read
    kept = {
        "of": _digest(board, read(_CREDENTIALS), read(_CONFIG)),
        "remarks": remarks,
    }
    for key in ("watchdog", "restart_after_crash", "codec", "onboarding_pin"):
        kept[key] = config and config[key]
    board.storage.save(KEPT, json.dumps(kept).encode())


def _digest(board, credentials, config):
    digest = sha256(first_line(board).encode())
    for content in (credentials, config):
        # With the length, so that no byte can change sides.
        digest.update(b"%d " % len(content or b""))
        digest.update(content or b"")
    return digest.digest().hex()
