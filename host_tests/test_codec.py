"""firmware.coap.message against properties, against aiocoap's codec, and against junk."""

from __future__ import annotations

import random

import aiocoap
import pytest
from aiocoap.numbers.optionnumbers import OptionNumber
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware.coap.message import EMPTY, Message, decode, encode, uint, uint_bytes
from firmware.errors import CoapError

# What RFC 7252 calls a message format error and aiocoap 0.4.17 takes: a datagram of each.
AIOCOAP_IS_LAXER = {
    "a token length of 9 to 15": "49 45 1234 010203040506070809",
    "a truncated token": "48 45 1234 0102",
    "an Empty message that is not empty": "40 00 1234 ff 01",
    "a payload marker with no payload": "60 45 1234 c0 ff",
    "an option number over 65535": "60 45 1234 e0 ffff",
}
# What aiocoap refuses and RFC 7252 does not call a format error.
AIOCOAP_IS_STRICTER = {
    "text that is not UTF-8": "60 45 1234 81 ff",  # Location-Path
}

bounded = settings(max_examples=100, deadline=None, database=None)

numbers = st.one_of(st.integers(0, 300), st.integers(0, 0xFFFF))
values = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([12, 13, 268, 269, 270, 1034]).map(lambda size: b"v" * size),
)
option_lists = st.lists(st.tuples(numbers, values), max_size=12).map(
    lambda options: sorted(options, key=lambda option: option[0])
)
messages = st.tuples(
    st.integers(0, 3),
    st.integers(1, 255),
    st.integers(0, 0xFFFF),
    st.binary(max_size=8),
    option_lists,
    st.binary(max_size=64),
)


def decoded(datagram: bytes) -> Message | str:
    """The message in a datagram, or why there is none. Nothing else may come of it."""
    try:
        return decode(memoryview(datagram))
    except CoapError as error:
        return error.what


def described(message: Message) -> tuple:
    options = [(number, bytes(value)) for number, value in message.options]
    head = (message.type, message.code, message.message_id, bytes(message.token))
    return (*head, options, bytes(message.payload))


def options_of_aiocoap(message: aiocoap.Message) -> list[tuple[int, bytes]]:
    return [(int(option.number), option.encode()) for option in message.opt.option_list()]


def as_aiocoap_reads(options) -> list[tuple[int, bytes]]:
    """Options as aiocoap would give them: numbers lose their leading zeros in it."""
    return [
        (number, OptionNumber(number).create_option(decode=bytes(value)).encode())
        for number, value in options
    ]


@bounded
@given(messages)
def test_decode_gives_back_what_encode_was_given(message):
    assert described(decode(encode(*message))) == message


@bounded
@given(st.integers(0, 3), st.integers(0, 0xFFFF))
def test_empty_messages_round_trip(type, message_id):
    assert described(decode(encode(type, EMPTY, message_id, b"", ()))) == (
        type, EMPTY, message_id, b"", [], b"",
    )  # fmt: skip


@bounded
@given(messages)
def test_aiocoap_writes_the_same_bytes(message):
    type, code, message_id, token, options, payload = message
    other = aiocoap.Message(code=code, payload=payload, _mtype=type, _mid=message_id, _token=token)
    for number, value in options:
        other.opt.add_option(aiocoap.optiontypes.OpaqueOption(number, value))
    assert bytes(encode(*message)) == other.encode()


def why_malformed(datagram: bytes, theirs: aiocoap.Message) -> str:
    """What is wrong with a datagram that aiocoap took, by its header and what aiocoap read."""
    if datagram[0] & 0x0F > 8:
        return "a token length of 9 to 15"
    if len(datagram) < 4 + (datagram[0] & 0x0F):
        return "a truncated token"
    if datagram[1] == EMPTY:
        return "an Empty message that is not empty"
    if any(number > 0xFFFF for number, _ in options_of_aiocoap(theirs)):
        return "an option number over 65535"
    if datagram[-1] == 0xFF and not theirs.payload:
        return "a payload marker with no payload"
    return "nothing that is known"


def differs(datagram: bytes) -> str:
    """What aiocoap makes of a datagram that we do not; "" when it is the same."""
    ours = decoded(datagram)
    try:
        theirs = aiocoap.Message.decode(datagram)
    except UnicodeDecodeError:
        return "text that is not UTF-8"
    except aiocoap.error.UnparsableMessage:
        return "" if isinstance(ours, str) else "aiocoap refuses it"
    if isinstance(ours, str):
        return why_malformed(datagram, theirs)
    assert (ours.type, ours.code, ours.message_id) == (theirs.mtype, theirs.code, theirs.mid)
    assert bytes(ours.token) == theirs.token
    assert bytes(ours.payload) == theirs.payload
    assert as_aiocoap_reads(ours.options) == options_of_aiocoap(theirs)
    return ""


@bounded
@given(messages, st.data())
@example((0, 1, 0, b"", [(65535, b"")], b""), None)
def test_aiocoap_reads_the_same(message, data):
    datagram = bytearray(encode(*message))
    if data is not None and data.draw(st.booleans()):
        position = data.draw(st.integers(0, len(datagram) - 1))
        datagram[position] = data.draw(st.integers(0, 255))
        del datagram[data.draw(st.integers(1, len(datagram))) :]
    assert differs(bytes(datagram)) in {"", *AIOCOAP_IS_LAXER, *AIOCOAP_IS_STRICTER}


@pytest.mark.parametrize("what", [*AIOCOAP_IS_LAXER, *AIOCOAP_IS_STRICTER])
def test_known_difference_from_aiocoap(what):
    datagram = {**AIOCOAP_IS_LAXER, **AIOCOAP_IS_STRICTER}[what]
    assert differs(bytes.fromhex(datagram)) == what


@bounded
@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_a_format_error(datagram):
    decoded(datagram)


@bounded
@given(st.binary(min_size=1, max_size=80), st.sampled_from([0x40, 0x48, 0x52, 0x64, 0x70]))
def test_bytes_behind_a_good_header_are_a_message_or_a_format_error(rest, first):
    decoded(bytes((first, 0x45, 0x12, 0x34)) + rest)


def test_20000_mutations_are_a_message_or_a_format_error():
    chance = random.Random(7252)
    seeds = [bytes.fromhex(text) for text in AIOCOAP_IS_LAXER.values()]
    seeds.append(
        bytes(encode(0, 2, 1, b"12345678", [(11, b"api"), (12, b"2"), (300, b"v" * 300)], b"{}"))
    )
    outcomes = set()
    for _ in range(20000):
        datagram = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            where = chance.randrange(len(datagram) + 1)
            match chance.randrange(3):
                case 0:
                    datagram[where:where] = chance.randbytes(chance.randint(1, 3))
                case 1:
                    del datagram[where : where + chance.randint(1, 8)]
                case _ if where < len(datagram):
                    datagram[where] = chance.choice((0, 0x0D, 0x0E, 0xDD, 0xEE, 0xF0, 0xFF))
        result = decoded(bytes(datagram))
        outcomes.add(result if isinstance(result, str) else "a message")
        if isinstance(result, Message) and result.code != EMPTY:
            again = encode(
                result.type, result.code, result.message_id, result.token, result.options,
                result.payload,
            )  # fmt: skip
            assert described(decode(again)) == described(result)
    assert outcomes == {"a message", "bad format"}


@pytest.mark.parametrize("size", [0, 1, 4, 1152, 65507])
@pytest.mark.parametrize("byte", [0x00, 0x40, 0x48, 0xDD, 0xEE, 0xFF])
def test_one_byte_over_and_over_is_a_message_or_a_format_error(byte, size):
    decoded(bytes([byte]) * size)
    decoded(b"\x40\x45\x00\x00" + bytes([byte]) * size)


@bounded
@given(st.integers(0, 1 << 64))
def test_numbers_are_as_short_as_can_be(number):
    value = uint_bytes(number)
    assert uint(value) == number
    assert not value.startswith(b"\x00")
