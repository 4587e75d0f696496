"""One device's attempt to get its credentials, so that no power cut or lost reply loses them.

ThingsBoard provisions a deviceName once. So what a request is sent with is saved before it is
sent. After silence the same bytes go from the same port to the same address: a server that
still remembers them repeats its first reply. A confirmable reply is acknowledged only after the
credentials are saved. When the server says FAILURE, the access token that the device proposed
tells whether an earlier request, whose reply was lost, had succeeded.
"""

from binascii import b2a_base64
from errno import EADDRINUSE
from hashlib import sha256
from time import ticks_diff

from micropython import const

from firmware.board import credentials as store
from firmware.coap.client import JSON, Client
from firmware.coap.message import GET, POST, uint
from firmware.errors import FirstbootError, NetworkError, NoResponse
from firmware.thingsboard import provisioning

# RFC 7252 section 4.8.2: how long a server remembers a Message ID, in ms.
_EXCHANGE_LIFETIME = const(247_000)
_TOKEN_BYTES = const(15)
_PORTS_TO_TRY = const(8)
# More Message IDs than the blocks of a request take.
_BLOCKS = const(16)
# In the Message ID of a probe, so that a server never takes it for the request again.
_PROBE = const(0x8000)


class Attempt:
    """The attempt of a board. One object from power-up until there are credentials.

    `path`: the file that keeps it.
    """

    def __init__(self, board, path=store.ATTEMPT):
        self.board = board
        self.path = path
        self._received = self._first_sent = None
        self._may_move = False

    def run(self, config):
        """Return the credentials, saved. Raises FirstbootError; call it again later."""
        board = self.board
        found = {
            "server": config["server"],
            "deviceName": config["provisioning"]["deviceName"],
        }
        if _has(self._received, found):
            # They came, but could not be saved. The server may say them only once.
            store.save(board.storage, self._received)
            return self._received
        host, port, name = config["endpoint"]
        secure = board.sessions(config)
        body = self._prepare(config, found)
        failure = None
        # No reply is repeated in another DTLS session, so none is lost by moving.
        for address in self._addresses(host, port, name, self._may_move or secure):
            self._record["address"] = address
            transport = None
            try:
                transport = self._open(address, port)
                self._save()
                transport = secure(transport, host) if secure else transport
                client = Client(transport, name, board.idle, ticks=board.ticks, random=board.random)
                found["credentialsType"], found["credentialsValue"] = self._ask(client, body)
                self._received = found
                store.save(board.storage, found)
                client.acknowledge()
                return found
            except NetworkError as error:
                # This board could not send: another address of the same name is as good.
                failure = error
            finally:
                if transport:
                    transport.close()
        raise failure

    def _prepare(self, config, identity):
        """Load the attempt or draw a new one; return the request body."""
        request = dict(config["provisioning"])
        same = dict(identity)
        same["provisionDeviceKey"] = request["provisionDeviceKey"]
        record = store.load(self.board.storage, self.path)
        self._saved = record and dict(record)
        self._resumed = _has(record, same)
        if not self._resumed:
            record = same
            record.update(
                body="", token=None, address="", port=self._draw_port(), message_id=-_BLOCKS
            )
        self._record = record
        self._given = request["token"]
        self._proposed = None
        if request["credentialsType"] in (None, "ACCESS_TOKEN"):
            if not self._given and config["access_token"] == "device":
                request["token"] = record["token"] or self._draw_token()
            self._proposed = request["token"]
            # One that was proposed before may still turn out to be this device's.
            record["token"] = self._proposed or record["token"]
        body = provisioning.request_body(request)
        digest = sha256(body).digest().hex()
        if record["body"] != digest:
            record["body"] = digest
            self._renew()
        return body

    def _ask(self, client, body):
        """Send the request; return (credentialsType, credentialsValue)."""
        board = self.board
        if self._first_sent is None:
            self._first_sent = board.ticks()
        try:
            return provisioning.read_response(
                client.request(
                    POST,
                    provisioning.PATH,
                    body,
                    JSON,
                    message_id=self._record["message_id"],
                    token=bytes.fromhex(self._record["coap_token"]),
                    acknowledge=False,
                )
            )
        except NetworkError:
            raise
        except NoResponse as silence:
            # Without a proposed token only the address that has the first reply can give it again.
            waited = ticks_diff(board.ticks(), self._first_sent)
            self._may_move |= bool(self._proposed) or waited >= _EXCHANGE_LIFETIME
            # An earlier power-up may have acknowledged a reply that the server now keeps back.
            credentials = silence.acknowledged and self._probe(client)
            if not credentials:
                raise
        except FirstbootError as final:
            # A server would answer the same Message ID with the same reply again.
            self._renew()
            self._save()
            client.acknowledge()
            failed = final.status == "FAILURE"
            credentials = failed and self._probe(client)
            if not credentials:
                if self._given and final.state == "refused":
                    board.storage.remove(self.path)
                if failed and not self._proposed:
                    from firmware.thingsboard.refusals import ambiguous

                    raise ambiguous(final)
                raise
        return credentials

    def _probe(self, client):
        """Return the credentials if the proposed token turns out to be this device's.

        A token that config.json gives may be another board's too: it proves something only when
        an earlier request may have brought it there.
        """
        token = self._record["token"]
        if not token or (self._given and not self._resumed):
            return None
        path = provisioning.attributes_path(token)
        response = client.request(GET, path, message_id=self._draw() | _PROBE)
        return ("ACCESS_TOKEN", token) if provisioning.is_accepted(response) else None

    def _addresses(self, host, port, name, may_move):
        """Yield the address to send to, then the others for when sending fails on this board.

        `may_move`: whether an address that the name no longer has may be left.
        """
        if not name:
            yield host
            return
        saved = self._record["address"]
        if saved and not may_move:
            yield saved
        reason = "it has no address"
        try:
            found = self.board.resolve(host, port)
        except OSError as error:
            found = [saved] if saved else []
            reason = error
        if not found:
            from firmware.coap.failure import out_of_reach

            raise out_of_reach("%s was not found" % host, reason)
        if saved in found and may_move:
            yield saved
        for address in found:
            if address != saved:
                yield address

    def _open(self, address, port):
        """Return a transport from the attempt's port, or from another when that is in use."""
        for _ in range(_PORTS_TO_TRY):
            try:
                return self.board.open_transport(address, port, self._record["port"])
            except OSError as error:
                failure = error
                if error.errno != EADDRINUSE:
                    break
                self._record["port"] = self._draw_port()
        from firmware.coap.failure import out_of_reach

        raise out_of_reach("this board could not open a UDP socket to %s" % address, failure)

    def _renew(self):
        """Draw a new Message ID and CoAP token for a new request."""
        record = self._record
        message_id = self._draw() & ~_PROBE
        if abs(message_id - record["message_id"]) < _BLOCKS:
            message_id ^= 0x4000
        record["message_id"] = message_id
        record["coap_token"] = self.board.random(8).hex()
        self._first_sent = None
        self._may_move = False

    def _save(self):
        if self._record != self._saved:
            store.save(self.board.storage, self._record, self.path)
            self._saved = dict(self._record)

    def _draw(self):
        return uint(self.board.random(2))

    def _draw_port(self):
        """Draw a port clear of the ranges that systems draw from."""
        return 16384 + (self._draw() & 0x3FFF)

    def _draw_token(self):
        """Draw an access token: 20 characters that need no escaping in a path."""
        token = b2a_base64(self.board.random(_TOKEN_BYTES)).decode().strip()
        return token.replace("+", "-").replace("/", "_")


def _has(found, fields):
    """Return whether there is a dictionary with the same values in these fields."""
    for field in fields:
        if found is None or found[field] != fields[field]:
            return False
    return True
