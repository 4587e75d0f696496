"""firmware.update.trial: it is proven, or it ends, whatever the application does."""

import sys

from host_tests.firmware.helpers import Clock, raises
from host_tests.firmware.updates import Site, bundle
from host_tests.firmware.world import (  # noqa: F401 - the ticks of a board
    Reset,
    Stub,
    Transport,
    ticks_add,
)

_before = sys.modules.get("machine")
sys.modules["machine"] = Stub()
try:
    from firmware.update import trial as module
finally:
    del sys.modules["machine"]
    if _before:
        sys.modules["machine"] = _before


class Timer:
    """A machine.Timer of `numbers`, one for each; those that run are in `running`, by number."""

    PERIODIC = 1
    numbers = (-1,)
    running = {}

    def __init__(self, number):
        if number not in Timer.numbers:
            raise ValueError("Timer doesn't exist")
        self.number = number

    def init(self, mode, period, callback):
        assert mode == Timer.PERIODIC and period <= 1000
        Timer.running[self.number] = callback

    def deinit(self):
        del Timer.running[self.number]


class Trial:
    """A version on trial, in virtual time."""

    def __init__(self, numbers=(-1,), **settings):
        def reset():
            raise Reset()

        self.clock = Clock((1 << 30) - 500)
        self.lines = []
        Timer.numbers = numbers
        Timer.running = {}
        module.machine = Stub(Timer=Timer, reset=reset)
        module.ticks_ms = self.clock.ticks_ms
        module.ticks_add = ticks_add
        module.ticks_diff = self.clock.ticks_diff
        module.Indicator = lambda: Stub(say=self.lines.append)
        self.site = Site(**settings)
        self.site.update(bundle({"app.py": b""})).switch()
        self.trial = module.Trial(self.site.state)

    def at(self, seconds):
        """Let it be so late since the start."""
        self.clock.sleep_ms(seconds * 1000 - self.clock.slept)

    def look(self):
        """Let each timer look at the time; return whether the board was reset."""
        try:
            for number, callback in list(Timer.running.items()):
                callback(Timer(number))
        except Reset:
            return True
        return False

    def ends_at(self, seconds):
        """Let it be so late, and not a moment before it, that it has failed."""
        self.at(seconds - 1)
        assert not self.look()
        self.at(seconds)
        return self.look()


def test_no_contact_in_time():
    case = Trial(trial=100, contact=30)
    assert case.ends_at(30)
    state = case.site.state
    assert state.running == "" and state.found["untold"] == "FAILED"
    assert state.found["failed"]["why"] == "it has not reached ThingsBoard within 30 s"
    assert case.lines == ["update: my-app 2 failed: it has not reached ThingsBoard within 30 s"]


def test_contact_then_silence():
    case = Trial(trial=100, contact=30)
    case.at(10)
    case.trial.contact()
    case.at(50)
    case.trial.contact()
    assert case.site.state.on_trial
    assert case.ends_at(130)
    assert "has not answered" in case.site.state.found["failed"]["why"]


def test_contact_in_the_end():
    case = Trial(trial=100, contact=30)
    case.at(10)
    case.trial.contact()
    case.at(99)
    case.trial.contact()
    assert case.site.state.on_trial and not case.trial.is_due()
    case.at(100)
    assert case.trial.is_due()
    case.trial.contact()
    state = case.site.state
    assert (state.running, state.on_trial, state.found["untold"]) == ("/a", False, "UPDATED")
    assert case.trial.is_over and not case.trial.is_due()
    case.at(1000)
    assert not case.look() and not Timer.running
    assert case.lines == ["update: my-app 2 is confirmed"]
    case.trial.contact()
    case.trial.confirm()
    case.trial.before_sleep()
    assert len(case.lines) == 1


def test_the_first_contact_may_be_the_last():
    case = Trial(trial=10, contact=30)
    case.at(20)
    case.trial.contact()
    assert case.trial.is_over


def test_a_deep_sleep_after_contact_proves_it():
    case = Trial()
    case.trial.before_sleep()
    assert case.site.state.on_trial
    case.trial.contact()
    case.trial.before_sleep()
    assert not case.site.state.on_trial


def test_a_sleep_goes_on_when_the_flash_fails():
    case = Trial()
    case.trial.contact()
    case.site.folders.room = 0
    case.trial.before_sleep()
    assert case.site.state.on_trial and "cannot be confirmed" in case.lines[-1]


def test_the_application_says_so():
    case = Trial()
    case.trial.confirm()
    assert not case.site.state.on_trial


def test_a_failure_that_cannot_be_noted_resets_all_the_same():
    """It has a start less each time."""
    case = Trial()
    # Not even when all of it has gone.
    case.site.folders.room = -1_000_000
    raises(Reset, case.trial.fail, "x")
    assert case.site.state.on_trial


def test_the_timers_of_each_board():
    for numbers, expected in (
        ((-1,), {-1}),
        ((0, 1, 2, 3), {1, 2, 3}),
        ((0, 1), {1}),
        ((-1, 0, 1, 2, 3), {-1, 1, 2, 3}),
    ):
        Trial(numbers)
        assert set(Timer.running) == expected


def test_an_application_s_timers_are_its_own():
    """What it takes is neither taken back nor ended with the trial; others go on looking."""
    case = Trial((0, 1, 2, 3), trial=100, contact=30)

    def its(timer):
        pass

    for number in (0, 3):
        Timer(number).init(mode=Timer.PERIODIC, period=10, callback=its)
    case.at(10)
    case.trial.contact()
    case.at(100)
    case.trial.contact()
    assert case.trial.is_over and not case.look()
    assert Timer.running == {0: its, 3: its}
    case = Trial((0, 1, 2, 3), trial=100, contact=30)
    for number in (0, 2, 3):
        Timer(number).init(mode=Timer.PERIODIC, period=10, callback=its)
    assert case.ends_at(30)


def test_every_wait_looks_at_the_time_too():
    """With no timer that is left."""
    case = Trial((1,), trial=100, contact=30)
    Timer.running = {}
    case.at(29)
    case.trial.look()
    case.at(30)
    raises(Reset, case.trial.look)
    assert case.site.state.found["untold"] == "FAILED"


def test_memory_is_free_before_it_is_needed():
    case = Trial()
    sys.modules["app"] = Stub()
    case.trial.free_memory()
    assert "app" not in sys.modules
