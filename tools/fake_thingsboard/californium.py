"""Duplicate requests as Californium 3.12 treats them, which answers for ThingsBoard. Pure.

A request is known by its source address, port and Message ID, whatever else is in it.
"""

import struct
from typing import NamedTuple

EXCHANGE_LIFETIME = 247.0  # seconds, RFC 7252 section 4.8.2

CON, NON, ACK, RST = range(4)
EMPTY = 0


class _Exchange(NamedTuple):
    received_at: float
    acknowledged: bool = False  # the request, by an empty ACK
    reply: bytes | None = None
    reply_acknowledged: bool = False  # or reset


class Duplicates:
    """The requests of the last EXCHANGE_LIFETIME and what each was answered with.

    `peer` is (address, port); `now` is in seconds, or in what `exchange_lifetime` is in, and never
    goes back. Datagrams have a whole header (RFC 7252 section 3); the rest is not looked at.
    """

    def __init__(self, exchange_lifetime=EXCHANGE_LIFETIME):
        self.exchange_lifetime = exchange_lifetime
        self._exchanges = {}  # by (peer, the request's Message ID), oldest first
        self._unacknowledged = {}  # (peer, a confirmable reply's Message ID): the exchange's key

    def copy(self):
        """An independent copy, as cheap as two dictionaries."""
        copy = Duplicates(self.exchange_lifetime)
        copy._exchanges = self._exchanges.copy()
        copy._unacknowledged = self._unacknowledged.copy()
        return copy

    def snapshot(self, now):
        """The state, hashable, with ages for times. Equal states behave the same from now on."""
        self._forget(now)
        return tuple(
            (key, exchange._replace(received_at=now - exchange.received_at))
            for key, exchange in self._exchanges.items()
        )

    def knows(self, peer, datagram, now):
        """Whether a request from a client is a duplicate."""
        self._forget(now)
        message_type, _, message_id = _header(datagram)
        return message_type in (CON, NON) and (peer, message_id) in self._exchanges

    def received(self, peer, datagram, now):
        """Look at a datagram from a client before it is processed.

        None: nothing to do with duplicates, process it. A list: it is a duplicate; send these
        datagrams (perhaps none) and do not process it.
        """
        self._forget(now)
        message_type, code, message_id = _header(datagram)
        if message_type in (CON, NON) and 1 <= code <= 31:
            return self._received_request((peer, message_id), message_type == CON, now)
        if message_type in (ACK, RST) and code == EMPTY:
            self._settle((peer, message_id))
        return None

    def sent(self, peer, request_message_id, datagram):
        """Take note of a datagram sent to answer a request: an empty ACK or the reply.

        Returns True when that very reply was sent before.
        """
        key = peer, request_message_id
        exchange = self._exchanges.get(key)
        if exchange is None:
            return False
        message_type, code, message_id = _header(datagram)
        if code == EMPTY:
            self._exchanges[key] = exchange._replace(acknowledged=True)
            return False
        self._exchanges[key] = exchange._replace(reply=datagram)
        if message_type == CON and not exchange.reply_acknowledged:
            self._unacknowledged[peer, message_id] = key
        return exchange.reply == datagram

    def _received_request(self, key, confirmable, now):
        exchange = self._exchanges.get(key)
        if exchange is None:
            self._exchanges[key] = _Exchange(received_at=now)
            return None
        if exchange.reply is None:
            return [_empty_ack(key)] if exchange.acknowledged else []
        reply_type, _, _ = _header(exchange.reply)
        answers = []
        if confirmable and reply_type != ACK:
            answers.append(_empty_ack(key))
            self._exchanges[key] = exchange._replace(acknowledged=True)
        if not exchange.reply_acknowledged:
            answers.append(exchange.reply)
        return answers

    def _settle(self, reply_key):
        key = self._unacknowledged.pop(reply_key, None)
        if key is not None:
            self._exchanges[key] = self._exchanges[key]._replace(reply_acknowledged=True)

    def _forget(self, now):
        while self._exchanges:
            key = next(iter(self._exchanges))
            exchange = self._exchanges[key]
            if now - exchange.received_at < self.exchange_lifetime:
                return
            del self._exchanges[key]
            if exchange.reply:
                peer, _ = key
                _, _, message_id = _header(exchange.reply)
                self._unacknowledged.pop((peer, message_id), None)


def _header(datagram):
    """Type, code and Message ID."""
    first, code, message_id = struct.unpack_from("!BBH", datagram)
    return first >> 4 & 3, code, message_id


def _empty_ack(key):
    _, message_id = key
    return struct.pack("!BBH", 1 << 6 | ACK << 4, EMPTY, message_id)
