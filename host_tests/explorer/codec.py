"""CoAP messages in aiocoap's words: a codec that is not the firmware's."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import aiocoap
from aiocoap.numbers.types import Type

CON, NON, ACK, RST = range(4)
EMPTY = 0


class Message(NamedTuple):
    type: int
    code: int
    message_id: int
    token: bytes
    path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    payload: bytes = b""


@lru_cache(maxsize=65536)
def decode(datagram: bytes) -> Message:
    """Raises aiocoap's UnparsableMessage."""
    message = aiocoap.Message.decode(datagram)
    return Message(
        int(message.mtype),
        int(message.code),
        message.mid,
        message.token,
        tuple(message.opt.uri_path),
        tuple(message.opt.uri_query),
        message.payload,
    )


@lru_cache(maxsize=65536)
def encode(
    type: int,
    code: int,
    message_id: int,
    token: bytes = b"",
    payload: bytes = b"",
    content_format: int | None = None,
) -> bytes:
    message = aiocoap.Message(code=code, payload=payload, content_format=content_format)
    message.mtype = Type(type)
    message.mid = message_id
    message.token = token
    return message.encode()
