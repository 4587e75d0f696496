"""Tests run in several processes: each once, and whatever becomes of one is told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from host_tests.processes import started

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import pytest
from host_tests.forked import Forked
sys.exit(pytest.main(sys.argv[1:], plugins=[Forked(3)]))
"""
CONFTEST = """
from host_tests.cpu_time import CpuTime

def pytest_configure(config):
    config.pluginmanager.register(CpuTime(), "cpu_time")
"""
NOTES = """
import os

import pytest

@pytest.fixture(scope="module", autouse=True)
def process():
    with open("notes", "a") as file:
        file.write(f"{__name__} begins {os.getpid()}\\n")
        file.flush()
        yield
        file.write(f"{__name__} is over {os.getpid()}\\n")

@pytest.fixture(autouse=True)
def note(request):
    with open("notes", "a") as file:
        file.write(f"{request.node.nodeid}\\n")
"""
TESTS = {
    "test_many.py": """
import time

@pytest.mark.parametrize("number", range(40))
def test_number(number):
    time.sleep(0.01)
""",
    "test_outcomes.py": """
def test_fails():
    print("what it printed")
    assert 1 + 1 == 3

def test_is_left_out():
    pytest.skip("of no use here")
""",
    "test_ends.py": """
def test_ends_its_process():
    os._exit(9)

def test_after_it():
    pass
""",
}


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -rs -p no:cacheprovider\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name, text in TESTS.items():
        (tmp_path / name).write_text(NOTES + text)
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)


def test_each_runs_once_and_what_it_came_to_is_told(project):
    ran = run(project)
    assert ran.returncode == 1 and "in 3 processes" in ran.stdout
    assert "2 failed, 41 passed, 1 skipped" in ran.stdout
    assert "assert (1 + 1) == 3" in ran.stdout and "what it printed" in ran.stdout
    assert "its process ended, with 9" in ran.stdout and "of no use here" in ran.stdout
    assert re.search(r"CPU time: \d+ s; most of it: .*test_many.py \d+ s", ran.stdout)
    notes = (project / "notes").read_text().splitlines()
    tests = [line for line in notes if "::" in line]
    assert len(tests) == len(set(tests)) == 44
    begun = [line.replace(" begins", "") for line in notes if " begins " in line]
    over = [line.replace(" is over", "") for line in notes if " is over " in line]
    assert len(begun) == len(over) + 1 and set(over) < set(begun)
    assert len([each for each in begun if "test_many" in each]) > 1


def test_the_first_failure_is_the_last_where_one_asks_so(project):
    ran = run(project, "-x", "test_outcomes.py", "test_many.py")
    assert ran.returncode == 1 and "stopping after 1 failures" in ran.stdout
    assert "1 failed" in ran.stdout and "40 passed" not in ran.stdout


def test_each_is_a_line_where_one_asks_so(project):
    ran = run(project, "-v", "test_many.py", "test_ends.py")
    lines = re.findall(r"^test_many\.py::test_number\[(\d+)\] PASSED", ran.stdout, re.MULTILINE)
    assert sorted(map(int, lines)) == [*range(40)]


def test_ctrl_c_ends_all(project):
    (project / "test_waits.py").write_text("import time\ndef test_waits():\n    time.sleep(60)\n")
    command = [sys.executable, "-c", PROGRAM, "-v", "test_waits.py", "test_many.py"]
    options = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with started(command, cwd=project, **options) as process:
        assert any("[39] PASSED" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGINT)
        assert "KeyboardInterrupt" in process.stdout.read()
        assert process.wait(10) == pytest.ExitCode.INTERRUPTED
