"""Telemetry that waits to be sent. Pure.

Source: ThingsBoard's documentation, "CoAP Device API Reference", "Telemetry upload API".
"""

import json
from math import isfinite

from micropython import const

_DEEPEST = const(8)
# ms since 1970; before it a clock was never set: a cold one says 2000 or 2021.
_COLD = 1_700_000_000_000
# Bytes, with what goes around them no more than a firmware.coap.client.Client sends.
_LARGEST = const(4_000)


class Queue:
    """Readings in the order in which they came, oldest first.

    `limit`: the most bytes that they may have as JSON. `keeps`: what stays when there is no more
    room: "newest" or "oldest". `dropped`: how many readings there was no room for. `first`: the
    number of the first that waits, counted from the first that ever came. `readings`: (ts in ms,
    or None; values as JSON) of each that waits. `size`: the bytes that they have. `given`: the
    number of the first that `batch` did not give.
    """

    def __init__(self, limit, keeps="newest"):
        self.limit = limit
        self.keeps = keeps
        self.dropped = 0
        self.size = 0
        self.first = self.given = 0
        self.readings = []

    def __len__(self):
        return len(self.readings)

    def put(self, values, ts=None):
        """Take a reading. `ts`: ms since 1970, by whatever clock, or None.

        Raises ValueError for what is no reading.
        """
        if ts is not None:
            ts = int(ts)
        content = encoded(values, min(self.limit, _LARGEST))
        while self.size + len(content) > self.limit:
            if self.keeps == "oldest":
                self.dropped += 1
                return
            self.drop()
        self.readings.append((ts, content))
        self.size += len(content)

    def batch(self, largest):
        """Return the oldest readings that fit, as a body.

        `largest`: the most bytes of the body. One reading alone may have more. To all without a
        time ThingsBoard gives that of the datagram, and keeps one: each has its own.
        """
        if len(self.readings) == 1:
            self.given = self.first + 1
            ts, content = self.readings[0]
            return _timed(ts, content)
        parts = []
        size = 1
        has_untimed = False
        for ts, content in self.readings:
            part = _timed(ts, content)
            size += len(part) + 1
            if parts and (size > largest or (part is content and has_untimed)):
                break
            has_untimed = has_untimed or part is content
            parts.append(part)
        self.given = self.first + len(parts)
        return parts[0] if len(parts) == 1 else b"[%s]" % b",".join(parts)

    def sent(self):
        """Remove what `batch` gave last, but for what was dropped meanwhile."""
        if self.given > self.first:
            self._remove(self.given - self.first)

    def shift(self, ms):
        """Correct the times of a clock that was not set, now that it is: by so much."""
        for place, (ts, content) in enumerate(self.readings):
            if ts is not None and not is_known(ts):
                self.readings[place] = ts + ms, content

    def drop(self):
        """Drop the oldest reading."""
        self.dropped += 1
        self._remove(1)

    def _remove(self, count):
        for _ in range(count):
            self.size -= len(self.readings.pop(0)[1])
        self.first += count


def _timed(ts, content):
    """Return a reading as ThingsBoard takes it: as it is when its time is not known."""
    return b'{"ts":%d,"values":%s}' % (ts, content) if is_known(ts) else content


def is_known(ts):
    """Return whether a time, in ms since 1970 or None, is one of a clock that was set."""
    return ts is not None and ts > _COLD


def encoded(values, largest=_LARGEST):
    """Return an object as JSON, in bytes. `largest`: the most bytes of it, None for any.

    Raises ValueError for what JSON cannot say, and for what is larger.
    """
    if not isinstance(values, dict):
        raise ValueError("ThingsBoard takes a dictionary, not a %s" % type(values).__name__)
    _check(values, 0)
    content = json.dumps(values, separators=(",", ":")).encode()
    if largest and len(content) > largest:
        raise ValueError("%d bytes, and there is room for %d" % (len(content), largest))
    return content


def _check(value, depth):
    if depth > _DEEPEST:
        raise ValueError("values are nested more than %d deep" % _DEEPEST)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError("a key is a text, not a %s" % type(key).__name__)
            _check(value[key], depth + 1)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _check(each, depth + 1)
    elif isinstance(value, float):
        if not isfinite(value):
            raise ValueError("JSON has no infinity and no NaN")
    # To MicroPython a bool is no int.
    elif not (value is None or isinstance(value, (str, int, bool))):
        raise ValueError("JSON has no %s" % type(value).__name__)
