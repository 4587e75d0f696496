"""Requests and their responses, RFC 7252 sections 4 and 5. No socket, no clock.

start()  ──►  WAITING FOR ACK  ── piggybacked, or a response with no ACK ──►  response
               │  on_timer(): again, MAX_RETRANSMIT times                       ▲
               │  empty ACK                                                     │
               └─►  WAITING FOR RESPONSE  ── confirmable or non-confirmable ────┘
                     on_timer(): failed

A non-confirmable request is sent once, and waits as a confirmable one does after its last time.
"""

from micropython import const

from ..errors import CoapError
from .message import decode, encode

_CON = const(0)
_ACK = const(2)
_RST = const(3)
_EMPTY = const(0x00)
_BLOCK2 = const(23)
_BLOCK1 = const(27)
_NON = const(0x10)  # in the first byte of a message
_REMEMBERED_ACKS = const(4)

# RFC 7252 section 4.6. One byte more is received, which shows a datagram that was cut.
LARGEST_MESSAGE = const(1152)


class Exchange:
    """Drives one request after another to its response; one peer, one request at a time.

    `start`, `on_timer` and `on_datagram` return a datagram to send, or None. When one of them
    sets `timer`, `on_timer` is due after that many ms; the caller takes it and sets it to None.
    A request is over when `response` (a Message) is set or `failed`, which firmware.coap.failure
    explains. `got_ack`: whether the server acknowledged it; `was_reset`: whether it reset it;
    `ignored`: how much came that did it no good, the last because of `ignored_for`. `acknowledges`:
    whether a confirmable response is acknowledged at once; if not, `owed` has its Message ID until
    `acknowledge`. `listeners`: who takes what comes beside a request, each with a `token` and
    `on_message(message)`, which returns a datagram to send or None, as firmware.coap.observe.
    """

    # Transmission parameters (RFC 7252 section 4.8), times in ms.
    ACK_TIMEOUT = 2000
    ACK_RANDOM_FACTOR = 1.5
    MAX_RETRANSMIT = 4

    # Until there is a request.
    request = bytes(4)
    token = response = timer = None
    got_ack = False
    ignored = 0
    listeners = ()

    def __init__(self):
        # All of a token but its last byte: a confirmable response that has it is not reset, since a
        # server never repeats what was reset.
        self.held = None
        self.owed = ()
        self.acknowledges = False
        # Message IDs: a duplicate of an older response is acknowledged again.
        self.acknowledged = []
        # The longest first time-out. Computed once: a number with a point is garbage.
        self._longest = int(self.ACK_TIMEOUT * self.ACK_RANDOM_FACTOR)

    def begin(self, token, acknowledges=True):
        """Begin with the messages of another request: earlier responses are acknowledged no more.

        `acknowledges`: see there. `token`: the first message's; the others differ in the last byte.
        """
        self.owed = ()
        self.acknowledges = acknowledges
        if not acknowledges:
            self.held = token[:-1]

    def start(self, request, token):
        """Return the request, an encoded message with this token.

        The token has to be random and not empty: it draws the initial time-out, too, so that
        boards differ; one that is given again draws the same.
        """
        self.request = request
        self.token = token
        self.response = None
        self.failed = self.got_ack = self.was_reset = False
        self.ignored = self.transmissions = 0
        spread = self._longest - self.ACK_TIMEOUT
        self.timeout = self.ACK_TIMEOUT + (spread * (token[0] << 8 | token[-1]) >> 16)
        return self.on_timer()

    def on_timer(self):
        """Return the request, or None when the request has failed."""
        is_once = self.request[0] & _NON
        if self.got_ack or self.transmissions > (0 if is_once else self.MAX_RETRANSMIT):
            self.failed = True
            return None
        self.timer = self.timeout << (self.MAX_RETRANSMIT if is_once else self.transmissions)
        self.transmissions += 1
        return self.request

    def on_datagram(self, datagram):
        """Take a datagram from the peer; return what to answer at once, or None."""
        datagram = memoryview(datagram)
        try:
            if len(datagram) > LARGEST_MESSAGE:
                raise CoapError("too long")
            message = decode(datagram)
            if message.type >= _ACK:
                if message.message_id != self.request[2] << 8 | self.request[3]:
                    raise CoapError("wrong ID")
                if message.type == _RST:
                    if message.code != _EMPTY or self.got_ack:
                        raise CoapError("wrong type")
                    self.failed = self.was_reset = True
                    return None
                if message.code == _EMPTY:
                    if not self.got_ack:
                        self.got_ack = True
                        # MAX_TRANSMIT_WAIT, 93 s: from then on nothing more is to be expected.
                        self.timer = self._longest * ((2 << self.MAX_RETRANSMIT) - 1)
                    return None
            if message.code >> 5 not in (2, 4, 5):
                raise CoapError("wrong code")
            taker = self if message.token == self.token else None
            if not taker:
                for listener in self.listeners:
                    if message.token == listener.token:
                        taker = listener
            if not taker:
                if message.type == _CON:
                    if message.message_id in self.acknowledged:
                        return encode(_ACK, _EMPTY, message.message_id, b"", ())
                    if message.message_id in self.owed or message.token[:-1] == self.held:
                        return None
                raise CoapError("wrong token")
            previous = None
            for number, value in message.options:
                # Odd numbers are critical (RFC 7252 section 5.4.1), and as good as unknown when
                # repeated or of a wrong length (sections 5.4.5 and 5.4.3).
                known = number in (_BLOCK1, _BLOCK2) and number != previous and len(value) <= 3
                if number & 1 and not known:
                    raise CoapError("unknown option %d" % number)
                previous = number
            return taker.on_message(message)
        except CoapError as reason:
            self.ignore(reason)
        # A confirmable message is reset, any other ignored (RFC 7252 sections 4.2 and 4.3).
        if len(datagram) >= 4 and datagram[0] >> 4 == 4 | _CON:
            return encode(_RST, _EMPTY, datagram[2] << 8 | datagram[3], b"", ())
        return None

    def ignore(self, reason):
        """Count what did no good, and remember why."""
        self.ignored += 1
        self.ignored_for = reason

    def acknowledge(self):
        """Return the ACKs that are owed."""
        owed, self.owed = self.owed, ()
        return [self._acknowledgement(message_id, len(owed)) for message_id in owed]

    def on_message(self, message):
        """Take a message for the response; return its acknowledgement, if it may be sent."""
        self.response = message
        if message.type != _CON:
            return None
        if not self.acknowledges:
            self.owed += (message.message_id,)
            return None
        return self._acknowledgement(message.message_id, 1)

    def _acknowledgement(self, message_id, number):
        """Return an ACK, one of so many at once, and remember it."""
        self.acknowledged.append(message_id)
        if len(self.acknowledged) > max(_REMEMBERED_ACKS, number):
            self.acknowledged.pop(0)
        return encode(_ACK, _EMPTY, message_id, b"", ())
