"""ThingsBoard's end of the wire in virtual time: the model, behind Californium's message layer."""

from __future__ import annotations

import random

from host_tests.explorer.codec import ACK, CON, EMPTY, RST, decode, encode
from tools.fake_thingsboard.californium import EXCHANGE_LIFETIME, Duplicates
from tools.fake_thingsboard.model import ThingsBoard

REPLIES = ("piggybacked", "separate", "bare")

SEPARATE_AFTER = 600  # ms from a request to its separate reply
ACK_TIMEOUT = 2500  # ms
MAX_RETRANSMIT = 4

Peer = tuple[str, int]


class Server:
    """ThingsBoard with one `strategy`, one way to `reply` and what it draws from a `seed`."""

    def __init__(self, key: str, secret: str, strategy: str, reply: str, seed: str):
        self.thingsboard = ThingsBoard(key, secret, strategy, randbytes=self._randbytes)
        self.reply = reply
        self.seed = seed
        self.drawn = 0
        self.duplicates = Duplicates(EXCHANGE_LIFETIME * 1000)
        self.unacknowledged: dict[tuple[Peer, int], tuple[int, bytes]] = {}
        self.next_message_id = 1

    def copy(self) -> Server:
        """An independent copy."""
        board = self.thingsboard
        copy = Server(board.key, board.secret, board.strategy, self.reply, self.seed)
        copy.thingsboard.restore(board.snapshot())
        copy.drawn = self.drawn
        copy.duplicates = self.duplicates.copy()
        copy.unacknowledged = self.unacknowledged.copy()
        copy.next_message_id = self.next_message_id
        return copy

    def restart(self) -> None:
        """Forget everything but the devices."""
        self.duplicates = Duplicates(EXCHANGE_LIFETIME * 1000)
        self.unacknowledged = {}

    def received(self, peer: Peer, datagram: bytes, now: int) -> list[tuple]:
        """Take a datagram. Returns (after ms, "to the board", peer, datagram) and
        (after ms, "reply", peer, (request's Message ID, reply))."""
        message = decode(datagram)
        answers = self.duplicates.received(peer, datagram, now)
        if answers is not None:
            return [(0, "to the board", peer, answer) for answer in answers]
        if message.type in (ACK, RST):
            self.unacknowledged.pop((peer, message.message_id), None)
            return []
        answer = self.thingsboard.handle(message.code, message.path, message.payload, message.query)
        if self.reply == "piggybacked":
            reply = encode(ACK, answer.code, message.message_id, message.token, *answer[1:])
            return self._reply(peer, message.message_id, reply)
        reply = encode(CON, answer.code, self.next_message_id, message.token, *answer[1:])
        self.next_message_id = self.next_message_id + 1 & 0xFFFF
        if self.reply == "bare":
            return self._reply(peer, message.message_id, reply)
        ack = encode(ACK, EMPTY, message.message_id)
        self.duplicates.sent(peer, message.message_id, ack)
        return [
            (0, "to the board", peer, ack),
            (SEPARATE_AFTER, "reply", peer, (message.message_id, reply)),
        ]

    def later(self, kind: str, peer: Peer, what) -> list[tuple]:
        """Do what `received` or `later` said to do later."""
        if kind == "reply":
            return self._reply(peer, *what)
        message_id, count = what
        if (peer, message_id) not in self.unacknowledged:
            return []
        _, reply = self.unacknowledged[peer, message_id]
        if count > MAX_RETRANSMIT:
            del self.unacknowledged[peer, message_id]
            return []
        return [(0, "to the board", peer, reply), self._retransmission(peer, message_id, count)]

    def _reply(self, peer: Peer, request_message_id: int, reply: bytes) -> list[tuple]:
        self.duplicates.sent(peer, request_message_id, reply)
        message = decode(reply)
        actions = [(0, "to the board", peer, reply)]
        if message.type == CON:
            self.unacknowledged[peer, message.message_id] = (request_message_id, reply)
            actions.append(self._retransmission(peer, message.message_id, 0))
        return actions

    def _retransmission(self, peer: Peer, message_id: int, count: int) -> tuple:
        return (ACK_TIMEOUT << count, "retransmit", peer, (message_id, count + 1))

    def _randbytes(self, size: int) -> bytes:
        self.drawn += 1
        return random.Random(f"{self.seed}/server/{self.drawn}").randbytes(size)
