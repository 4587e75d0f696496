"""A firmware with one of its protections off, to prove that a life would show it.

Of each: what breaks it, what is found then, and the seed of a life in which it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from unittest.mock import patch

from firmware.backlog import Backlog
from firmware.session import Session
from firmware.thingsboard.attributes import SharedAttributes
from host_tests.explorer.at_work import mutants as at_work
from host_tests.explorer.over_the_air import trial


class Mutant(NamedTuple):
    """See above; `lost`: how the invariant's text begins."""

    break_it: Callable
    lost: str
    seed: int


def _saved_at_a_try_only():
    return patch.object(Session, "keep", lambda self: None)


def _kept_in_memory_alone():
    """Of a board that has memory which lasts, as if the flash were full."""
    keep = Backlog.keep
    return patch.object(Backlog, "keep", lambda self: keep(self) and False)


def _nobody_asked_for_the_end_of_a_trial():
    return patch.object(trial.Trial, "is_due", lambda self: False)


def _changes_kept():
    """A list that grows: of all changes that were ever handed over."""
    take = SharedAttributes.next_change

    def and_keep(self):
        change = take(self)
        if change:
            self.__dict__.setdefault("taken", []).append(change)
        return change

    return patch.object(SharedAttributes, "next_change", and_keep)


MUTANTS = {
    "removed before it is acknowledged": Mutant(
        at_work.MUTANTS["removed before it is acknowledged"].break_it, "telemetry was lost", 25
    ),
    "calls not remembered": Mutant(
        at_work.MUTANTS["calls forgotten at a registration"].break_it,
        "a call was executed twice",
        1,
    ),
    "saved at a try only": Mutant(_saved_at_a_try_only, "a reading that waited", 96),
    "asleep kept in memory alone": Mutant(_kept_in_memory_alone, "a reading that waited", 18),
    "nothing kept asleep": Mutant(
        at_work.MUTANTS["nothing kept asleep"].break_it, "a reading was lost in a deep sleep", 0
    ),
    "nobody asks for the end of a trial": Mutant(
        _nobody_asked_for_the_end_of_a_trial, "a good update failed", 11
    ),
    "changes kept": Mutant(_changes_kept, "the Device grows", 7),
}
