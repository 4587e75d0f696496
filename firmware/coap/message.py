"""The CoAP message format, RFC 7252 section 3: encode, decode. Pure.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|Ver| T |  TKL  |      Code     |          Message ID           |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|   Token (TKL bytes) ...
|   Options (delta nibble, length nibble, extensions, value) ...
|1 1 1 1 1 1 1 1|    Payload ...
"""

from micropython import const

from firmware.errors import CoapError

CON = const(0)
NON = const(1)
ACK = const(2)
RST = const(3)

EMPTY = const(0x00)
GET = const(0x01)
POST = const(0x02)

_PAYLOAD_MARKER = const(0xFF)


class Message:
    """A decoded message.

    `token`, the option values and `payload` are views into the datagram. `options`: (number,
    value) as they came.
    """

    options = ()
    payload = b""

    def __init__(self, type, code, message_id, token):
        self.type = type
        self.code = code
        self.message_id = message_id
        self.token = token

    def option(self, number):
        """Return the first value of the option, or None."""
        for known, value in self.options:
            if known == number:
                return value
        return None


def encode(type, code, message_id, token, options, payload=b""):
    """Return a message as one buffer. `options`: (number, value) in ascending order."""
    buffer = bytearray(4)
    buffer[0] = 0x40 | type << 4 | len(token)
    buffer[1] = code
    buffer[2] = message_id >> 8
    buffer[3] = message_id & 0xFF
    buffer.extend(token)
    previous = 0
    for number, value in options:
        delta = number - previous
        previous = number
        length = len(value)
        if delta < 13 and length < 13:
            buffer.append(delta << 4 | length)
        else:
            buffer.append(_nibble(delta) << 4 | _nibble(length))
            _extend(buffer, delta)
            _extend(buffer, length)
        buffer.extend(value)
    if payload:
        buffer.append(_PAYLOAD_MARKER)
        buffer.extend(payload)
    return buffer


def decode(datagram):
    """Return the Message in a memoryview; raise CoapError when there is none."""
    size = len(datagram)
    if size < 4:
        raise CoapError("under 4 bytes")
    if datagram[0] >> 6 != 1:
        raise CoapError("a version other than 1")
    position = 4 + (datagram[0] & 0x0F)
    if position > 12:
        raise CoapError("a token length of 9 to 15")
    if position > size:
        raise CoapError("a truncated token")
    code = datagram[1]
    if code == EMPTY and size > 4:
        raise CoapError("an Empty message that is not empty")
    message = Message(
        datagram[0] >> 4 & 3, code, datagram[2] << 8 | datagram[3], datagram[4:position]
    )
    number = 0
    while position < size:
        first = datagram[position]
        position += 1
        if first == _PAYLOAD_MARKER:
            if position == size:
                raise CoapError("a payload marker with no payload")
            message.payload = datagram[position:]
            break
        try:
            delta = _extended(datagram, position, first >> 4)
            position += max(0, (first >> 4) - 12)
            length = _extended(datagram, position, first & 0x0F)
            position += max(0, (first & 0x0F) - 12)
        except IndexError:
            raise CoapError("a truncated option")
        number += delta
        if number > 0xFFFF:
            raise CoapError("an option number over 65535")
        if position + length > size:
            raise CoapError("a truncated option")
        # Most responses have none, and a list is garbage.
        message.options = message.options or []
        message.options.append((number, datagram[position : position + length]))
        position += length
    return message


def code_name(code):
    """Return a code as people write it: "2.05"."""
    return "%d.%02d" % (code >> 5, code & 0x1F)


def uint(value):
    """Return the number in an option value (RFC 7252 section 3.2)."""
    return int.from_bytes(value, "big")


def uint_bytes(number):
    """Return a number as an option value: the fewest bytes, none for 0."""
    size = 0
    while number >> 8 * size:
        size += 1
    return number.to_bytes(size, "big")


def _nibble(number):
    return number if number < 13 else 13 if number < 269 else 14


def _extend(buffer, number):
    """Append what a nibble cannot say of a delta or a length."""
    if number > 268:
        buffer.append(number - 269 >> 8)
        buffer.append(number - 269 & 0xFF)
    elif number > 12:
        buffer.append(number - 13)


def _extended(datagram, position, nibble):
    if nibble < 13:
        return nibble
    if nibble == 13:
        return 13 + datagram[position]
    if nibble == 14:
        return 269 + (datagram[position] << 8 | datagram[position + 1])
    raise CoapError("a reserved option nibble")
