"""CoAP messages in aiocoap's words: a codec that is not the firmware's. Pure."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

import aiocoap
from aiocoap.numbers.types import Type

CON, NON, ACK, RST = range(4)
EMPTY = 0


class Block(NamedTuple):
    """A Block1 or Block2 option: of 16 << `szx` bytes."""

    number: int
    more: bool
    szx: int


class Message(NamedTuple):
    """A message; of its options those that ThingsBoard and its devices use, None where absent."""

    type: int
    code: int
    message_id: int
    token: bytes = b""
    path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    payload: bytes = b""
    content_format: int | None = None
    observe: int | None = None
    block1: Block | None = None
    block2: Block | None = None
    size1: int | None = None
    size2: int | None = None


_OPTIONS = ("observe", "block1", "block2", "size1", "size2")


@lru_cache(maxsize=16384)
def decode(datagram: bytes) -> Message:
    """Read a message. Raises ValueError for what Californium does not take for one."""
    try:
        message = aiocoap.Message.decode(datagram)
    except aiocoap.error.UnparsableMessage as error:
        raise ValueError(f"malformed: {error}") from None
    too_long_token = datagram[0] & 15 > 8
    not_so_empty = message.code is aiocoap.EMPTY and len(datagram) > 4
    reserved_class = message.code >> 5 in (1, 6, 7)
    if too_long_token or not_so_empty or reserved_class:
        raise ValueError("malformed")
    options = message.opt
    return Message(
        int(message.mtype),
        int(message.code),
        message.mid,
        message.token,
        tuple(options.uri_path),
        tuple(options.uri_query),
        message.payload,
        None if options.content_format is None else int(options.content_format),
        options.observe,
        options.block1 and Block(*options.block1),
        options.block2 and Block(*options.block2),
        options.size1,
        options.size2,
    )


@lru_cache(maxsize=16384)
def encode(message: Message) -> bytes:
    """The datagram of a message."""
    encoded = aiocoap.Message(code=message.code, payload=message.payload)
    encoded.mtype = Type(message.type)
    encoded.mid = message.message_id
    encoded.token = message.token
    options = encoded.opt
    options.uri_path = message.path
    options.uri_query = message.query
    options.content_format = message.content_format
    for name in _OPTIONS:
        if getattr(message, name) is not None:
            setattr(options, name, getattr(message, name))
    return encoded.encode()


def empty(type: int, message_id: int) -> bytes:
    """The datagram of an Empty message: an ACK, an RST, or as CON a ping."""
    return struct.pack("!BBH", 1 << 6 | type << 4, EMPTY, message_id)
