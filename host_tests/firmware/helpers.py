"""What the tests of this folder share. They run on CPython and on MicroPython, so this does too."""


class Skip(Exception):
    """Ends a test without a verdict; its text is the reason."""


def skip(reason):
    """Leave the running test out, by name and with a reason, on the interpreter that runs it."""
    raise Skip(reason)


def raises(error, function, *arguments, **keywords):
    """Call `function`; give the `error` that it raises, and fail when it raises none."""
    try:
        result = function(*arguments, **keywords)
    except error as raised:
        return raised
    raise AssertionError(
        "%s was not raised; the call gave %r" % (getattr(error, "__name__", error), result)
    )


class Clock:
    """The ticks of a board's `time`, which move only when somebody sleeps: milliseconds.

    They wrap at 2**30, as on a board; `start` puts them close to it.
    """

    _PERIOD = 1 << 30

    def __init__(self, start=0):
        self.slept = 0
        self._start = start

    def ticks_ms(self):
        return (self._start + self.slept) % self._PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % self._PERIOD

    def ticks_diff(self, end, start):
        half = self._PERIOD // 2
        return (end - start + half) % self._PERIOD - half

    def sleep_ms(self, duration):
        self.slept += max(0, duration)


class Random:
    """Numbers by chance that are the same each time, on both interpreters. `seed`: not 0."""

    def __init__(self, seed):
        self._state = seed

    def below(self, limit):
        """Return a number from 0 to below `limit`: xorshift of 32 bits."""
        state = self._state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        self._state = state
        return state % limit

    def bytes(self, size):
        """Return so many bytes that can be changed."""
        return bytearray([self.below(256) for _ in range(size)])
