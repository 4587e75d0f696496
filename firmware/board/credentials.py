"""What makes the board a device: its credentials, and the attempt to get them, on flash."""

import json

from firmware.errors import StorageError

CREDENTIALS = "/credentials.json"
ATTEMPT = "/attempt.json"
# The attempt of a board that has credentials, which ThingsBoard takes no more.
ATTEMPT_AGAIN = "/attempt_again.json"


def _is_text(value):
    return isinstance(value, str) and value != ""


def _is_number(value):
    return isinstance(value, int) and 0 <= value < 65536


def _is_coap_token(value):
    return isinstance(value, str) and len(value) == 16 and not value.strip("0123456789abcdef")


_CREDENTIALS_FIELDS = {
    "server": _is_text,
    "deviceName": _is_text,
    "credentialsType": _is_text,
    "credentialsValue": lambda value: _is_text(value) or (isinstance(value, dict) and value),
}
_ATTEMPT_FIELDS = {
    "server": _is_text,
    "address": _is_text,
    "provisionDeviceKey": _is_text,
    "deviceName": _is_text,
    "body": _is_text,
    "token": lambda value: value is None or _is_text(value),
    "message_id": _is_number,
    "coap_token": _is_coap_token,
    "port": _is_number,
}


def load(storage):
    """Return the credentials, or None when there are none.

    Raises StorageError for a file that is not credentials, after it was set aside.
    """
    return _load(storage, CREDENTIALS, _CREDENTIALS_FIELDS)


def save(storage, credentials):
    """Save credentials. Raises StorageError."""
    _save(storage, CREDENTIALS, credentials)


def load_attempt(storage, path):
    """Return the attempt, or None; raises StorageError as `load` does.

    `body`: a hash of the request's body; `token`: the access token that it proposes, or None;
    `message_id`, `coap_token` (hex) and `port`: what it was sent with; `address`: to where.
    """
    return _load(storage, path, _ATTEMPT_FIELDS)


def save_attempt(storage, path, attempt):
    """Save an attempt. Raises StorageError."""
    _save(storage, path, attempt)


def _load(storage, path, fields):
    content = storage.read(path)
    if content is None:
        return None
    try:
        value = json.loads(content)
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        value = None
    if isinstance(value, dict) and all(fits(value.get(name, "")) for name, fits in fields.items()):
        return value
    raise StorageError(
        "%s is not what this firmware writes; it is now %s" % (path, storage.set_aside(path)),
        "Look at that file if you put it there; the board provisions itself without it.",
    )


def _save(storage, path, value):
    storage.save(path, json.dumps(value).encode())
