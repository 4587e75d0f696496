"""Telemetry that waits to be sent. Pure.

Source: ThingsBoard's documentation, "CoAP Device API Reference", "Telemetry upload API".
"""

import json

from micropython import const

_DEEPEST = const(8)
# ms since 1970; before it a clock was never set: a cold one says 2000 or 2021.
_COLD = 1_700_000_000_000
_EARLIEST = 100_000_000_000  # ms since 1970, in 1973: what is less is no ms
# Bytes, with what goes around them no more than a firmware.coap.client.Client sends.
_LARGEST = const(4_000)


class Queue:
    """Readings in the order in which they came, oldest first.

    `limit`: the most bytes that they may have as JSON. `keeps`: what stays when there is no more
    room: "newest" or "oldest". `dropped`: how many readings there was no room for. `first`: the
    number of the first that waits, counted from the first that ever came.
    """

    def __init__(self, limit, keeps="newest"):
        self.limit = limit
        self.keeps = keeps
        self.dropped = 0
        self._size = 0
        self.first = 0
        # (ts in ms, or None; values as JSON)
        self._readings = []

    def __len__(self):
        return len(self._readings)

    @property
    def oldest(self):
        """The time of the oldest reading; None: there is none, or it has no time."""
        return self._readings[0][0] if self._readings else None

    def put(self, values, ts=None):
        """Take a reading. `ts`: ms since 1970, by whatever clock, or None.

        Raises ValueError for what is no reading.
        """
        if ts is not None:
            ts = int(ts)
        content = encoded(values, min(self.limit, _LARGEST))
        while self._size + len(content) > self.limit:
            self.dropped += 1
            if self.keeps == "oldest":
                return
            self._remove(1)
        self._readings.append((ts, content))
        self._size += len(content)

    def batch(self, largest):
        """Return (number, body): the oldest readings that fit, and what `sent` takes then.

        `largest`: the most bytes of the body. One reading alone may have more. To all without a
        time ThingsBoard gives that of the datagram, and keeps one: each has its own.
        """
        if len(self._readings) == 1:
            return self.first + 1, _timed(*self._readings[0])
        parts = []
        size = 1
        has_untimed = False
        for ts, content in self._readings:
            part = _timed(ts, content)
            size += len(part) + 1
            if parts and (size > largest or (part is content and has_untimed)):
                break
            has_untimed = has_untimed or part is content
            parts.append(part)
        number = self.first + len(parts)
        return number, parts[0] if len(parts) == 1 else b"[%s]" % b",".join(parts)

    def sent(self, number):
        """Remove what `batch` gave with this number, but for what was dropped meanwhile."""
        if number > self.first:
            self._remove(number - self.first)

    def refuse(self, number):
        """Drop what `batch` gave with this number, one reading; return its values."""
        if number <= self.first:
            return ()
        content = self._readings[0][1]
        self.dropped += 1
        self._remove(1)
        return json.loads(content)

    def shift(self, ms):
        """Correct the times of a clock that was not set, now that it is: by so much."""
        for place, (ts, content) in enumerate(self._readings):
            if ts is not None and not is_known(ts):
                self._readings[place] = ts + ms, content

    def saved(self):
        """Return all readings as bytes, for `restore`."""
        parts = []
        for ts, content in self._readings:
            parts.append(b"[%s,%s]" % (b"%d" % ts if is_known(ts) else b"null", content))
        return b"[%s]" % b",".join(parts)

    def restore(self, content):
        """Put back what `saved` gave, as JSON is read, before all that is there."""
        later = self._readings
        self._readings = []
        self._size = 0
        for ts, values in content:
            self.put(values, ts)
        for ts, content in later:
            self.put(json.loads(content), ts)

    def _remove(self, count):
        for _ in range(count):
            self._size -= len(self._readings.pop(0)[1])
        self.first += count


def _timed(ts, content):
    """Return a reading as ThingsBoard takes it: as it is when its time is not known."""
    return b'{"ts":%d,"values":%s}' % (ts, content) if is_known(ts) else content


def is_known(ts):
    """Return whether a time, in ms since 1970 or None, is one of a clock that was set."""
    return ts is not None and ts > _COLD


def given_time(ts):
    """Return a time that an application gave, in ms since 1970. Raises ValueError."""
    try:
        ms = int(ts)
    except (TypeError, OverflowError):
        ms = 0
    if ms < _EARLIEST or ms >> 63:
        raise ValueError("%r is no time in ms since 1970" % (ts,))
    return ms


def check_reading(reading):
    """Raise ValueError for what is none of several readings."""
    if not isinstance(reading, dict) or "values" not in reading:
        raise ValueError('each of several readings is {"ts": …, "values": {…}}')
    encoded(reading["values"])
    if reading.get("ts"):
        given_time(reading["ts"])


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
        if value - value != 0:
            raise ValueError("JSON has no infinity and no NaN")
    # To MicroPython a bool is no int.
    elif not (value is None or isinstance(value, (str, int, bool))):
        raise ValueError("JSON has no %s" % type(value).__name__)
