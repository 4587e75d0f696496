"""One device's attempt to get its credentials, so that no power cut or lost reply loses them.

ThingsBoard provisions a deviceName once. So what a request is sent with is saved before it is
sent. After silence the same bytes go from the same port to the same address: a server that
still remembers them repeats its first reply. A confirmable reply is acknowledged only after the
credentials are saved. When the server says FAILURE, firmware.provisioning.recovery finds out
whether an earlier request, whose reply was lost, had succeeded.

What is prepared is asked: in between its memory can be given back, before the client is loaded.
"""

import gc
import json
from errno import EADDRINUSE

from micropython import const

from firmware.board.storage import CREDENTIALS
from firmware.errors import FirstbootError, NetworkError, NoResponse
from firmware.memory import give_back
from firmware.provisioning.record import Record
from firmware.thingsboard.provisioning import PATH

_PORTS_TO_TRY = const(8)


class Attempt:
    """The attempt of a board. One object from power-up until there are credentials.

    `replaces`: None, or the fingerprint of the credentials that are to be replaced, see
    firmware.provisioning.record_file. `client`: that of the connection that is open.
    """

    # What came but could not be saved. The server may say it only once.
    received = None
    # Whether there was no answer from the record's address.
    was_silent = False
    client = _transport = None
    # What acknowledges it, once it is saved.
    _owed = ()
    # How often what is asked was sent, as the console has it.
    _sent = 1

    def __init__(self, board, replaces=None):
        self.board = board
        self.record = Record(board, replaces)

    def prepare(self, config):
        """Prepare a try; sends nothing. Raises FirstbootError."""
        if not self.received:
            from firmware.provisioning.preparation import prepare

            self._prepared = prepare(self, config)

    def run(self, config):
        """Ask for the credentials, after `prepare`; `save` has them. Raises FirstbootError."""
        from firmware.coap.steps import drive

        drive(self.steps(config), self.receive)

    def save(self):
        """Save the credentials, acknowledge them when that is not done, and return them.

        What speaks CoAP is not needed for it. Raises FirstbootError; begin again with `prepare`.
        """
        try:
            self.board.storage.save(CREDENTIALS, json.dumps(self.received).encode())
            for datagram in self._owed:
                try:
                    self._transport.send(datagram)
                except OSError:
                    # As good as lost: the server says it again, and nobody needs it.
                    pass
        finally:
            self._disconnect()
        return self.received

    def receive(self, timeout):
        """Wait up to `timeout` ms, or for less; return a datagram, or None."""
        if self.client:
            return self.client.receive(timeout)
        self.board.sleep(timeout)

    def steps(self, config):
        """The steps of `run`."""
        if self.received:
            return
        body, addresses, found, failure = self._prepared
        self._prepared = None
        for address in addresses:
            self.record.go_to(address)
            try:
                yield from self.connect(config)
                trouble = None
                try:
                    kind, value = _read((yield from self._request(body)))
                except NetworkError:
                    raise
                except FirstbootError as error:
                    trouble = error
                if trouble:
                    kind, value = yield from _recover(self, config, trouble, address in found)
                self.received = {
                    "server": config["server"],
                    "deviceName": config["provisioning"]["deviceName"],
                    "credentialsType": kind,
                    "credentialsValue": value,
                }
                self._owed = self.client.exchange.acknowledge()
                self.client = None
                return
            except NetworkError as error:
                # This board could not send: another address of the same name is as good.
                failure = error
            except NoResponse:
                self.was_silent = True
                raise
            finally:
                if not self.received:
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
        # Only now: a save wants memory, and so does the client.
        gc.collect()
        from firmware.coap.client import Client

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
        self._owed = ()

    def _request(self, body):
        """Return the steps of the request."""
        from firmware.coap.client import JSON
        from firmware.coap.message import POST

        fields = self.record.fields
        return self.client.steps(
            POST,
            PATH,
            body,
            JSON,
            message_id=fields["message_id"],
            token=bytes.fromhex(fields["coap_token"]),
            acknowledge=False,
        )

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


def _read(response):
    gc.collect()
    from firmware.thingsboard.provisioning import read_response

    return read_response(response)


def _recover(attempt, config, failure, is_known):
    """See firmware.provisioning.recovery. `is_known`: whether the server's name has the address."""
    # What they had to say is in the failure.
    give_back("thingsboard.answers thingsboard.provisioning coap.failure")
    gc.collect()
    if not isinstance(failure, NoResponse):
        # A server would answer the same Message ID with the same reply again.
        attempt.record.renew()
        attempt.record.save()
    from firmware.provisioning.recovery import recover

    return recover(attempt, config, failure, is_known)
