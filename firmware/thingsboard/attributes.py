"""A device's shared attributes, as far as it knows them. Pure.

A registration's response has all of them, a notification what changed since. ThingsBoard counts its
notifications and loses one that is superseded before it was acknowledged. So a number that was left
out, and a deletion, which looks like an attribute "deleted", are no news to apply: what is true is
asked for anew.
"""

import json

from micropython import const

_MOST_CHANGES = const(8)


class SharedAttributes:
    """`values`: what is known, None at first."""

    def __init__(self):
        self.values = None
        self._is_doubtful = True
        self._changes = []

    @property
    def is_doubtful(self):
        """Whether to ask for all of them; not while there is no room for what they change."""
        return self._is_doubtful and len(self._changes) < _MOST_CHANGES

    def doubt(self):
        """Note that a change may have got lost."""
        self._is_doubtful = True

    def on_registration(self, response, number):
        """Take the response to a registration, with its Observe number.

        Raises FirstbootError for what is no JSON.
        """
        values = object_in(response.payload)
        if values is None:
            from firmware.thingsboard.answers import not_json

            raise not_json("ThingsBoard sent attributes that are no JSON")
        if number != 0 or len(self._changes) >= _MOST_CHANGES:
            # Not 0: a notification that overtook the response. It is no more than a change.
            self._is_doubtful = True
            return
        if self.values is None:
            changes = dict(values)
            is_change = True
        else:
            changes = {key: None for key in self.values if key not in values}
            self._compare(values, changes)
            is_change = bool(changes)
        # First what takes memory: what is known is what was told.
        if is_change:
            self._changes.append(changes)
        self.values = values
        self._is_doubtful = False

    def on_notification(self, observation, message):
        """Take a notification; return False when there is no room for it now."""
        if len(self._changes) >= _MOST_CHANGES:
            return False
        values = object_in(message.payload)
        if values is None or observation.skipped or "deleted" in values or self._is_doubtful:
            self._is_doubtful = True
            return True
        changes = {}
        self._compare(values, changes)
        if changes:
            self._changes.append(changes)
            self.values.update(values)
        return True

    def next_change(self):
        """Return the next change, a dictionary in which None is a deletion; None: there is none.

        The first has all attributes.
        """
        return self._changes.pop(0) if self._changes else None

    def repeat(self):
        """Let the next change have all attributes: there is another who takes them."""
        if self.values is not None:
            self._changes = [dict(self.values)]

    def _compare(self, values, changes):
        for key in values:
            if key not in self.values or not _is_same(self.values[key], values[key]):
                changes[key] = values[key]


def _is_same(one, other):
    """Return whether two JSON values are the same. To Python True is 1, and 1 is 1.0."""
    # A list, since a board's stack is shorter than what JSON can be nested.
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            if len(one) != len(other):
                return False
            for key in one:
                if key not in other:
                    return False
                pairs.append((one[key], other[key]))
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other)
        elif one != other:
            return False
    return True


def object_in(payload):
    """Return the JSON object in a payload, None for what is none."""
    try:
        values = json.loads(bytes(payload))
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        return None
    return values if isinstance(values, dict) else None
