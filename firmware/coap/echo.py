"""The Echo option, RFC 9175: the server wants a request again, to see that it is a fresh one."""

from micropython import const

from .message import decode
from .options import merge

_ECHO = const(252)


def repeat(client, response):
    """Send a request again, once, with what its response, a 4.01, echoes; see Client.advance.

    An option of over 40 bytes is none. The token differs in its last byte: a duplicate of the 4.01
    is no response to this request.
    """
    value = bytes(response.option(_ECHO))
    if client.is_repeated or len(value) > 40:
        return 0
    sent = decode(memoryview(client.exchange.request))
    token = bytes(sent.token)
    token = token[:-1] + bytes((token[-1] ^ 0x80,))
    options = merge(sent.options, ((_ECHO, value),))
    timeout = client.start(sent.code, token, options, sent.payload, False)
    client.is_repeated = True
    return timeout
