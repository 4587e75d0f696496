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

from ..errors import CoapError

CON = const(0)
ACK = const(2)
RST = const(3)

EMPTY = const(0x00)
GET = const(0x01)
POST = const(0x02)

_PAYLOAD_MARKER = const(0xFF)


class Message:
    """A decoded message: `type`, `code`, `message_id`, `token`, `options` and `payload`.

    The token, the option values and the payload are views into the datagram. `options`: (number,
    value) as they came.
    """

    options = ()
    payload = b""

    def option(self, number):
        """Return the first value of the option, or None."""
        for known, value in self.options:
            if known == number:
                return value
        return None


def encode(type, code, message_id, token, options, payload=b""):
    """Return a message as one buffer.

    `options`: (number, value) in ascending order, or the bytes that they make in a message.
    Raises CoapError for a token of over 8 bytes.
    """
    if len(token) > 8:
        raise CoapError("bad token")
    buffer = bytearray(4)
    buffer[0] = 0x40 | type << 4 | len(token)
    buffer[1] = code
    buffer[2] = message_id >> 8
    buffer[3] = message_id & 0xFF
    buffer.extend(token)
    previous = 0
    if isinstance(options, bytes):
        buffer.extend(options)
        options = ()
    for number, value in options:
        delta = number - previous
        length = len(value)
        previous = number
        if delta < 13 and length < 13:
            buffer.append(delta << 4 | length)
        else:
            head = len(buffer)
            buffer.append(0)
            buffer[head] = _extend(buffer, delta) << 4 | _extend(buffer, length)
        buffer.extend(value)
    if payload:
        buffer.append(_PAYLOAD_MARKER)
        buffer.extend(payload)
    return buffer


def decode(datagram):
    """Return the Message in a memoryview; raise CoapError when it is malformed."""
    size = len(datagram)
    message = Message()
    # To read past the end raises IndexError, and so does what the format forbids.
    try:
        first = datagram[0]
        message.type = first >> 4 & 3
        message.code = datagram[1]
        message.message_id = datagram[2] << 8 | datagram[3]
        position = 4 + (first & 0x0F)
        message.token = datagram[4:position]
        is_empty = message.code == EMPTY
        if first >> 6 != 1 or position > 12 or position > size or (is_empty and size > 4):
            raise IndexError
        number = 0
        while position < size:
            first = datagram[position]
            position += 1
            if first == _PAYLOAD_MARKER:
                message.payload = datagram[position:]
                if not message.payload:
                    raise IndexError
                break
            number += _extended(datagram, position, first >> 4)
            position += max(0, (first >> 4) - 12)
            length = _extended(datagram, position, first & 0x0F)
            position += max(0, (first & 0x0F) - 12)
            end = position + length
            if number > 0xFFFF or end > size:
                raise IndexError
            # Most responses have none, and a list is garbage.
            message.options = message.options or []
            message.options.append((number, datagram[position:end]))
            position = end
    except IndexError:
        raise CoapError("bad format")
    return message


def uint(value):
    """Return the number in an option value (RFC 7252 section 3.2)."""
    return int.from_bytes(value, "big")


def uint_bytes(number):
    """Return a number as an option value: the fewest bytes, none for 0."""
    size = 0
    while number >> 8 * size:
        size += 1
    return number.to_bytes(size, "big")


def _extend(buffer, number):
    """Append what a nibble cannot say of a delta or a length; return the nibble."""
    if number > 268:
        buffer.extend((number - 269).to_bytes(2, "big"))
        return 14
    if number > 12:
        buffer.append(number - 13)
        return 13
    return number


def _extended(datagram, position, nibble):
    """Return the delta or the length that a nibble says, with what `_extend` has appended."""
    if nibble == 15:
        raise IndexError
    if nibble == 14:
        return 269 + (datagram[position] << 8 | datagram[position + 1])
    return 13 + datagram[position] if nibble == 13 else nibble
