"""What few need of telemetry: times that are given, several readings at once, kept ones. Pure."""

import json

from firmware.thingsboard.telemetry import encoded, is_known

_EARLIEST = 100_000_000_000  # ms since 1970, in 1973: what is less is no ms


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


def saved(queue):
    """Return all readings of a Queue as bytes, for `restore`."""
    parts = []
    for ts, content in queue.readings:
        parts.append(b"[%s,%s]" % (b"%d" % ts if is_known(ts) else b"null", content))
    return b"[%s]" % b",".join(parts)


def restore(queue, content):
    """Put back what `saved` gave, as JSON is read, before all that is there.

    A reading that is larger than the whole queue is dropped, and counted.
    """
    later = queue.readings
    queue.readings = []
    queue.size = 0
    for ts, values in content + [(ts, json.loads(each)) for ts, each in later]:
        try:
            queue.put(values, ts)
        except ValueError:
            queue.dropped += 1
