"""What makes the board a device: its credentials, and the attempt to get them, on flash."""

import json

from firmware.errors import FirstbootError

CREDENTIALS = "/credentials.json"
ATTEMPT = "/attempt.json"
# The attempt of a board that has credentials, which ThingsBoard takes no more.
ATTEMPT_AGAIN = "/attempt_again.json"


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
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        found = None
    is_whole = _are_credentials if path == CREDENTIALS else _is_attempt
    if isinstance(found, dict) and is_whole(found):
        return found
    raise FirstbootError(
        "%s is not what this firmware writes; it is now %s" % (path, storage.set_aside(path)),
        "Look at that file if you put it there; the board provisions itself without it.",
    )


def save(storage, value, path=CREDENTIALS):
    """Save credentials, or an attempt at another path. Raises FirstbootError."""
    storage.save(path, json.dumps(value).encode())


def _are_credentials(found):
    value = found.get("credentialsValue")
    texts = ("server", "deviceName", "credentialsType")
    return _has_texts(found, texts) and value and isinstance(value, (str, dict))


def _is_attempt(found):
    texts = ("server", "address", "provisionDeviceKey", "deviceName", "body", "coap_token")
    return (
        _has_texts(found, texts)
        and (found.get("token", "") is None or _has_texts(found, ("token",)))
        and len(found["coap_token"]) == 16
        and not found["coap_token"].strip("0123456789abcdef")
        and _is_number(found.get("message_id"))
        and _is_number(found.get("port"))
    )


def _has_texts(found, fields):
    return all(isinstance(found.get(field), str) and found[field] for field in fields)


def _is_number(value):
    return isinstance(value, int) and 0 <= value < 65536
