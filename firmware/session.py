"""A device's link with ThingsBoard: joins, connects, sends what waits, and heals. No driver.

`work` is a generator of steps, as firmware.coap.client's: it yields how long to wait for a
datagram, in ms, and is sent the datagram, or None. firmware.device and firmware.aio drive it.
"""

import gc
from time import ticks_add, ticks_diff

from micropython import const

from firmware.backlog import Backlog
from firmware.coap.client import JSON
from firmware.coap.message import CON, EMPTY, POST, encode
from firmware.errors import FirstbootError, NoResponse
from firmware.retry import backoff, give_back, spread, unexpected
from firmware.thingsboard.device_api import Unauthorized, api_path, check
from firmware.thingsboard.telemetry import encoded

_LONGEST_RETRY = const(3_600_000)
# ms. Routers keep a quiet path for two minutes (RFC 4787 section 4.3).
_QUIET = const(100_000)
# ms that the answer to an unconfirmed reading has; without so many answers the next is confirmed.
_UNCONFIRMED = const(2_000)
_MOST_UNANSWERED = const(3)
# From the fourth time on ThingsBoard may have given up what it sends meanwhile.
_MANY_TRANSMISSIONS = const(3)


class Session:
    """See firmware.device.Device. `observed`: what is observed, see firmware.observed.

    `connect`: what opens the connection, None for firmware.coap.connect's.
    """

    client = observed = on_state = None
    # What the last try failed for.
    trouble = None
    # In ticks: not before; None: at once.
    retry_at = None
    failures = unanswered = 0
    is_answered = False
    told = None

    def __init__(self, board, credentials, limit, keeps, persist, refresh, connect=None):
        self._open = connect
        self.board = board
        self.credentials = credentials
        self.backlog = Backlog(board, limit, keeps, persist)
        self.refresh = refresh
        self.sent_at = board.ticks()

    def observe(self):
        """Return what is observed, nothing at first."""
        if not self.observed:
            from firmware.observed import Observed

            self.observed = Observed(self.refresh, self.board)
        return self.observed

    def is_due(self):
        """Return whether there is something to send that may be tried now."""
        if self.retry_at is not None and ticks_diff(self.retry_at, self.board.ticks()) > 0:
            return False
        return bool(self.backlog or (self.observed and self.observed.is_due(self.client)))

    def work(self, confirm=True):
        """The steps that send all that waits; they return whether nothing waits any more."""
        if self.is_due():
            try:
                yield from self._work(confirm)
                self.failures = 0
                self.retry_at = self.trouble = None
                self._tell("connected", self.credentials["server"])
            except FirstbootError as error:
                self._failed(error)
            except Exception as error:
                self.is_answered = False
                self._failed(unexpected(error))
        return not self.backlog

    def hear(self, timeout):
        """Wait up to so long for what ThingsBoard sends by itself, and take it."""
        try:
            datagram = self.receive(timeout)
            if datagram is not None:
                self.client.take(datagram)
        except FirstbootError as error:
            self.is_answered = False
            self._failed(error)
        quiet = ticks_diff(self.board.ticks(), self.sent_at)
        if self.client and self.observed and quiet > _QUIET:
            self._ping()

    def receive(self, timeout):
        """Wait up to so long, in ms; return a datagram, or None."""
        if not self.client:
            self.board.sleep(timeout)
            return None
        self.board.idle()
        return self.client.receive(timeout)

    def close(self):
        """Give the connection back; save what waits."""
        self.disconnect()
        if self.backlog.persist:
            self.backlog.keep()

    def ask(self, code, resource, payload=b"", **options):
        """The steps of a request; they return its response. Raises FirstbootError."""
        path = api_path(self.credentials, resource)
        self.is_answered = False
        content_format = JSON if payload else None
        response = yield from self.client.steps(code, path, payload, content_format, **options)
        self.is_answered = True
        self.sent_at = self.board.ticks()
        if self.observed and self.client.exchange.transmissions > _MANY_TRANSMISSIONS:
            self.observed.doubt()
        check(response)
        return response

    def register(self, observation):
        """The steps of a registration; they return the response. Raises FirstbootError."""
        self.is_answered = False
        response = yield from observation.register(self.client)
        self.is_answered = True
        self.sent_at = self.board.ticks()
        check(response)
        if observation.token is None:
            raise FirstbootError(
                "the server does not let %s be observed" % observation.path.split("/")[-1],
                "Check that `server` is the CoAP transport of a ThingsBoard.",
            )
        return response

    def _work(self, confirm):
        for _ in range(2):
            self.connect()
            try:
                if self.observed:
                    yield from self.observed.work(self)
                yield from self._flush(confirm)
                return
            except Unauthorized:
                self.disconnect()
                self._provision_anew()
        raise Unauthorized(
            "ThingsBoard answered 4.01 to credentials that it has just given",
            "See ThingsBoard's log.",
        )

    def _flush(self, confirm):
        backlog = self.backlog
        while len(backlog.queue):
            number, body = backlog.queue.batch(self.client.transport.largest_block)
            if confirm or self.unanswered >= _MOST_UNANSWERED:
                yield from self.ask(POST, "telemetry", body)
                self.unanswered = 0
            else:
                yield from self._tell_once(body)
            backlog.queue.sent(number)
        backlog.save()
        while backlog.attributes:
            sent = dict(backlog.attributes)
            yield from self.ask(POST, "attributes", encoded(sent))
            backlog.sent_attributes(sent)

    def _tell_once(self, body):
        """The steps of telemetry that may get lost; what answers it is heard all the same."""
        try:
            yield from self.ask(POST, "telemetry", body, confirmable=False, timeout=_UNCONFIRMED)
            self.unanswered = 0
        except NoResponse:
            self.unanswered += 1

    def connect(self):
        """Join the Wi-Fi, and connect, if need be. Raises FirstbootError."""
        board = self.board
        if self.client and board.address == self.address:
            return
        self.disconnect()
        from firmware.board import config, wifi

        connect = self._open
        if connect is None:
            from firmware.coap.connect import connect
        settings = config.load(board, provisioned=True)
        wifi.join(settings, board, self.trouble)
        self.address = board.address
        if self.backlog.wants_clock():
            from firmware.board.clock import set_clock

            set_clock(board, settings["ntp"])
            self.backlog.check_clock()
        sessions = board.sessions(settings, self.credentials["credentialsType"])
        self.client = connect(self.credentials["server"], sessions, idle=board.idle)
        give_back()
        gc.collect()

    def disconnect(self):
        """Give the connection back."""
        if self.client:
            self.client.close()
            self.client = None
        if self.observed:
            self.observed.on_disconnect()

    def _provision_anew(self):
        """Get new credentials. Raises FirstbootError when ThingsBoard gives none."""
        gc.collect()
        from firmware.provisioning.rejection import credentials_rejected

        self.credentials = credentials_rejected(self.board)
        give_back()

    def _failed(self, error):
        board = self.board
        self.trouble = error
        if not self.is_answered:
            self.disconnect()
        give_back()
        wait = spread(error.retry_after, board.random)
        if error.state != "refused":
            wait = max(backoff(self.failures, board.random), min(wait, _LONGEST_RETRY))
        else:
            wait = max(wait, _LONGEST_RETRY)
        self.failures += 1
        self.retry_at = ticks_add(board.ticks(), wait)
        self._tell("refused" if error.state == "refused" else "failed", str(error))
        self.backlog.save()

    def _tell(self, state, text):
        """Say a state when it is another."""
        if (state, text) == self.told:
            return
        self.told = state, text
        self.board.indicator.say(*("%s: %s" % (state, text)).split("\n"))
        if self.on_state:
            self.on_state(state, text)

    def _ping(self):
        """Keep the way open that ThingsBoard's notifications take, with an Empty message."""
        client = self.client
        self.sent_at = self.board.ticks()
        client.send(encode(CON, EMPTY, client.message_id, b"", ()))
