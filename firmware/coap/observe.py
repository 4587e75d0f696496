"""Observing a resource, RFC 7641. No socket, no clock.

register()  ──►  REGISTERED  ── 2.05 or 2.03 that is newer ──►  on_notification
                    │  ── any other code, or no Observe ──────►  ended
                    └── register() again: with another token, so that what is still on its way
                        for the earlier one is Reset, which ends that one at the server
"""

from micropython import const

from .message import ACK, CON, EMPTY, GET, encode, uint

_OBSERVE = const(6)
_MAX_AGE = const(14)
_BLOCK2 = const(23)
_CONTENT = const(0x45)
_VALID = const(0x43)
_HALF = const(1 << 23)  # of the numbers that Observe has
_FRESHNESS = const(128_000)  # ms; RFC 7641 section 3.4


class Observation:
    """A path that is observed with a Client.

    `on_notification(observation, message)`: called for each notification that is newer than those
    before it, also in the middle of a request: it makes none itself. When it returns False, or
    raises, the notification is not acknowledged, and comes again. Of one that comes in blocks the
    first is acknowledged, and the rest is fetched in the client's next `wait`, which then takes
    longer; so it is handed over once, whatever is returned. `ticks`: time.ticks_ms, and
    `ticks_diff`.
    `options`: (number, value), beside those of the path.

    `token`: the registration's, None when there is none. `number`: of the last notification, which
    came `at` these ticks.
    `skipped`: how many numbers were left out before it; servers that count show by it that one was
    lost. `max_age`: for how many seconds from then on the server promises a state that is not
    older (RFC 7641 section 3.3.1). `ended`: the code of the message that ended it.
    """

    token = number = ended = partial = None
    skipped = 0
    max_age = 60

    def __init__(self, path, on_notification, ticks, ticks_diff, options=()):
        self.path = path
        self.on_notification = on_notification
        self.options = options
        self._ticks = ticks
        self._ticks_diff = ticks_diff

    def register(self, client):
        """The steps of a registration with a Client; they return the response.

        Afterwards `token` is None when the server does not let it be observed.
        """
        self.number = self.ended = None
        self.forget(client)
        self.client = client
        self.token = client.random(8)
        # Before the response is whole: the server may send notifications between its blocks.
        client.exchange.listeners.append(self)
        options = ((_OBSERVE, b""),) + tuple(self.options)
        try:
            response = yield from client.steps(GET, self.path, options=options, token=self.token)
            number = _number(response, _OBSERVE, 3)
            if response.code in (_CONTENT, _VALID) and number is not None and not self.ended:
                self._note(number, response)
            return response
        finally:
            if self.number is None:
                self.forget(client)

    def forget(self, client):
        """Take no more notifications: the server learns of it by the Reset of the next one."""
        self.token = self.partial = None
        exchange = client.exchange
        exchange.listeners = [each for each in exchange.listeners if each is not self]

    def is_fresh(self):
        """Return whether `max_age` is not over; asked within 6 days, before ticks wrap."""
        return self._ticks_diff(self._ticks(), self.at) <= self.max_age * 1000

    def on_message(self, message):
        """Take a message with the registration's token; return its acknowledgement, or None."""
        number = _number(message, _OBSERVE, 3)
        if message.code not in (_CONTENT, _VALID) or number is None:
            self.token = self.partial = None
            self.ended = message.code
        elif self.number is None:
            # Between the blocks of the registration's response: that one is older.
            if message.type == CON:
                return None
            self._put_off(message)
        elif self._is_newer(number):
            before = self.number, self.skipped, self.at, self.max_age, self.partial
            self._note(number, message)
            self.partial = None
            is_taken = False
            try:
                if (_number(message, _BLOCK2, 3) or 0) & 8:
                    self._put_off(message)
                    is_taken = True
                else:
                    is_taken = self.on_notification(self, message) is not False
            finally:
                if not is_taken:
                    self.number, self.skipped, self.at, self.max_age, self.partial = before
            if not is_taken:
                return None
        if message.type == CON:
            return encode(ACK, EMPTY, message.message_id, b"", ())
        return None

    def finish(self, client):
        """The steps that hand over what was put off."""
        from .observe_blocks import finish

        return finish(self, client)

    def _put_off(self, message):
        self.partial = message
        if self not in self.client.later:
            self.client.later += (self,)

    def _is_newer(self, number):
        """Return whether a notification is newer than the last (RFC 7641 section 3.4)."""
        ahead = number - self.number & (2 * _HALF - 1)
        return 0 < ahead < _HALF or self._ticks_diff(self._ticks(), self.at) > _FRESHNESS

    def _note(self, number, message):
        self.skipped = 0 if self.number is None else number - self.number - 1 & (2 * _HALF - 1)
        self.number = number
        max_age = _number(message, _MAX_AGE, 4)
        self.max_age = 60 if max_age is None else max_age
        self.at = self._ticks()


def _number(message, option, longest):
    """Return the number in an option, None for none or one too long (RFC 7252 section 5.4.3)."""
    value = message.option(option)
    return None if value is None or len(value) > longest else uint(value)
