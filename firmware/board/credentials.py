"""What makes the board a device: its credentials, and the attempt to get them, on flash."""

import json

from firmware.errors import FirstbootError

CREDENTIALS = "/credentials.json"
ATTEMPT = "/attempt.json"


def load(storage, path=CREDENTIALS, check=None):
    """Return the credentials, or what `check` makes of the JSON value at another path, or None.

    `check` raises ValueError, TypeError, KeyError or AttributeError for what does not belong
    there. Raises FirstbootError for a file that is not what was saved, after it was set aside.
    """
    check = check or _checked
    # A whole one is the last save, cut before it took the other's place.
    found = _parse(storage.read(path + ".new"), check)
    if found:
        storage.finish(path)
        return found
    content = storage.read(path)
    if content is None:
        return None
    found = _parse(content, check)
    if found:
        return found
    raise FirstbootError(
        "%s is not what this firmware writes; it is now %s" % (path, storage.set_aside(path)),
        "Look at that file if you put it there; the board goes on without it.",
    )


def save(storage, credentials):
    """Save credentials. Raises FirstbootError."""
    storage.save(CREDENTIALS, json.dumps(credentials).encode())


def _parse(content, check):
    """Return what is in a file's bytes, None for what is not whole."""
    try:
        return content and check(json.loads(content))
    except (ValueError, RuntimeError, TypeError, KeyError, AttributeError):
        # RuntimeError: nested too deep.
        return None


def _checked(found):
    """Return credentials, or raise when a field is missing or does not fit."""
    texts = [found["server"], found["deviceName"], found["credentialsType"]]
    value = found["credentialsValue"]
    if not value or not isinstance(value, dict):
        texts.append(value)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ValueError
    return found
