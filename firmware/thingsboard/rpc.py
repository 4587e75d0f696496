"""Calls that ThingsBoard makes to a device (RPC). Pure.

ThingsBoard sends each call that it has no reply to again at every registration, with the same id;
after its restart ids begin at 0 again. So a call is known again by its id within a registration,
and by its id and what it asks for from one to the next, as long as its reply did not get through.
"""

import json

_MOST_CALLS = 8
_REMEMBERED = 16


class Calls:
    """What came, what is being done, and what is to be answered.

    `is_doubtful`: whether a call got lost, which ThingsBoard sends again at a registration.
    """

    is_doubtful = False

    def __init__(self):
        # Ids of the calls of this registration, the last ones.
        self._known = []
        # [id, call as JSON, reply as JSON; None until it is done], in the order of coming.
        self._open = []
        self._next = 0

    def on_registration(self, response, number):
        """From now on another registration's calls come: an id may be another call's."""
        self._known = []
        # Not 0: a call that overtook the response, and is in its place.
        self.is_doubtful = number != 0

    def on_notification(self, observation, message):
        """Take a call; return False when there is no room for it now."""
        if observation.skipped:
            self.is_doubtful = True
        payload = bytes(message.payload)
        try:
            call = json.loads(payload)
            id = call["id"]
            known = id in self._known or any(each[:2] == [id, payload] for each in self._open)
        except (ValueError, RuntimeError, TypeError, KeyError):
            return True
        if not known and len(self._open) >= _MOST_CALLS:
            return False
        if not known:
            self._open.append([id, payload, None])
        if id not in self._known:
            self._known = (self._known + [id])[-_REMEMBERED:]
        return True

    def next_call(self):
        """Return (id, method, params) of the next call to do, once; None: there is none."""
        if self._next >= len(self._open):
            return None
        id, payload, _ = self._open[self._next]
        self._next += 1
        call = json.loads(payload)
        return id, call.get("method"), call.get("params")

    def done(self, id, reply):
        """Note the reply to a call, JSON in bytes."""
        for each in self._open:
            if each[0] == id and each[2] is None:
                each[2] = reply
                return

    def next_reply(self):
        """Return (id, reply) of a reply to send; None: there is none."""
        for id, _, reply in self._open:
            if reply is not None:
                return id, reply
        return None

    def replied(self, id):
        """A reply got through: the call is over."""
        for place, each in enumerate(self._open):
            if each[0] == id and each[2] is not None:
                del self._open[place]
                self._next -= 1
                return
