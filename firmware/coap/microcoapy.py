"""firmware.coap.message's encode and decode, with microCoAPy's writer and reader doing the work.

For boards that have microCoAPy already. config.json asks for it: "codec": "microcoapy". What
microCoAPy 0.6.0 gets wrong is put right here. It writes
- options of one number in any order, because MicroPython's `sorted` is not stable;
- no option that has no value, and one of 269 bytes or more with a wrong length;
- no message over 1023 bytes, which it cuts without a word;
and it reads 10 options at most, tokens of any length, and a payload marker with no payload.
"""

from microcoapy import coap_writer
from microcoapy.coap_option import CoapOption
from microcoapy.coap_packet import CoapPacket
from microcoapy.coap_reader import parseOption, parsePacketHeaderInfo

from firmware.coap import blockwise, client, exchange, message
from firmware.errors import CoapError

_PAYLOAD_MARKER = 0xFF
_LONG = 269  # RFC 7252 section 3.1: from here on a length has two more bytes


def install():
    """Let every exchange from now on encode and decode with microCoAPy."""
    # Its limit is a number in its module; our exchange keeps to RFC 7252's.
    coap_writer._BUF_MAX_SIZE = 1 << 24
    message.encode = blockwise.encode = client.encode = encode
    message.decode = exchange.decode = decode


def encode(type, code, message_id, token, options, payload=b""):
    """Return a message as one buffer. `options`: (number, value) in ascending order."""
    packet = CoapPacket()
    packet.type = type
    packet.method = code
    packet.messageid = message_id
    packet.token = token
    packet.payload = payload
    buffer = bytearray()
    coap_writer.writePacketHeaderInfo(buffer, packet)
    previous = 0
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
    """Return the Message in a memoryview; raise CoapError when there is none."""
    size = len(datagram)
    if size < 4:
        raise CoapError("under 4 bytes")
    packet = CoapPacket()
    parsePacketHeaderInfo(datagram, packet)
    position = 4 + packet.tokenLength
    if packet.version != 1:
        raise CoapError("a version other than 1")
    if packet.tokenLength > 8:
        raise CoapError("a token length of 9 to 15")
    if position > size:
        raise CoapError("a truncated token")
    if packet.method == message.EMPTY and size > 4:
        raise CoapError("an Empty message that is not empty")
    decoded = message.Message(packet.type, packet.method, packet.messageid, datagram[4:position])
    decoded.options = []
    number = 0
    while position < size and datagram[position] != _PAYLOAD_MARKER:
        first = datagram[position]
        whole, number, position = parseOption(packet, number, datagram, position)
        if first >> 4 == 15 or first & 0x0F == 15:
            raise CoapError("a reserved option nibble")
        if not whole:
            raise CoapError("a truncated option")
        if number > 0xFFFF:
            raise CoapError("an option number over 65535")
        decoded.options.append((number, packet.options.pop().buffer))
    if position < size:
        decoded.payload = datagram[position + 1 :]
        if not decoded.payload:
            raise CoapError("a payload marker with no payload")
    return decoded
