"""A power-up ends as its console says."""

from __future__ import annotations

import pytest

from host_tests.virtual_bench import Bench, both_runtimes
from tools.virtual_board.console import Console


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("text", "stay", "exit_code", "last"),
    [
        ("provisioned: found", False, 0, "end"),
        ("refused: no\n  because\nnext try in 3600 s", False, 3, "next try in 3600 s"),
        ("config.json: bad\nnext try in 60 s", False, 5, "next try in 60 s"),
        ("failed: lost\nnext try in 1 s", False, 1, "end"),
        ("refused: no\nnext try in 1 s\nprovisioned: now", True, 0, "end"),
        ("Wi-Fi: joining", False, 1, "end"),
    ],
)
@both_runtimes
def test_exit_code_follows_the_console(bench, text, stay, exit_code, last, runtime):
    main = f"""
        import time
        for line in {text.splitlines() + ["end"]!r}:
            print("[%8.3f] %s" % (1.5, line))
            if "next" in line:
                time.sleep_ms(100)
    """
    outcome = bench.play(main, runtime=runtime, stay=stay)
    assert outcome.exit_code == exit_code
    assert outcome.lines[-1] == "[   1.500] " + last


@both_runtimes
def test_timeout_cuts_the_power(bench, runtime):
    main = """
        import time
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < 3000:
            pass
        print("the power is still on")
    """
    outcome = bench.play(main, runtime=runtime, timeout=0.3)
    assert outcome.exit_code == 4 and outcome.lines == []


@both_runtimes
def test_application_runs_only_when_the_board_stays_on(bench, runtime):
    app = b"def run(credentials):\n    print('ran', credentials)\n"
    bench.put("import app\napp.run(5)\n", runtime=runtime, app=app)
    assert bench.board(runtime=runtime).power_up(8).lines == []
    assert bench.board(runtime=runtime).power_up(8, stay=True).lines == ["ran 5"]


def test_console_takes_no_word_for_a_state_by_accident():
    console = Console()
    for line in (
        "provisioned: without a time",
        "[   0.100] Provisioned: no",
        "[   0.100] not provisioned: no",
        "[   0.200] failed: x",
        "[   0.200] next try in 2 s",
    ):
        console.feed(line)
    assert (console.exit_code, console.gave_up, console.provisioned) == (1, False, False)
