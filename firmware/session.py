"""A device's link with ThingsBoard: joins, connects, sends what waits, and heals. No driver.

`work` gives steps, as firmware.coap.client does, which firmware.device and firmware.aio drive.
"""

import gc
from time import ticks_add, ticks_diff

from micropython import const

from firmware.backlog import Backlog
from firmware.coap.message import POST
from firmware.errors import FirstbootError, NoResponse
from firmware.memory import drop_half_loaded, give_back
from firmware.retry import backoff, bug, spread, unexpected
from firmware.thingsboard.device_api import BAD_REQUEST, Unauthorized, api_path, check

gc.collect()  # what loading those left is freed: the rest closes up
_JSON = const(50)  # as in firmware.coap.client, which is loaded when the board has joined
_LONGEST_TRANSFER = const(247_000)
_LONGEST_RETRY = const(3_600_000)
_WITHOUT_MEMORY = const(60_000)  # ms until the next try, when it cannot even be drawn
_DEAF = const(30_000)  # ms without listening; ThingsBoard gives up what has no ACK for 41 s
_ONCE = const(2_000)  # ms that the answer to an unconfirmed reading has
# From the fourth time on ThingsBoard may have given up what it sends meanwhile.
_MANY_TRANSMISSIONS = const(3)


class Session:
    """See firmware.device.Device. `observed`: what is observed, see firmware.observed.

    `connect`: what opens the connection, None for firmware.coap.connect's.
    """

    client = observed = on_state = None
    # `is_new`: ThingsBoard has given the credentials, and has not yet taken them.
    is_answered = is_new = False
    # Whether to connect with nothing to send: for a trial, or config.json seems to ask for updates.
    is_expecting = False
    # What was said last; what the last request was for.
    told = resource = None
    awake, kept_calls = None, ()  # see firmware.sleep.Session

    def __init__(self, board, credentials, limit, keeps, persist, refresh, connect=None):
        self.open, self.board, self.credentials = connect, board, credentials
        self.backlog = Backlog(board, limit, keeps, persist)
        self.refresh = refresh
        # What the last try failed for, how many did, and until when, in ticks, there is no other.
        # Here, since `failed` may have no memory for more.
        self.trouble, self.failures, self.retry_at = None, 0, None

    def observe(self):
        """Return what is observed, nothing at first."""
        if not self.observed:
            from firmware.observed import Observed

            self.observed = Observed(self.refresh, self.board, self.kept_calls)
        return self.observed

    def is_due(self):
        """Return whether there is something to send that may be tried now."""
        if self.waits():
            return False
        is_observing_due = self.observed and self.observed.is_due(self.client)
        return bool(self.backlog or self.is_expecting or is_observing_due)

    def next_job(self):
        """Return (handler, arguments, …) of the next handler to call; None: there is none."""
        return self.observed.next_job() if self.observed else None

    def work(self, confirm=True):
        """The steps that send all that waits; they return whether nothing waits any more."""
        backlog = self.backlog
        self.keep()
        is_over = False
        try:
            while not is_over and self.is_due():
                backlog.is_once = False
                try:
                    if not self.is_linked():
                        yield from self.link().connect(self)
                    if self.observed and self.observed.owes(self.client):
                        yield from self.observed.work(self)
                    elif not backlog:
                        is_over = True  # one step, since handlers are called in between
                        if self.observed and self.observed.update:
                            yield from self.observed.update.step()
                    else:
                        body = backlog.next(self.client.transport.largest_block, confirm)
                        resource, is_once = backlog.resource, backlog.is_once
                        response = yield from self.request(POST, resource, body, is_once=is_once)
                        if response.code == BAD_REQUEST:
                            yield from backlog.refused(self.ask(POST, "telemetry", b"{}"))
                        else:
                            self.heard(response)
                            backlog.sent()
                except Unauthorized:
                    yield from self.link().renew(self)
                except (NoResponse, GeneratorExit) as error:
                    if not backlog.is_once:
                        raise
                    backlog.sent(False)
                    if isinstance(error, GeneratorExit):  # its task was cancelled
                        raise
                else:
                    if is_over or not self.is_due():
                        self.succeeded()
        except Exception as error:
            self.failed(error)
        return not backlog

    def keep(self):
        """Keep on flash what waits and is due for it, which the next try may be too late for."""
        if self.backlog.queue.readings and self.waits():
            self.backlog.save()

    def hear(self, timeout):
        """Wait up to so long for what ThingsBoard sends by itself, and take it."""
        try:
            datagram = self.receive(timeout)
            if datagram is not None:
                self.client.take(datagram)
            if self.client and self.observed:
                self.observed.keep_open(self)
        except Exception as error:
            self.is_answered = False
            self.failed(error)

    def receive(self, timeout):
        """Wait up to so long, in ms; return a datagram, or None."""
        board = self.board
        if not self.client:
            attempt = board.attempt_again
            if attempt and attempt.client:
                return attempt.client.receive(timeout)
            board.sleep(timeout)
            return None
        was_deaf = ticks_diff(board.ticks(), self.listened_at) > _DEAF
        datagram = self.client.receive(0 if was_deaf else timeout)
        self.listened_at = board.ticks()
        if self.observed:
            self.observed.heard(datagram, self.listened_at, was_deaf)
        return datagram

    def close(self):
        """Give the connection back; save what waits."""
        self.disconnect()
        if self.backlog.persist:
            self.backlog.keep()

    def ask(self, code, resource, payload=b"", timeout=_LONGEST_TRANSFER):
        """The steps of a request; they return its response. Raises FirstbootError."""
        return self.answered(self.request(code, resource, payload, timeout))

    def request(self, code, resource, payload=b"", timeout=_LONGEST_TRANSFER, is_once=False):
        """The steps of a request, whose response `heard` is to be given; `is_once`: unconfirmed."""
        self.is_answered = False
        form = _JSON if payload else None
        timeout = _ONCE if is_once else timeout
        return self.client.steps(
            code, self.path(resource), payload, form, confirmable=not is_once, timeout=timeout
        )

    def answered(self, steps):
        """The steps given, which return a response; so do these. Raises FirstbootError."""
        self.is_answered = False
        response = yield from steps
        self.heard(response)
        return response

    def heard(self, response):
        """Take a response to what ThingsBoard was asked. Raises FirstbootError."""
        self.is_answered = True
        self.sent_at = self.board.ticks()
        if self.observed and self.client.exchange.transmissions > _MANY_TRANSMISSIONS:
            self.observed.doubt()
        check(response)
        if self.board.trial:
            self.board.trial.contact()
        self.is_new = False

    def path(self, resource):
        """Return the path of a resource. Raises FirstbootError."""
        if resource != self.resource:
            self._path = api_path(self.credentials, resource)
            self.resource = resource
        return self._path

    def is_linked(self):
        """Return whether there is a connection, from the address that the board has."""
        return self.client and self.board.address == self.address

    def link(self):
        """Return the module that has the steps which connect, and which get new credentials."""
        from firmware import link

        return link

    def disconnect(self):
        """Give the connection back."""
        if self.client:
            self.client.close()
            self.client = None
        if self.observed:
            self.observed.on_disconnect()

    def failed(self, error):
        """Note what a try failed for, say it, and when the next one may be."""
        ticks, random = self.board.ticks, self.board.random
        self.retry_at = ticks_add(ticks(), _WITHOUT_MEMORY)
        try:
            is_known = isinstance(error, FirstbootError)
            if not (is_known and self.is_answered):
                self.disconnect()
            self.trouble = error = error if is_known else unexpected(error)
            give_back()
            state = "refused" if error.state == "refused" else "failed"
            least = _LONGEST_RETRY if state == "refused" else error.retry_after
            wait = spread(min(least, _LONGEST_RETRY), random)
            self.retry_at = ticks_add(ticks(), max(backoff(self.failures, random), wait))
            self.failures += 1
            self._tell(state, str(error))
            self.backlog.save()
        except MemoryError:
            drop_half_loaded()
            self.trouble = None

    def succeeded(self):
        """All that was due is done."""
        self.failures = 0
        self.retry_at = self.trouble = None
        self._tell("connected", self.credentials["server"])

    def _tell(self, state, text):
        """Say a state when it is another."""
        if self.told and self.told[0] == state and self.told[1] == text:
            return
        self.told = state, text
        self.board.indicator.say(*("%s: %s" % (state, text)).split("\n"))
        if self.on_state:
            try:
                self.on_state(state, text)
            except Exception as error:
                bug(error)

    def waits(self):
        """Return whether the next try may not be yet."""
        return self.retry_at is not None and ticks_diff(self.retry_at, self.board.ticks()) > 0
