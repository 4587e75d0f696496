"""An update with one of its protections off, to prove that its tests would notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from firmware import observed
from firmware.thingsboard import ota
from firmware.update import download, install, installing, job, states, transfer, watch
from host_tests.firmware import test_update as tests
from host_tests.firmware import test_update_ends as ends
from host_tests.firmware.ota import STAND_INS
from host_tests.firmware.world import Reset


class Mutant(NamedTuple):
    """A module whose text is another, and the test that fails with it."""

    module: object
    text: str
    other: str
    test: object


MUTANTS = {
    "a download goes on without its first block": Mutant(
        transfer,
        "if job.offset:\n        first",
        "if False:\n        first",
        tests.test_a_power_cut_goes_on_where_the_flash_is,
    ),
    "in another session too": Mutant(
        download,
        "blocks.client is not session.client",
        "False",
        tests.test_another_address_in_the_middle,
    ),
    "after a long pause, too": Mutant(
        download,
        "> _LONGEST_PAUSE",
        "> _LONGEST_PAUSE << 8",
        tests.test_an_application_that_pauses_for_long,
    ),
    "a checksum is not compared": Mutant(
        installing,
        'taken.digest() != bytes.fromhex(package["checksum"])',
        "False",
        tests.test_every_checksum_of_thingsboard,
    ),
    "only what comes after a cut is in it": Mutant(
        install,
        "not replay(job, place)",
        "False",
        tests.test_a_power_cut_goes_on_where_the_flash_is,
    ),
    "what does not have it stays": Mutant(
        installing,
        "        discard(job.session.board, job.place)\n",
        "        pass\n",
        tests.test_every_checksum_of_thingsboard,
    ),
    "refused blocks are asked for for ever": Mutant(
        transfer,
        "if code in _NO_BLOCKS and not job.by_chunks:",
        "if False:",
        tests.test_blocks_that_are_refused_come_as_chunks,
    ),
    "one chunk past the end": Mutant(
        job,
        'self.offset < self.package["size"]',
        'self.offset <= self.package["size"]',
        tests.test_sizes_around_a_block,
    ),
    "another size is taken": Mutant(
        download,
        "size not in (None, assigned)",
        "False",
        tests.test_thingsboard_serves_another_package_than_it_has_assigned,
    ),
    "doubt for ever": Mutant(
        states, "> _LONGEST_DOUBT", "< 0", tests.test_a_size_that_stays_wrong_fails
    ),
    "doubt for ever, in each start anew": Mutant(
        states,
        "job.doubts >= _MOST_DOUBTS",
        "False",
        lambda: ends.fails_asleep("shorter", 12),
    ),
    "tries that nobody counts through a sleep": Mutant(
        states,
        "            _keep(job)\n        except",
        "            pass\n        except",
        lambda: ends.fails_asleep("other bytes", 20),
    ),
    "doubts add up, though blocks come in between": Mutant(
        download,
        "        job.doubtful_since = None\n",
        "        pass\n",
        ends.test_doubts_between_which_blocks_come_are_no_end,
    ),
    "a board that sleeps deep has no memory, for ever": Mutant(
        watch,
        "wait is None or self._is_hurried or",
        "wait is None or",
        ends.test_a_board_that_sleeps_deep_has_too_little_memory,
    ),
    "starts with a doubt are counted, though blocks come in between": Mutant(
        download,
        "job.failures = job.doubts = 0",
        "job.failures = 0",
        ends.test_many_doubts_between_which_blocks_come_are_no_end,
    ),
    "what was half an assignment has failed for ever": Mutant(
        ota,
        '            found["checksum"] = ""\n',
        "            pass\n",
        ends.test_what_was_half_an_assignment_is_taken_when_it_is_whole,
    ),
    "a time awake that is over is a doubt": Mutant(
        transfer,
        "if session.waits():",
        "if False:",
        ends.test_the_end_of_the_time_awake_is_no_doubt,
    ),
    "silence after the first bytes is waited out": Mutant(
        transfer,
        "if is_served:",
        "if False:",
        lambda: ends.fails("chunks but the first are silence"),
    ),
    "a server that has lost its way to the package has failed": Mutant(
        states, "return not error.is_outage", "return True", lambda: ends.is_waited_out("5.00")
    ),
    "a package that does not come is asked for at once": Mutant(
        states, "_wait(job, wait)\n        job.say", "job.say", lambda: ends.is_waited_out("5.00")
    ),
    "a board that sleeps deep asks again at once": Mutant(
        job,
        "(self.is_hurried and not self.failures)",
        "self.is_hurried",
        ends.test_a_board_that_sleeps_deep_asks_once_while_it_is_awake,
    ),
    "a connection that carries nothing stays": Mutant(
        transfer,
        "        session.disconnect()\n",
        "        pass\n",
        tests.test_a_connection_that_carries_no_block_is_left,
    ),
    "a checksum that can be none is downloaded for": Mutant(
        install,
        "    _check_checksum(algorithm, package",
        "    str(algorithm, package",
        lambda: ends.fails("a checksum of letters"),
    ),
    "a package with nothing to say which is begun": Mutant(
        install, 'if package["lacks"]:', "if False:", lambda: ends.fails("no size")
    ),
    "a certificate is provisioned anew": Mutant(
        transfer, '== "X509_CERTIFICATE"', '== ""', tests.test_x509_is_said_as_what_it_is
    ),
    "a checksum that the board has not is passed over in silence": Mutant(
        install, "if not job.checksum:", "if False:", tests.test_every_checksum_of_thingsboard
    ),
    "what has failed is tried again": Mutant(
        states,
        "(is_running or has_failed)",
        "is_running",
        tests.test_a_rollback_is_told_once_and_the_package_is_not_tried_again,
    ),
    "what runs is taken again": Mutant(
        states,
        "(is_running or",
        "(",
        tests.test_a_package_is_downloaded_and_switched_to,
    ),
    "a state is told again after a cut": Mutant(
        states,
        "job.told += 1\n    _keep(job)",
        "job.told += 1",
        tests.test_a_cut_at_every_datagram,
    ),
    "a state is noted before it is told": Mutant(
        states,
        'yield from _send(job.session, _state_of(package["kind"], state))',
        'steps = _send(job.session, _state_of(package["kind"], state))\n'
        "    kept = State(job.session.board.storage)\n"
        '    kept.keep([package["kind"], package["mark"], job.told + 1])\n'
        "    yield from steps",
        tests.test_a_cut_at_every_datagram,
    ),
    "an outcome is told for ever": Mutant(
        states,
        "state.told(outcome)",
        "pass",
        tests.test_a_rollback_is_told_once_and_the_package_is_not_tried_again,
    ),
    "what may pass is tried for ever": Mutant(
        states, "job.tries >= _MOST_TRIES", "False", tests.test_what_may_pass_is_tried_three_times
    ),
    "nothing is tried again": Mutant(
        states, "if error.may_pass:", "if False:", tests.test_what_may_pass_is_tried_three_times
    ),
    "all boards begin at once": Mutant(
        states, 'job.settings["spread"] * 1000', "0", tests.test_boards_begin_at_different_times
    ),
    "another assignment does not end the first": Mutant(
        states,
        'package["mark"] == job.package["mark"]',
        "True",
        tests.test_the_assignment_changes_in_the_middle,
    ),
    "nor does its end": Mutant(
        states,
        "        _end(job)\n        if package:",
        "        if package:\n            _end(job)",
        tests.test_the_assignment_is_taken_away_in_the_middle,
    ),
    "the end of a trial is not noticed": Mutant(
        watch, "trial.is_over and", "False and", tests.test_a_package_is_downloaded_and_switched_to
    ),
    "what was not told before a start never is": Mutant(
        watch,
        "self._is_new = session.board.exists(_SLOTS)",
        "self._is_new = False",
        tests.test_an_outcome_is_told_also_when_nothing_is_assigned_any_more,
    ),
    "a change of attributes is not noticed": Mutant(
        watch,
        "if mark != self._mark:",
        "if mark and not self._mark:",
        tests.test_the_assignment_changes_in_the_middle,
    ),
    "a board that sleeps waits for the others": Mutant(
        watch,
        "self._job.is_hurried = True",
        "pass",
        tests.test_a_board_that_sleeps_deep_begins_at_once,
    ),
    "a handler that comes late misses what there is": Mutant(
        observed,
        "self._attributes.repeat()",
        "pass",
        tests.test_an_application_s_handler_has_all_attributes_also_when_it_comes_late,
    ),
    "an application that never waits hears of nothing": Mutant(
        observed,
        "self._follow(self.shared)",
        "pass",
        tests.test_an_application_that_never_waits_is_updated,
    ),
    "what failed has failed for ever": Mutant(
        states,
        "                _forgive(state)",
        "                pass",
        tests.test_what_failed_is_tried_again_once_another_was_assigned,
    ),
    "a shortage is waited out again after days": Mutant(
        watch,
        "self._not_before = None",
        "pass",
        tests.test_a_shortage_of_memory_long_ago_delays_nothing,
    ),
    "no room is made to note that the flash is full": Mutant(
        states, "discard(storage, slot)", "pass", tests.test_a_flash_that_fills_at_any_point
    ),
    "half an assignment is one": Mutant(
        ota,
        '                found["lacks"] = key\n',
        "                pass\n",
        lambda: ends.fails("no checksum"),
    ),
}


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Let a module be of another text, and be itself again."""
    module = mutant.module
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(mutant.text) == 1
    code = compile(source.replace(mutant.text, mutant.other), module.__file__, "exec")
    changed = {"__name__": module.__name__}
    exec(code, changed)
    own = {
        name: each
        for name, each in changed.items()
        if getattr(each, "__module__", None) == module.__name__
    }
    originals = dict(vars(module))
    with ExitStack() as stack:
        # Others have imported some of it.
        for each in {mutant.module for mutant in MUTANTS.values()}:
            for name in own.keys() & vars(each).keys():
                if vars(each)[name] is originals[name]:
                    stack.enter_context(patch.object(each, name, own[name]))
        # What the tests have put in their place.
        for name in (*STAND_INS, "ticks_add", "ticks_diff", "give_back", "give_back_room"):
            if name in originals:
                changed[name] = originals[name]
        yield


@pytest.mark.parametrize("name", MUTANTS)
def test_an_update_without_this_protection_is_found_out(name):
    mutant = MUTANTS[name]
    with mutated(mutant), pytest.raises((Exception, Reset)):
        mutant.test()


def test_the_tests_pass_with_all_of_them():
    for test in {mutant.test for mutant in MUTANTS.values()}:
        test()
