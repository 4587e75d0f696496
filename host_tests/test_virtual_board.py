"""The virtual board starts, resets and loses power as a board does, on both kinds and runtimes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from host_tests.processes import started
from host_tests.virtual_bench import Bench, both_kinds, both_runtimes, needs_micropython
from tools.virtual_board.errors import FlashError
from tools.virtual_board.flash import PROJECT, put_on_flash, read_file


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@both_runtimes
@both_kinds
def test_boot_runs_before_main_in_one_namespace(bench, kind, runtime):
    files = {"firmware/a.py": "VALUE = 7\n", "firmware/deep/b.py": "VALUE = 8\n"}
    main = """
        from firmware.a import VALUE
        from firmware.deep.b import VALUE as DEEP
        print("main", seen, VALUE, DEEP, __name__)
    """
    bench.put(main, kind, runtime, boot="seen = 1\nprint('boot')\n", files=files)
    outcome = bench.board(kind, runtime).power_up(8)
    assert outcome.lines == ["boot", "main 1 7 8 __main__"]
    assert outcome.ended == "main.py ended"


@both_runtimes
def test_exception_in_boot_skips_main(bench, runtime):
    bench.put("print('main')", runtime=runtime, boot="raise ValueError('no')\n")
    outcome = bench.board(runtime=runtime).power_up(8)
    assert "main" not in outcome.lines
    assert outcome.lines[0].startswith("Traceback")
    assert outcome.lines[-1] == "ValueError: no"
    assert (outcome.exit_code, outcome.ended) == (1, "an exception")


@both_runtimes
def test_soft_reset_runs_both_again_and_keeps_the_association(bench, runtime):
    main = """
        import machine, network, sys, time
        wlan = network.WLAN(network.STA_IF)
        print(machine.reset_cause(), wlan.active(), wlan.isconnected())
        if machine.reset_cause() != machine.SOFT_RESET:
            wlan.active(True)
            wlan.connect("home", "correct horse")
            while not wlan.isconnected():
                time.sleep_ms(5)
            machine.soft_reset()
    """
    assert bench.play(main, runtime=runtime).lines == ["1 False False", "5 True True"]


@needs_micropython
def test_only_what_a_board_has_is_on_the_path(bench):
    outcome = bench.play("import sys, os; print(sys.path, sorted(os.listdir('/')))")
    assert outcome.lines == ["['', '.frozen', '/lib'] ['boot.py', 'config.json', 'main.py']"]


@needs_micropython
def test_keyboard_interrupt_ends_in_a_traceback(bench):
    bench.put("import time\nprint('up')\nwhile True:\n    time.sleep_ms(10)\n")
    board = bench.board(on_line=lambda line: line == "up" and board.interrupt())
    outcome = board.power_up(8)
    assert outcome.lines[-1].startswith("KeyboardInterrupt")
    assert outcome.exit_code == 1


@both_runtimes
def test_standard_error_is_console_too(bench, runtime):
    outcome = bench.play("import sys\nsys.stderr.write('half')\nimport machine\n", runtime=runtime)
    assert "half" in outcome.lines[0]
    assert outcome.ended == "main.py ended"


@needs_micropython
@pytest.mark.skipif(os.name == "nt", reason="Windows counts no CPU time of children")
def test_starts_with_little_work(bench):
    import resource  # Windows has none

    def cpu_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    bench.put("print('here')")
    seconds = []
    for _ in range(5):
        before = cpu_seconds()
        bench.board().power_up(8)
        seconds.append(cpu_seconds() - before)
    assert min(seconds) < 0.15  # 0.035 on an idle machine


@both_runtimes
@pytest.mark.parametrize(("kind", "cause"), [("esp32", 2), ("rp2", 3)])
def test_machine_reset(bench, kind, cause, runtime):
    main = """
        import machine
        try:
            print(machine.reset_cause())
            if machine.reset_cause() == machine.PWRON_RESET:
                machine.reset()
        except BaseException:
            print("a reset raises nothing")
    """
    assert bench.play(main, kind, runtime).lines == ["1", str(cause)]


@both_runtimes
@both_kinds
def test_watchdog_resets_a_board_that_hangs(bench, kind, runtime):
    main = """
        import machine, time
        print(machine.reset_cause() == machine.WDT_RESET)
        if machine.reset_cause() == machine.PWRON_RESET:
            watchdog = machine.WDT(timeout=250)
            for _ in range(3):
                time.sleep_ms(100)
                watchdog.feed()
            print("fed")
            while True:
                pass
    """
    assert bench.play(main, kind, runtime).lines == ["False", "fed", "True"]


@both_runtimes
def test_watchdog_of_the_pico_w_has_a_cap(bench, runtime):
    main = "import machine\nmachine.WDT(timeout=8388)\nmachine.WDT(timeout=8389)\n"
    assert bench.play(main, "rp2", runtime).lines[-1] == "ValueError: timeout exceeds 8388"
    assert bench.play(main, "esp32", runtime).ended == "main.py ended"


@both_runtimes
def test_watchdog_of_no_time_resets_a_pico_w_at_once(bench, runtime):
    main = """
        import machine
        print(machine.reset_cause())
        if machine.reset_cause() == machine.PWRON_RESET:
            machine.WDT(timeout=0)
    """
    assert bench.play(main, "rp2", runtime).lines == ["1", "3"]


@needs_micropython
@both_kinds
def test_a_timer_interrupts_an_endless_loop(bench, kind):
    main = """
        import machine
        number = 3 if %r == "esp32" else -1
        beats = []
        def beat(timer):
            beats.append(timer is clock)
        clock = machine.Timer(number)
        clock.init(mode=machine.Timer.PERIODIC, period=5, callback=beat)
        while len(beats) < 3:
            pass
        clock.init(mode=machine.Timer.ONE_SHOT, period=5, callback=lambda timer: beats.append(0))
        while beats[-1]:
            pass
        clock.init(period=5, callback=beat)
        clock.deinit()
        count = len(beats)
        for _ in range(100_000):
            pass
        print(all(beats[:-1]), len(beats) - count)
    """
    assert bench.play(main % kind, kind).lines == ["True 0"]


@needs_micropython
def test_in_a_hurry_the_ticks_of_an_endless_loop_go_on_with_its_timers(bench):
    main = """
        import machine, time
        began = time.ticks_ms()
        hours = []
        def hour(timer):
            hours.append(time.ticks_diff(time.ticks_ms(), began) // 3_600_000)
        for _ in range(2):
            machine.Timer().init(period=3_600_000, callback=hour)
        while len(hours) < 4:
            pass
        print(hours)
    """
    assert bench.play(main, "rp2", hurry=360_000).lines == ["[1, 1, 2, 2]"]


@needs_micropython
@both_kinds
def test_the_numbers_of_timers(bench, kind):
    main = """
        import machine
        for numbers in ((), (-1,), (0,), (3,), (4,)):
            try:
                machine.Timer(*numbers)
                print(numbers, "is one")
            except (ValueError, TypeError):
                pass
    """
    is_one = {"esp32": ["(0,)", "(3,)"], "rp2": ["()", "(-1,)"]}[kind]
    assert bench.play(main, kind).lines == [f"{numbers} is one" for numbers in is_one]


@both_runtimes
def test_power_cut_and_power_up_again(bench, runtime):
    main = """
        import time, os
        try:
            with open("count") as f:
                count = int(f.read() or 0)
        except OSError:
            count = 0
        print(count)
        while True:
            count += 1
            with open("count.new", "w") as f:
                f.write(str(count))
            os.rename("count.new", "count")
            if count % 20 == 0:
                print("cut me")
    """
    bench.put(main, runtime=runtime)
    board = bench.board(
        runtime=runtime,
        on_line=lambda line: line == "cut me" and threading.Thread(target=board.cut_power).start(),
    )
    last = 0
    for _ in range(3):
        outcome = board.power_up(8)
        assert (outcome.exit_code, outcome.ended) == (1, "power cut")
        assert int(outcome.lines[0]) >= last
        last = int(read_file(bench.flash, "/count"))
    assert last >= 60


@both_runtimes
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_board_dies_with_the_process_that_started_it(bench, runtime):
    bench.put("import time\nprint('up')\nwhile True:\n    time.sleep_ms(10)\n", runtime=runtime)
    supervise = f"""
import sys; sys.path.insert(0, {str(PROJECT)!r})
from tools.virtual_board.board import VirtualBoard
board = VirtualBoard({str(bench.flash)!r}, runtime={runtime!r}, on_line=lambda line: print(line))
board.power_up(60)
"""
    with started([sys.executable, "-u", "-c", supervise], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(_is_alive(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert len(children) == 1
    assert bench.board(runtime=runtime).power_up(0.3).exit_code == 4


def _is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@both_runtimes
@pytest.mark.skipif(os.name == "nt", reason="os.replace of a file in use")
def test_one_board_at_a_time_on_a_flash(bench, runtime, monkeypatch):
    monkeypatch.setattr("tools.virtual_board.lock._PATIENCE_S", 0.05)
    bench.put("import time\nprint('up')\nwhile True:\n    time.sleep_ms(10)\n", runtime=runtime)
    refusals = []

    def second(line):
        for intrude in (
            lambda: bench.board(runtime=runtime).power_up(1),
            lambda: put_on_flash(bench.flash, "esp32", runtime, b"{}", source=bench.source),
        ):
            with pytest.raises(FlashError) as refusal:
                intrude()
            refusals.append(str(refusal.value))
        board.cut_power()

    board = bench.board(runtime=runtime, on_line=second)
    assert board.power_up(8).ended == "power cut"
    assert len(refusals) == 2
    assert all("powered up" in refusal for refusal in refusals)


@both_runtimes
def test_output_that_nobody_reads_blocks_nothing(bench, runtime):
    main = "for n in range(3000):\n    print('x' * 100)\nprint('no line end', end='')\n"
    outcome = bench.play(main, runtime=runtime)
    assert len(outcome.lines) == 3001
    assert outcome.lines[-1] == "no line end"
