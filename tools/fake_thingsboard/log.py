"""A CoAP message as one line for people, with every secret and token shortened."""

from aiocoap.numbers.types import CON, NON

from tools.fake_thingsboard.messages import parse_json, to_json

_PUBLIC_SEGMENTS = ("api", "v1", "provision", "attributes", "telemetry", "rpc", "claim", "fw", "sw")
_PUBLIC_FIELDS = ("deviceName", "gateway", "credentialsType", "status", "errorMsg")
_TYPES = ("CON", "NON", "ACK", "RST")


def describe(message, size):
    """Say what an aiocoap message of `size` bytes is: `ACK 2.01 102 bytes {"status":…}`."""
    words = [_TYPES[message.mtype]]
    if message.code.is_request():
        words += [_method(message.code), _path(message.opt.uri_path)]
    elif message.code.is_response():
        words.append(message.code.dotted)
    elif message.mtype in (CON, NON):
        words.append("ping" if message.mtype == CON else "empty")
    block = message.opt.block1 or message.opt.block2
    if block:
        words.append(f"block {block.block_number}{'' if block.more else ' (last)'}")
    words.append(f"{size} bytes")
    if message.payload and not block:
        words.append(_body(message.payload))
    return _printable(" ".join(words))


def shorten(secret):
    """The first 3 characters and an ellipsis; of a short one nothing."""
    return (secret[:3] if len(secret) >= 8 else "") + "…"


def _method(code):
    return code.name_printable.upper() if code.name_printable else code.dotted


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


def _printable(text):
    return "".join(c if c.isprintable() else "?" for c in text)
