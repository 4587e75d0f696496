"""Calls that ThingsBoard makes to a device (RPC). Pure.

ThingsBoard sends each call that it has no reply to again at every registration, with the same id;
after its restart ids begin at 0 again. So a call is known again by its id within a registration,
and by its id and what it asks for from one to the next, as long as its reply did not get through.
A reply goes out only in a registration in which its call has come: else it could be taken for the
reply to another call with that id.
"""

import json

from micropython import const

from firmware.thingsboard.telemetry import encoded

# That are to be done; and with them those that are done, and whose reply has not got through.
_MOST_CALLS = const(8)
_MOST_OPEN = const(24)
_REMEMBERED = const(16)
# Whole registrations in which a call did not come again: ThingsBoard waits for its reply no more.
_MOST_ABSENCES = const(2)


class Calls:
    """What came, what is being done, and what is to be answered.

    `open`: the calls whose reply has not got through, in the order of coming: [id, call as JSON,
    reply as JSON; None until it is done, in how many registrations it did not come: 0, in this one
    it did]. At first those that were done before the board slept.
    """

    # Whether a call got lost.
    _is_doubtful = False

    def __init__(self, open=()):
        # Ids of the calls of this registration, the last ones.
        self._known = []
        self.open = list(open)
        self._next = len(self.open)

    @property
    def is_doubtful(self):
        """Whether a call got lost, which ThingsBoard sends again at a registration.

        Those that came are done first: it gives up what it has sent six times in vain.
        """
        return self._is_doubtful and not self._count_undone()

    def doubt(self):
        """Note that a call may have got lost."""
        self._is_doubtful = True

    def on_registration(self, response, number):
        """From now on another registration's calls come: an id may be another call's."""
        self._known = []
        for each in self.open:
            # Of one that left calls out nothing is known.
            if not (each[3] and self._is_doubtful):
                each[3] += 1
        self._drop(_MOST_ABSENCES)
        # Not 0: a call that overtook the response, and is in its place. What it left out is lost.
        self._is_doubtful = number > 1
        if number:
            self._take(response)

    def on_notification(self, observation, message):
        """Take a call; return False when there is no room for it now."""
        if observation.skipped:
            self._is_doubtful = True
        return self._take(message)

    def next_call(self):
        """Return (id, method, params) of the next call to do, once; None: there is none."""
        if self._next >= len(self.open):
            return None
        id, payload = self.open[self._next][:2]
        call = json.loads(payload)
        call = id, call["method"], call.get("params")
        # Last: what there was no memory for is not done.
        self._next += 1
        return call

    def no_handler(self, method, params):
        """Answer a call that the application has no handler for."""
        return {"error": "no handler for %s" % method}

    def done(self, id, result):
        """Note what a handler gave as reply. Raises ValueError for what is none."""
        if not isinstance(result, dict):
            result = {} if result is None else {"result": result}
        reply = encoded(result)
        for each in self.open:
            if each[0] == id and each[2] is None:
                each[2] = reply
                return

    def next_reply(self):
        """Return (id, reply) of a reply to send; None: there is none."""
        for id, _, reply, absences in self.open:
            if reply is not None and not absences:
                return id, reply
        return None

    def forget(self):
        """Answer none of the calls that came: from now on another device's come."""
        del self.open[self._next :]
        for each in self.open[:]:
            if each[2] is None:
                each[1:] = b"", None, 1
            else:
                self.open.remove(each)
        self._next = len(self.open)

    def replied(self, id):
        """A reply got through: the call is over."""
        for place, each in enumerate(self.open):
            if each[0] == id and each[2] is not None and not each[3]:
                del self.open[place]
                self._next -= 1
                return

    def _take(self, message):
        payload = bytes(message.payload)
        try:
            call = json.loads(payload)
            id, method = call["id"], call["method"]
        except (ValueError, RuntimeError, TypeError, KeyError):
            return True
        if id in self._known or not (isinstance(id, int) and isinstance(method, str)):
            return True
        for each in self.open:
            if each[:2] == [id, payload]:
                each[3] = 0
                break
        else:
            if len(self.open) >= _MOST_OPEN:
                self._drop(0)
            if len(self.open) >= _MOST_OPEN or self._count_undone() >= _MOST_CALLS:
                return False
            self.open.append([id, payload, None, 0])
        self._known = (self._known + [id])[-_REMEMBERED:]
        return True

    def _count_undone(self):
        count = 0
        for each in self.open:
            if each[2] is None:
                count += 1
        return count

    def _drop(self, absences):
        """Forget replies to calls that were absent from more registrations than that."""
        for each in self.open[:]:
            if each[2] is not None and each[3] > absences:
                self.open.remove(each)
                self._next -= 1
