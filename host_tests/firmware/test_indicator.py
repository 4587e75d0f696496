"""firmware.board.indicator: what a person sees."""

from firmware.board.indicator import PATTERNS, Indicator
from host_tests.firmware import world
from host_tests.firmware.helpers import Clock, raises

assert world  # It gives the indicator the ticks of a board.


class Seen:
    """An Indicator, and what a person sees of it."""

    def __init__(self, start=(1 << 30) - 5_000, led=True):
        self.clock = Clock(start)
        self.lines = []
        self.levels = []
        self.indicator = Indicator(
            self._on_led if led else None, self.lines.append, self.clock.ticks_ms
        )

    def _on_led(self, level):
        self.levels.append((self.clock.slept, level))

    def watch(self, duration, step=50):
        """Wait as a board does; return the level now and its changes: [(ms since now, level)]."""
        since = self.clock.slept
        del self.levels[:-1]
        for _ in range(duration // step):
            self.indicator.blink()
            self.clock.sleep_ms(step)
        changes = []
        for when, level in self.levels:
            if not changes or changes[-1][1] != level:
                changes.append((max(0, when - since), level))
        return changes


def test_the_states_of_the_console():
    assert set(PATTERNS) == {
        "config.json",
        "onboarding",
        "Wi-Fi",
        "provisioning",
        "provisioned",
        "refused",
        "failed",
        "application",
    }


def test_a_state_that_is_not_known():
    seen = Seen()
    raises(KeyError, seen.indicator.show, "Failed", "x")


def test_a_line_and_its_time():
    seen = Seen()
    for wait, stamp in (
        (0, "[   0.000] "),
        (7, "[   0.007] "),
        (992, "[   0.999] "),
        (1, "[   1.000] "),
        (9_000, "[  10.000] "),
        (9_990_000, "[10000.000] "),
    ):
        seen.clock.sleep_ms(wait)
        seen.indicator.say("text")
        assert seen.lines[-1] == stamp + "text"


def test_the_time_goes_on_when_the_ticks_wrap():
    seen = Seen()
    for minute in range(1, 60):
        seen.clock.sleep_ms(60_000)
        seen.indicator.say("minute")
        assert seen.lines[-1] == "[%4d.000] minute" % (minute * 60)


def test_nobody_looks_for_days():
    """From 6.2 days on the ticks say less than nothing; the time on the console stands still."""
    for days, shown in ((6, 518_400), (7, 0)):
        seen = Seen()
        seen.indicator.show("refused", "x")
        seen.clock.sleep_ms(days * 86_400_000)
        seen.indicator.say("text")
        assert seen.lines[-1] == "[%4d.000] text" % shown
        seen.clock.sleep_ms(1_000)
        seen.indicator.say("text")
        assert seen.lines[-1] == "[%4d.000] text" % (shown + 1)
        assert len(seen.watch(2_000)) >= 6


def test_weeks_of_waiting_make_no_large_numbers():
    """From 2**30 on a board has to allocate memory for a number, at every look."""
    seen = Seen()
    seen.indicator.show("refused", "x")
    for _ in range(28):
        seen.clock.sleep_ms(86_400_000)
        seen.indicator.blink()
    for name in seen.indicator.__dict__:
        value = seen.indicator.__dict__[name]
        assert not isinstance(value, int) or value < 1 << 30, name


def test_more_lines_are_indented():
    seen = Seen()
    seen.indicator.show("failed", "what", "why", "fix")
    seen.indicator.say("next", "more")
    assert seen.lines == [
        "[   0.000] failed: what",
        "[   0.000]   why",
        "[   0.000]   fix",
        "[   0.000] next",
        "[   0.000]   more",
    ]


def test_the_patterns():
    for state, expected in (
        ("config.json", [(0, 1), (100, 0), (200, 1), (300, 0), (400, 1)]),
        ("Wi-Fi", [(0, 1), (500, 0), (1000, 1), (1500, 0)]),
        ("provisioning", [(0, 1), (900, 0), (1000, 1), (1900, 0)]),
        ("provisioned", [(0, 1)]),
        (
            "refused",
            [(0, 1), (100, 0), (200, 1), (300, 0), (400, 1), (500, 0), (2000, 1), (2100, 0)],
        ),
        ("failed", [(0, 1), (100, 0), (2000, 1), (2100, 0)]),
        ("application", [(0, 0)]),
    ):
        seen = Seen()
        seen.indicator.show(state, "x")
        assert seen.watch(3_000)[: len(expected)] == expected, state
    assert len({PATTERNS[state] for state in PATTERNS}) == len(PATTERNS)


def test_a_state_shows_at_once():
    """Nothing blinks while the application runs: its level has to be there after `show`."""
    for state, level in (("provisioned", 1), ("application", 0), ("failed", 1)):
        for before in ("provisioned", "application"):
            seen = Seen()
            seen.indicator.show(before, "x")
            seen.watch(300)
            seen.indicator.show(state, "x")
            assert seen.levels[-1][1] == level, (before, state)


def test_a_board_without_an_led():
    seen = Seen(led=False)
    for state in PATTERNS:
        seen.indicator.show(state, "x")
        seen.watch(3_000)
    assert seen.levels == []
    assert len(seen.lines) == len(PATTERNS)


def test_an_led_that_comes_later():
    seen = Seen(led=False)
    seen.indicator.show("Wi-Fi", "x")
    seen.watch(1_000)
    seen.indicator.led = seen._on_led
    assert len(seen.watch(2_000)) >= 3
