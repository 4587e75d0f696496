"""A minimal CoAP client, RFC 7252: one server, one request at a time, blocking.

Each call is a generator of firmware.coap.steps. firmware.coap.aio drives the same with asyncio.
"""

import gc
from os import urandom
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from .exchange import LARGEST_MESSAGE, Exchange
from .message import encode
from .options import request_options
from .steps import drive

# What loading those left is freed: the rest closes up.
gc.collect()

JSON = const(50)
_GET = const(0x01)
_POST = const(0x02)
_CON = const(0)
_NON = const(1)
_BLOCK2 = const(23)
_BLOCK1 = const(27)
_ECHO = const(252)
_CONTINUE = const(0x5F)
_UNAUTHORIZED = const(0x81)
_IDLE = const(50)
# EXCHANGE_LIFETIME (RFC 7252 section 4.8.2), in ms: then a server forgets the first of the blocks.
LONGEST_TRANSFER = const(247_000)
_HEADER = const(4)


class Client:
    """Requests to one server.

    `transport`: send(datagram), receive(size, timeout), close(), and `largest_block`, the most
    bytes of a body in a request's datagram. `name`: the server's name for Uri-Host, None when it
    was given as an IP address. `idle`: called at least every 50 ms of a wait. `limit`: the most
    bytes that a body may have. `ticks` and `random`: time.ticks_ms and os.urandom. `exchange`: the
    Exchange, which says what was ignored in the last request.
    """

    # Of the last request: most requests go to one path.
    path = content_format = options = None
    # Observations that have put something off until no request is under way.
    later = ()

    def __init__(self, transport, name=None, idle=None, limit=4096, ticks=ticks_ms, random=urandom):
        # What loading left is freed: a datagram wants 1.2 KB in one piece.
        gc.collect()
        self.transport = transport
        self.name = name
        self.idle = idle
        self.limit = limit
        self.ticks = ticks
        self.random = random
        self.message_id = int.from_bytes(random(2), "big")
        self.exchange = Exchange()

    def get(self, path, **how):
        """GET a path; see `steps`."""
        return self.drive(self.steps(_GET, path, **how))

    def post(self, path, payload, content_format=JSON, **how):
        """POST a payload to a path; see `steps`."""
        return self.drive(self.steps(_POST, path, payload, content_format, **how))

    def request(self, *what, **how):
        """Send a request and return its response; see `steps`."""
        return self.drive(self.steps(*what, **how))

    def steps(
        self,
        code,
        path,
        payload=b"",
        content_format=None,
        message_id=None,
        token=None,
        acknowledge=True,
        options=(),
        confirmable=True,
        timeout=LONGEST_TRANSFER,
    ):
        """The steps of a request; they return its response, a Message with the whole `payload`.

        `code`: a method, see firmware.coap.numbers. Block n of a body goes out with Message ID
        `message_id` + n, which with `token` is drawn when not given; a token is random and never
        empty. With `acknowledge` False no confirmable response, nor any block of one, is
        acknowledged but by `acknowledge`, so that the caller can make sure of what it says first;
        nor is a duplicate of it reset. `options`: (number, value), beside those of the server's
        name, the path and the content format. With `confirmable` False a message is sent once.
        `timeout`: in ms, for the whole of it.

        Raises CoapError: NetworkError when the first datagram could not be sent, NoResponse;
        ValueError for a path that no URI can have.
        """
        if message_id is not None:
            self.message_id = message_id
        token = token or self.random(8)
        self.exchange.begin(token, acknowledge)
        self.type = _CON if confirmable else _NON
        self.timeout = timeout
        if path != self.path or content_format != self.content_format or options:
            prepared = request_options(self.name, path, content_format, options)
            # In one variable: what it was made of is not kept until the response comes.
            self.options = prepared = bytes(encode(_CON, code, 0, b"", prepared)[_HEADER:])
            self.path = None if options else path
            self.content_format = content_format
        response = None
        if len(payload) <= min(self.transport.largest_block, self.limit):
            # As `ask`, whose generator would be garbage.
            timeout = self.start(code, token, self.options, payload, True)
            while timeout:
                timeout = self.advance((yield timeout))
            response, self.exchange.response = self.exchange.response, None  # with its datagram
            is_whole = response.code != _CONTINUE and len(response.payload) <= self.limit
            for number, _ in response.options:
                is_whole = is_whole and number not in (_BLOCK1, _BLOCK2)
            if is_whole:
                if response.payload:
                    response.payload = bytes(response.payload)
                return response
        # Only now, since most boards never need it.
        from .blockwise import run

        prepared = request_options(self.name, path, content_format, options)
        return (yield from run(self, code, token, prepared, payload, response))

    def observe(self, observation):
        """Register an Observation, anew if it was before; return the response."""
        return self.drive(observation.register(self))

    def wait(self, ms):
        """Give observations what comes within so long."""
        return self.drive(self.listen(ms))

    def listen(self, ms):
        """The steps of `wait`."""
        end = ticks_add(self.ticks(), ms)
        while True:
            while self.later:
                yield from self.later[0].finish(self)
            timeout = ticks_diff(end, self.ticks())
            if timeout <= 0:
                return
            datagram = yield timeout
            if datagram is not None:
                self.take(datagram)

    def take(self, datagram):
        """Take a datagram that came while there is no request."""
        self.exchange.token = None
        answer = self.exchange.on_datagram(datagram)
        if answer:
            self.send(answer)

    def drive(self, steps):
        """Run steps to their end; return what they return."""
        return drive(steps, self.receive)

    def receive(self, timeout):
        """Wait up to `timeout` ms, or for less; return a datagram, or None."""
        if self.idle:
            self.idle()
            timeout = min(timeout, _IDLE)
        try:
            return self.transport.receive(LARGEST_MESSAGE + 1, timeout)
        except OSError as error:
            # The network stack's word on an earlier datagram: it was as good as lost.
            self.exchange.ignore(error)
            return None

    def ask(self, code, token, options, payload, is_first):
        """The steps of one message; they return the response to it. See `start`."""
        timeout = self.start(code, token, options, payload, is_first)
        while timeout:
            timeout = self.advance((yield timeout))
        return self.exchange.response

    def start(self, code, token, options, payload, is_first):
        """Send a message; return how long to wait for a datagram, in ms, which `advance` is given.

        `is_first`: whether it begins a request. Then it is an error that this board cannot send it.
        """
        if is_first:
            self.began = self.ticks()
        request = encode(self.type, code, self.message_id, token, options, payload)
        self.message_id = self.message_id + 1 & 0xFFFF
        self.is_repeated = False
        self.send(self.exchange.start(request, token), is_first)
        return self.advance(None)

    def advance(self, datagram):
        """Take a datagram, or None; return how long to wait for the next, in ms, 0 for no more.

        Then `exchange.response` is there. Raises CoapError when none can come any more.
        """
        exchange = self.exchange
        answer = None if datagram is None else exchange.on_datagram(datagram)
        while True:
            if answer:
                self.send(answer)
            response = exchange.response
            if response is not None:
                if response.code == _UNAUTHORIZED and response.option(_ECHO):
                    from .echo import repeat

                    return repeat(self, response)
                return 0
            if exchange.failed:
                from .failure import explain

                raise explain(exchange)
            now = self.ticks()
            if exchange.timer is not None:
                self.deadline = ticks_add(now, exchange.timer)
                exchange.timer = None
            left = self.timeout - ticks_diff(now, self.began)
            if left <= 0:
                from .failure import too_late

                raise too_late(self.timeout, exchange)
            timeout = ticks_diff(self.deadline, now)
            if timeout > 0:
                return min(timeout, left)
            answer = exchange.on_timer()

    def acknowledge(self):
        """Acknowledge the confirmable responses to the last request that are not yet."""
        for datagram in self.exchange.acknowledge():
            self.send(datagram)

    def close(self):
        """Give the transport back."""
        self.transport.close()

    def send(self, datagram, has_to_go=False):
        """Send a datagram. What this board cannot send is as good as lost, unless it has to go."""
        try:
            self.transport.send(datagram)
        except OSError as error:
            if has_to_go:
                from .failure import out_of_reach

                raise out_of_reach("this board could not send", error)
            self.exchange.ignore(error)
