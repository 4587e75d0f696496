"""Californium, which answers for ThingsBoard: datagrams and the time in, datagrams out.

No socket, no clock; times in ms. Messages as RFC 7252 section 4 has them, and how ThingsBoard
answers: on the ACK, by an empty ACK and a message of its own, or by the latter alone.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

from tools.fake_thingsboard.blocks import REQUEST_ENTITY_INCOMPLETE, Transfers
from tools.fake_thingsboard.californium import Duplicates
from tools.fake_thingsboard.codec import ACK, CON, EMPTY, NON, RST, Message, decode, empty, encode
from tools.fake_thingsboard.messages import Reply
from tools.fake_thingsboard.model import ThingsBoard

REPLIES = ("piggybacked", "separate", "bare")
EXCHANGE_LIFETIME = 247_000
MAX_RETRANSMIT = 4

Peer = tuple[str, int]


class Sending(NamedTuple):
    """A datagram to send, and whether it goes out `again`: by itself, or to a duplicate."""

    peer: Peer
    datagram: bytes
    again: str = ""


class _Unacknowledged(NamedTuple):
    request_id: int
    reply: bytes
    transmissions: int


class Endpoint:
    """One server. `received` and `on_timer` return the Sendings that they cause.

    `on_timer` is due at `wake_at`, when that is not None. `now` never goes back.
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
        reply: str = "piggybacked",
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
        self.reply = reply
        self.delay = delay
        self.separate_after = separate_after
        self.first_reply_after = first_reply_after
        self.ack_timeout = ack_timeout
        self.exchange_lifetime = exchange_lifetime
        self.next_message_id = message_id
        self.restart()

    def restart(self) -> None:
        """Forget everything but what ThingsBoard has in its database."""
        self.duplicates = Duplicates(self.exchange_lifetime)
        self.transfers = Transfers()
        self.sessions: dict[Peer, str] = {}
        self.unacknowledged: dict[tuple[Peer, int], _Unacknowledged] = {}
        self._timers: list[tuple] = []  # (at, order, kind, peer, what)
        self._order = 0
        self._is_first = True

    def copy_to(self, copy: Endpoint) -> None:
        """Make another endpoint, in front of another ThingsBoard, go on as this one would."""
        copy.duplicates = self.duplicates.copy()
        copy.transfers = self.transfers.copy()
        copy.sessions = self.sessions.copy()
        copy.unacknowledged = self.unacknowledged.copy()
        copy.next_message_id = self.next_message_id
        copy._timers = self._timers.copy()
        copy._order = self._order
        copy._is_first = self._is_first

    @property
    def wake_at(self) -> int | None:
        """When `on_timer` is due."""
        return self._timers[0][0] if self._timers else None

    def timers(self, now: int) -> list[tuple]:
        """What is still to come: (in ms, kind, peer, what), with "reply" or "retransmit"."""
        return [
            (at - now, kind, peer, what)
            for at, _, kind, peer, what in sorted(self._timers)
            if kind != "retransmit" or self._is_due(peer, what)
        ]

    def open_session(self, peer: Peer, certificate: str | None) -> None:
        """A DTLS session from `peer` begins, with the client's certificate in PEM."""
        name = certificate and self.thingsboard.name_of_certificate(certificate)
        if name is None:
            self.sessions.pop(peer, None)
        else:
            self.sessions[peer] = name

    def received(self, peer: Peer, datagram: bytes, now: int) -> list[Sending]:
        """Take a datagram."""
        try:
            message = decode(datagram)
        except ValueError:
            is_confirmable = len(datagram) >= 4 and datagram[0] >> 4 == 1 << 2 | CON
            return _reset(peer, int.from_bytes(datagram[2:4], "big")) if is_confirmable else []
        answers = self.duplicates.received(peer, datagram, now)
        if answers is not None:
            return self._repeat(peer, answers, now)
        if message.type in (ACK, RST):
            self.unacknowledged.pop((peer, message.message_id), None)
            return []
        if not 1 <= message.code <= 31:
            return _reset(peer, message.message_id) if message.type == CON else []
        return self._request(peer, message, now)

    def on_timer(self, now: int) -> list[Sending]:
        """Do what is due."""
        sendings = []
        while self._timers and self._timers[0][0] <= now:
            _, _, kind, peer, what = heapq.heappop(self._timers)
            if kind == "acknowledge":
                sendings += self._acknowledge(peer, what)
            elif kind == "reply":
                sendings += self._reply(peer, *what, now)
            elif self._is_due(peer, what):
                sendings += self._retransmit(peer, what[0], now)
        return sendings

    def _request(self, peer: Peer, request: Message, now: int) -> list[Sending]:
        taken = self.transfers.received(peer, request, now)
        if taken is None:
            return []
        wait, reply = 0, taken
        is_confirmable = request.type == CON
        way = "piggybacked"
        if isinstance(taken, Message):
            reply = self.thingsboard.handle(
                taken.code,
                taken.path,
                taken.payload,
                taken.query,
                taken.content_format,
                self.sessions.get(peer),
            )
            if reply is None:
                if is_confirmable:
                    self._at(now + self.separate_after, "acknowledge", peer, request.message_id)
                return []
            wait = self.delay + reply.after
            way = "bare" if reply.bare and self.reply == "piggybacked" else self.reply
        acknowledge_after = 0 if way == "separate" else self.separate_after
        if self._is_first and self.first_reply_after:
            wait += self.first_reply_after
            acknowledge_after = self.first_reply_after // 2
        self._is_first = False
        sendings = []
        if is_confirmable and (way == "separate" or wait > acknowledge_after):
            way = "separate"
            if acknowledge_after:
                at = now + acknowledge_after
                self._at(at, "acknowledge", peer, request.message_id)
            else:
                sendings = self._acknowledge(peer, request.message_id)
        datagram = self._encode(peer, request, reply, way, now)
        if wait:
            self._at(now + wait, "reply", peer, (request.message_id, datagram))
            return sendings
        return sendings + self._reply(peer, request.message_id, datagram, now)

    def _encode(self, peer: Peer, request: Message, reply: Reply, way: str, now: int) -> bytes:
        reply, block2, size2 = self.transfers.divided(peer, request, reply, now)
        block1 = None if reply.code == REQUEST_ENTITY_INCOMPLETE else request.block1
        message_type, message_id = ACK, request.message_id
        if request.type == NON or way != "piggybacked":
            message_type = request.type
            message_id = self.next_message_id
            self.next_message_id = message_id + 1 & 0xFFFF
        message = Message(message_type, reply.code, message_id, request.token)
        return encode(
            message._replace(
                payload=reply.payload,
                content_format=reply.content_format,
                block1=block1,
                block2=block2,
                size2=size2,
            )
        )

    def _acknowledge(self, peer: Peer, request_id: int) -> list[Sending]:
        datagram = empty(ACK, request_id)
        self.duplicates.sent(peer, request_id, datagram)
        return [Sending(peer, datagram)]

    def _reply(self, peer: Peer, request_id: int, datagram: bytes, now: int) -> list[Sending]:
        self.duplicates.sent(peer, request_id, datagram)
        message = decode(datagram)
        if message.type == CON:
            unacknowledged = _Unacknowledged(request_id, datagram, 0)
            self.unacknowledged[peer, message.message_id] = unacknowledged
            self._transmitted(peer, message.message_id, now)
        return [Sending(peer, datagram)]

    def _repeat(self, peer: Peer, answers: list[bytes], now: int) -> list[Sending]:
        for answer in answers:
            message = decode(answer)
            if (peer, message.message_id) in self.unacknowledged and message.code != EMPTY:
                self._transmitted(peer, message.message_id, now)
        return [Sending(peer, answer, "to the duplicate") for answer in answers]

    def _retransmit(self, peer: Peer, message_id: int, now: int) -> list[Sending]:
        waiting = self.unacknowledged[peer, message_id]
        if waiting.transmissions > MAX_RETRANSMIT:
            del self.unacknowledged[peer, message_id]
            return []
        self._transmitted(peer, message_id, now)
        return [Sending(peer, waiting.reply, "again")]

    def _transmitted(self, peer: Peer, message_id: int, now: int) -> None:
        waiting = self.unacknowledged[peer, message_id]
        after = self.ack_timeout << waiting.transmissions
        waiting = waiting._replace(transmissions=waiting.transmissions + 1)
        self.unacknowledged[peer, message_id] = waiting
        self._at(now + after, "retransmit", peer, (message_id, waiting.transmissions))

    def _is_due(self, peer: Peer, what: tuple[int, int]) -> bool:
        """Whether a retransmission is still wanted: not acknowledged, nor sent again meanwhile."""
        message_id, transmissions = what
        waiting = self.unacknowledged.get((peer, message_id))
        return waiting is not None and waiting.transmissions == transmissions

    def _at(self, at: int, kind: str, peer: Peer, what) -> None:
        self._order += 1
        heapq.heappush(self._timers, (at, self._order, kind, peer, what))


def _reset(peer: Peer, message_id: int) -> list[Sending]:
    return [Sending(peer, empty(RST, message_id))]
