"""Both interpreters for `host_tests/firmware`, and what CPython lacks to run firmware."""

from __future__ import annotations

import gc
import signal
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from host_tests import board_nursery, verb_nursery
from host_tests.cpu_time import CpuTime
from host_tests.firmware.helpers import Skip
from host_tests.micropython_lane import MicroPythonLane
from tools import shims
from tools.virtual_board.interpreter import find_micropython

shims.install()
# Ignored in what a script starts in the background, and then in all that a test starts.
INTERRUPTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
if hasattr(signal, "SIGQUIT"):
    INTERRUPTS[signal.SIGQUIT] = signal.SIG_DFL
FIRMWARE = Path(__file__).resolve().parent.parent / "firmware"


def keep_code() -> None:
    """Read each module of the firmware once: power-ups give it back and import it again."""
    read = SourceFileLoader.get_code
    known = {}

    def get_code(loader, name):
        if not loader.path.startswith(str(FIRMWARE)):
            return read(loader, name)
        if loader.path not in known:
            known[loader.path] = read(loader, name)
        return known[loader.path]

    SourceFileLoader.get_code = get_code


def pytest_configure(config: pytest.Config) -> None:
    keep_code()
    gc.disable()  # all that is imported and collected stays
    for number, handler in INTERRUPTS.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)
    board_nursery.install()
    verb_nursery.install()
    config.pluginmanager.register(MicroPythonLane(find_micropython()), "micropython_lane")
    config.pluginmanager.register(CpuTime(), "cpu_time")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    """Each process begins with another file: what one has compiled, the others only read."""
    report = yield
    workers = getattr(collector.config, "workerinput", None)
    if workers and report.passed and isinstance(collector, pytest.Directory):
        number, count = int(workers["workerid"].removeprefix("gw")), workers["workercount"]
        first = len(report.result) * number // count
        report.result = report.result[first:] + report.result[:first]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path)


def pytest_collection_finish() -> None:
    # The firmware collects as often as a board must; pytest's own objects need not be walked.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def spared() -> None:
    """What the files before this one have left need not be walked either."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call():
    try:
        return (yield)
    except Skip as reason:
        pytest.skip(f"on CPython: {reason}")


@pytest.fixture
def be_impatient(monkeypatch):
    """From when it is called, the tool waits for a board as briefly as can be."""
    from tools.flash import prompt

    def be_impatient() -> None:
        monkeypatch.setattr(prompt, "_SILENT_FOR", 0.3)
        monkeypatch.setattr(prompt, "_RUNS_FOR", 0.8)
        monkeypatch.setattr(prompt, "_BOOT_PY_ENDS", 1.0)

    return be_impatient


@pytest.fixture
def server():
    """A fake ThingsBoard with nothing in it yet."""
    from host_tests.power_up_bench import KEY, SECRET
    from tools.fake_thingsboard.model import ThingsBoard
    from tools.fake_thingsboard.server import FakeThingsBoard

    with FakeThingsBoard(ThingsBoard(KEY, SECRET)) as server:
        yield server


@pytest.fixture
def ups(tmp_path, lane, server):
    """The power-ups of a board with that server. `lane`: its kind and what plays it."""
    from host_tests.power_up_bench import PowerUps

    return PowerUps(tmp_path / "flash", *lane, server)
