"""What a provisioning request is sent with, and the access tokens that were proposed.

All of it is on flash before it is sent, in /attempt.json, so that the same request can go again,
and so that no token is forgotten that a server may have taken for a name.
"""

import json
from hashlib import sha256

from micropython import const

from firmware.board import credentials as store
from firmware.errors import FirstbootError

# More Message IDs than the blocks of a request take.
_BLOCKS = const(16)
# In the Message ID of a probe, so that a server never takes it for the request again.
_PROBE = const(0x8000)


class Record:
    """The record of an attempt.

    `fields`: what is on flash. Of the last request: `server`, an origin, its `address`, the local
    `port`, `message_id` and `coap_token` (hex), and `body`, a hash of its body. `id`: the board's;
    `replaces`: the fingerprint of the credentials that are to be replaced, or None. `tokens`: for
    each access token that was proposed and is nobody's but this board's a dictionary of `server`,
    `address`, `deviceName`, `token`, and `given`, whether config.json gave it; for a certificate
    `token` is a hash of it and `given` is "X509_CERTIFICATE".

    `kind`: the credentialsType of the request. `proposed`: of `tokens` the one that it proposes, or
    None; `is_new`: whether it was never sent. `fixed`: a token that others may have, too.
    `quiet_since`: ticks when the request was last sent, None when it never was.
    """

    def __init__(self, board, replaces):
        self.board = board
        self.replaces = replaces
        # What an earlier power-up sent may have been sent just now.
        self.quiet_since = board.ticks()

    def begin(self, config, addresses):
        """Load the record or draw a new one; return the request body.

        `addresses`: those of the server. Raises FirstbootError.
        """
        fields = load(self.board)
        self.saved = fields and encoded(fields)
        self.fields = fields or {
            "body": "",
            "port": self.draw_port(),
            "message_id": -_BLOCKS,
            "tokens": [],
        }
        from firmware.provisioning.request import begin

        return begin(self, config, addresses)

    def go_to(self, address):
        """Note the address that the request goes to."""
        self.fields["address"] = address
        if self.proposed:
            self.proposed["address"] = address

    def renew(self):
        """Draw a new Message ID and CoAP token for a new request."""
        message_id = self._draw() & ~_PROBE
        if abs(message_id - self.fields["message_id"]) < _BLOCKS:
            message_id ^= 0x4000
        self.fields["message_id"] = message_id
        self.fields["coap_token"] = self.board.random(8).hex()
        self.quiet_since = None

    def save(self):
        """Save what has changed. Raises FirstbootError."""
        content = encoded(self.fields)
        if content != self.saved:
            self.board.storage.save(store.ATTEMPT, content)
            self.saved = content

    def settle(self, credentials):
        """Forget what the credentials, which are saved, tell the fate of; say if it cannot be."""
        try:
            settle(self.board, self.fields, credentials, self.server)
        except FirstbootError as error:
            self.board.indicator.say(*str(error).split("\n"))

    def draw_probe(self):
        """Draw the Message ID of a probe."""
        return self._draw() | _PROBE

    def draw_port(self):
        """Draw a port clear of the ranges that systems draw from."""
        return 16384 + (self._draw() & 0x3FFF)

    def _draw(self):
        return int.from_bytes(self.board.random(2), "big")

    def is_asked_for(self, proposed):
        """Return whether a token was proposed for this name, where it is asked for."""
        return proposed["deviceName"] == self.name and self.is_here(proposed)

    def is_here(self, place):
        """Return whether a server is the one that is asked, by its name or by its address."""
        return _is_at(place, self.server, self.addresses)


def load(board, path=store.ATTEMPT):
    """Return the fields of this board's record, None when there is none.

    A flash that was copied from another board holds that board's. Raises FirstbootError.
    """
    from firmware.provisioning.request import checked

    fields = store.load(board.storage, path, checked)
    return fields if fields and fields["id"] in (None, board.id) else None


def settle(board, fields, credentials, server):
    """Forget the tokens whose fate the credentials tell, and the record when none is left.

    `server`: the origin of the one that gave them. Raises FirstbootError.
    """
    addresses = [fields["address"]] if fields["server"] == server else ()
    left = []
    for each in fields["tokens"]:
        if each["deviceName"] != credentials["deviceName"] or not _is_at(each, server, addresses):
            left.append(each)
    if left:
        fields.update(tokens=left, body="")
        board.storage.save(store.ATTEMPT, encoded(fields))
    else:
        board.storage.remove(store.ATTEMPT)


def fingerprint(board):
    """Return what tells the credentials on flash from any other, None when there are none."""
    content = board.storage.read(store.CREDENTIALS)
    return content and sha256(content).digest().hex()


def encoded(fields):
    """Return a record's fields as they are on flash."""
    return json.dumps(fields).encode()


def _is_at(place, server, addresses):
    at = place["server"]
    return at == server or (place["address"] in addresses and _service(at) == _service(server))


def _service(server):
    """Return the scheme and the port of an origin."""
    return server.split(":")[0], server.split(":")[-1]
