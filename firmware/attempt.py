"""One device's attempt to get its credentials, so that no power cut or lost reply loses them.

ThingsBoard provisions a deviceName once. So what a request is sent with is saved before it is
sent. After silence the same bytes go from the same port to the same address: a server that
still remembers them repeats its first reply. A confirmable reply is acknowledged only after the
credentials are saved. When the server says FAILURE, the access token that the device proposed
tells whether an earlier request, whose reply was lost, had succeeded.
"""

from binascii import b2a_base64, hexlify, unhexlify
from errno import EADDRINUSE
from hashlib import sha256
from time import ticks_diff

from micropython import const

from firmware.addresses import addresses
from firmware.board import credentials as store
from firmware.coap.client import JSON, Client, max_age
from firmware.coap.message import GET, POST, uint
from firmware.coap.uri import Uri
from firmware.errors import CoapError, Failure, NetworkError, NoResponse, ProvisioningError, Refused
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
        self._board = board
        self._path = path
        self._record = None
        self._unsaved = False
        self._proposed = None
        self._first_sent = None
        self._may_move = False
        self._received = None

    def run(self, config):
        """Return the credentials, saved. Raises FirstbootError; call it again later."""
        received = self._received
        identity = self._identity(config)
        if received and all(received[field] == identity[field] for field in identity):
            # They came, but could not be saved. The server may say them only once.
            store.save(self._board.storage, received)
            return received
        board = self._board
        server = Uri(config["server"])
        secure = board.sessions(config) if server.secure else None
        body = self._prepare(config)
        failure = None
        for address in self._addresses(server):
            self._set("address", address)
            transport = None
            try:
                transport = self._open(address, server.port)
                self._save()
                transport = secure(transport, server.host) if secure else transport
                client = Client(
                    transport, server.name, idle=board.idle, ticks=board.ticks, random=board.random
                )
                return self._keep(client, config, self._ask(client, body))
            except NetworkError as error:
                # This board could not send: another address of the same name is as good.
                failure = error
            finally:
                if transport:
                    transport.close()
        raise failure

    def _prepare(self, config):
        """Load the attempt or draw a new one; return the request body."""
        record = store.load_attempt(self._board.storage, self._path)
        asked = config["provisioning"]
        same = self._identity(config)
        same["provisionDeviceKey"] = asked["provisionDeviceKey"]
        self._resumed = record is not None and all(record[field] == same[field] for field in same)
        if not self._resumed:
            record = same
            record.update(body="", token=None, address="", port=self._random_port())
        self._record = record
        request = dict(asked)
        self._given = asked["token"]
        if request["credentialsType"] in (None, "ACCESS_TOKEN"):
            if not request["token"] and config["access_token"] == "device":
                request["token"] = record["token"] or self._random_token()
            self._proposed = request["token"]
            if self._proposed:
                self._set("token", self._proposed)
        else:
            self._proposed = None
        body = provisioning.request_body(request)
        digest = hexlify(sha256(body).digest()).decode()
        if record["body"] != digest:
            self._set("body", digest)
            self._renew()
        return body

    def _ask(self, client, body):
        """Send the request; return (credentialsType, credentialsValue)."""
        if self._first_sent is None:
            self._first_sent = self._board.ticks()
        try:
            response = client.request(
                POST,
                provisioning.PATH,
                body,
                JSON,
                message_id=self._record["message_id"],
                token=unhexlify(self._record["coap_token"]),
                acknowledge=False,
            )
            return provisioning.read_response(response.code, response.payload, max_age(response))
        except NoResponse as silence:
            self._after_silence()
            # An earlier power-up may have acknowledged a reply that the server now keeps back.
            credentials = self._probe(client) if silence.acknowledged else None
            if not credentials:
                raise
        except NetworkError:
            raise
        except (ProvisioningError, CoapError) as final:
            # A server would answer the same Message ID with the same reply again.
            self._renew()
            self._save()
            client.acknowledge()
            credentials = self._probe(client) if isinstance(final, Failure) else None
            if not credentials:
                if self._given and isinstance(final, Refused):
                    self._board.storage.remove(self._path)
                if isinstance(final, Failure) and not self._proposed:
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
        message_id = self._random_message_id() | _PROBE
        response = client.request(GET, path, message_id=message_id)
        if provisioning.is_accepted(response.code, max_age(response)):
            return "ACCESS_TOKEN", token
        return None

    def _keep(self, client, config, received):
        credentials = self._identity(config)
        credentials["credentialsType"], credentials["credentialsValue"] = received
        self._received = credentials
        store.save(self._board.storage, credentials)
        client.acknowledge()
        return credentials

    def _identity(self, config):
        return {"server": config["server"], "deviceName": config["provisioning"]["deviceName"]}

    def _addresses(self, server):
        # No reply is repeated in another DTLS session, so none is lost by moving.
        may_move = self._may_move or server.secure
        return addresses(server, self._board.resolve, self._record["address"], may_move)

    def _open(self, address, port):
        """Return a transport from the attempt's port, or from another when that is in use."""
        for _ in range(_PORTS_TO_TRY):
            try:
                return self._board.open_transport(address, port, self._record["port"])
            except OSError as error:
                failure = error
                if error.errno != EADDRINUSE:
                    break
                self._set("port", self._random_port())
        raise NetworkError(
            "this board could not open a UDP socket to %s: %s" % (address, failure),
            "Check the Wi-Fi and that `server` can be reached from it.",
        )

    def _after_silence(self):
        """Decide whether the server's name may be looked up again.

        Without a proposed token only the address that has the first reply can give it again.
        """
        silence = ticks_diff(self._board.ticks(), self._first_sent)
        self._may_move |= bool(self._proposed) or silence >= _EXCHANGE_LIFETIME

    def _renew(self):
        """Draw a new Message ID and CoAP token for a new request."""
        message_id = self._random_message_id()
        if abs(message_id - self._record.get("message_id", -_BLOCKS)) < _BLOCKS:
            message_id ^= 0x4000
        self._set("message_id", message_id)
        self._set("coap_token", hexlify(self._board.random(8)).decode())
        self._first_sent = None
        self._may_move = False

    def _set(self, field, value):
        if self._record.get(field) != value:
            self._record[field] = value
            self._unsaved = True

    def _save(self):
        if self._unsaved:
            store.save_attempt(self._board.storage, self._path, self._record)
            self._unsaved = False

    def _random_message_id(self):
        return uint(self._board.random(2)) & ~_PROBE

    def _random_token(self):
        """Draw an access token: 20 characters that need no escaping in a path."""
        token = b2a_base64(self._board.random(_TOKEN_BYTES)).decode().strip()
        return token.replace("+", "-").replace("/", "_")

    def _random_port(self):
        """Draw a port clear of the ranges that systems draw from."""
        return 16384 + (uint(self._board.random(2)) & 0x3FFF)
