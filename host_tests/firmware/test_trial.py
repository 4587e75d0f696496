"""firmware.update.trial: it is proven, or it ends, whatever the application does."""

import sys

from host_tests.firmware.helpers import Clock, raises
from host_tests.firmware.updates import Site, bundle
from host_tests.firmware.world import Reset, Stub, Transport  # noqa: F401 - the ticks of a board

_before = sys.modules.get("machine")
sys.modules["machine"] = Stub()
try:
    from firmware.update import trial as module
finally:
    del sys.modules["machine"]
    if _before:
        sys.modules["machine"] = _before


class Timer:
    """A machine.Timer of `numbers`; the last one made is `Timer.last`."""

    PERIODIC = 1
    numbers = (-1,)

    def __init__(self, number):
        if number not in Timer.numbers:
            raise ValueError("Timer doesn't exist")
        self.number = number
        self.period = None
        Timer.last = self

    def init(self, mode, period, callback):
        assert mode == Timer.PERIODIC
        self.period = period
        self.callback = callback

    def deinit(self):
        self.period = None


class Trial:
    """A version on trial, in virtual time."""

    def __init__(self, numbers=(-1,), **settings):
        def reset():
            raise Reset()

        self.clock = Clock((1 << 30) - 500)
        self.lines = []
        Timer.numbers = numbers
        module.machine = Stub(Timer=Timer, reset=reset)
        module.ticks_ms = self.clock.ticks_ms
        module.ticks_diff = self.clock.ticks_diff
        module.Indicator = lambda: Stub(say=self.lines.append)
        self.site = Site(**settings)
        self.site.update(bundle({"app.py": b""})).switch()
        self.trial = module.Trial(self.site.state)

    def at(self, seconds):
        """Let it be so late since the start."""
        self.clock.sleep_ms(seconds * 1000 - self.clock.slept)

    def fire(self):
        """Let the timer fire."""
        raises(Reset, Timer.last.callback, Timer.last)


def test_no_contact_in_time():
    case = Trial(trial=100, contact=30)
    assert Timer.last.period == 30_000
    case.fire()
    state = case.site.state
    assert state.running == "" and state.untold == "FAILED"
    assert state.failed["why"] == "it has not reached ThingsBoard within 30 s"
    assert case.lines == ["update: my-app 2 failed: it has not reached ThingsBoard within 30 s"]


def test_contact_then_silence():
    case = Trial(trial=100, contact=30)
    case.at(10)
    case.trial.contact()
    assert Timer.last.period == 120_000
    case.at(50)
    case.trial.contact()
    assert Timer.last.period == 120_000 and case.site.state.on_trial
    case.fire()
    assert "has not answered" in case.site.state.failed["why"]


def test_contact_in_the_end():
    case = Trial(trial=100, contact=30)
    case.at(10)
    case.trial.contact()
    case.at(99)
    case.trial.contact()
    assert case.site.state.on_trial
    case.at(100)
    case.trial.contact()
    state = case.site.state
    assert (state.running, state.on_trial, state.untold) == ("/a", False, "UPDATED")
    assert case.trial.is_over and Timer.last.period is None
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
    case.site.folders.room = 0
    raises(Reset, case.trial.fail, "x")
    assert case.site.state.on_trial


def test_the_timer_of_each_board():
    for numbers, expected in (((-1,), -1), ((0, 1, 2, 3), 3), ((0, 1), 1), ((-1, 0), 0)):
        Trial(numbers)
        assert Timer.last.number == expected


def test_memory_is_free_before_it_is_needed():
    case = Trial()
    sys.modules["app"] = Stub()
    case.trial.free_memory()
    assert "app" not in sys.modules
