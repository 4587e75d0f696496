"""A minimal CoAP client, RFC 7252: one server, one request at a time, blocking."""

import gc
from os import urandom
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from .exchange import LARGEST_MESSAGE, Exchange
from .message import CON, GET, POST, encode, uint, uint_bytes

# What loading those left is freed: the rest closes up.
gc.collect()

JSON = const(50)

_URI_HOST = const(3)
_URI_PATH = const(11)
_CONTENT_FORMAT = const(12)
_URI_QUERY = const(15)
_BLOCK2 = const(23)
_BLOCK1 = const(27)
_ECHO = const(252)
_CONTINUE = const(0x5F)
_UNAUTHORIZED = const(0x81)
_IDLE = const(50)
# EXCHANGE_LIFETIME (RFC 7252 section 4.8.2), in ms: then a server forgets the first of the blocks.
_LONGEST_TRANSFER = const(247_000)
_HEADER = const(4)


class Client:
    """Requests to one server.

    `transport`: send(datagram), receive(size, timeout), close(), and `largest_block`, the most
    bytes of a body in one datagram. `name`: the server's name for Uri-Host, None when it was given
    as an IP address. `idle`: called at least every 50 ms of a wait. `limit`: the most bytes that a
    body may have. `ticks` and `random`: time.ticks_ms and os.urandom. `exchange`: the Exchange,
    which says what was ignored in the last request.
    """

    # Of the last request: most requests go to one path.
    path = content_format = options = None

    def __init__(self, transport, name=None, idle=None, limit=4096, ticks=ticks_ms, random=urandom):
        # What loading left is freed: a datagram wants 1.2 KB in one piece.
        gc.collect()
        self.transport = transport
        self.name = name
        self.idle = idle
        self.limit = limit
        self.ticks = ticks
        self.random = random
        self.message_id = uint(random(2))
        self.exchange = Exchange()

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
        when not given; a token is random and never empty. With `acknowledge` False no confirmable
        response, nor any block of one, is acknowledged but by `acknowledge`, so that the caller can
        make sure of what it says first; nor is a duplicate of it reset.

        After 247 s no more blocks are sent or asked for. Raises CoapError: NetworkError when the
        first datagram could not be sent, NoResponse; ValueError for a path that no URI can have.
        """
        if message_id is not None:
            self.message_id = message_id
        # From now on an earlier response is not acknowledged any more.
        self.exchange.owed = ()
        token = token or self.random(8)
        if not acknowledge:
            self.exchange.held = token[:-1]
        if path != self.path or content_format != self.content_format:
            options = self._prepare(path, content_format)
            self.options = bytes(encode(CON, code, 0, b"", options)[_HEADER:])
            self.path = path
            self.content_format = content_format
        response = None
        if len(payload) <= self.transport.largest_block and len(payload) <= self.limit:
            response = self.ask(code, token, self.options, payload, True)
            is_whole = response.code != _CONTINUE and len(response.payload) <= self.limit
            for number, _ in response.options:
                if number in (_BLOCK1, _BLOCK2):
                    is_whole = False
            if is_whole:
                response.payload = bytes(response.payload)
                if acknowledge and self.exchange.owed:
                    self.acknowledge()
                return response
        # Only now, since most boards never need it.
        from .blockwise import run

        options = self._prepare(path, content_format)
        try:
            return run(self, code, token, options, payload, response, acknowledge)
        finally:
            if acknowledge:
                self.acknowledge()

    def ask(self, code, token, options, payload, is_first, may_repeat=True):
        """Send one message and return the response to it.

        `is_first`: whether it begins a request. Then it is an error that this board cannot send it.
        `may_repeat`: whether it is sent again with the Echo option of a 4.01, see RFC 9175.
        """
        if is_first:
            self.began = self.ticks()
        elif ticks_diff(self.ticks(), self.began) > _LONGEST_TRANSFER:
            from .failure import too_slow

            raise too_slow()
        request = encode(CON, code, self.message_id, token, options, payload)
        self.message_id = self.message_id + 1 & 0xFFFF
        exchange = self.exchange
        self._send(exchange.start(request, token), is_first)
        while exchange.response is None:
            if exchange.failed:
                from .failure import explain

                raise explain(exchange)
            now = self.ticks()
            if exchange.timer is not None:
                deadline = ticks_add(now, exchange.timer)
                exchange.timer = None
            timeout = ticks_diff(deadline, now)
            answer = None
            if timeout <= 0:
                answer = exchange.on_timer()
            else:
                if self.idle:
                    self.idle()
                    timeout = min(timeout, _IDLE)
                try:
                    datagram = self.transport.receive(LARGEST_MESSAGE + 1, timeout)
                    if datagram is not None:
                        answer = exchange.on_datagram(datagram)
                except OSError as error:
                    # The network stack's word on an earlier datagram: it was as good as lost.
                    exchange.ignore(error)
            if answer:
                self._send(answer)
        response = exchange.response
        if may_repeat and response.code == _UNAUTHORIZED and response.option(_ECHO):
            from .echo import repeat

            return repeat(self, code, token, options, payload, response)
        return response

    def acknowledge(self):
        """Acknowledge the confirmable responses to the last request that are not yet."""
        for datagram in self.exchange.acknowledge():
            self._send(datagram)

    def close(self):
        """Give the transport back."""
        self.transport.close()

    def _prepare(self, path, content_format):
        """Return the options of a request."""
        options = []
        if self.name:
            options.append((_URI_HOST, self.name.encode()))
        segments, _, query = path.encode().partition(b"?")
        if segments.startswith(b"/"):
            segments = segments[1:]
        for segment in segments.split(b"/") if segments else ():
            options.append((_URI_PATH, segment))
        if content_format is not None:
            options.append((_CONTENT_FORMAT, uint_bytes(content_format)))
        for argument in query.split(b"&") if query else ():
            options.append((_URI_QUERY, argument))
        for number, value in options:
            # RFC 7252 sections 5.10 and 6.5.
            if len(value) > 255 or (number == _URI_PATH and value in (b"", b".", b"..")):
                from .failure import bad_path

                raise bad_path(value)
        return options

    def _send(self, datagram, has_to_go=False):
        """Send. What this board cannot send is as good as lost, unless it has to go.

        The next retransmission repeats it.
        """
        try:
            self.transport.send(datagram)
        except OSError as error:
            if has_to_go:
                from .failure import out_of_reach

                raise out_of_reach("this board could not send", error)
            self.exchange.ignore(error)
