"""A device's link with ThingsBoard: joins, connects, sends what waits, and heals. No driver.

`work` is a generator of steps, as firmware.coap.client's: it yields how long to wait for a
datagram, in ms, and is sent the datagram, or None. firmware.device and firmware.aio drive it.
"""

import gc
from time import ticks_add, ticks_diff

from micropython import const

from firmware.backlog import Backlog
from firmware.coap.client import JSON
from firmware.coap.message import CON, EMPTY, encode
from firmware.errors import FirstbootError
from firmware.retry import backoff, bug, give_back, spread, unexpected
from firmware.thingsboard.device_api import Unauthorized, api_path, check

_LONGEST_RETRY = const(3_600_000)
# ms. Routers keep a quiet path for two minutes (RFC 4787 section 4.3).
_QUIET = const(100_000)
# ms without listening; ThingsBoard gives up what is not acknowledged for 41 s.
_DEAF = const(30_000)
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
    failures = 0
    is_answered = False
    told = None

    def __init__(self, board, credentials, limit, keeps, persist, refresh, connect=None):
        self._open = connect
        self.board = board
        self.credentials = credentials
        self.backlog = Backlog(board, limit, keeps, persist)
        self.refresh = refresh

    def observe(self):
        """Return what is observed, nothing at first."""
        if not self.observed:
            from firmware.observed import Observed

            self.observed = Observed(self.refresh, self.board)
        return self.observed

    def is_due(self):
        """Return whether there is something to send that may be tried now."""
        if self._waits():
            return False
        if self.observed and self.client and self.board.address != self.address:
            return True
        return bool(self.backlog or (self.observed and self.observed.is_due(self.client)))

    def next_job(self):
        """Return (handler, arguments, …) of the next handler to call; None: there is none."""
        return self.observed.next_job() if self.observed else None

    def is_refused(self):
        """Return whether ThingsBoard has refused the board, and may not be asked again yet."""
        return self._waits() and self.trouble.state == "refused"

    def work(self, confirm=True):
        """The steps that send all that waits; they return whether nothing waits any more."""
        if self.is_due():
            try:
                yield from self.healed(lambda: self._work(confirm))
                self.failures = 0
                self.retry_at = self.trouble = None
                self._tell("connected", self.credentials["server"])
            except FirstbootError as error:
                self.failed(error)
            except Exception as error:
                self.is_answered = False
                self.failed(unexpected(error))
        return not self.backlog

    def hear(self, timeout):
        """Wait up to so long for what ThingsBoard sends by itself, and take it."""
        try:
            datagram = self.receive(timeout)
            if datagram is not None:
                self.client.take(datagram)
            if self.client and self.observed:
                self._keep_open()
        except FirstbootError as error:
            self.is_answered = False
            self.failed(error)

    def receive(self, timeout):
        """Wait up to so long, in ms; return a datagram, or None."""
        board = self.board
        if not self.client:
            board.sleep(timeout)
            return None
        board.idle()
        was_deaf = ticks_diff(board.ticks(), self._listened_at) > _DEAF
        datagram = self.client.receive(0 if was_deaf else timeout)
        self._listened_at = board.ticks()
        if was_deaf and datagram is not None and self.observed:
            # It came meanwhile, and perhaps too often.
            self.observed.doubt()
        return datagram

    def close(self):
        """Give the connection back; save what waits."""
        self.disconnect()
        if self.backlog.persist:
            self.backlog.keep()

    def ask(self, code, resource, payload=b"", **options):
        """The steps of a request; they return its response. Raises FirstbootError."""
        path = api_path(self.credentials, resource)
        content_format = JSON if payload else None
        return self.answered(self.client.steps(code, path, payload, content_format, **options))

    def answered(self, steps):
        """The steps given, which return a response; so do these. Raises FirstbootError."""
        self.is_answered = False
        response = yield from steps
        self.is_answered = True
        self.sent_at = self.board.ticks()
        if self.observed and self.client.exchange.transmissions > _MANY_TRANSMISSIONS:
            self.observed.doubt()
        check(response)
        if self.board.trial:
            self.board.trial.contact()
        return response

    def _work(self, confirm):
        if self.observed and self.observed.is_due(self.client):
            return self._all_work(confirm)
        return self.backlog.work(self, confirm)

    def _all_work(self, confirm):
        yield from self.observed.work(self)
        yield from self.backlog.work(self, confirm)
        if self.observed.update:
            yield from self.observed.update.step()

    def healed(self, steps):
        """The steps that `steps()` returns; after a 4.01 again, with new credentials."""
        for _ in range(2):
            self.connect()
            try:
                return (yield from steps())
            except Unauthorized:
                self.disconnect()
                self._provision_anew()
        raise Unauthorized(
            "ThingsBoard answered 4.01 to credentials that it has just given",
            "See ThingsBoard's log.",
        )

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
        self._listened_at = self.sent_at = board.ticks()
        give_back()
        gc.collect()
        if settings["update"] and not self.observe().update:
            from firmware.update.watch import Watch

            self.observed.update = Watch(self, settings["update"])

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

    def failed(self, error):
        """Note what a try failed for, say it, and when the next one may be."""
        board = self.board
        self.trouble = error
        if not self.is_answered:
            self.disconnect()
        give_back()
        least = min(error.retry_after, _LONGEST_RETRY)
        wait = spread(_LONGEST_RETRY if error.state == "refused" else least, board.random)
        wait = max(backoff(self.failures, board.random), wait)
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
            try:
                self.on_state(state, text)
            except Exception as error:
                bug(error)

    def _waits(self):
        return self.retry_at is not None and ticks_diff(self.retry_at, self.board.ticks()) > 0

    def _keep_open(self):
        """Keep the way open that ThingsBoard's notifications take, with an Empty message."""
        now = self.board.ticks()
        if ticks_diff(now, self.sent_at) <= _QUIET:
            return
        client = self.client
        self.sent_at = now
        client.send(encode(CON, EMPTY, client.message_id, b"", ()))
        # A request with it would take the Reset that answers this for its own.
        client.message_id = client.message_id + 1 & 0xFFFF
