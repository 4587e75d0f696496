"""What a provisioning request is sent with, and the access tokens that were proposed.

All of it is on flash before it is sent, in /attempt.json, so that the same request can go again,
and so that no token is forgotten that a server may have taken for a name.
"""

import json
from binascii import b2a_base64
from hashlib import sha256

from micropython import const

from firmware.board import credentials as store
from firmware.errors import FirstbootError
from firmware.thingsboard import provisioning

_TOKEN_BYTES = const(15)
_MOST_TOKENS = const(8)
# More Message IDs than the blocks of a request take.
_BLOCKS = const(16)
_X509 = "X509_CERTIFICATE"
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
        board = self.board
        request = dict(config["provisioning"])
        if config["certificate"]:
            from firmware.board.security import add_certificate

            add_certificate(request, board, config)
        self.server = config["origin"]
        self.addresses = addresses
        self.name = request["deviceName"]
        self.kind = request["credentialsType"] or "ACCESS_TOKEN"
        self.fixed = self.proposed = None
        self.is_new = False
        fields = load(board)
        self.saved = fields and encoded(fields)
        if not fields:
            fields = {"body": "", "port": self.draw_port(), "message_id": -_BLOCKS, "tokens": []}
        self.fields = fields
        fields.update(id=board.id, replaces=self.replaces)
        is_here = bool(fields["body"]) and self.is_here(fields)
        if not is_here:
            fields["address"] = ""
        fields["server"] = self.server
        if self.kind == "ACCESS_TOKEN":
            request["token"] = self._propose(request["token"], config)
        elif config["certificate"] and self.kind == _X509:
            digest = sha256(request["hash"].encode()).digest().hex()
            if not self.saved and board.storage.exists(store.ATTEMPT):
                from firmware.provisioning.recovery import check_certificate

                check_certificate(board, digest)
            self._keep(digest, _X509)
        body = provisioning.request_body(request)
        digest = sha256(body).digest().hex()
        if not is_here or fields["body"] != digest:
            fields["body"] = digest
            self.renew()
        else:
            self.is_new = False
        return body

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

    def _propose(self, given, config):
        """Return the token to propose, None for none. One that is this board's alone is kept."""
        if given and not config["own_token"]:
            self.fixed = given
            return given
        if not given and config["access_token"] == "server":
            return None
        return self._keep(given, bool(given))

    def _keep(self, token, given):
        """Return the token that is kept, or `token`, kept from now on; None for one to draw."""
        kept = self.fields["tokens"]
        for each in kept:
            if self.is_asked_for(each) and (each["token"] == token or not (given or each["given"])):
                self.proposed = each
                return each["token"]
        if len(kept) >= _MOST_TOKENS:
            from firmware.provisioning.recovery import too_many

            raise too_many(kept)
        if not token:
            # 20 characters that need no escaping in a path.
            token = b2a_base64(self.board.random(_TOKEN_BYTES)).decode().strip()
            token = token.replace("+", "-").replace("/", "_")
        self.is_new = True
        self.proposed = {
            "server": self.server,
            "address": "",
            "deviceName": self.name,
            "token": token,
            "given": given,
        }
        kept.append(self.proposed)
        return token

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
    fields = store.load(board.storage, path, _checked)
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


def _checked(found):
    """Return the fields in a record; raise ValueError, TypeError or KeyError for what is none."""
    if "tokens" not in found:
        # The form that has one token, and no board's id.
        from firmware.coap.uri import origin

        found.update(server=origin(found["server"]), id=None, replaces=None, tokens=[])
        if found["token"]:
            proposed = {"given": False}
            for field in ("server", "address", "deviceName", "token"):
                proposed[field] = found[field]
            found["tokens"].append(proposed)
    # What may be empty is a text all the same.
    texts = [found["server"], found["address"] + found["body"] + "."]
    for each in found["tokens"]:
        texts += each["server"], each["deviceName"], each["token"], each["address"] + "."
        each["given"]
    if found["id"] is not None:
        texts.append(found["id"])
    found["replaces"]
    coap_token = bytes.fromhex(found["coap_token"])
    # What is negative stays negative.
    if (found["message_id"] | found["port"]) >> 16 or len(coap_token) != 8:
        raise ValueError
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ValueError
    return found
