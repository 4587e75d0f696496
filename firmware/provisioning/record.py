"""What a provisioning request is sent with: on flash before it is sent, so that it can go again."""

from binascii import b2a_base64
from hashlib import sha256

from micropython import const

from firmware.board import credentials as store
from firmware.thingsboard import provisioning

_TOKEN_BYTES = const(15)
# More Message IDs than the blocks of a request take.
_BLOCKS = const(16)
# In the Message ID of a probe, so that a server never takes it for the request again.
PROBE = const(0x8000)


class Record:
    """The record of an attempt in the file `path`.

    `fields`: what is in it, see firmware.board.credentials. `resumed`: whether it is of an earlier
    try. `given`: the access token that config.json gives, or None; `proposed`: the one that the
    request has. `first_sent`: ticks when the request was first sent since power-up; `may_move`:
    whether it may be sent to another address.
    """

    first_sent = None
    may_move = False

    def __init__(self, board, path):
        self.board = board
        self.path = path

    def begin(self, config, credentials):
        """Load the record or draw a new one; return the request body.

        `credentials`: what is known of them, `server` and `deviceName`.
        """
        request = dict(config["provisioning"])
        if config["certificate"]:
            from firmware.board.security import add_certificate

            add_certificate(request, self.board, config)
        same = dict(credentials)
        same["provisionDeviceKey"] = request["provisionDeviceKey"]
        fields = store.load(self.board.storage, self.path)
        self.saved = fields and dict(fields)
        self.resumed = matches(fields, same)
        if not self.resumed:
            fields = same
            fields.update(
                body="", token=None, address="", port=self.draw_port(), message_id=-_BLOCKS
            )
        self.fields = fields
        self.given = request["token"]
        self.proposed = None
        if request["credentialsType"] in (None, "ACCESS_TOKEN"):
            if not self.given and config["access_token"] == "device":
                if not fields["token"]:
                    # 20 characters that need no escaping in a path.
                    token = b2a_base64(self.board.random(_TOKEN_BYTES)).decode().strip()
                    fields["token"] = token.replace("+", "-").replace("/", "_")
                request["token"] = fields["token"]
            self.proposed = request["token"]
            # One that was proposed before may still turn out to be this device's.
            fields["token"] = self.proposed or fields["token"]
        body = provisioning.request_body(request)
        digest = sha256(body).digest().hex()
        if fields["body"] != digest:
            fields["body"] = digest
            self.renew()
        return body

    def renew(self):
        """Draw a new Message ID and CoAP token for a new request."""
        message_id = self.draw() & ~PROBE
        if abs(message_id - self.fields["message_id"]) < _BLOCKS:
            message_id ^= 0x4000
        self.fields["message_id"] = message_id
        self.fields["coap_token"] = self.board.random(8).hex()
        self.first_sent = None
        self.may_move = False

    def save(self):
        """Save what has changed. Raises FirstbootError."""
        if self.fields != self.saved:
            store.save(self.board.storage, self.fields, self.path)
            self.saved = dict(self.fields)

    def draw(self):
        """Draw 16 bits."""
        return int.from_bytes(self.board.random(2), "big")

    def draw_port(self):
        """Draw a port clear of the ranges that systems draw from."""
        return 16384 + (self.draw() & 0x3FFF)


def matches(found, fields):
    """Return whether `found`, a dictionary or None, has all of these fields with their values."""
    for field in fields:
        if found is None or found[field] != fields[field]:
            return False
    return True
