"""One device's attempt to get its credentials, so that no power cut or lost reply loses them.

ThingsBoard provisions a deviceName once. So what a request is sent with is saved before it is
sent. After silence the same bytes go from the same port to the same address: a server that
still remembers them repeats its first reply. A confirmable reply is acknowledged only after the
credentials are saved. When the server says FAILURE, firmware.provisioning.recovery finds out
whether an earlier request, whose reply was lost, had succeeded.
"""

from errno import EADDRINUSE
from time import ticks_diff

from micropython import const

from firmware.board import credentials as store
from firmware.coap.client import JSON, Client
from firmware.coap.exchange import drive
from firmware.coap.message import POST
from firmware.errors import CoapError, FirstbootError, NetworkError, NoResponse
from firmware.provisioning.record import Record
from firmware.thingsboard import provisioning

# RFC 7252 section 4.8.2: how long a server remembers a Message ID, in ms.
_EXCHANGE_LIFETIME = const(247_000)
_PORTS_TO_TRY = const(8)


class Attempt:
    """The attempt of a board. One object from power-up until there are credentials.

    `replaces`: None, or the fingerprint of the credentials that are to be replaced, see
    firmware.provisioning.record. `client`: that of the connection that is open.
    """

    # What came but could not be saved. The server may say it only once.
    received = None
    # Whether there was no answer from the record's address.
    was_silent = False
    client = _transport = None
    # How often what is asked was sent, as the console has it.
    _sent = 1

    def __init__(self, board, replaces=None):
        self.board = board
        self.record = Record(board, replaces)

    def run(self, config):
        """Return the credentials, saved. Raises FirstbootError; call it again later."""
        return drive(self.steps(config), self.receive)

    def receive(self, timeout):
        """Wait up to `timeout` ms, or for less; return a datagram, or None."""
        if self.client:
            return self.client.receive(timeout)
        self.board.sleep(timeout)

    def steps(self, config):
        """The steps of `run`."""
        if self.received:
            store.save(self.board.storage, self.received)
            self.record.settle(self.received)
            return self.received
        found, failure = self._resolve(config)
        body = self.record.begin(config, found)
        try:
            for address in self._addresses(config, found):
                self.record.go_to(address)
                try:
                    yield from self.connect(config)
                    kind, value = yield from self._ask(config, body, address in found)
                    self.received = {
                        "server": config["server"],
                        "deviceName": config["provisioning"]["deviceName"],
                        "credentialsType": kind,
                        "credentialsValue": value,
                    }
                    store.save(self.board.storage, self.received)
                    self.client.acknowledge()
                    self.record.settle(self.received)
                    return self.received
                except NetworkError as error:
                    # This board could not send: another address of the same name is as good.
                    failure = error
                except NoResponse:
                    self.was_silent = True
                    raise
        finally:
            self._disconnect()
        raise failure

    def connect(self, config, kind=None):
        """The steps that open `client` to the record's address, in place of what is open.

        `kind`: the credentialsType that a DTLS session is for, None for what config.json says.
        The record is saved before anything is sent. Raises FirstbootError.
        """
        self._disconnect()
        board = self.board
        host, port, name = config["endpoint"]
        secure = board.sessions(config, kind)
        self._transport = self._open(port)
        self.record.save()
        if secure:
            self._transport = secure(self._transport, host)
            if board.in_steps:
                yield from self._transport.handshake()
        self.client = Client(
            self._transport, name, self._idle, ticks=board.ticks, random=board.random
        )

    def _idle(self):
        """What every wait for a response does: say when the request was sent again."""
        exchange = self.client.exchange
        sent = exchange.transmissions
        if sent != self._sent:
            self._sent = sent
            if sent > 1:
                most = exchange.MAX_RETRANSMIT + 1
                self.board.indicator.say("no answer yet; sent again, %d of %d" % (sent, most))
        self.board.idle()

    def _disconnect(self):
        if self._transport:
            self._transport.close()
            self.client = self._transport = None

    def _ask(self, config, body, is_known):
        """The steps that send the request; they return (credentialsType, credentialsValue).

        `is_known`: whether the server's name still has the address.
        """
        board = self.board
        record = self.record
        client = self.client
        try:
            response = yield from client.steps(
                POST,
                provisioning.PATH,
                body,
                JSON,
                message_id=record.fields["message_id"],
                token=bytes.fromhex(record.fields["coap_token"]),
                acknowledge=False,
            )
            credentials = provisioning.read_response(response)
        except NetworkError:
            raise
        except NoResponse as silence:
            record.quiet_since = board.ticks()
            if not is_known:
                # So long the old address may still answer; then the new one is asked.
                silence.retry_after = _EXCHANGE_LIFETIME
            credentials = None
            if silence.acknowledged:
                # An earlier power-up may have acknowledged a reply that the server keeps back.
                from firmware.provisioning.recovery import probe

                credentials = yield from probe(self, config)
            if not credentials:
                raise
        except FirstbootError as final:
            # A server would answer the same Message ID with the same reply again.
            record.renew()
            record.save()
            if not isinstance(final, CoapError):
                # Of any other nothing could be read, or not the whole of it.
                client.acknowledge()
            self.was_silent = False
            if final.status != "FAILURE":
                raise
            from firmware.provisioning.recovery import recover

            credentials = yield from recover(self, config, final)
        return credentials

    def _resolve(self, config):
        """Return the server's addresses, and the NetworkError to raise when there is none."""
        host, port, name = config["endpoint"]
        if not name:
            return [host], None
        reason = "it has no address"
        try:
            found = self.board.resolve(host, port)
        except OSError as error:
            found = []
            reason = error
        if found:
            return found, None
        from firmware.coap.failure import out_of_reach

        return found, out_of_reach("%s was not found" % host, reason)

    def _addresses(self, config, found):
        """Return the addresses to ask, in this order; all but the first when sending fails here.

        A server that may have the request already is the only one that can repeat its reply: it
        is left 247 s after it was last asked. No reply is repeated in another DTLS session.
        """
        record = self.record
        saved = record.fields["address"]
        quiet_since = record.quiet_since
        may_answer = (
            quiet_since is not None
            and not config["secure"]
            and ticks_diff(self.board.ticks(), quiet_since) < _EXCHANGE_LIFETIME
        )
        if saved and (may_answer or not found):
            return [saved]
        if saved not in found:
            return found
        first = found.index(saved) + self.was_silent
        return found[first:] + found[:first]

    def _open(self, port):
        """Return a transport from the record's port, or from another when that is in use."""
        fields = self.record.fields
        address = fields["address"]
        for _ in range(_PORTS_TO_TRY):
            try:
                return self.board.open_transport(address, port, fields["port"])
            except OSError as error:
                failure = error
                if error.errno != EADDRINUSE:
                    break
                fields["port"] = self.record.draw_port()
        from firmware.coap.failure import out_of_reach

        raise out_of_reach("this board could not open a UDP socket to %s" % address, failure)
