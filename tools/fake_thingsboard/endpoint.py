"""Californium in front of ThingsBoard: who asks, how it is answered, and who observes what."""

from __future__ import annotations

from collections import deque

from tools.fake_thingsboard.blocks import is_past_the_end
from tools.fake_thingsboard.codec import CON, EMPTY, RST, Message
from tools.fake_thingsboard.message_layer import MessageLayer, Sending
from tools.fake_thingsboard.messages import BARE, PIGGYBACKED, SEPARATE, Reply
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.notifications import Notifications, Outgoing
from tools.fake_thingsboard.tenant import Change
from tools.fake_thingsboard.transmissions import Peer

REPLIES = (PIGGYBACKED, SEPARATE, BARE)
EXCHANGE_LIFETIME = 247_000


class Endpoint(MessageLayer):
    """One server. As `received` and `on_timer`, `notify` returns the Sendings that it causes.

    `notify` is due when an operator did something to `thingsboard`. Times in ms.
    `reply`: "piggybacked", where ThingsBoard does so and is fast enough; "separate", after an empty
    ACK at once; "bare", a confirmable reply with no ACK before it.
    `delay`: between doing a request and answering it. What takes longer than `separate_after` is
    answered separately, with the empty ACK at `separate_after`.
    `first_reply_after`: the first request after a start is answered so late, and separately.
    `ack_timeout`: until a confirmable reply is sent again for the first time.
    """

    def __init__(
        self,
        thingsboard: ThingsBoard,
        *,
        reply: str = PIGGYBACKED,
        delay: int = 0,
        separate_after: int = 500,
        first_reply_after: int = 0,
        ack_timeout: int = 2_750,
        exchange_lifetime: int = EXCHANGE_LIFETIME,
        message_id: int = 1,
    ):
        if reply not in REPLIES:
            raise ValueError(f"reply is {reply!r}: it must be one of {', '.join(REPLIES)}")
        super().__init__(ack_timeout, exchange_lifetime, message_id)
        self.thingsboard = thingsboard
        thingsboard.on_change = self.changed
        self.reply = reply
        self.delay = delay
        self.separate_after = separate_after
        self.first_reply_after = first_reply_after

    def restart(self) -> None:
        """Forget everything but what ThingsBoard has in its database."""
        super().restart()
        self.notifications = Notifications()
        self.sessions: dict[Peer, str] = {}
        self._changes: deque[Change] = deque()
        self._is_first = True

    def copy_to(self, copy: Endpoint) -> None:
        """Make another endpoint, in front of another ThingsBoard, go on as this one would."""
        super().copy_to(copy)
        copy.notifications = self.notifications.copy()
        copy.sessions = self.sessions.copy()
        copy._changes = self._changes.copy()
        copy._is_first = self._is_first

    def open_session(self, peer: Peer, certificate: str | None) -> None:
        """A DTLS session from `peer` begins, with the client's certificate in PEM."""
        name = certificate and self.thingsboard.name_of_certificate(certificate)
        if name is None:
            self.sessions.pop(peer, None)
        else:
            self.sessions[peer] = name

    def changed(self, change: Change) -> None:
        """An operator did something: `notify` is due."""
        self._changes.append(change)

    def notify(self, now: int) -> list[Sending]:
        """Tell the observers what operators did since the last time."""
        sendings = []
        while self._changes:
            name, feature, payload, is_persistent = self._changes.popleft()
            if feature is None:
                sendings += self._send_all(self.notifications.end(name), now)
            elif (name, feature) in self.notifications.observations:
                sendings += self._send_all(self.notifications.notify((name, feature), payload), now)
            elif is_persistent:
                self.thingsboard.keep_call(name, payload)
        return sendings

    def request(self, peer: Peer, request: Message, now: int) -> list[Sending]:
        """Answer a request that is no duplicate."""
        taken = self.transfers.received(peer, request, now)
        if taken is None:
            return []
        wait, reply, way = 0, taken, PIGGYBACKED
        sendings = self.notify(now)
        if isinstance(taken, Message):
            reply = self._ask(peer, taken)
            if reply.way == SEPARATE and is_past_the_end(taken, reply):
                reply = reply._replace(code=EMPTY)
            wait = self.delay + reply.after
            way = reply.way if self.reply == PIGGYBACKED else self.reply
            sendings += self._observe(peer, taken, reply, now)
        acknowledge_after = 0 if way == SEPARATE else self.separate_after
        if self._is_first and self.first_reply_after:
            wait += self.first_reply_after
            acknowledge_after = self.first_reply_after // 2
        self._is_first = False
        is_late = way == SEPARATE or wait > acknowledge_after or reply.code == EMPTY
        if request.type == CON and is_late:
            way = SEPARATE
            if acknowledge_after:
                at = now + acknowledge_after
                self.transmissions.at(at, "acknowledge", peer, request.message_id)
            else:
                sendings += self.acknowledge(peer, request.message_id)
        if reply.code == EMPTY:
            return sendings
        datagram = self.encode(peer, request, reply, way, reply.observes and 0, now)
        if wait:
            what = request.message_id, datagram
            self.transmissions.at(now + wait, "reply", peer, what)
            return sendings
        sendings += self.send_reply(peer, request.message_id, datagram, now)
        return sendings + self._send_calls(reply, now)

    def settled(self, peer: Peer, message: Message, now: int) -> list[Sending]:
        """A confirmable message was acknowledged or reset."""
        if message.type == RST:
            self.notifications.lost(peer, message.message_id)
            return []
        return self._send_all(self.notifications.acknowledged(peer, message.message_id), now)

    def superseded(self, peer: Peer, message_id: int, now: int) -> list[Sending]:
        """A newer notification in place of one that would be sent again."""
        return self._send_all(self.notifications.superseded(peer, message_id), now)

    def given_up(self, peer: Peer, message_id: int) -> None:
        """A message was never acknowledged."""
        self.notifications.lost(peer, message_id)

    def _ask(self, peer: Peer, request: Message) -> Reply:
        return self.thingsboard.handle(
            request.code,
            request.path,
            request.payload,
            request.query,
            request.content_format,
            self.sessions.get(peer),
            request.observe,
        )

    def _observe(self, peer: Peer, request: Message, reply: Reply, now: int) -> list[Sending]:
        """What another is told when somebody begins an observation in its place."""
        if reply.observes:
            ended = self.notifications.register(reply.observes, peer, request)
            return self._send_all(ended, now)
        if request.observe:
            self.notifications.deregister(peer, request.token)
        return []

    def _send_calls(self, reply: Reply, now: int) -> list[Sending]:
        """The calls that waited for somebody to observe them."""
        sendings = []
        if reply.observes and reply.observes[1] == "rpc":
            for payload in self.thingsboard.take_calls(reply.observes[0]):
                sendings += self._send_all(self.notifications.notify(reply.observes, payload), now)
        return sendings

    def _send_all(self, messages: list[Outgoing], now: int) -> list[Sending]:
        """Send to observers."""
        sendings = []
        for peer, request, reply, observe, key, in_place_of in messages:
            before = self.transmissions.settle(peer, in_place_of)
            datagram = self.encode(peer, request, reply, BARE, observe, now)
            transmissions = before.transmissions if before and key else 0
            message_id = self.send(peer, datagram, now, transmissions)
            if key and message_id is not None:
                self.notifications.sent(key, message_id)
            sendings.append(Sending(peer, datagram))
        return sendings
