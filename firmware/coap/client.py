"""A minimal CoAP client, RFC 7252: one server, one request at a time, blocking.

client = connect("coap://thingsboard.example.com")
response = client.post("/api/v1/TOKEN/telemetry", b'{"temperature": 21.5}')
client.close()
"""

from os import urandom
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from firmware.coap.exchange import LARGEST_MESSAGE, Exchange, Transmission
from firmware.coap.message import CON, GET, POST, encode, uint, uint_bytes
from firmware.coap.udp import UDP, resolve
from firmware.coap.uri import Uri
from firmware.errors import CoapError, NetworkError

JSON = const(50)

_URI_HOST = const(3)
_URI_PATH = const(11)
_CONTENT_FORMAT = const(12)
_MAX_AGE = const(14)
_URI_QUERY = const(15)
_BLOCK2 = const(23)
_BLOCK1 = const(27)
_LARGEST_BLOCK = const(1024)


class Client:
    """Requests to one server.

    `transport`: send(datagram), receive(size, timeout), close(). `name`: the server's name
    for Uri-Host, None when it was given as an IP address. `limit`: the most bytes that a
    response body may have. `idle`: called at least every 50 ms of a wait. `ticks` and `random`:
    time.ticks_ms and os.urandom.
    """

    def __init__(
        self,
        transport,
        name=None,
        transmission=None,
        limit=4096,
        idle=None,
        ticks=ticks_ms,
        random=urandom,
    ):
        self.ignored = 0  # datagrams that did no good, received or not sent
        self._transport = transport
        self._name = name
        self._transmission = transmission or Transmission()
        self._limit = limit
        self._idle = idle
        self._ticks = ticks
        self._random = random
        self._message_id = uint(random(2))
        self._acknowledged = []
        self._exchange = None

    def get(self, path):
        """GET a path; see `request`."""
        return self.request(GET, path)

    def post(self, path, payload, content_format=JSON):
        """POST a payload to a path; see `request`."""
        return self.request(POST, path, payload, content_format)

    def request(
        self,
        code,
        path,
        payload=b"",
        content_format=None,
        message_id=None,
        token=None,
        acknowledge=True,
    ):
        """Send a request and return its response, a Message with `code` and the whole `payload`.

        Block n of a body goes out with Message ID `message_id` + n, which with `token` is drawn
        when not given. With `acknowledge` False a confirmable response is acknowledged only by
        `acknowledge`, so that the caller can make sure of what it says first.

        Raises CoapError: NetworkError when the first datagram could not be sent, NoResponse,
        ResetReceived, TooLarge or FormatError.
        """
        if message_id is None:
            message_id = self._message_id
        if token is None:
            token = self._random(8)
        options = self._options(path, content_format)
        response = None
        if len(payload) <= _LARGEST_BLOCK:
            request = encode(CON, code, message_id, token, options, payload)
            response = self._exchange_one(request, message_id, True)
            in_blocks = response.option(_BLOCK1) or response.option(_BLOCK2)
            if in_blocks is None and len(response.payload) <= self._limit:
                response.payload = bytes(response.payload)
                if acknowledge:
                    self.acknowledge()
                return response
        # Only now, since most boards never need it.
        from firmware.coap.blockwise import Transfer

        transfer = Transfer(code, options, payload, self._limit)
        first = response is None
        while not transfer.finished:
            if response is None:
                request = transfer.next_request(message_id, token)
                response = self._exchange_one(request, message_id, first)
                first = False
            try:
                transfer.on_response(response)
            except CoapError:
                if acknowledge:
                    self.acknowledge()
                raise
            if acknowledge or not transfer.finished:
                self.acknowledge()
            response = None
            message_id = self._message_id
            token = token[:-1] + bytes((token[-1] + 1 & 0xFF,))
        return transfer.response

    def acknowledge(self):
        """Acknowledge the last response, if it is a confirmable one."""
        if self._exchange:
            self._send(self._exchange.acknowledge())

    def close(self):
        """Give the transport back."""
        self._transport.close()

    def _options(self, path, content_format):
        options = []
        if self._name:
            options.append((_URI_HOST, self._name.encode()))
        path, _, query = path.partition("?")
        for segment in path.split("/"):
            if segment:
                options.append((_URI_PATH, segment.encode()))
        if content_format is not None:
            options.append((_CONTENT_FORMAT, uint_bytes(content_format)))
        if query:
            for argument in query.split("&"):
                options.append((_URI_QUERY, argument.encode()))
        return options

    def _exchange_one(self, request, message_id, first):
        self._message_id = message_id + 1 & 0xFFFF
        timeout = self._transmission.initial_timeout(uint(self._random(2)))
        exchange = Exchange(request, timeout, self._transmission, self._acknowledged)
        self._exchange = exchange
        error = self._send(exchange.start())
        if error and first:
            raise NetworkError(
                "this board could not send: %s" % error,
                "Check that this device is on the network and that the server can be reached.",
            )
        while exchange.response is None and exchange.error is None:
            if exchange.timer is not None:
                deadline = ticks_add(self._ticks(), exchange.timer)
                exchange.timer = None
            remaining = ticks_diff(deadline, self._ticks())
            if remaining <= 0:
                self._send(exchange.on_timer())
            else:
                datagram = self._receive(remaining)
                if datagram is not None:
                    self._send(exchange.on_datagram(datagram))
        self.ignored += exchange.ignored
        if exchange.error:
            raise exchange.error
        return exchange.response

    def _receive(self, timeout):
        if self._idle:
            self._idle()
            timeout = min(timeout, 50)
        try:
            return self._transport.receive(LARGEST_MESSAGE + 1, timeout)
        except OSError:
            # The network stack's word on an earlier datagram; the retransmission answers it.
            self.ignored += 1
            return None

    def _send(self, datagram):
        """Send, if there is something to send; return the OSError when this board could not.

        That is as good as lost on the way: the next retransmission repeats it.
        """
        if datagram is None:
            return None
        try:
            self._transport.send(datagram)
        except OSError as error:
            self.ignored += 1
            return error


def max_age(response):
    """Return how long a response is fresh in ms, for a 5.03 when to try again; 60 s by default."""
    value = response.option(_MAX_AGE)
    return 60_000 if value is None or len(value) > 4 else uint(value) * 1000


def connect(uri, secure=None, **options):
    """Return a Client for a server such as "coap://thingsboard.example.com".

    `secure`: what opens a DTLS session for coaps, see firmware.board.hardware.
    `options`: Client's. Raises ValueError for what is no CoAP URI, and for coaps without `secure`;
    CoapError.
    """
    server = Uri(uri)
    if server.secure and not secure:
        raise ValueError("coaps needs `secure`")
    failure = "it has no address"
    try:
        for address in resolve(server.host, server.port):
            try:
                transport = UDP(address, server.port)
            except OSError as error:
                failure = error
                continue
            if server.secure:
                try:
                    transport = secure(transport, server.host)
                except CoapError:
                    transport.close()
                    raise
            return Client(transport, server.name, **options)
    except OSError as error:
        failure = "its name was not found: %s" % error
    raise NetworkError(
        "%s cannot be reached: %s" % (server.host, failure),
        "Check the server's name, that DNS knows it, and that this device is on the network.",
    )
