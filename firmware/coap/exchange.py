"""Confirmable requests and their responses, RFC 7252 sections 4 and 5. No socket, no clock.

start()  ──►  WAITING FOR ACK  ── piggybacked, or a response with no ACK ──►  response
               │  on_timer(): again, MAX_RETRANSMIT times                       ▲
               │  empty ACK                                                     │
               └─►  WAITING FOR RESPONSE  ── confirmable or non-confirmable ────┘
                     on_timer(): NoResponse
"""

from micropython import const

from firmware.coap.message import ACK, CON, EMPTY, RST, code_name, decode
from firmware.errors import CoapError, NoResponse

_BLOCK2 = const(23)
_BLOCK1 = const(27)
_REMEMBERED_ACKS = const(4)

# RFC 7252 section 4.6. One byte more is received, which shows a datagram that was cut.
LARGEST_MESSAGE = const(1152)


class Exchange:
    """Drives one request after another to its response; one peer, one request at a time.

    `start`, `on_timer` and `on_datagram` return a datagram to send, or None. When one of them
    sets `timer`, `on_timer` is due after that many ms; the caller takes it and sets it to None.
    A request is over when `response` (a Message) or `error` is set. `ignored`: how many
    datagrams did it no good.
    """

    # Transmission parameters (RFC 7252 section 4.8), in ms; ACK_RANDOM_FACTOR is 1.5.
    ACK_TIMEOUT = 2000
    MAX_RETRANSMIT = 4

    def __init__(self):
        self.response = None
        # A duplicate of an older response is acknowledged again.
        self._acknowledged = []

    def start(self, request, token):
        """Return the request, an encoded confirmable message with this token.

        The token has to be random and not empty: it draws the initial time-out, too, so that
        boards differ; one that is given again draws the same.
        """
        jitter = token[0] << 8 | token[-1]
        self.request = request
        self.response = None
        self.error = None
        self.ignored = 0
        self._token = token
        self._transmissions = 1
        self._got_ack = False
        self.timer = self._timeout = self.ACK_TIMEOUT + (self.ACK_TIMEOUT // 2 * jitter >> 16)
        return request

    def on_timer(self):
        """Return the request again, or None when `error` says that it is over."""
        if not self._got_ack and self._transmissions <= self.MAX_RETRANSMIT:
            self._transmissions += 1
            self._timeout *= 2
            self.timer = self._timeout
            return self.request
        if self._got_ack:
            what = "the server acknowledged the request but did not answer it"
        else:
            what = "no answer to %d datagrams" % self._transmissions
        if self.ignored:
            what += "; %d ignored, the last was %s" % (self.ignored, self._last_ignored)
        fix = "Check that the server runs and that UDP passes between it and this network."
        self.error = NoResponse(what, fix)
        self.error.acknowledged = self._got_ack
        return None

    def on_datagram(self, datagram):
        """Take a datagram from the peer; return what to answer at once, or None."""
        datagram = memoryview(datagram)
        try:
            if len(datagram) > LARGEST_MESSAGE:
                raise CoapError("over %d bytes" % LARGEST_MESSAGE)
            return self._on_message(decode(datagram))
        except CoapError as reason:
            self.ignored += 1
            self._last_ignored = reason.what
        # A confirmable message is reset, any other ignored (RFC 7252 sections 4.2 and 4.3).
        if len(datagram) >= 4 and datagram[0] >> 4 == 4 | CON:
            return _empty(RST, datagram[2] << 8 | datagram[3])
        return None

    def acknowledge(self):
        """Return the ACK that a confirmable response is owed, or None."""
        response = self.response
        if response is None or response.type != CON:
            return None
        if response.message_id not in self._acknowledged:
            self._acknowledged.append(response.message_id)
            del self._acknowledged[:-_REMEMBERED_ACKS]
        return _empty(ACK, response.message_id)

    def _on_message(self, message):
        """Take a message; return what to answer. Raises CoapError for one to be rejected."""
        if message.type == ACK or message.type == RST:
            if message.message_id != self.request[2] << 8 | self.request[3]:
                raise CoapError("a reply to another Message ID")
            if message.type == RST:
                if message.code != EMPTY or self._got_ack:
                    raise CoapError("a stray Reset")
                self.error = CoapError(
                    "the server answered with a Reset: it does not take this request",
                    "Check that the port is the server's CoAP port, 5683 as a rule.",
                )
                return None
            if message.code == EMPTY:
                if not self._got_ack:
                    self._got_ack = True
                    # MAX_TRANSMIT_WAIT, 93 s: from then on nothing more is to be expected.
                    self.timer = self.ACK_TIMEOUT * 3 // 2 * ((2 << self.MAX_RETRANSMIT) - 1)
                return None
        elif message.code == EMPTY:
            raise CoapError("a ping")
        if message.token != self._token:
            if message.type == CON and message.message_id in self._acknowledged:
                return _empty(ACK, message.message_id)
            raise CoapError("a message with another token")
        if message.code >> 5 not in (2, 4, 5):
            raise CoapError("code " + code_name(message.code))
        previous = None
        for number, value in message.options:
            # Odd numbers are critical (RFC 7252 section 5.4.1), and as good as unknown when
            # repeated or of a wrong length (sections 5.4.5 and 5.4.3).
            known = number in (_BLOCK1, _BLOCK2) and number != previous and len(value) <= 3
            if number & 1 and not known:
                raise CoapError("a response with unknown critical option %d" % number)
            previous = number
        self.response = message
        return None


def _empty(type, message_id):
    """Return an Empty message: an ACK or an RST."""
    return bytes((0x40 | type << 4, EMPTY, message_id >> 8, message_id & 0xFF))
