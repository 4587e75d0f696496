"""The exchange's two messages through microCoAPy under our exchange."""

from messages import BODY, OPTIONS, RESPONSE, TOKEN

from firmware.coap.message import CON, POST
from firmware.coap.microcoapy import decode, encode, install

install()


def nothing():
    pass


def encode_request(encode=encode):
    return encode(CON, POST, 0x1234, TOKEN, OPTIONS, BODY)


def decode_response(decode=decode):
    return decode(RESPONSE)
