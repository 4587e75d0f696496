"""One device's attempt to get its credentials, so that no power cut or lost reply loses them.

ThingsBoard provisions a deviceName once. So what a request is sent with is saved before it is
sent. After silence the same bytes go from the same port to the same address: a server that
still remembers them repeats its first reply. A confirmable reply is acknowledged only after the
credentials are saved. When the server says FAILURE, the access token that the device proposed
tells whether an earlier request, whose reply was lost, had succeeded.
"""

from errno import EADDRINUSE
from time import ticks_diff

from micropython import const

from firmware.board import credentials as store
from firmware.coap.client import JSON, Client
from firmware.coap.message import GET, POST
from firmware.errors import FirstbootError, NetworkError, NoResponse
from firmware.provisioning.record import PROBE, Record, matches
from firmware.thingsboard import provisioning

# RFC 7252 section 4.8.2: how long a server remembers a Message ID, in ms.
_EXCHANGE_LIFETIME = const(247_000)
_PORTS_TO_TRY = const(8)


class Attempt:
    """The attempt of a board. One object from power-up until there are credentials.

    `path`: the file that keeps it.
    """

    # What came but could not be saved. The server may say it only once.
    received = None

    def __init__(self, board, path=store.ATTEMPT):
        self.board = board
        self.record = Record(board, path)

    def run(self, config):
        """Return the credentials, saved. Raises FirstbootError; call it again later."""
        board = self.board
        record = self.record
        credentials = {
            "server": config["server"],
            "deviceName": config["provisioning"]["deviceName"],
        }
        if matches(self.received, credentials):
            store.save(board.storage, self.received)
            return self.received
        host, port, name = config["endpoint"]
        secure = board.sessions(config)
        body = record.begin(config, credentials)
        failure = None
        # No reply is repeated in another DTLS session, so none is lost by moving.
        for address in self._addresses(host, port, name, record.may_move or secure):
            record.fields["address"] = address
            transport = None
            try:
                transport = self._open(address, port)
                record.save()
                transport = secure(transport, host) if secure else transport
                client = Client(transport, name, board.idle, ticks=board.ticks, random=board.random)
                kind, value = self._ask(client, body)
                credentials.update(credentialsType=kind, credentialsValue=value)
                self.received = credentials
                store.save(board.storage, credentials)
                client.acknowledge()
                return credentials
            except NetworkError as error:
                # This board could not send: another address of the same name is as good.
                failure = error
            finally:
                if transport:
                    transport.close()
        raise failure

    def _ask(self, client, body):
        """Send the request; return (credentialsType, credentialsValue)."""
        board = self.board
        record = self.record
        if record.first_sent is None:
            record.first_sent = board.ticks()
        try:
            return provisioning.read_response(
                client.request(
                    POST,
                    provisioning.PATH,
                    body,
                    JSON,
                    message_id=record.fields["message_id"],
                    token=bytes.fromhex(record.fields["coap_token"]),
                    acknowledge=False,
                )
            )
        except NetworkError:
            raise
        except NoResponse as silence:
            # Without a proposed token only the address that has the first reply can give it again.
            waited = ticks_diff(board.ticks(), record.first_sent)
            record.may_move |= bool(record.proposed) or waited >= _EXCHANGE_LIFETIME
            # An earlier power-up may have acknowledged a reply that the server now keeps back.
            credentials = silence.acknowledged and self._probe(client)
            if not credentials:
                raise
        except FirstbootError as final:
            # A server would answer the same Message ID with the same reply again.
            record.renew()
            record.save()
            client.acknowledge()
            failed = final.status == "FAILURE"
            credentials = failed and self._probe(client)
            if not credentials:
                if record.given and final.state == "refused":
                    board.storage.remove(record.path)
                if failed and not record.proposed:
                    from firmware.thingsboard.refusals import ambiguous

                    raise ambiguous(final)
                raise
        return credentials

    def _probe(self, client):
        """Return the credentials if the proposed token turns out to be this device's.

        A token that config.json gives may be another board's too: it proves something only when
        an earlier request may have brought it there.
        """
        record = self.record
        token = record.fields["token"]
        if not token or (record.given and not record.resumed):
            return None
        path = provisioning.attributes_path(token)
        response = client.request(GET, path, message_id=record.draw() | PROBE)
        return ("ACCESS_TOKEN", token) if provisioning.is_accepted(response) else None

    def _addresses(self, host, port, name, may_move):
        """Yield the address to send to, then the others for when sending fails on this board.

        `may_move`: whether an address that the name no longer has may be left.
        """
        if not name:
            yield host
            return
        saved = self.record.fields["address"]
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
        """Return a transport from the record's port, or from another when that is in use."""
        fields = self.record.fields
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
