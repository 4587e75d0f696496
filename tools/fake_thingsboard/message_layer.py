"""CoAP messages as Californium exchanges them, RFC 7252 section 4: without socket or clock.

Datagrams and the time come in, datagrams go out; times in ms.
"""

from __future__ import annotations

from typing import NamedTuple

from tools.fake_thingsboard.blocks import REQUEST_ENTITY_INCOMPLETE, Transfers
from tools.fake_thingsboard.californium import Duplicates
from tools.fake_thingsboard.codec import ACK, CON, EMPTY, NON, RST, Message, decode, empty, encode
from tools.fake_thingsboard.messages import PIGGYBACKED, Reply
from tools.fake_thingsboard.transmissions import (
    MAX_RETRANSMIT,
    Peer,
    Transmissions,
    Unacknowledged,
)


class Sending(NamedTuple):
    """A datagram to send, and whether it goes out `again`: by itself, or to a duplicate."""

    peer: Peer
    datagram: bytes
    again: str = ""


class MessageLayer:
    """Duplicates, retransmissions and blocks; what a request is answered with is a subclass's.

    `received` and `on_timer` return the Sendings that they cause. `on_timer` is due at `wake_at`,
    when that is not None. `now` never goes back.
    `next_message_id` is that of the next reply, `next_drawn_id` of the next notification.
    """

    def __init__(self, ack_timeout: int, exchange_lifetime: int, message_id: int):
        self.ack_timeout = ack_timeout
        self.exchange_lifetime = exchange_lifetime
        self.next_message_id = message_id
        self.next_drawn_id = _drawn_after(message_id)
        self.restart()

    def restart(self) -> None:
        """Forget every peer."""
        self.duplicates = Duplicates(self.exchange_lifetime)
        self.transfers = Transfers()
        self.transmissions = Transmissions(self.ack_timeout)

    def copy(self) -> MessageLayer:
        """An independent copy."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.duplicates = self.duplicates.copy()
        twin.transfers = self.transfers.copy()
        twin.transmissions = self.transmissions.copy()
        return twin

    @property
    def wake_at(self) -> int | None:
        """When `on_timer` is due."""
        return self.transmissions.wake_at

    @property
    def unacknowledged(self) -> dict[tuple[Peer, int], Unacknowledged]:
        """The confirmable messages that are not acknowledged, by (peer, Message ID)."""
        return self.transmissions.unacknowledged

    def timers(self, now: int) -> list[tuple]:
        """What is still to come: (in ms, kind, peer, what)."""
        return self.transmissions.timers(now)

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
            self.transmissions.settle(peer, message.message_id)
            return self.settled(peer, message, now)
        if not 1 <= message.code <= 31:
            return _reset(peer, message.message_id) if message.type == CON else []
        return self.request(peer, message, now)

    def on_timer(self, now: int) -> list[Sending]:
        """Do what is due."""
        sendings = []
        while due := self.transmissions.due(now):
            kind, peer, what = due
            if kind == "acknowledge":
                sendings += self.acknowledge(peer, what)
            elif kind == "reply":
                sendings += self.send_reply(peer, *what, now)
            elif kind == "retransmit":
                sendings += self._retransmit(peer, what, now)
            else:
                sendings += self.due(kind, what, now)
        return sendings

    # What a subclass says

    def request(self, peer: Peer, request: Message, now: int) -> list[Sending]:
        """Answer a request that is no duplicate."""
        raise NotImplementedError

    def settled(self, peer: Peer, message: Message, now: int) -> list[Sending]:
        """A confirmable message was acknowledged or reset."""
        raise NotImplementedError

    def superseded(self, peer: Peer, message_id: int, now: int) -> list[Sending]:
        """What goes out in place of a message that would be sent again; nothing: itself."""
        raise NotImplementedError

    def given_up(self, peer: Peer, message_id: int) -> None:
        """A message was never acknowledged."""
        raise NotImplementedError

    def due(self, kind: str, what, now: int) -> list[Sending]:
        """A subclass's own timer."""
        raise NotImplementedError

    # What a subclass sends with

    def encode(
        self,
        peer: Peer,
        request: Message,
        reply: Reply,
        way: str,
        observe: int | None,
        now: int,
        is_notification: bool = False,
    ) -> bytes:
        """The datagram of a reply, or of its first block.

        ThingsBoard draws the Message ID of a notification, but not of one in blocks.
        """
        reply, block2, size2 = self.transfers.divided(peer, request, reply, now)
        block1 = None if reply.code == REQUEST_ENTITY_INCOMPLETE else request.block1
        message_type, message_id = ACK, request.message_id
        if request.type == NON or way != PIGGYBACKED:
            message_type = request.type
            message_id = self._new_message_id(peer, is_notification and block2 is None)
        message = Message(
            message_type,
            reply.code,
            message_id,
            request.token,
            payload=reply.payload,
            content_format=reply.content_format,
            observe=observe,
            block1=block1,
            block2=block2,
            size2=size2,
        )
        return encode(message)

    def _new_message_id(self, peer: Peer, is_drawn: bool) -> int:
        if not is_drawn:
            message_id = self.next_message_id
            self.next_message_id = message_id + 1 & 0xFFFF
            return message_id
        message_id = self.next_drawn_id
        while (peer, message_id) in self.unacknowledged:
            message_id = _drawn_after(message_id)
        self.next_drawn_id = _drawn_after(message_id)
        return message_id

    def acknowledge(self, peer: Peer, request_id: int) -> list[Sending]:
        """Send an empty ACK."""
        datagram = empty(ACK, request_id)
        self.duplicates.sent(peer, request_id, datagram)
        return [Sending(peer, datagram)]

    def send_reply(self, peer: Peer, request_id: int, datagram: bytes, now: int) -> list[Sending]:
        """Send an encoded reply."""
        self.duplicates.sent(peer, request_id, datagram)
        self.send(peer, datagram, now)
        return [Sending(peer, datagram)]

    def send(self, peer: Peer, datagram: bytes, now: int, transmissions: int = 0) -> int | None:
        """Send a datagram; a confirmable one until it is settled. Gives that one's Message ID.

        `transmissions`: how often what it takes the place of was sent.
        """
        message = decode(datagram)
        if message.type != CON:
            return None
        waiting = Unacknowledged(datagram, transmissions)
        self.transmissions.sent(peer, message.message_id, waiting, now)
        return message.message_id

    def _repeat(self, peer: Peer, answers: list[bytes], now: int) -> list[Sending]:
        for answer in answers:
            message = decode(answer)
            waiting = self.unacknowledged.get((peer, message.message_id))
            if waiting and message.code != EMPTY:
                self.transmissions.sent(peer, message.message_id, waiting, now)
        return [Sending(peer, answer, "to the duplicate") for answer in answers]

    def _retransmit(self, peer: Peer, message_id: int, now: int) -> list[Sending]:
        waiting = self.unacknowledged[peer, message_id]
        if waiting.transmissions > MAX_RETRANSMIT:
            self.transmissions.settle(peer, message_id)
            self.given_up(peer, message_id)
            return []
        newer = self.superseded(peer, message_id, now)
        if newer:
            return newer
        self.transmissions.sent(peer, message_id, waiting, now)
        return [Sending(peer, waiting.datagram, "again")]


def _reset(peer: Peer, message_id: int) -> list[Sending]:
    return [Sending(peer, empty(RST, message_id))]


def _drawn_after(message_id: int) -> int:
    """A Message ID that looks drawn, and is the same each time; it repeats after 65536 others."""
    return (message_id * 25173 + 13849) & 0xFFFF
