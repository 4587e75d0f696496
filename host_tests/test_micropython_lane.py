"""The machinery of two interpreters fails when it should: a project of its own, run by pytest."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from host_tests import micropython_lane
from host_tests.micropython_lane import count, difference_of, explained
from tools.virtual_board.interpreter import find_micropython

ROOT = micropython_lane.ROOT

MACHINERY = (
    "board_nursery.py",
    "conftest.py",
    "cpu_time.py",
    "micropython_lane.py",
    "micropython_runner.py",
    "verb_nursery.py",
)
TESTS = {
    "test_verdicts.py": """
import sys
from host_tests.firmware.helpers import skip

ON_MICROPYTHON = sys.implementation.name == "micropython"

def test_passes():
    assert True

def test_fails():
    print("before it fails")
    assert not ON_MICROPYTHON, "not here"

def test_exits():
    if ON_MICROPYTHON:
        raise SystemExit(0)

def test_is_skipped():
    if ON_MICROPYTHON:
        skip("no such thing there")
""",
    "test_differs.py": """
import sys

if sys.implementation.name != "micropython":
    def test_on_cpython_only():
        pass

def test_on_both():
    pass
""",
    "test_import.py": """
import sys

if sys.implementation.name == "micropython":
    import enum

def test_of_a_file_without_import():
    pass
""",
    "test_hangs.py": """
import sys

def test_hangs():
    while sys.implementation.name == "micropython":
        pass

def test_after_it():
    pass
""",
}

needs_micropython = pytest.mark.skipif(
    find_micropython().command is None, reason=f"no lane: {find_micropython().why}"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs pytest on a copy of the machinery with TESTS; gives what it printed."""
    project = tmp_path_factory.mktemp("project")
    firmware = project / "host_tests" / "firmware"
    firmware.mkdir(parents=True)
    shutil.copytree(ROOT / "tools", project / "tools")
    shutil.copy(ROOT / "pyproject.toml", project)
    shutil.copy(ROOT / "host_tests" / "firmware" / "helpers.py", firmware)
    for name in MACHINERY:
        text = (ROOT / "host_tests" / name).read_text(encoding="utf-8")
        text = text.replace("TIME_OUT = 60", "TIME_OUT = 1")
        (project / "host_tests" / name).write_text(text, encoding="utf-8")
    for name, text in TESTS.items():
        (firmware / name).write_text(text, encoding="utf-8")

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, cwd=project, capture_output=True, text=True).stdout

    return run


def verdicts(output: str) -> dict[str, str]:
    return dict(re.findall(r"^host_tests/firmware/(\S+) ([A-Z]+)", output, re.MULTILINE))


@needs_micropython
def test_every_verdict_of_micropython_is_an_item(run):
    output = run("--deselect", "host_tests/firmware/test_hangs.py")
    found = verdicts(output.partition("= FAILURES =")[0])
    on_micropython = {name: found.pop(name) for name in [*found] if "[micropython]" in name}
    assert set(found.values()) == {"PASSED"}
    assert on_micropython == {
        "test_differs.py::same_tests[micropython]": "FAILED",
        "test_differs.py::test_on_both[micropython]": "PASSED",
        "test_import.py::same_tests[micropython]": "FAILED",
        "test_import.py::test_of_a_file_without_import[micropython]": "FAILED",
        "test_verdicts.py::same_tests[micropython]": "PASSED",
        "test_verdicts.py::test_exits[micropython]": "FAILED",
        "test_verdicts.py::test_fails[micropython]": "FAILED",
        "test_verdicts.py::test_is_skipped[micropython]": "SKIPPED",
        "test_verdicts.py::test_passes[micropython]": "PASSED",
    }
    assert 'assert not ON_MICROPYTHON, "not here"\nAssertionError: not here' in output
    assert "before it fails" in output
    assert "test_on_cpython_only: only on CPython" in output
    assert "test_import.py cannot be imported on MicroPython" in output
    assert "test_is_skipped[micropython] - Skipped: on MicroPython: no such thing there" in output
    assert "CPython 7 passed · MicroPython 2 passed, 3 failed, 1 skipped" in output


@needs_micropython
def test_a_hang_is_ended_and_the_next_test_runs(run):
    output = run("host_tests/firmware/test_hangs.py")
    found = verdicts(output)
    assert found["test_hangs.py::test_hangs[micropython]"] == "FAILED"
    assert found["test_hangs.py::test_after_it[micropython]"] == "PASSED"
    assert "still running after 1 s" in output


@needs_micropython
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["-k", "test_passes"],
            {"test_verdicts.py::test_passes", "test_verdicts.py::test_passes[micropython]"},
        ),
        (
            ["host_tests/firmware/test_verdicts.py::test_passes[micropython]"],
            {"test_verdicts.py::test_passes[micropython]"},
        ),
    ],
    ids=["-k", "id"],
)
def test_tests_are_chosen_as_usual(run, arguments, expected):
    assert set(verdicts(run(*arguments))) == expected


@needs_micropython
def test_xdist_runs_both_lanes(run):
    assert "CPython 4 passed · MicroPython 1 passed, 2 failed, 1 skipped" in run(
        "-n1", "host_tests/firmware/test_verdicts.py"
    )


def test_difference_names_each_test_that_one_interpreter_lacks():
    assert difference_of({"test_a", "test_b"}, {"test_a", "test_b"}) == ""
    assert difference_of({"test_a", "test_b"}, {"test_b", "test_c"}) == (
        "  test_a: only on CPython\n  test_c: only on MicroPython\n"
    )


def test_count_is_of_both_interpreters_and_of_firmware_only():
    reports = [
        SimpleNamespace(nodeid=nodeid, outcome=outcome)
        for nodeid, outcome in (
            ("host_tests/firmware/test_a.py::test_one", "passed"),
            ("host_tests/firmware/test_a.py::test_one[micropython]", "failed"),
            ("host_tests/firmware/test_a.py::same_tests[micropython]", "passed"),
            ("host_tests/test_tools.py::test_two", "passed"),
        )
    ]
    assert count(reports) == "CPython 1 passed · MicroPython 1 failed"
    assert count([]) == ""


def test_a_traceback_shows_the_error_first_and_the_source():
    place = '  File "host_tests/conftest.mpy", line 3, in test_a'
    assert explained(f"Traceback (most recent call last):\n{place}\nValueError: no\n") == (
        "ValueError: no\n"
        "Traceback (most recent call last):\n"
        f"{place}\n"
        "    from __future__ import annotations\n"
        "ValueError: no"
    )
