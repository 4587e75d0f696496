"""A CoAP message as one line for people, with every secret and token shortened."""

from tools.fake_thingsboard.codec import CON, EMPTY, NON
from tools.fake_thingsboard.messages import parse_json, to_json

_PUBLIC_SEGMENTS = (
    *("api", "v1", "provision", "attributes", "telemetry", "rpc", "claim", "fw", "sw"),
    *(".well-known", "core"),
)
_PUBLIC_FIELDS = ("deviceName", "gateway", "credentialsType", "status", "errorMsg")
_TYPES = ("CON", "NON", "ACK", "RST")
_METHODS = {1: "GET", 2: "POST", 3: "PUT", 4: "DELETE", 5: "FETCH", 6: "PATCH", 7: "iPATCH"}


def describe(message, size):
    """Say what a codec.Message of `size` bytes is: `ACK 2.01 102 bytes {"status":…}`."""
    words = [_TYPES[message.type]]
    if EMPTY < message.code <= 31:
        words += [_METHODS.get(message.code, _dotted(message.code)), _path(message.path)]
    elif message.code:
        words.append(_dotted(message.code))
    elif message.type in (CON, NON):
        words.append("ping" if message.type == CON else "empty")
    block = message.block1 or message.block2
    if block:
        words.append(f"block {block.number}{'' if block.more else ' (last)'}")
    words.append(f"{size} bytes")
    if message.payload and not block:
        words.append(_body(message.payload))
    return printable(" ".join(words))


def shorten(secret):
    """What stands in a secret's place."""
    return "…" if secret else ""


def _dotted(code):
    return f"{code >> 5}.{code & 31:02d}"


def _path(segments):
    return "".join("/" + (s if s in _PUBLIC_SEGMENTS else shorten(s)) for s in segments) or "/"


def _body(payload):
    try:
        return to_json(_shorten_within(parse_json(payload)))
    except (ValueError, RecursionError):
        return "(not JSON)"


def _shorten_within(value, field=None):
    if isinstance(value, dict):
        return {key: _shorten_within(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_shorten_within(item, field) for item in value]
    if isinstance(value, str) and field not in _PUBLIC_FIELDS:
        return shorten(value)
    return value


def printable(text):
    return "".join(c if c.isprintable() else "?" for c in text)
