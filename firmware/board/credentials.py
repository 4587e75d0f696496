"""What is on flash of what makes the board a device: read, and set aside when it is not whole."""

import json

from firmware.board.storage import CREDENTIALS


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
    from firmware.board.failure import set_aside

    raise set_aside(storage, path)


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
