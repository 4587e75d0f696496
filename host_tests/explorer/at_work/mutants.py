"""A Device with one of its protections off, to prove that the exploration would notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from unittest.mock import patch

from firmware import backlog, link, observed, session, sleep
from firmware.backlog import Backlog
from firmware.coap.exchange import Exchange
from firmware.coap.observe import Observation
from firmware.errors import FirstbootError
from firmware.observed import Observed, _Watch
from firmware.session import Session
from firmware.thingsboard import attributes
from firmware.thingsboard.attributes import SharedAttributes
from firmware.thingsboard.rpc import Calls
from firmware.thingsboard.telemetry import Queue
from host_tests.explorer.at_work.stories import NEVER


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
        self._is_doubtful = False
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
        self.open, self._next = [], 0
        begin(self, response, number)

    return patch.object(Calls, "on_registration", forget)


def _absent_from_a_registration_with_gaps():
    begin = Calls.on_registration

    def count_all(self, response, number):
        self._is_doubtful = False
        begin(self, response, number)

    return patch.object(Calls, "on_registration", count_all)


def _replies_said_once():
    ask = Session.ask

    def ask_once(self, code, resource, payload=b"", *timeout):
        if resource.startswith("rpc/"):
            self.observed.calls.replied(int(resource[4:]))
        return ask(self, code, resource, payload, *timeout)

    return patch.object(Session, "ask", ask_once)


def _replies_to_whatever_has_the_id():
    begin = Calls.on_registration

    def present(self, response, number):
        begin(self, response, number)
        for each in self.open:
            each[3] = 0

    return patch.object(Calls, "on_registration", present)


def _removed_before_it_is_acknowledged():
    batch = Queue.batch

    def take(self, largest):
        body = batch(self, largest)
        self.sent()
        return body

    return patch.object(Queue, "batch", take)


def _without_its_time():
    return patch.object(Backlog, "put", lambda self, values, ts, confirm: self.queue.put(values))


def _the_last_first():
    def take_last(self, largest):
        self.readings.reverse()
        return batch(self, largest)

    batch = Queue.batch
    return patch.object(Queue, "batch", take_last)


def _unconfirmed_and_sent_again():
    sent = Backlog.sent

    def sent_if_answered(self, is_answered=True):
        if is_answered:
            sent(self)

    return patch.object(Backlog, "sent", sent_if_answered)


def _unconfirmed_for_ever():
    return patch.object(backlog, "_MOST_UNANSWERED", NEVER)


def _all_unconfirmed():
    put, take = Backlog.put, Backlog.next
    return patch.multiple(
        Backlog,
        put=lambda self, values, ts, confirm: put(self, values, ts, False),
        next=lambda self, largest, confirm=True: take(self, largest, False),
    )


def _what_waited_unconfirmed():
    put = Backlog.put

    def put_as_if_alone(self, values, ts, confirm):
        before = self._first_once
        put(self, values, ts, confirm)
        if not confirm:
            self._first_once = before

    return patch.object(Backlog, "put", put_as_if_alone)


def _all_confirmed():
    take = Backlog.next
    return patch.object(Backlog, "next", lambda self, largest, confirm=True: take(self, largest))


def _calls_of_the_deleted_device_kept():
    return patch.object(Calls, "forget", lambda self: None)


def _ids_known_for_ever():
    begin = Calls.on_registration

    def remember(self, response, number):
        known = self._known
        begin(self, response, number)
        self._known = known

    return patch.object(Calls, "on_registration", remember)


def _replies_after_a_restart_that_nobody_saw():
    return patch.object(Observed, "_since_last_word", lambda self: 0)


def _late_replies():
    return patch.multiple(observed, _SOON=10_000, _AT_LATEST=20_000)


def _calls_are_as_old_as_they_are_read():
    hear = Observed.heard

    def heard(self, datagram, now, was_deaf):
        hear(self, datagram, now, was_deaf)
        self.silent_at = now

    return patch.object(Observed, "heard", heard)


def _acknowledged_without_room():
    take = SharedAttributes.on_notification

    def take_or_drop(self, observation, message):
        take(self, observation, message)
        return True

    return patch.object(SharedAttributes, "on_notification", take_or_drop)


def _older_is_newer():
    def take_all(self, number):
        if not is_newer(self, number):
            self.number = number - 1
        return True

    is_newer = Observation._is_newer

    return patch.object(Observation, "_is_newer", take_all)


def _duplicates_by_message_id():
    take = Observation.on_message
    seen = set()

    def once(self, message):
        if (self, message.message_id) in seen:
            return None
        seen.add((self, message.message_id))
        return take(self, message)

    return patch.object(Observation, "on_message", once)


def _any_end_is_an_end():
    take = Exchange.on_datagram

    def end(self, datagram):
        answer = take(self, datagram)
        if datagram[1] == 0x42:
            for listener in self.listeners:
                listener.token = None
        return answer

    return patch.object(Exchange, "on_datagram", end)


def _deaf_without_a_doubt():
    return patch.object(session, "_DEAF", NEVER)


def _silence_without_a_doubt():
    return patch.object(session, "_MANY_TRANSMISSIONS", NEVER)


def _another_address_unnoticed():
    return patch.object(Session, "is_linked", lambda self: self.client)


def _registered_in_the_connection_before():
    return patch.object(Observed, "on_disconnect", lambda self: None)


def _a_session_for_ever():
    answered = property(lambda self: True, lambda self, is_answered: None)
    return patch.object(Session, "is_answered", answered)


def _way_not_kept_open():
    return patch.object(Observed, "keep_open", lambda self, session: None)


def _registered_at_every_turn():
    return patch.object(_Watch, "is_due", lambda self, now: True)


def _not_provisioned_anew():
    def give_up(session):
        raise FirstbootError("4.01", "")

    return patch.object(link, "renew", give_up)


def _refused_and_asked_again():
    return patch.object(session, "_LONGEST_RETRY", 60_000)


def _time_not_corrected():
    return patch.object(Queue, "shift", lambda self, ms: None)


def _the_other_end_dropped():
    put = Queue.put

    def put_otherwise(self, values, ts=None):
        self.keeps = "newest" if self.keeps == "oldest" else "oldest"
        try:
            put(self, values, ts)
        finally:
            self.keeps = "newest" if self.keeps == "oldest" else "oldest"

    return patch.object(Queue, "put", put_otherwise)


def _drops_not_counted():
    none = property(lambda self: 0, lambda self, dropped: None)
    return patch.object(Queue, "dropped", none, create=True)


def _sent_whatever_was_dropped_meanwhile():
    batch = Queue.batch

    def count(self, largest):
        body = batch(self, largest)
        self.count = self.given - self.first
        return body

    return patch.multiple(Queue, batch=count, sent=lambda self: self._remove(self.count))


def _one_in_a_datagram():
    batch = Queue.batch
    return patch.object(Queue, "batch", lambda self, largest: batch(self, 1))


def _never_saved():
    return patch.object(Backlog, "save", lambda self: None)


def _saved_at_every_try():
    return patch.object(backlog, "_BETWEEN_SAVES", 0)


def _nothing_kept_asleep():
    return patch.object(sleep, "keep", lambda session: None)


def _replies_not_kept_asleep():
    return patch.object(sleep, "replies", lambda calls: [])


def _awake_until_all_is_done():
    return patch.object(sleep.Session, "left", lambda self: NEVER)


class Mutant(NamedTuple):
    """`break_it()` is a context in which the protection is off; `lost`: what is found then.

    `story`: the one in which it is looked for.
    """

    break_it: Callable
    lost: str
    story: str


_STATE = "the final state of an attribute did not reach the handler"
_TWICE = "a call was executed twice"
_UNANSWERED = "a call was not answered"

MUTANTS = {
    "gaps ignored": Mutant(_gaps_ignored, _STATE, "attributes"),
    "gaps in calls ignored": Mutant(_gaps_ignored, _UNANSWERED, "calls"),
    "deletions are attributes": Mutant(_deletions_are_attributes, _STATE, "deletions"),
    "never refreshed": Mutant(_never_refreshed, _STATE, "attributes"),
    "True is 1": Mutant(_true_is_1, _STATE, "attributes"),
    "every registration tells all": Mutant(
        _every_registration_tells_all, "a change of a was handed over twice", "attributes"
    ),
    "calls forgotten at a registration": Mutant(
        _calls_forgotten_at_a_registration, _TWICE, "calls"
    ),
    "absent from a registration with gaps": Mutant(
        _absent_from_a_registration_with_gaps, _TWICE, "calls"
    ),
    "replies said once": Mutant(_replies_said_once, _TWICE, "calls"),
    "replies to whatever has the id": Mutant(
        _replies_to_whatever_has_the_id,
        "a call was answered with another's reply",
        "a restart in the middle of a call",
    ),
    "ids known for ever": Mutant(_ids_known_for_ever, _UNANSWERED, "calls"),
    "replies after a restart that nobody saw": Mutant(
        _replies_after_a_restart_that_nobody_saw,
        "a call was answered with another's reply",
        "a restart while a handler runs",
    ),
    "late replies": Mutant(
        _late_replies, "a call was answered with another's reply", "a restart at every moment"
    ),
    "calls are as old as they are read": Mutant(
        _calls_are_as_old_as_they_are_read,
        "a call was answered with another's reply",
        "a restart at every moment, and calls read late",
    ),
    "calls of the deleted device kept": Mutant(
        _calls_of_the_deleted_device_kept,
        "a call was answered, and not executed",
        "the device deleted",
    ),
    "acknowledged without room": Mutant(
        _acknowledged_without_room, _STATE, "asyncio and a slow handler"
    ),
    "older is newer": Mutant(
        _older_is_newer, "a change was handed over that is older than the last", "attributes"
    ),
    "duplicates by Message ID": Mutant(_duplicates_by_message_id, _STATE, "deletions"),
    "any end is an end": Mutant(_any_end_is_an_end, "telemetry still waits", "deletions"),
    "deaf without a doubt": Mutant(_deaf_without_a_doubt, _STATE, "a slow handler"),
    "silence without a doubt": Mutant(_silence_without_a_doubt, _STATE, "silence for 42 seconds"),
    "another address unnoticed": Mutant(_another_address_unnoticed, _STATE, "another address"),
    "registered in the connection before": Mutant(
        _registered_in_the_connection_before, _STATE, "another address"
    ),
    "a session for ever": Mutant(_a_session_for_ever, _STATE, "coaps"),
    "way not kept open": Mutant(_way_not_kept_open, "a call came too late", "a quiet way"),
    "registered at every turn": Mutant(_registered_at_every_turn, _STATE, "attributes"),
    "not provisioned anew": Mutant(
        _not_provisioned_anew, "a deleted device was not provisioned anew", "the device deleted"
    ),
    "refused, and asked again": Mutant(
        _refused_and_asked_again,
        "ThingsBoard, which had refused, was asked again too soon",
        "the token changed and put back",
    ),
    "removed before it is acknowledged": Mutant(
        _removed_before_it_is_acknowledged, "telemetry was lost", "calls"
    ),
    "the last first": Mutant(
        _the_last_first, "readings were sent in another order", "no network for an hour"
    ),
    "unconfirmed, and sent again": Mutant(
        _unconfirmed_and_sent_again, "an unconfirmed reading was sent twice", "unconfirmed"
    ),
    "unconfirmed for ever": Mutant(
        _unconfirmed_for_ever,
        "more unconfirmed readings in a row were lost than may be",
        "unconfirmed",
    ),
    "all unconfirmed": Mutant(
        _all_unconfirmed,
        "a reading that was to be confirmed was not",
        "each third confirmed, asyncio",
    ),
    "what waited unconfirmed": Mutant(
        _what_waited_unconfirmed, "readings that had waited were not confirmed", "unconfirmed"
    ),
    "all confirmed": Mutant(
        _all_confirmed, "a reading was confirmed, and nothing went wrong", "unconfirmed, coaps"
    ),
    "without its time": Mutant(_without_its_time, "a reading was stored without its time", "calls"),
    "time not corrected": Mutant(
        _time_not_corrected, "a reading was stored without its time", "a clock that is not set"
    ),
    "the oldest dropped, and was to stay": Mutant(
        _the_other_end_dropped,
        "what was dropped was not to be: the oldest stay",
        "no network, the newest dropped",
    ),
    "the newest dropped, and was to stay": Mutant(
        _the_other_end_dropped,
        "what was dropped was not to be: the newest stay",
        "no network, the oldest dropped, asyncio",
    ),
    "drops not counted": Mutant(
        _drops_not_counted, "0 are said to be dropped", "no network, the newest dropped"
    ),
    "sent, whatever was dropped meanwhile": Mutant(
        _sent_whatever_was_dropped_meanwhile,
        "telemetry was lost",
        "no network, the oldest dropped, asyncio",
    ),
    "one in a datagram": Mutant(
        _one_in_a_datagram,
        "what waited was not sent in one datagram",
        "no network, the newest dropped",
    ),
    "never saved": Mutant(
        _never_saved,
        "what had waited for long was not on flash when the power was cut",
        "no network for an hour",
    ),
    "nothing kept asleep": Mutant(_nothing_kept_asleep, "telemetry was lost", "asleep"),
    "replies not kept asleep": Mutant(_replies_not_kept_asleep, _TWICE, "asleep, with flash alone"),
    "awake until all is done": Mutant(
        _awake_until_all_is_done, "the board was awake for longer than it may be", "asleep"
    ),
    "saved at every try": Mutant(
        _saved_at_every_try,
        "the flash was written more often than every ten minutes",
        "no network for an hour",
    ),
}
