"""Client attributes that wait to be sent. Pure. Imported by who sends some."""

from firmware.thingsboard.telemetry import encoded


class ClientAttributes:
    """`values`: of each attribute the last value."""

    # Of what `next` gave last: the values; and whether each attribute goes out alone.
    _given = ()
    _is_apart = False

    def __init__(self):
        self.values = {}

    def put(self, values):
        """Let attributes wait. Raises ValueError."""
        encoded(values, None)
        for key in values:
            encoded({key: values[key]})
        self.values.update(values)

    def next(self, largest):
        """Return what is to be sent next, as JSON; `largest`: the most bytes of it."""
        self._given = {}
        size = 1
        parts = []
        for key in self.values:
            part = encoded({key: self.values[key]})[1:-1]
            size += len(part) + 1
            if parts and (size > largest or self._is_apart):
                break
            parts.append(part)
            self._given[key] = self.values[key]
        return b"{%s}" % b",".join(parts)

    def sent(self):
        """Remove what `next` gave, but for attributes that have another value since."""
        for key in self._given:
            if key in self.values and self.values[key] is self._given[key]:
                del self.values[key]
        self._is_apart = self._is_apart and bool(self.values)

    def refused(self):
        """Let each go out alone; return what `next` gave when it was one that did."""
        refused = self._given if self._is_apart else ()
        self._is_apart = True
        return refused
