"""What a provisioning request is sent with. It is on flash before it is sent, in /attempt.json.

So the same request can go again, and no token is forgotten that a server may have taken for a name.
"""

import json
from hashlib import sha256

from micropython import const

from firmware.board.storage import ATTEMPT

# More Message IDs than the blocks of a request take.
BLOCKS = const(16)
# In the Message ID of a probe, so that a server never takes it for the request again.
_PROBE = const(0x8000)


class Record:
    """The record of an attempt, as long as its request is under way.

    `fields`: what is on flash. Of the last request: `server`, an origin, its `address`, the local
    `port`, `message_id` and `coap_token` (hex), and `body`, a hash of its body. `id`: the board's;
    `replaces`: the fingerprint of the credentials that are to be replaced, or None. `tokens`: for
    each access token that was proposed and is nobody's but this board's a dictionary of `server`,
    `address`, `deviceName`, `token`, and `given`, whether config.json gave it; for a certificate
    `token` is a hash of it and `given` is "X509_CERTIFICATE".

    `kind`: the credentialsType of the request. `proposed`: of `tokens` the one that it proposes, or
    None; `is_new`: whether it was never sent. `fixed`: a token that others may have, too.
    `quiet_since`: ticks when the request was last sent, None when it never was. `saved`: a hash of
    what is on flash, None when there is nothing. firmware.provisioning.preparation sets all that.
    """

    def __init__(self, board, replaces):
        self.board = board
        self.replaces = replaces
        # What an earlier power-up sent may have been sent just now.
        self.quiet_since = board.ticks()

    def go_to(self, address):
        """Note the address that the request goes to."""
        self.fields["address"] = address
        if self.proposed:
            self.proposed["address"] = address

    def renew(self):
        """Draw a new Message ID and CoAP token for a new request."""
        message_id = self._draw() & ~_PROBE
        if abs(message_id - self.fields["message_id"]) < BLOCKS:
            message_id ^= 0x4000
        self.fields["message_id"] = message_id
        self.fields["coap_token"] = self.board.random(8).hex()
        self.quiet_since = None

    def save(self):
        """Save what has changed. Raises FirstbootError."""
        content = encoded(self.fields)
        digest = sha256(content).digest()
        if digest != self.saved:
            self.board.storage.save(ATTEMPT, content)
            self.saved = digest

    def draw_probe(self):
        """Draw the Message ID of a probe."""
        return self._draw() | _PROBE

    def draw_port(self):
        """Draw a port clear of the ranges that systems draw from."""
        return 16384 + (self._draw() & 0x3FFF)

    def _draw(self):
        return int.from_bytes(self.board.random(2), "big")


def encoded(fields):
    """Return a record's fields as they are on flash."""
    return json.dumps(fields).encode()
