"""Runs `host_tests/firmware` a second time, on MicroPython: a plugin of pytest.

pytest collects each `test_*` function there as usual and calls it on CPython. This collects the
same functions again as `name[micropython]`: they run in a MicroPython process, one for each file,
which takes the names of the tests one by one. The firmware is compiled for it: each power-up gives
modules back and imports them again. Besides them, each file gets a test of its own,
`same_tests[micropython]`: what CPython finds in the file, MicroPython runs, and the reverse.
"""

from __future__ import annotations

import importlib
import json
import linecache
import os
import re
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import pytest

from tools.measure.bench import compile_to, firmware_files
from tools.virtual_board.interpreter import Interpreter

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "host_tests" / "firmware"
SUFFIX = "[micropython]"
OUTCOMES = ("passed", "failed", "skipped")
TIME_OUT = 60  # seconds for one test, or for the import of a file
_MARK = "\x1e"
_TEST = re.compile(r"def (test_\w+)\(")
_PLACE = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+), in ')


class MicroPythonFailure(Exception):
    """A test that failed on MicroPython; the text is what MicroPython said."""


class MicroPythonProcess:
    """A MicroPython that has imported one test file and runs its tests by name.

    `folder`: it has the firmware compiled.
    """

    def __init__(self, command: Path, file: Path, folder: str, time_out: float = TIME_OUT):
        self._time_out = time_out
        self._process = subprocess.Popen(
            [command, "-m", "host_tests.micropython_runner", _module_name(file), folder],
            cwd=ROOT,
            env={**os.environ, "MICROPYPATH": ".frozen"},  # besides cwd, which comes first
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        imported, output = self._report()
        self.import_error = imported["text"] and f"{output}{imported['text']}"
        self.tests = set(imported.get("tests", ()))

    def run(self, test: str) -> tuple[dict, str]:
        """Gives the report on a test, with its `outcome` and `text`, and what the test printed."""
        self._process.stdin.write(f"{test}\n")
        self._process.stdin.flush()
        return self._report()

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _report(self) -> tuple[dict, str]:
        output = []
        timed_out = threading.Event()

        def end() -> None:
            timed_out.set()
            self._process.kill()

        timer = threading.Timer(self._time_out, end)
        timer.start()
        try:
            for line in self._process.stdout:
                before, mark, report = line.partition(_MARK)
                output.append(before)
                if mark:
                    return json.loads(report), "".join(output)
        finally:
            timer.cancel()
        code = self._process.wait()
        if timed_out.is_set():
            text = f"still running after {self._time_out:g} s: MicroPython was ended"
        else:
            text = f"MicroPython ended by itself with exit code {code}"
        return {"outcome": "failed", "text": text}, "".join(output)


class MicroPythonLane:
    """The plugin, for the MicroPython that was found."""

    def __init__(self, interpreter: Interpreter):
        self.interpreter = interpreter
        self._processes: dict[Path, MicroPythonProcess] = {}

    def process(self, file: Path) -> MicroPythonProcess:
        """The process of a file; a new one after the last came to an end."""
        process = self._processes.get(file)
        if process and not (process.alive() or process.import_error):
            process.close()
            process = None
        if process is None:
            process = MicroPythonProcess(self.interpreter.command, file, self._compiled.name)
            self._processes[file] = process
        return process

    @cached_property
    def _compiled(self) -> tempfile.TemporaryDirectory:
        folder = tempfile.TemporaryDirectory(prefix="firstboot-tests-")
        compile_to(ROOT, firmware_files(ROOT, with_optional=True), Path(folder.name))
        return folder

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector):
        if self.interpreter.command and file_path.parent == FOLDER and file_path.match("test_*.py"):
            return MicroPythonFile.from_parent(parent, path=file_path, lane=self)
        return None

    def pytest_sessionfinish(self) -> None:
        for process in self._processes.values():
            process.close()
        if "_compiled" in vars(self):
            self._compiled.cleanup()

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if not self.interpreter.command:
            terminalreporter.write_line(
                f"host_tests/firmware ran on CPython only: {self.interpreter.why}", yellow=True
            )
            return
        if counts := count(
            report for outcome in OUTCOMES for report in terminalreporter.getreports(outcome)
        ):
            terminalreporter.write_line(f"host_tests/firmware: {counts}")


class MicroPythonFile(pytest.File):
    """The tests of one file, as its text names them."""

    def __init__(self, *, lane: MicroPythonLane, **keywords):
        super().__init__(**keywords)
        self.lane = lane

    def collect(self):
        yield SameTests.from_parent(self, name=f"same_tests{SUFFIX}")
        for number, line in enumerate(self.path.read_text(encoding="utf-8").split("\n")):
            if found := _TEST.match(line):
                yield MicroPythonTest.from_parent(
                    self, name=f"{found[1]}{SUFFIX}", test=found[1], line=number
                )

    def process(self) -> MicroPythonProcess:
        process = self.lane.process(self.path)
        if process.import_error:
            raise MicroPythonFailure(
                f"{self.path.name} cannot be imported on MicroPython:\n{process.import_error}"
            )
        return process


class _Item(pytest.Item):
    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, MicroPythonFailure):
            return explained(str(excinfo.value))
        return super().repr_failure(excinfo, style)


class MicroPythonTest(_Item):
    """One test function, run on MicroPython."""

    def __init__(self, *, test: str, line: int, **keywords):
        super().__init__(**keywords)
        self.test = test
        self.line = line

    def runtest(self) -> None:
        report, output = self.parent.process().run(self.test)
        if output:
            self.add_report_section("call", "stdout", output)
        if report["outcome"] == "skipped":
            pytest.skip(f"on MicroPython: {report['text']}")
        if report["outcome"] == "failed":
            raise MicroPythonFailure(report["text"])

    def reportinfo(self):
        return self.path, self.line, self.name


class SameTests(_Item):
    """CPython and MicroPython find the same tests in a file, and each becomes an item of both."""

    def runtest(self) -> None:
        module = importlib.import_module(_module_name(self.path))
        on_cpython = {name for name in vars(module) if name.startswith("test_")}
        items = {item.test for item in self.parent.collect() if isinstance(item, MicroPythonTest)}
        on_micropython = self.parent.process().tests
        if difference := difference_of(on_cpython, on_micropython & items):
            raise MicroPythonFailure(
                f"{self.path.name} differs on the two interpreters:\n{difference}"
            )

    def reportinfo(self):
        return self.path, 0, self.name


def difference_of(on_cpython: set[str], on_micropython: set[str]) -> str:
    """What one interpreter runs and the other does not, one line a test."""
    return "".join(
        f"  {test}: only on {'CPython' if test in on_cpython else 'MicroPython'}\n"
        for test in sorted(on_cpython ^ on_micropython)
    )


def count(reports: Iterable[pytest.TestReport]) -> str:
    """How many tests of `host_tests/firmware` came to which outcome, on each interpreter."""
    counts = Counter()
    for report in reports:
        file, _, test = report.nodeid.partition("::")
        if file.startswith("host_tests/firmware/") and test != f"same_tests{SUFFIX}":
            counts["MicroPython" if test.endswith(SUFFIX) else "CPython", report.outcome] += 1
    lanes = []
    for interpreter in ("CPython", "MicroPython"):
        numbers = [(counts[interpreter, outcome], outcome) for outcome in OUTCOMES]
        if outcomes := ", ".join(f"{number} {outcome}" for number, outcome in numbers if number):
            lanes.append(f"{interpreter} {outcomes}")
    return " · ".join(lanes)


def explained(traceback: str) -> str:
    """A traceback of MicroPython with the error first and the lines of source it points at."""
    shown = []
    for line in traceback.splitlines():
        place = _PLACE.match(line)
        if place and place["file"].endswith("micropython_runner.py"):
            continue
        shown.append(line)
        if place:
            file = (ROOT / place["file"]).with_suffix(".py")  # of a .mpy its source
            source = linecache.getline(str(file), int(place["line"])).strip()
            shown.append(f"    {source}")
    if shown and shown[0].startswith("Traceback"):
        shown.insert(0, shown[-1])
    return "\n".join(shown)


def _module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)
