"""Requests that are sent once and not waited for, such as the readings of a board on a battery."""

from micropython import const

from .message import ACK, CON, EMPTY, encode
from .options import request_options

_NON = const(1)


class Unconfirmed:
    """Sends non-confirmable requests with a Client, and takes the responses that come for them.

    `on_response(message)`: called for each, while the client waits for something else. A message
    with code 4.01 may thus be noticed late, or never: nothing of this is repeated.

    A server that never says anything should get a byte a second at most on average (PROBING_RATE,
    RFC 7252 section 4.7); who sends more than that waits for a response now and then.
    """

    def __init__(self, client, on_response):
        self.client = client
        self.on_response = on_response
        # One for all requests: none of their responses has to be told from the others.
        self.token = client.random(8)
        client.exchange.listeners = list(client.exchange.listeners) + [self]

    def send(self, code, path, payload=b"", content_format=None, options=()):
        """Send a request of one datagram.

        The arguments are those of Client.request. Raises NetworkError when it could not be sent,
        ValueError for a payload that one datagram does not carry.
        """
        client = self.client
        if len(payload) > client.transport.largest_block:
            raise ValueError(
                "a payload over %d bytes, which one datagram does not carry"
                % client.transport.largest_block
            )
        options = request_options(client.name, path, content_format, options)
        message_id = client.message_id
        client.message_id = message_id + 1 & 0xFFFF
        client.send(encode(_NON, code, message_id, self.token, options, payload), True)

    def on_message(self, message):
        """Take a response; return its acknowledgement, or None."""
        self.on_response(message)
        if message.type == CON:
            return encode(ACK, EMPTY, message.message_id, b"", ())
        return None

    def end(self):
        """Take no more responses."""
        exchange = self.client.exchange
        exchange.listeners = [each for each in exchange.listeners if each is not self]
