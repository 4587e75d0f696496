"""Both interpreters for `host_tests/firmware`, and what CPython lacks to run firmware."""

from __future__ import annotations

import gc

import pytest

from host_tests.firmware.helpers import Skip
from host_tests.micropython_lane import MicroPythonLane
from tools import shims
from tools.virtual_board.interpreter import find_micropython

shims.install()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(MicroPythonLane(find_micropython()), "micropython_lane")


def pytest_collection_finish() -> None:
    # The firmware collects as often as a board must; pytest's own objects need not be walked.
    gc.collect()
    gc.freeze()


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
