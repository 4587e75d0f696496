"""What makes the board a device: its credentials, and the attempt to get them, on flash."""

import json

from firmware.errors import FirstbootError

CREDENTIALS = "/credentials.json"
ATTEMPT = "/attempt.json"


def load(storage, path=CREDENTIALS):
    """Return the credentials, or the attempt at another path; None when there are none.

    Raises FirstbootError for a file that is not what `save` wrote, after it was set aside.

    The fields of an attempt: `body`, a hash of the request's body; `token`, the access token that
    it proposes, or None; `message_id`, `coap_token` (hex) and `port`, what it was sent with;
    `address`, to where.
    """
    content = storage.read(path)
    if content is None:
        return None
    try:
        found = json.loads(content)
        _check(found, path)
        return found
    except (ValueError, RuntimeError, TypeError, KeyError):
        # RuntimeError: nested too deep.
        pass
    raise FirstbootError(
        "%s is not what this firmware writes; it is now %s" % (path, storage.set_aside(path)),
        "Look at that file if you put it there; the board goes on without it.",
    )


def save(storage, value, path=CREDENTIALS):
    """Save credentials, or an attempt at another path. Raises FirstbootError."""
    storage.save(path, json.dumps(value).encode())


def _check(found, path):
    """Raise ValueError, TypeError or KeyError unless every field is there and fits."""
    texts = [found["server"], found["deviceName"]]
    if path == CREDENTIALS:
        texts.append(found["credentialsType"])
        value = found["credentialsValue"]
        if not value or not isinstance(value, dict):
            texts.append(value)
    else:
        texts += found["provisionDeviceKey"], found["address"], found["body"]
        if found["token"] is not None:
            texts.append(found["token"])
        coap_token = bytes.fromhex(found["coap_token"])
        # What is negative stays negative.
        if (found["message_id"] | found["port"]) >> 16 or len(coap_token) != 8:
            raise ValueError
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ValueError
