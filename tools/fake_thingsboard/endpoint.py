"""Californium in front of ThingsBoard: who asks, how it is answered, and who observes what."""

from __future__ import annotations

from collections import deque

from tools.fake_thingsboard.calls import DELIVERED, DELIVERY_TIMEOUT, EXPIRED, FAILED, SENT, Call
from tools.fake_thingsboard.codec import CON, EMPTY, RST, Message, decode
from tools.fake_thingsboard.message_layer import MessageLayer, Sending
from tools.fake_thingsboard.messages import (
    BARE,
    CONTENT,
    JSON,
    PIGGYBACKED,
    SEPARATE,
    Reply,
    to_json,
)
from tools.fake_thingsboard.model import PROTOBUF, ThingsBoard
from tools.fake_thingsboard.notifications import Key, Notifications, Outgoing
from tools.fake_thingsboard.power_saving import PowerSaving
from tools.fake_thingsboard.tenant import Change
from tools.fake_thingsboard.transmissions import Peer

REPLIES = (PIGGYBACKED, SEPARATE, BARE)
EXCHANGE_LIFETIME = 247_000

CALLS_AFTER = 15  # ms, from a registration's reply to the calls that waited for it

_NOT_CONVERTED = to_json("Failed to convert device RPC command to CoAP msg")


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
        self.thingsboard = thingsboard
        self._asking: str | None = None
        self._listen()
        super().__init__(ack_timeout, exchange_lifetime, message_id)
        self.reply = reply
        self.delay = delay
        self.separate_after = separate_after
        self.first_reply_after = first_reply_after

    def restart(self) -> None:
        """Forget everything but what ThingsBoard has in its database."""
        super().restart()
        self.notifications = Notifications()
        self.power_saving = PowerSaving(self.thingsboard.psm_activity_timer)
        self.sessions: dict[Peer, str] = {}
        self.down_until = 0
        self._changes: deque[Change] = deque()
        self._is_first = True
        self.thingsboard.restart()

    def stop(self, now: int, ms: int) -> None:
        """Restart, and hear nothing for so long."""
        self.restart()
        self.down_until = now + ms

    def copy(self) -> Endpoint:
        """An independent copy, in front of a copy of the ThingsBoard."""
        twin = super().copy()
        twin.notifications = self.notifications.copy()
        twin.power_saving = self.power_saving.copy()
        twin.sessions = self.sessions.copy()
        twin._changes = self._changes.copy()
        twin.thingsboard = self.thingsboard.copy()
        twin._listen()
        return twin

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

    def received(self, peer: Peer, datagram: bytes, now: int) -> list[Sending]:
        """Take a datagram."""
        return super().received(peer, datagram, now) if now >= self.down_until else []

    def notify(self, now: int) -> list[Sending]:
        """Tell the observers what operators did since the last time."""
        sendings = []
        while self._changes:
            name, feature, update, number = self._changes.popleft()
            if feature is None:
                # In this order, as ThingsBoard does.
                for key in ((name, "rpc"), (name, "attributes")):
                    sendings += self._send_all(self.notifications.end(key), now)
            elif feature == "rpc":
                sendings += self._take_call(name, number, now)
            elif (name, feature) in self.notifications.observations:
                if self.power_saving.sleeps(name, now):
                    self.power_saving.missed(name, update)
                else:
                    sendings += self._send_update(name, update, now)
        return sendings

    def request(self, peer: Peer, request: Message, now: int) -> list[Sending]:
        """Answer a request that is no duplicate."""
        taken = self.transfers.received(peer, request, now)
        if taken is None:
            return []
        sendings = self.notify(now)
        reply, way, wait = taken, PIGGYBACKED, 0
        told = None  # the device that is sent the calls that wait for it
        if isinstance(taken, Message):
            reply = self._ask(peer, taken, now)
            if reply.way == SEPARATE and taken.block2 and taken.block2.number:
                # Of a package only who was served its first block is served another one.
                reply = reply._replace(code=EMPTY)
            way = reply.way if self.reply == PIGGYBACKED else self.reply
            wait = self.delay + reply.after
            wakes, woken = self._heard(self._asking, now)
            if wakes:
                told = self._asking
            if reply.observes and reply.observes[1] == "rpc":
                told = reply.observes[0]
            sendings += woken + self._observe(peer, taken, reply, now)
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
        if reply.code != EMPTY:
            datagram = self.encode(peer, request, reply, way, reply.observes and 0, now)
            if reply.observes and request.type == CON and way != PIGGYBACKED:
                first = Outgoing(peer, request, reply, 0, reply.observes)
                self.notifications.sent(first, decode(datagram).message_id)
            if wait:
                what = request.message_id, datagram
                self.transmissions.at(now + wait, "reply", peer, what)
            else:
                sendings += self.send_reply(peer, request.message_id, datagram, now)
        if told:
            self._send_calls(peer, told, now + wait)
        return sendings

    def settled(self, peer: Peer, message: Message, now: int) -> list[Sending]:
        """A confirmable message was acknowledged or reset."""
        key = self.notifications.key_of(peer, message.message_id)
        if key is None:
            farewell = self.notifications.farewell(peer, message.message_id)
            return [] if message.type == RST else self._send_all(farewell, now)
        if message.type == RST:
            self.notifications.forget(key)
            return []
        name, _ = key
        call = self._call(name, self.notifications.observations[key].call)
        sendings = self._send_all(self.notifications.acknowledged(key), now)
        if call and self.transmissions.met("undelivered", (name, call.number)) and call.is_pending:
            self.thingsboard.save_call(name, call._replace(state=DELIVERED))
        wakes, woken = self._heard(name, now)
        if wakes:
            self._send_calls(peer, name, now)
        return sendings + woken

    def superseded(self, peer: Peer, message_id: int, now: int) -> list[Sending]:
        """A newer notification in place of one that would be sent again."""
        return self._send_all(self.notifications.superseded(peer, message_id), now)

    def given_up(self, peer: Peer, message_id: int) -> None:
        """A message was never acknowledged: if an observer did not, it observes nothing any more.

        As Californium does (ObserveLayer, onTimeout), which means all that it observed.
        """
        if self.notifications.is_in_flight(peer, message_id):
            for in_flight in self.notifications.cancel_all(peer):
                self.transmissions.settle(peer, in_flight)

    def due(self, kind: str, what, now: int) -> list[Sending]:
        """Send a call that waited, or find that one was not delivered or has expired."""
        name, number = what
        call = self._call(name, number)
        if call is None or not call.is_pending:
            return []
        if kind == "call":
            return self._send_call(name, call, now)
        ended = call.undelivered() if kind == "undelivered" else call._replace(state=EXPIRED)
        self.thingsboard.save_call(name, ended)
        return []

    def _listen(self) -> None:
        self.thingsboard.on_change = self.changed
        self.thingsboard.on_uplink = self._asked
        self.thingsboard.on_answer = self._answered

    def _asked(self, name: str) -> None:
        self._asking = name

    def _answered(self, name: str, number: int) -> None:
        for kind in ("undelivered", "expired"):
            self.transmissions.met(kind, (name, number))

    def _ask(self, peer: Peer, request: Message, now: int) -> Reply:
        self._asking = None
        return self.thingsboard.handle(
            request.code,
            request.path,
            request.payload,
            request.query,
            request.content_format,
            self.sessions.get(peer),
            request.observe,
            now,
        )

    def _heard(self, name: str | None, now: int) -> tuple[bool, list[Sending]]:
        """Whether a device wakes up, and what it is told of what it slept through."""
        if name is None:
            return False, []
        wakes, update = self.power_saving.heard(name, now)
        if update is None or (name, "attributes") not in self.notifications.observations:
            return wakes, []
        return wakes, self._send_update(name, update, now)

    def _observe(self, peer: Peer, request: Message, reply: Reply, now: int) -> list[Sending]:
        """What another is told when somebody begins an observation in its place."""
        if reply.observes:
            ended = self.notifications.register(reply.observes, peer, request)
            return self._send_all(ended, now)
        if request.observe:
            self.notifications.deregister(peer, request.token)
        return []

    def _send_update(self, name: str, update: str, now: int) -> list[Sending]:
        """Tell the observer of a device's attributes an update, in JSON."""
        payload, content_format = self.thingsboard.update_payload(update)
        return self._notify((name, "attributes"), payload, content_format, now)

    def _call(self, name: str, number: int | None) -> Call | None:
        """A call, if its device is still there."""
        device = self.thingsboard.devices.get(name)
        if device is None or number is None or number >= len(device.calls):
            return None
        return device.calls[number]

    def _take_call(self, name: str, number: int | None, now: int) -> list[Sending]:
        """Take a new call, or one that a restart has left in the database."""
        call = self._call(name, number)
        if call is None:
            return []
        if call.expires_at is None:
            call = call._replace(expires_at=now + call.timeout)
        if call.expires_at <= now:
            call = call._replace(state=EXPIRED)
        self.thingsboard.save_call(name, call)
        self.transmissions.by(call.expires_at, "expired", (name, number))
        return self._send_call(name, call, now) if call.is_pending else []

    def _send_calls(self, peer: Peer, name: str, now: int) -> None:
        """Send a device soon all its calls that are pending, also those that were sent before."""
        device = self.thingsboard.devices.get(name)
        for call in device.calls if device else ():
            if call.is_pending:
                self.transmissions.at(now + CALLS_AFTER, "call", peer, (name, call.number))

    def _send_call(self, name: str, call: Call, now: int) -> list[Sending]:
        key = name, "rpc"
        observation = self.notifications.observations.get(key)
        if observation is None:
            return []
        if self.thingsboard.payload_type == PROTOBUF:
            failed = call._replace(state=FAILED, reply=_NOT_CONVERTED)
            self.thingsboard.save_call(name, failed)
            return self._send_all(self.notifications.cancel(key), now)
        sleeps = self.power_saving.sleeps(name, now)
        if sleeps and (call.is_persistent or not call.is_one_way):
            return []
        is_confirmable = observation.request.type == CON
        state = SENT if is_confirmable or sleeps else DELIVERED
        self.thingsboard.save_call(name, call._replace(state=state))
        if sleeps:
            return []
        if is_confirmable:
            at = min(now + DELIVERY_TIMEOUT, call.expires_at)
            self.transmissions.by(at, "undelivered", (name, call.number))
        return self._notify(key, call.body.encode("utf-8", "replace"), JSON, now, call.number)

    def _notify(
        self, key: Key, payload: bytes, content_format: int, now: int, call: int | None = None
    ) -> list[Sending]:
        asked = self.notifications.observations[key].request.content_format
        reply = Reply(CONTENT, payload, content_format if asked is None else asked)
        return self._send_all(self.notifications.notify(key, reply, call), now)

    def _send_all(self, messages: list[Outgoing], now: int) -> list[Sending]:
        """Send to observers."""
        sendings = []
        for outgoing in messages:
            peer, request, reply, observe, key, _, in_place_of, cancels = outgoing
            self.transmissions.settle(peer, cancels)
            before = self.transmissions.settle(peer, in_place_of)
            datagram = self.encode(peer, request, reply, BARE, observe, now, key is not None)
            message_id = self.send(peer, datagram, now, before.transmissions if before else 0)
            if message_id is not None:
                self.notifications.sent(outgoing, message_id)
            sendings.append(Sending(peer, datagram))
        return sendings
