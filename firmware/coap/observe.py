"""Observing a resource, RFC 7641. No socket, no clock.

register()  ──►  REGISTERED  ── 2.05 or 2.03 that is newer ──►  on_notification
                    │  ── any other code, or no Observe ──────►  ended
                    └── register() again: with another token, so that what is still on its way
                        for the earlier one is Reset, which ends that one at the server
"""

from micropython import const

from .message import ACK, CON, EMPTY, GET, encode, uint

_OBSERVE = const(6)
_CONTENT = const(0x45)
_VALID = const(0x43)
_HALF = const(1 << 23)  # of the numbers that Observe has
_FRESHNESS = const(128_000)  # ms; RFC 7641 section 3.4


class Observation:
    """A path that is observed with a Client.

    `on_notification(observation, message)`: called for each notification that is newer than those
    before it, also in the middle of a request: it makes none itself. When it returns False the
    notification is not acknowledged, and comes again. `ticks`: time.ticks_ms, and `ticks_diff`.

    `token`: the registration's, None when there is none. `number`: of the last notification.
    `skipped`: how many numbers were left out before it; servers that count show by it that one was
    lost. `ended`: the code of the message that ended it.
    """

    token = number = ended = None
    skipped = 0

    def __init__(self, path, on_notification, ticks, ticks_diff):
        self.path = path
        self.on_notification = on_notification
        self._ticks = ticks
        self._ticks_diff = ticks_diff

    def register(self, client):
        """The steps of a registration with a Client; they return the response.

        Afterwards `token` is None when the server does not let it be observed.
        """
        self.token = self.number = self.ended = None
        exchange = client.exchange
        exchange.listeners = [each for each in exchange.listeners if each is not self]
        token = client.random(8)
        response = yield from client.steps(GET, self.path, options=((_OBSERVE, b""),), token=token)
        number = response.option(_OBSERVE)
        if response.code in (_CONTENT, _VALID) and number is not None:
            self.token = token
            self._note(uint(number))
            exchange.listeners.append(self)
        return response

    def on_message(self, message):
        """Take a message with the registration's token; return its acknowledgement, or None."""
        number = message.option(_OBSERVE)
        if message.code not in (_CONTENT, _VALID) or number is None:
            self.token = None
            self.ended = message.code
        elif self._is_newer(uint(number)):
            before = self.number, self.skipped, self._at
            self._note(uint(number))
            if self.on_notification(self, message) is False:
                self.number, self.skipped, self._at = before
                return None
        if message.type == CON:
            return encode(ACK, EMPTY, message.message_id, b"", ())
        return None

    def _is_newer(self, number):
        """Return whether a notification is newer than the last (RFC 7641 section 3.4)."""
        ahead = number - self.number & (2 * _HALF - 1)
        return 0 < ahead < _HALF or self._ticks_diff(self._ticks(), self._at) > _FRESHNESS

    def _note(self, number):
        self.skipped = 0 if self.number is None else number - self.number - 1 & (2 * _HALF - 1)
        self.number = number
        self._at = self._ticks()
