"""What a device observes in ThingsBoard: its shared attributes, and calls to it. No driver.

An observation can be dead without a word: ThingsBoard gave up, restarted, or a router forgot the
way. So each is registered again after `refresh`, when a notification was left out, after a request
that took long, and in each new connection.
"""

import gc
from time import ticks_add, ticks_diff

from micropython import const

from firmware.coap.message import CON, EMPTY, POST, encode
from firmware.coap.observe import Observation
from firmware.retry import backoff, bug, spread

# What loading those left is freed: the rest closes up.
gc.collect()

# ms. Routers keep a quiet path for two minutes (RFC 4787 section 4.3).
_QUIET = const(100_000)
_LOOK = const(1_000)  # ms from one look at the board's address to the next
# ms between registrations, but for a few that may follow each other.
_QUICK = const(60_000)
_MOST_QUICK = const(5)
# ms after ThingsBoard's last word until which a reply may set out, and be sent again: sooner it
# cannot have restarted, which begins its ids again.
_SOON = const(5_000)
_AT_LATEST = const(10_000)


class Observed:
    """`refresh`: in ms; up to half as much is added by chance, so that boards spread out.

    `update`: updates over the air, see firmware.update.watch, which go by a shared attribute; or
    None. `calls`: those that came, see firmware.thingsboard.rpc; None when they are not observed.
    `kept`: calls whose replies waited while the board slept.
    """

    update = calls = None
    # In ticks: what comes for `rpc` was sent later.
    silent_at = 0

    def __init__(self, refresh, board, kept=()):
        self._refresh = refresh
        self._board = board
        self._watches = []
        self._attributes = self._rpc = None
        self._on_attributes = self._follow = None
        # By method; None: all that have no handler of their own.
        self._on_calls = {}
        self._kept = kept
        self._looked_at = board.ticks()

    def observe_attributes(self, handler):
        """See firmware.device.Device.on_attributes."""
        if self._attributes and not self._on_attributes:
            self._attributes.repeat()
        self._on_attributes = handler
        self._watch_attributes()

    def follow_attributes(self, follow):
        """Call `follow(values)` with all shared attributes when some have changed, too."""
        self._follow = follow
        self._watch_attributes()

    @property
    def shared(self):
        """All shared attributes, None when they are not known."""
        return self._attributes and self._attributes.values

    def observe_calls(self, method, handler):
        """See firmware.device.Device.on_rpc. `method`: None for all others."""
        self._on_calls[method] = handler
        if not self.calls:
            from firmware.thingsboard.rpc import Calls

            self.calls = Calls(self._kept)
            self._rpc = _Watch("rpc", self.calls, lambda: self.silent_at)
            self._watches.append(self._rpc)

    def is_due(self, client):
        """Return whether there is something to send. `client`: None when there is no connection."""
        return self.owes(client) or bool(self.update and self.update.is_due())

    def owes(self, client):
        """Return whether there is something for `work`, before other things are sent."""
        if self._next_reply() or (client and client.later):
            return True
        now = self._board.ticks()
        for watch in self._watches:
            if watch.is_due(now):
                return True
        return False

    def doubt(self):
        """Register all again: ThingsBoard may have given up."""
        for watch in self._watches:
            watch.again_at = None
            watch.taker.doubt()

    def heard(self, datagram, now, was_deaf):
        """Note that a datagram came, perhaps too often if nobody listened for long, or None did."""
        if datagram is None:
            self.silent_at = now
        elif was_deaf:
            self.doubt()

    def on_disconnect(self):
        """The connection is gone, and what was registered in it."""
        for watch in self._watches:
            # Nothing holds the client any more.
            watch.observation.client = watch.observation.token = watch.not_before = None
            watch.quick = 0
            watch.taker.doubt()
        if self.update:
            self.update.on_disconnect()

    def work(self, session):
        """The steps that send replies, then register what is due.

        In this order: ThingsBoard sends a call without a reply again at each registration. Where
        there is none, or it is not known to be alive, an id may be another call's by now.
        """
        reply = self._next_reply()
        while reply:
            left = _AT_LATEST - self._since_last_word()
            yield from session.ask(POST, "rpc/%d" % reply[0], reply[1], left)
            self.calls.replied(reply[0])
            reply = self._next_reply()
        for watch in self._watches:
            if watch.is_due(self._board.ticks()):
                watch.observation.path = session.path(watch.resource)
                if watch is self._rpc:
                    self.silent_at = self._board.ticks()
                steps = watch.observation.register(session.client)
                response = yield from session.answered(steps)
                if watch.observation.token is None:
                    from firmware.thingsboard.answers import not_observed

                    raise not_observed(watch.resource)
                watch.registered(self._refresh, self._board)
                watch.taker.on_registration(response, watch.observation.number)
                # Also for an application that never waits.
                if self._follow and watch.taker is self._attributes and self.shared is not None:
                    self._follow(self.shared)
        while session.client.later:
            yield from session.client.later[0].finish(session.client)

    def keep_open(self, session):
        """Keep the way open that ThingsBoard's notifications take, with an Empty message.

        Who has another address since is no more on it.
        """
        now = self._board.ticks()
        if ticks_diff(now, self._looked_at) > _LOOK:
            self._looked_at = now
            if not session.is_linked():
                session.disconnect()
                return
        if ticks_diff(now, session.sent_at) > _QUIET:
            session.sent_at = now
            client = session.client
            client.send(encode(CON, EMPTY, client.message_id, b"", ()))
            # A request with it would take the Reset that answers this for its own.
            client.message_id = client.message_id + 1 & 0xFFFF
        trial = self._board.trial
        if trial and trial.is_due():
            # Also where an application that is good has nothing to say until it is too late.
            self.doubt()

    def next_job(self):
        """Return (handler, arguments, id of a call or None); None: there is no handler to call."""
        change = self._attributes.next_change() if self._attributes else None
        if change is not None and self._follow:
            self._follow(self._attributes.values)
        if change is not None and self._on_attributes:
            return self._on_attributes, (change,), None
        call = self.calls.next_call() if self.calls else None
        if not call:
            return None
        id, method, params = call
        handler = self._on_calls.get(method)
        if handler:
            return handler, (params,), id
        return self._on_calls.get(None) or self.calls.no_handler, (method, params), id

    def finish(self, job, result):
        """Note what a handler gave: the reply, if it was called for a call."""
        if job[2] is not None:
            try:
                self.calls.done(job[2], result)
            except (ValueError, MemoryError) as error:
                self.calls.done(job[2], bug(error))

    def _watch_attributes(self):
        if not self._attributes:
            from firmware.thingsboard.attributes import SharedAttributes

            self._attributes = SharedAttributes()
            self._watches.append(_Watch("attributes", self._attributes, self._board.ticks))

    def _next_reply(self):
        """Return (id, reply) of a reply to send now; None: there is none, or `rpc` is due first."""
        watch = self._rpc
        reply = watch and watch.observation.token and self.calls.next_reply()
        if reply and self._since_last_word() > _SOON:
            watch.again_at = None
        return reply if reply and watch.again_at is not None else None

    def _since_last_word(self):
        """Return how many ms ago, at the most, ThingsBoard sent what came for `rpc` last."""
        return ticks_diff(self._board.ticks(), self._rpc.observation.at)


class _Watch:
    """A path that is observed. `taker`: what its notifications are for."""

    # In ticks. `again_at`: when it is due, None for now.
    again_at = registered_at = not_before = None
    # How many registrations followed each other: two boards with one token would end each other's
    # observations for ever.
    quick = 0

    def __init__(self, resource, taker, ticks):
        self.resource = resource
        self.taker = taker
        self.observation = Observation(None, taker.on_notification, ticks, ticks_diff)

    def registered(self, refresh, board):
        """It was registered; `refresh`: after how many ms it is due again."""
        now = board.ticks()
        before, self.registered_at = self.registered_at, now
        if before is not None:
            self.quick = max(0, self.quick - ticks_diff(now, before) // _QUICK) + 1
        self.again_at = ticks_add(now, spread(refresh, board.random))
        self.not_before = None
        if self.quick > _MOST_QUICK:
            wait = min(backoff(self.quick - _MOST_QUICK, board.random), refresh)
            self.not_before = ticks_add(now, wait)

    def is_due(self, now):
        if self.not_before is not None and ticks_diff(self.not_before, now) > 0:
            return False
        return (
            self.observation.token is None
            or self.again_at is None
            or self.taker.is_doubtful
            or ticks_diff(self.again_at, now) <= 0
        )
