"""The model of ThingsBoard on a UDP port: aiocoap speaks, `model.ThingsBoard` decides."""

import asyncio
import logging
import threading
from concurrent.futures import Future

import aiocoap
from aiocoap.blockwise import Block1Spool, IncompleteException
from aiocoap.resource import Resource
from aiocoap.tokenmanager import TokenManager

from tools.fake_thingsboard.californium import EXCHANGE_LIFETIME, Duplicates
from tools.fake_thingsboard.transport import (
    NEVER,
    CaliforniumMessageManager,
    ThingsBoardTuning,
    UdpInterface,
    format_peer,
)

REPLIES = ("piggybacked", "separate", "bare")


class FakeThingsBoard:
    """A CoAP server for `thingsboard`, in a thread of its own while in its `with` block.

    `delay`: seconds between doing a request and answering it. A delay above `separate_after`
    is answered separately, with the empty ACK at `separate_after`.
    `reply`: "piggybacked", unless the delay is too long for it; "separate", after an empty ACK
    at once; "bare", a confirmable reply with no ACK before it.
    `log`: called with one line for each datagram, in the server's thread.
    `ack_timeout`: ACK_TIMEOUT of confirmable replies. All times are in seconds.

    `delay` and `reply` can be changed while it runs. `received` and `sent` hold every Datagram.
    Port 0 is a free port, kept from then on: entered again, it is a restarted server, which has
    forgotten its duplicates and kept its devices. Raises OSError when it cannot bind.
    """

    def __init__(
        self,
        thingsboard,
        host="127.0.0.1",
        port=0,
        *,
        delay=0.0,
        reply="piggybacked",
        log=None,
        separate_after=0.5,
        ack_timeout=2.0,
        exchange_lifetime=EXCHANGE_LIFETIME,
    ):
        if reply not in REPLIES:
            raise ValueError(f"reply is {reply!r}: it must be one of {', '.join(REPLIES)}")
        self.thingsboard = thingsboard
        self.host = host
        self.port = port
        self.delay = delay
        self.reply = reply
        self.log = log
        self.separate_after = separate_after
        self.ack_timeout = ack_timeout
        self.exchange_lifetime = exchange_lifetime
        self.received = []
        self.sent = []

    @property
    def uri(self):
        """What `server` in config.json says to reach it."""
        return "coap://" + format_peer((self.host, self.port))

    def __enter__(self):
        started = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="FakeThingsBoard", daemon=True
        )
        self._thread.start()
        self._stop = started.result()
        return self

    def __exit__(self, *exception):
        self._stop()
        self._thread.join()

    def tuning(self):
        """The timing that a request and its reply follow, as things stand."""
        too_slow = self.delay > self.separate_after
        return ThingsBoardTuning(self.ack_timeout, self.separate_after if too_slow else NEVER)

    async def _serve(self, started):
        loop = asyncio.get_running_loop()
        context = aiocoap.Context(loop=loop, serversite=_Site(self), loggername="fake_thingsboard")
        context.log.setLevel(logging.ERROR)  # what clients do wrong is no trouble of the server's
        tokens = TokenManager(context)
        messages = CaliforniumMessageManager(tokens, self)
        interface = UdpInterface(messages, self, Duplicates(self.exchange_lifetime))
        try:
            await loop.create_datagram_endpoint(
                lambda: interface, local_addr=(self.host, self.port)
            )
        except OSError as error:
            started.set_exception(error)
            return
        messages.message_interface = interface
        tokens.token_interface = messages
        context.request_interfaces.append(tokens)

        self.port = interface.local_address[1]
        stopping = asyncio.Event()
        started.set_result(lambda: loop.call_soon_threadsafe(stopping.set))
        await stopping.wait()
        await context.shutdown()


class _Site(Resource):
    """Every path: the model knows which there are."""

    def __init__(self, server):
        super().__init__()
        self._server = server
        self._block1 = _Block1()

    async def render(self, request):
        code, payload, content_format = self._server.thingsboard.handle(
            int(request.code), request.opt.uri_path, request.payload, request.opt.uri_query
        )
        await asyncio.sleep(self._server.delay)
        return aiocoap.Message(
            code=code,
            payload=payload,
            content_format=content_format,
            transport_tuning=self._server.tuning(),
        )


class _Block1(Block1Spool):
    """A block that does not follow the one before is 4.08 (RFC 7959 section 2.9.2)."""

    def feed_and_take(self, request):
        try:
            return super().feed_and_take(request)
        except ValueError:
            raise IncompleteException from None
