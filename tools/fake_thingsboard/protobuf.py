"""Attributes in protobuf, as ThingsBoard's transport.proto has them, and what is protobuf at all.

Pure.
"""

from __future__ import annotations

import struct

from tools.fake_thingsboard.messages import to_json

UPDATED_AT = 1_796_000_000_000  # ms since 1970, of every value: the model has no clock

_VARINT, _I64, _LEN, _GROUP, _END_OF_GROUP, _I32 = range(6)
_BOOLEAN, _LONG, _DOUBLE, _STRING, _JSON = range(5)  # KeyValueType
_SCOPES = {"client": 2, "shared": 3}  # fields of GetAttributeResponseMsg


def is_protobuf(payload: bytes) -> bool:
    """Whether a payload is a message of fields, whichever these are, or of none."""
    position = 0
    groups = []
    try:
        while position < len(payload):
            key, position = _read_varint(payload, position)
            number, kind = key >> 3, key & 7
            if not number or kind > _I32:
                return False
            length = 0
            if kind in (_VARINT, _LEN):
                length, position = _read_varint(payload, position)
            elif kind == _GROUP:
                groups.append(number)
            elif kind == _END_OF_GROUP and groups.pop() != number:
                return False
            position += {_I64: 8, _LEN: length, _I32: 4}.get(kind, 0)
    except IndexError:
        return False
    return position == len(payload) and not groups


def attributes_message(found: dict) -> bytes:
    """A GetAttributeResponseMsg: the reply to GET attributes, of those of each scope."""
    return b"".join(
        _field(number, _ts_kv(key, value))
        for scope, number in _SCOPES.items()
        for key, value in found.get(scope, {}).items()
    )


def update_message(update: dict) -> bytes:
    """An AttributeUpdateNotificationMsg of what has, as JSON, values and the keys of `deleted`."""
    deleted = update.get("deleted")
    values = [_field(1, _ts_kv(key, update[key])) for key in update if key != "deleted"]
    keys = deleted if isinstance(deleted, list) else ()
    return b"".join([*values, *(_field(2, key.encode("utf-8", "replace")) for key in keys)])


def _ts_kv(key: str, value) -> bytes:
    if isinstance(value, bool):
        kind, typed = _BOOLEAN, _number(3, value)
    elif isinstance(value, int):
        kind, typed = _LONG, _number(4, value)
    elif isinstance(value, float):
        kind, typed = _DOUBLE, _varint(5 << 3 | _I64) + struct.pack("<d", value)
    elif isinstance(value, str):
        kind, typed = _STRING, _field(6, value.encode("utf-8", "replace"))
    else:
        kind, typed = _JSON, _field(7, to_json(value).encode("utf-8", "replace"))
    key_value = _field(1, key.encode("utf-8", "replace")) + _number(2, kind) + typed
    return _number(1, UPDATED_AT) + _field(2, key_value)


def _number(number: int, value: int) -> bytes:
    """A field with an integer; left out when it is 0, the default."""
    return _varint(number << 3 | _VARINT) + _varint(value & (1 << 64) - 1) if value else b""


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LEN) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def _read_varint(payload: bytes, position: int) -> tuple[int, int]:
    """The number there and where it ends. Raises IndexError where it is cut, or too long."""
    value = 0
    for shift in range(0, 70, 7):
        octet = payload[position]
        position += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, position
    raise IndexError("more than 10 bytes")
