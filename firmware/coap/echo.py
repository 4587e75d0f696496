"""The Echo option, RFC 9175: the server wants a request again, to see that it is a fresh one."""

from micropython import const

from .merge import merge
from .message import CON, decode, encode

_ECHO = const(252)


def repeat(client, code, token, options, payload, response):
    """The steps of a request again, with what its response, a 4.01, echoes.

    An option of over 40 bytes is none. The token differs in its last byte: a duplicate of the 4.01
    is no response to this request.
    """
    value = bytes(response.option(_ECHO))
    if len(value) > 40:
        return response
    # Its options as a list, whatever they were.
    plain = decode(memoryview(encode(CON, code, 0, b"", options)))
    options = merge(plain.options, ((_ECHO, value),))
    token = token[:-1] + bytes((token[-1] ^ 0x80,))
    return (yield from client.ask(code, token, options, payload, False, False))
