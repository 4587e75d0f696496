"""The exchange's two messages through microCoAPy's own writer and reader."""

from messages import BODY, RESPONSE, TOKEN
from microcoapy.coap_packet import CoapPacket
from microcoapy.coap_reader import parsePacketHeaderInfo, parsePacketOptionsAndPayload
from microcoapy.coap_writer import writePacketHeaderInfo, writePacketOptions, writePacketPayload


def nothing():
    pass


def encode_request():
    packet = CoapPacket()
    packet.method = 2
    packet.token = TOKEN
    packet.payload = BODY
    packet.messageid = 0x1234
    packet.setUriPath("api/v1/provision")
    packet.addOption(12, b"\x00\x32")
    buffer = bytearray()
    writePacketHeaderInfo(buffer, packet)
    writePacketOptions(buffer, packet)
    writePacketPayload(buffer, packet)
    return buffer


def decode_response():
    packet = CoapPacket()
    parsePacketHeaderInfo(RESPONSE, packet)
    packet.token = RESPONSE[4 : 4 + packet.tokenLength]
    parsePacketOptionsAndPayload(RESPONSE, packet)
    return packet
