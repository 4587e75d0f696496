"""One confirmable request and its response, RFC 7252 sections 4 and 5. No socket, no clock.

start()  ──►  WAITING FOR ACK  ── piggybacked, or a response with no ACK ──►  response
               │  on_timer(): again, MAX_RETRANSMIT times                       ▲
               │  empty ACK                                                     │
               └─►  WAITING FOR RESPONSE  ── confirmable or non-confirmable ────┘
                     on_timer(): NoResponse
"""

from micropython import const

from firmware.coap.message import ACK, CON, EMPTY, RST, code_name, decode
from firmware.errors import FormatError, NoResponse, ResetReceived

_BLOCK2 = const(23)
_BLOCK1 = const(27)
_REMEMBERED_ACKS = const(4)

# RFC 7252 section 4.6. One byte more is received, which shows a datagram that was cut.
LARGEST_MESSAGE = const(1152)


class Transmission:
    """The transmission parameters of RFC 7252 section 4.8; times in ms."""

    def __init__(self, ACK_TIMEOUT=2000, ACK_RANDOM_FACTOR=1.5, MAX_RETRANSMIT=4):
        self.ACK_TIMEOUT = ACK_TIMEOUT
        self.ACK_RANDOM_FACTOR = ACK_RANDOM_FACTOR
        self.MAX_RETRANSMIT = MAX_RETRANSMIT

    @property
    def MAX_TRANSMIT_WAIT(self):
        """From the first transmission until nothing more is to be expected: 93 s."""
        longest = int(self.ACK_TIMEOUT * self.ACK_RANDOM_FACTOR)
        return longest * ((1 << (self.MAX_RETRANSMIT + 1)) - 1)

    def initial_timeout(self, random):
        """Return a time between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR.

        `random`: a number from 0 to 65535.
        """
        spread = int(self.ACK_TIMEOUT * self.ACK_RANDOM_FACTOR) - self.ACK_TIMEOUT
        return self.ACK_TIMEOUT + (spread * random >> 16)


class Exchange:
    """Drives one request to its response.

    `request`: an encoded confirmable message. `timeout`: the initial time-out in ms.
    `acknowledged`: the Message IDs of confirmable responses acknowledged before, shared by the
    exchanges with one server, so that a duplicate of an older response is acknowledged again.

    `start`, `on_timer` and `on_datagram` return a datagram to send, or None. When one of them
    sets `timer`, `on_timer` is due after that many ms; the caller takes it and sets it to None.
    The exchange is over when `response` (a Message) or `error` is set.
    """

    timer = None
    response = None
    error = None
    ignored = 0
    last_ignored = None
    _retransmissions = 0
    _got_ack = False

    def __init__(self, request, timeout, transmission, acknowledged):
        self.request = request
        self._token = bytes(request[4 : 4 + (request[0] & 0x0F)])
        self._timeout = timeout
        self._transmission = transmission
        self._acknowledged = acknowledged

    def start(self):
        """Return the request."""
        self.timer = self._timeout
        return self.request

    def on_timer(self):
        """Return the request again, or None when `error` says that it is over."""
        if self._got_ack or self._retransmissions == self._transmission.MAX_RETRANSMIT:
            self.error = self._no_response()
            return None
        self._retransmissions += 1
        self._timeout *= 2
        self.timer = self._timeout
        return self.request

    def on_datagram(self, datagram):
        """Take a datagram from the peer; return what to answer at once, or None."""
        datagram = memoryview(datagram)
        if len(datagram) > LARGEST_MESSAGE:
            return self._reject(datagram, "over %d bytes" % LARGEST_MESSAGE)
        try:
            message = decode(datagram)
        except FormatError as error:
            return self._reject(datagram, error.what)
        if message.type == ACK or message.type == RST:
            return self._on_reply(message)
        if message.code == EMPTY:
            return self._reject(datagram, "a ping")
        if message.token == self._token:
            return self._on_response(message, datagram)
        if message.type == CON and message.message_id in self._acknowledged:
            return _empty(ACK, datagram)
        return self._reject(datagram, "a message with another token")

    def acknowledge(self):
        """Return the ACK that a confirmable response is owed, or None."""
        response = self.response
        if response is None or response.type != CON:
            return None
        if response.message_id not in self._acknowledged:
            self._acknowledged.append(response.message_id)
            del self._acknowledged[:-_REMEMBERED_ACKS]
        return bytes((0x40 | ACK << 4, EMPTY, response.message_id >> 8, response.message_id & 0xFF))

    def _on_reply(self, message):
        if message.message_id != self.request[2] << 8 | self.request[3]:
            return self._ignore("a reply to another Message ID")
        if message.type == RST:
            if message.code != EMPTY or self._got_ack:
                return self._ignore("a stray Reset")
            self.error = ResetReceived(
                "the server answered with a Reset: it does not take this request",
                "Check that the port is the server's CoAP port, 5683 as a rule.",
            )
        elif message.code != EMPTY:
            if message.token != self._token:
                return self._ignore("a piggybacked response with another token")
            return self._on_response(message, None)
        elif not self._got_ack:
            self._got_ack = True
            self.timer = self._transmission.MAX_TRANSMIT_WAIT
        return None

    def _on_response(self, message, datagram):
        if message.code >> 5 not in (2, 4, 5):
            return self._reject(datagram, "code " + code_name(message.code))
        previous = None
        for number, value in message.options:
            # Odd numbers are critical (RFC 7252 section 5.4.1), and as good as unknown when
            # repeated or of a wrong length (sections 5.4.5 and 5.4.3).
            known = number in (_BLOCK1, _BLOCK2) and number != previous and len(value) <= 3
            if number & 1 and not known:
                return self._reject(datagram, "a response with unknown critical option %d" % number)
            previous = number
        self.response = message
        return None

    def _reject(self, datagram, reason):
        """Reset a confirmable message, ignore any other (RFC 7252 sections 4.2 and 4.3)."""
        self._ignore(reason)
        if datagram is not None and len(datagram) >= 4 and datagram[0] >> 4 == 4 | CON:
            return _empty(RST, datagram)
        return None

    def _ignore(self, reason):
        self.ignored += 1
        self.last_ignored = reason

    def _no_response(self):
        if self._got_ack:
            what = "the server acknowledged the request but did not answer it"
        else:
            what = "no answer to %d datagrams" % (self._retransmissions + 1)
        if self.ignored:
            what += "; %d ignored, the last was %s" % (self.ignored, self.last_ignored)
        return NoResponse(
            what,
            "Check that the server runs and that UDP passes between it and this network.",
            self._got_ack,
        )


def _empty(type, datagram):
    """Return the Empty message that answers a datagram."""
    return bytes((0x40 | type << 4, EMPTY, datagram[2], datagram[3]))
