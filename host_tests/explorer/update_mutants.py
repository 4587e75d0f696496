"""firmware.update with one of its rules off, to prove that the explorer would notice.

Of each: what breaks it, a story in which it shows, and how the invariant's text begins.
"""

from __future__ import annotations

from contextlib import suppress
from unittest.mock import patch

from firmware.update import admission, contents, slots, states, tree
from firmware.update.install import Installation
from firmware.update.slots import State
from host_tests.explorer.updates import STATES

NOT_WHOLE = "what runs is not whole"
BEFORE_NOT_WHOLE = "what comes back is not whole"


def _off(owner, name, instead=lambda *arguments: None):
    return lambda: patch.object(owner, name, instead)


def _switched_to_at_once():
    begin = Installation.begin

    def and_switch(self, *arguments):
        begin(self, *arguments)
        State(self._board.storage).switch(self.place, self._package, self._settings)

    return patch.object(Installation, "begin", and_switch)


def _what_is_on_trial_comes_back():
    switch = State.switch

    def comes_back(self, *arguments):
        before = self.found["running"]
        switch(self, *arguments)
        self.found["before"] = before
        self._save()

    return patch.object(State, "switch", comes_back)


def _what_comes_back_is_not_given_up():
    def all_but_what_runs(self):
        return [slot for slot in slots.SLOTS if slot != self.running]

    return patch.multiple(State, give_up=lambda *arguments: None, unneeded=all_but_what_runs)


def _given_up_before_it_is_judged():
    admit = admission.admit

    def give_up_first(board, place, *what):
        admission.give_up(board.storage, place)
        admit(board, place, *what)

    return patch.object(admission, "admit", give_up_first)


def _any_slot_may_be_written(self):
    return next(slot for slot in slots.SLOTS if slot != self.running)


def _in_two_saves(method, later):
    """A change of the state of which `later` is saved for itself."""
    original = getattr(State, method)

    def in_two(self, *arguments):
        save = self._save

        def save_twice():
            kept = {key: self.found[key] for key in later}
            self.found.update(dict.fromkeys(later))
            save()
            self.found.update(kept)
            save()

        self._save = save_twice
        try:
            original(self, *arguments)
        finally:
            del self._save

    return lambda: patch.object(State, method, in_two)


def _removed_in_any_order():
    return patch.object(slots, "discard", tree.remove_tree)


def _counted_if_there_is_room():
    count_start = State.count_start

    def if_there_is_room(self):
        with suppress(Exception):
            count_start(self)

    return patch.object(State, "count_start", if_there_is_room)


MUTANTS = {
    "what comes back is written over": (
        _what_comes_back_is_not_given_up,
        "the third update",
        BEFORE_NOT_WHOLE,
    ),
    "what comes back is given up before the next is judged": (
        _given_up_before_it_is_judged,
        "the third update is for other boards",
        "what came back is given up",
    ),
    "a slot is switched to before it is there": (
        _switched_to_at_once,
        "the first update",
        "it ends with the root",
    ),
    "starts are not counted": (
        _off(State, "count_start"),
        "the first update resets",
        "not done after",
    ),
    "a trial may write what comes back": (
        _off(State, "slot", _any_slot_may_be_written),
        "another one is assigned in a trial that needs both slots",
        "it ends with the root",
    ),
    "what is on trial comes back": (
        _what_is_on_trial_comes_back,
        "another one is assigned in a trial",
        "it ends with 2",
    ),
    "what failed is noted after the return": (
        _in_two_saves("fail", ["failed"]),
        "the first update fails",
        "what has failed is installed again",
    ),
    "what is to be told is noted after the end of the trial": (
        _in_two_saves("confirm", ["untold"]),
        "the first update",
        "nobody says that it is updated",
    ),
    "the trial begins after the switch": (
        _in_two_saves("switch", ["starts"]),
        "the first update fails",
        "it ends with 2",
    ),
    "nothing looks at what was written": (
        _off(contents, "is_whole", lambda *what: True),
        "the first update",
        NOT_WHOLE,
    ),
    "a slot's files go in any order": (
        _removed_in_any_order,
        "the first update fills the flash",
        NOT_WHOLE,
    ),
    "nothing looks whether a slot is there": (
        _off(State, "is_there", lambda self: True),
        "the first update fills the flash",
        NOT_WHOLE,
    ),
    "a start that cannot be counted runs": (
        _counted_if_there_is_room,
        "the first update fills the flash and resets",
        "not done after",
    ),
    "no room is made to note what failed": (
        _off(slots, "discard"),
        "the first update fills the flash",
        "it is still on trial",
    ),
}


def _noted_first(job):
    package, state = job.package, STATES[job.told]
    storage = job.session.board.storage
    State(storage).keep([package["kind"], package["mark"], job.told + 1])
    yield from states._send(job.session, states._state_of(package["kind"], state))
    job.told += 1


def _outcome_noted_first(job):
    state = State(job.session.board.storage)
    what = state.untold()
    state.told(what)
    yield from states._send(job.session, states._state_of("sw", what))
    job.is_untold = False


def _never_noted(self, progress):
    self.found["progress"] = progress


# Of what ThingsBoard is told: it shows in "the first update" over the air.
TELLING = {
    "a state is noted before it is told": _off(states, "tell", _noted_first),
    "an outcome is noted before it is told": _off(states, "tell_outcome", _outcome_noted_first),
    "what was told is not noted": _off(State, "keep", _never_noted),
}
