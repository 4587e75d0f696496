"""A Device with one of its protections off, to prove that the exploration would notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from unittest.mock import patch

from firmware.backlog import Backlog
from firmware.coap.observe import Observation
from firmware.observed import _Watch
from firmware.session import Session
from firmware.thingsboard import attributes
from firmware.thingsboard.attributes import SharedAttributes
from firmware.thingsboard.rpc import Calls
from firmware.thingsboard.telemetry import Queue


def _gaps_ignored():
    note = Observation._note

    def without(self, number, message):
        note(self, number, message)
        self.skipped = 0

    return patch.object(Observation, "_note", without)


def _deletions_are_attributes():
    take = SharedAttributes.on_notification

    def take_all(self, observation, message):
        taken = take(self, observation, message)
        self.is_doubtful = False
        return taken

    return patch.object(SharedAttributes, "on_notification", take_all)


def _never_refreshed():
    registered = _Watch.registered
    return patch.object(
        _Watch, "registered", lambda self, refresh, board: registered(self, 1 << 28, board)
    )


def _true_is_1():
    return patch.object(attributes, "_is_same", lambda one, other: one == other)


def _every_registration_tells_all():
    def tell_all(self, response, number):
        self.values = None
        register(self, response, number)

    register = SharedAttributes.on_registration
    return patch.object(SharedAttributes, "on_registration", tell_all)


def _calls_forgotten_at_a_registration():
    begin = Calls.on_registration

    def forget(self, response, number):
        self._open, self._next = [], 0
        begin(self, response, number)

    return patch.object(Calls, "on_registration", forget)


def _absent_from_a_registration_with_gaps():
    begin = Calls.on_registration

    def count_all(self, response, number):
        self.is_doubtful = False
        begin(self, response, number)

    return patch.object(Calls, "on_registration", count_all)


def _replies_said_once():
    ask = Session.ask

    def ask_once(self, code, resource, payload=b"", **options):
        if resource.startswith("rpc/"):
            self.observed._calls.replied(int(resource[4:]))
        return ask(self, code, resource, payload, **options)

    return patch.object(Session, "ask", ask_once)


def _replies_to_whatever_has_the_id():
    begin = Calls.on_registration

    def present(self, response, number):
        begin(self, response, number)
        for each in self._open:
            each[3] = 0

    return patch.object(Calls, "on_registration", present)


def _removed_before_it_is_acknowledged():
    batch = Queue.batch

    def take(self, largest):
        number, body = batch(self, largest)
        self.sent(number)
        return number, body

    return patch.object(Queue, "batch", take)


def _without_its_time():
    return patch.object(Backlog, "put", lambda self, values, ts: self.queue.put(values))


class Mutant(NamedTuple):
    """`break_it()` is a context in which the protection is off; `lost`: what is found then."""

    break_it: Callable
    lost: str


_STATE = "the final state of an attribute did not reach the handler"
_TWICE = "a call was executed twice"

MUTANTS = {
    "gaps ignored": Mutant(_gaps_ignored, "a persistent call was not answered"),
    "deletions are attributes": Mutant(_deletions_are_attributes, _STATE),
    "never refreshed": Mutant(_never_refreshed, _STATE),
    "True is 1": Mutant(_true_is_1, _STATE),
    "every registration tells all": Mutant(
        _every_registration_tells_all, "a change of a was handed over twice"
    ),
    "calls forgotten at a registration": Mutant(_calls_forgotten_at_a_registration, _TWICE),
    "absent from a registration with gaps": Mutant(_absent_from_a_registration_with_gaps, _TWICE),
    "replies said once": Mutant(_replies_said_once, _TWICE),
    "replies to whatever has the id": Mutant(_replies_to_whatever_has_the_id, _TWICE),
    "removed before it is acknowledged": Mutant(
        _removed_before_it_is_acknowledged, "telemetry was lost"
    ),
    "without its time": Mutant(_without_its_time, "telemetry was stored twice"),
}
