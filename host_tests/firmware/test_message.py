"""firmware.coap.message: RFC 7252 section 3, byte by byte."""

import json

from firmware.coap.failure import code_name
from firmware.coap.message import (
    ACK,
    CON,
    EMPTY,
    GET,
    POST,
    RST,
    decode,
    encode,
    uint,
    uint_bytes,
)
from firmware.errors import CoapError
from host_tests.firmware.coap_helpers import NON, octets
from host_tests.firmware.helpers import raises

PROVISION = octets("""
    48                      # version 1, CON, 8 bytes of token
    02                      # 0.02 POST
    12 34                   # Message ID
    01 02 03 04 05 06 07 08 # token
    b3                      # option 11, Uri-Path; 3 bytes
    61 70 69                # "api"
    02                      # the same option again; 2 bytes
    76 31                   # "v1"
    09                      # the same option again; 9 bytes
    70 72 6f 76 69 73 69 6f 6e # "provision"
    11                      # option 12, Content-Format; 1 byte
    32                      # 50, application/json
    ff                      # payload marker
    7b 7d                   # "{}"
""")
PROVISION_OPTIONS = [(11, b"api"), (11, b"v1"), (11, b"provision"), (12, b"\x32")]

RESPONSE = octets("""
    62          # version 1, ACK, 2 bytes of token
    41          # 2.01 Created
    be ef       # Message ID
    aa bb       # token
    c0          # option 12, Content-Format; no bytes: 0, text/plain
    22 01 00    # option 14, Max-Age; 256
    d1 0a 46    # option 14 + 13 + 10 = 37; one extension byte of delta; 1 byte
    ff          # payload marker
    6f 6b       # "ok"
""")

# (option number, length of its value, the bytes in front of the value)
OPTION_HEADERS = (
    (0, 0, "00"),
    (12, 12, "cc"),
    (13, 0, "d0 00"),
    (13, 13, "dd 00 00"),
    (268, 268, "dd ff ff"),
    (269, 0, "e0 0000"),
    (269, 269, "ee 0000 0000"),
    (12, 268, "cd ff"),
    (268, 12, "dc ff"),
    (14, 269, "de 01 0000"),
    (270, 13, "ed 0001 00"),
    (524, 14, "ed 00ff 01"),
    (525, 1, "e1 0100"),
    (1, 525, "1e 0100"),
    (2048, 3, "e3 06f3"),
    (65535, 0, "e0 fef2"),
    (65535, 65535, "ee fef2 fef2"),
    (5, 65804, "5e ffff"),
)

# (what is wrong, the datagram)
FORMAT_ERRORS = (
    ("under 4 bytes", ""),
    ("under 4 bytes", "40"),
    ("under 4 bytes", "40 01 12"),
    ("a version other than 1", "00 01 1234"),
    ("a version other than 1", "80 01 1234"),
    ("a version other than 1", "c0 01 1234"),
    ("a token length of 9 to 15", "49 01 1234 010203040506070809"),
    ("a token length of 9 to 15", "4f 01 1234 0102030405060708090a0b0c0d0e0f"),
    ("a truncated token", "48 01 1234 01020304050607"),
    ("a truncated token", "41 01 1234"),
    ("an Empty message that is not empty", "40 00 1234 00"),
    ("an Empty message that is not empty", "41 00 1234 01"),
    ("an Empty message that is not empty", "60 00 1234 ff 01"),
    ("a payload marker with no payload", "40 01 1234 ff"),
    ("a payload marker with no payload", "60 45 1234 c0 ff"),
    ("a reserved option nibble", "40 01 1234 f0"),
    ("a reserved option nibble", "40 01 1234 0f"),
    ("a reserved option nibble", "40 01 1234 f1 01"),
    ("a reserved option nibble", "40 01 1234 df 00"),
    ("a reserved delta, and bytes enough for one", "40 01 1234 f0 000000"),
    ("a reserved length, and bytes enough for one", "40 01 1234 0f" + "00" * 18),
    ("a truncated option", "40 01 1234 d0"),
    ("a truncated option", "40 01 1234 e0 00"),
    ("a truncated option", "40 01 1234 0d"),
    ("a truncated option", "40 01 1234 0e 00"),
    ("a truncated option", "40 01 1234 dd 00"),
    ("a truncated option", "40 01 1234 ee 0000 00"),
    ("a truncated option", "40 01 1234 01"),
    ("a truncated option", "40 01 1234 0c 0102030405060708090a0b"),
    ("a truncated option", "40 01 1234 0d 00 0102030405060708090a0b0c"),
    ("a truncated option", "40 01 1234 10 0e ffff"),
    ("an option number over 65535", "40 01 1234 e0 fef3"),
    ("an option number over 65535", "40 01 1234 e0 ffff e0 ffff"),
)


def described(message):
    """Return a Message as one comparable value."""
    options = [(number, bytes(value)) for number, value in message.options]
    head = (message.type, message.code, message.message_id, bytes(message.token))
    return head, options, bytes(message.payload)


def decoded(datagram):
    return described(decode(memoryview(datagram)))


def test_provisioning_request_is_encoded():
    token = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    assert bytes(encode(CON, POST, 0x1234, token, PROVISION_OPTIONS, b"{}")) == PROVISION


def test_provisioning_request_is_decoded():
    head, options, payload = decoded(PROVISION)
    assert head == (CON, POST, 0x1234, b"\x01\x02\x03\x04\x05\x06\x07\x08")
    assert options == PROVISION_OPTIONS
    assert payload == b"{}"


def test_provisioning_request_is_32_bytes_and_its_json():
    body = json.dumps({"deviceName": "DEVICE", "provisionDeviceKey": "K"}).encode()
    assert len(encode(CON, POST, 0, bytes(8), PROVISION_OPTIONS, body)) == 32 + len(body)


def test_response_is_decoded():
    head, options, payload = decoded(RESPONSE)
    assert head == (ACK, 0x41, 0xBEEF, b"\xaa\xbb")
    assert options == [(12, b""), (14, b"\x01\x00"), (37, b"F")]
    assert payload == b"ok"


def test_response_is_encoded():
    options = [(12, b""), (14, b"\x01\x00"), (37, b"F")]
    assert bytes(encode(ACK, 0x41, 0xBEEF, b"\xaa\xbb", options, b"ok")) == RESPONSE


def test_every_type():
    for type, first in ((CON, 0x40), (NON, 0x50), (ACK, 0x60), (RST, 0x70)):
        datagram = bytes((first, GET, 0, 1))
        assert bytes(encode(type, GET, 1, b"", ())) == datagram
        assert decoded(datagram)[0][0] == type


def test_every_token_length():
    for size in range(9):
        token = bytes(range(size))
        datagram = bytes(encode(NON, 0x45, 7, token, [(12, b"")], b"x"))
        assert datagram[0] == 0x50 | size
        assert datagram[4 : 4 + size] == token
        assert decoded(datagram) == ((NON, 0x45, 7, token), [(12, b"")], b"x")


def test_a_token_has_8_bytes_at_most():
    for size in (9, 15, 16, 300):
        assert raises(CoapError, encode, CON, GET, 0, bytes(size), ()).what == "bad token"


def test_message_id_is_big_endian():
    for message_id, two in ((0, b"\x00\x00"), (0xFF, b"\x00\xff"), (0xFF00, b"\xff\x00")):
        datagram = bytes(encode(CON, GET, message_id, b"", ()))
        assert datagram[2:] == two
        assert decoded(datagram)[0][2] == message_id


def test_empty_messages():
    for first, type in ((0x40, CON), (0x60, ACK), (0x70, RST)):
        datagram = bytes((first, EMPTY, 0x12, 0x34))
        assert bytes(encode(type, EMPTY, 0x1234, b"", ())) == datagram
        assert decoded(datagram) == ((type, EMPTY, 0x1234, b""), [], b"")


def test_option_headers_are_encoded():
    for number, length, header in OPTION_HEADERS:
        value = b"v" * length
        datagram = bytes(encode(CON, GET, 0, b"", [(number, value)], b"!"))
        assert datagram == b"\x40\x01\x00\x00" + octets(header) + value + b"\xff!", (number, length)


def test_option_headers_are_decoded():
    for number, length, header in OPTION_HEADERS:
        value = b"v" * length
        datagram = b"\x40\x01\x00\x00" + octets(header) + value + b"\xff!"
        _, options, payload = decoded(datagram)
        assert options == [(number, value)], (number, length)
        assert payload == b"!"


def test_options_may_be_given_encoded():
    for options in ([], PROVISION_OPTIONS, [(11, b"a"), (293, bytes(300))]):
        encoded = bytes(encode(CON, GET, 0, b"", options)[4:])
        for payload in (b"", b"x"):
            assert encode(NON, POST, 7, b"t", encoded, payload) == encode(
                NON, POST, 7, b"t", options, payload
            )


def test_option_deltas_add_up():
    options = [(11, b"a"), (11, b""), (24, b"b"), (293, b"c"), (65535, b"d")]
    datagram = bytes(encode(CON, GET, 0, b"", options))
    assert decoded(datagram)[1] == options


def test_option_value_may_hold_a_payload_marker():
    options = [(11, b"\xff\xff"), (15, b"\xff")]
    datagram = bytes(encode(CON, GET, 0, b"\xff", options, b"\xff"))
    assert decoded(datagram) == ((CON, GET, 0, b"\xff"), options, b"\xff")


def test_payload_may_be_all_there_is():
    assert decoded(b"\x40\x45\x00\x00\xffp")[1:] == ([], b"p")


def test_no_payload_means_no_marker():
    assert bytes(encode(CON, GET, 0, b"", [(11, b"a")])) == b"\x40\x01\x00\x00\xb1a"
    assert decoded(b"\x40\x01\x00\x00\xb1a")[2] == b""


def test_payload_may_be_a_view():
    assert bytes(encode(CON, POST, 0, b"", (), memoryview(b"abcd")[1:3])) == b"\x40\x02\0\0\xffbc"


def test_format_errors():
    for what, datagram in FORMAT_ERRORS:
        error = raises(CoapError, decode, memoryview(octets(datagram)))
        assert error.what == "bad format", what


def test_every_truncation_is_a_message_or_a_format_error():
    for datagram in (PROVISION, RESPONSE):
        for size in range(len(datagram)):
            try:
                decode(memoryview(datagram)[:size])
            except CoapError:
                pass


def test_every_byte_changed_is_a_message_or_a_format_error():
    for position in range(len(PROVISION)):
        datagram = bytearray(PROVISION)
        for value in range(256):
            datagram[position] = value
            try:
                decode(memoryview(datagram))
            except CoapError:
                pass


def test_option_gives_the_first_of_its_number():
    message = decode(memoryview(PROVISION))
    assert message.option(11) == b"api"
    assert message.option(12) == b"\x32"
    assert message.option(14) is None


def test_option_present_with_no_bytes_is_not_absent():
    assert decode(memoryview(RESPONSE)).option(12) == b""
    assert decode(memoryview(RESPONSE)).option(12) is not None


def test_decoding_copies_nothing():
    datagram = bytearray(RESPONSE)
    message = decode(memoryview(datagram))
    datagram[-2:] = b"no"
    datagram[4] = 0xCC
    assert message.payload == b"no"
    assert message.token == b"\xcc\xbb"


def test_code_name():
    names = ((0x45, "2.05"), (0x41, "2.01"), (0x84, "4.04"), (0xA3, "5.03"), (0xFF, "7.31"))
    for code, name in names + ((EMPTY, "0.00"), (POST, "0.02")):
        assert code_name(code) == name


def test_uint_bytes_is_as_short_as_can_be():
    for number, value in (
        (0, b""),
        (1, b"\x01"),
        (50, b"\x32"),
        (255, b"\xff"),
        (256, b"\x01\x00"),
        (65535, b"\xff\xff"),
        (65536, b"\x01\x00\x00"),
        (0xFFFFFFFF, b"\xff\xff\xff\xff"),
    ):
        assert uint_bytes(number) == value
        assert uint(value) == number
        assert uint(memoryview(value)) == number


def test_uint_allows_leading_zeros():
    assert uint(b"\x00\x00\x32") == 50
