"""firmware.coap.message's encode and decode, with microCoAPy's writer and reader doing the work.

For boards that have microCoAPy already. config.json asks for it: "codec": "microcoapy". What
microCoAPy 0.6.0 gets wrong is put right here. It writes
- options of one number in any order, because MicroPython's `sorted` is not stable;
- no option that has no value, and one of 269 bytes or more with a wrong length;
- no message over 1023 bytes, which it cuts without a word;
- a token of over 8 bytes with a length that is none.
And it reads 10 options at most, tokens of any length, and a payload marker with no payload.
"""

from microcoapy import coap_writer
from microcoapy.coap_option import CoapOption
from microcoapy.coap_packet import CoapPacket
from microcoapy.coap_reader import parseOption, parsePacketHeaderInfo

from ..errors import CoapError
from . import client, exchange, message

_PAYLOAD_MARKER = 0xFF
_LONG = 269  # RFC 7252 section 3.1: from here on a length has two more bytes


def install():
    """Let every exchange from now on encode and decode with microCoAPy."""
    # Its limit is a number in its module; our exchange keeps to RFC 7252's.
    coap_writer._BUF_MAX_SIZE = 1 << 24
    message.encode = exchange.encode = client.encode = encode
    message.decode = exchange.decode = decode


def encode(type, code, message_id, token, options, payload=b""):
    """Return a message as one buffer.

    `options`: (number, value) in ascending order, or the bytes that they make in a message.
    Raises CoapError for a token of over 8 bytes.
    """
    if len(token) > 8:
        raise CoapError("bad token")
    packet = CoapPacket()
    packet.type = type
    packet.method = code
    packet.messageid = message_id
    packet.token = token
    packet.payload = payload
    buffer = bytearray()
    coap_writer.writePacketHeaderInfo(buffer, packet)
    previous = 0
    if isinstance(options, bytes):
        buffer.extend(options)
        options = ()
    for number, value in options:
        # One at a time, its number is the difference to the one before: none can be out of order.
        buffer = _with_option(buffer, packet, number - previous, value)
        previous = number
    coap_writer.writePacketPayload(buffer, packet)
    return memoryview(buffer)


def _with_option(buffer, packet, delta, value):
    start = len(buffer)
    length = len(value)
    writes = 0 < length < _LONG
    packet.options = [CoapOption(delta, value if writes else b"-")]
    coap_writer.writePacketOptions(buffer, packet)
    if writes:
        return buffer
    buffer = buffer[:-1]
    buffer[start] &= 0xF0
    if length:
        buffer[start] |= 14
        buffer.extend(bytes(((length - _LONG) >> 8, (length - _LONG) & 0xFF)))
        buffer.extend(value)
    return buffer


def decode(datagram):
    """Return the Message in a memoryview; raise CoapError when it is malformed."""
    size = len(datagram)
    if size < 4:
        raise CoapError("bad format")
    packet = CoapPacket()
    parsePacketHeaderInfo(datagram, packet)
    position = 4 + packet.tokenLength
    decoded = message.Message()
    decoded.type = packet.type
    decoded.code = packet.method
    decoded.message_id = packet.messageid
    decoded.token = datagram[4:position]
    decoded.options = []
    number = 0
    is_good = packet.version == 1 and position <= min(12, size)
    if decoded.code == message.EMPTY and size > 4:
        is_good = False
    while is_good and position < size and datagram[position] != _PAYLOAD_MARKER:
        first = datagram[position]
        whole, number, position = parseOption(packet, number, datagram, position)
        is_good = whole and first >> 4 != 15 and first & 0x0F != 15 and number <= 0xFFFF
        if is_good:
            decoded.options.append((number, packet.options.pop().buffer))
    if is_good and position < size:
        decoded.payload = datagram[position + 1 :]
        is_good = len(decoded.payload) > 0
    if not is_good:
        raise CoapError("bad format")
    return decoded
