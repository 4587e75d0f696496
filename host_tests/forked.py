"""Runs the tests in several processes, forked when they are collected: a plugin of pytest.

A process that starts anew, as those of pytest-xdist do, has to import what the tests need and to
collect them again; a fork has all of it. Each fork runs a file, and then the next one that none has
begun; when there is none left, half of what another has before it.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from contextlib import suppress
from itertools import groupby
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

import pytest

_DONE = "done"


class Fork:
    """A process that runs tests, numbers of session.items.

    `told`: those that it knows of and has not ended; it knows of two, because what a test leaves
    to the next depends on which that is. `ahead`: those that it is to be told of.
    """

    def __init__(self, pid: int, line: Connection):
        self.pid = pid
        self.line = line
        self.told: deque[int] = deque()
        self.ahead: deque[int] = deque()
        self.knows_all = False


class Forked:
    """The plugin, for at most so many processes."""

    def __init__(self, processes: int):
        self._processes = processes
        self._forks: list[Fork] = []
        self._files: deque[deque[int]] = deque()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed or session.config.option.collectonly:
            return None
        self._session = session
        self._hook = session.config.hook
        self._terminal = session.config.pluginmanager.getplugin("terminalreporter")
        numbers = range(len(session.items))
        for _, file in groupby(numbers, lambda number: session.items[number].path):
            self._files.append(deque(file))
        processes = min(self._processes, len(self._files))
        self._terminal.write_line(f"in {processes} process{'es' if processes > 1 else ''}")
        self._terminal.showfspath = False  # the files take turns
        session.config._tmp_path_factory.getbasetemp()  # one for all
        try:
            return self._run(processes)
        finally:
            for fork in self._forks:
                fork.line.close()
                os.waitpid(fork.pid, 0)

    def _run(self, processes: int) -> bool:
        """Run all tests. Returns in each fork, too, when it has run its own."""
        for _ in range(processes):
            if line := self._fork():
                return run(self._session, line)
        while self._forks:
            ready = wait([fork.line for fork in self._forks])
            for fork in [each for each in self._forks if each.line in ready]:
                try:
                    self._hear(fork, fork.line.recv())
                except (EOFError, OSError):
                    if self._bury(fork) and (line := self._fork()):
                        return run(self._session, line)
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)
        return True

    def _fork(self) -> Connection | None:
        """Fork; return, in the fork, its line to this process."""
        self._terminal.flush()
        sys.stdout.flush()
        line, its_line = Pipe()
        pid = os.fork()
        if not pid:
            for fork in self._forks:
                fork.line.close()
            self._forks.clear()
            line.close()
            return its_line
        its_line.close()
        self._forks.append(Fork(pid, line))
        for _ in range(2):
            self._tell(self._forks[-1])
        return None

    def _tell(self, fork: Fork) -> None:
        """Tell a fork of one more test, or that there is none."""
        if fork.knows_all:
            return
        number = self._next(fork)
        fork.knows_all = number is None
        if number is not None:
            fork.told.append(number)
        with suppress(OSError):  # that it has ended is noticed where it is heard
            fork.line.send(number)

    def _next(self, fork: Fork) -> int | None:
        if self._session.shouldfail or self._session.shouldstop:
            return None
        if not fork.ahead and self._files:
            fork.ahead = self._files.popleft()
        if not fork.ahead:
            busiest = max(self._forks, key=lambda each: len(each.ahead))
            for _ in range((len(busiest.ahead) + 1) // 2):
                fork.ahead.appendleft(busiest.ahead.pop())
        return fork.ahead.popleft() if fork.ahead else None

    def _hear(self, fork: Fork, said: dict | str) -> None:
        if said == _DONE:
            item = self._session.items[fork.told.popleft()]
            self._hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            self._tell(fork)
        elif "cpu time" in said:
            self._session.config.pluginmanager.getplugin("cpu_time").add(said["cpu time"])
        else:
            config = self._session.config
            report = self._hook.pytest_report_from_serializable(config=config, data=said)
            self._hook.pytest_runtest_logreport(report=report)

    def _bury(self, fork: Fork) -> bool:
        """Forget a fork that has ended; whether it was amid a test, and another has to go on."""
        self._forks.remove(fork)
        fork.line.close()
        _, status = os.waitpid(fork.pid, 0)
        if not fork.told:
            return False
        item = self._session.items[fork.told.popleft()]
        said = f"its process ended, with {os.waitstatus_to_exitcode(status)}"
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", said, "call")
        self._hook.pytest_runtest_logreport(report=report)
        self._files.appendleft(fork.told + fork.ahead)
        return True


class Reports:
    """What a fork says of its tests: a plugin of pytest's there."""

    def __init__(self, config: pytest.Config, line: Connection):
        self._config = config
        self._line = line

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        serializable = self._config.hook.pytest_report_to_serializable
        self._line.send(serializable(config=self._config, report=report))


def run(session: pytest.Session, line: Connection) -> bool:
    """Run, in a fork, the tests that it is told of."""
    config = session.config
    config.workerinput = {}  # by which pytest's own plugins know that they are not the first
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(Reports(config, line))
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    cpu_time = config.pluginmanager.getplugin("cpu_time")
    cpu_time.begin()
    item = _told(session, line)
    while item:
        following = _told(session, line)
        config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        line.send(_DONE)
        item = following
    line.send({"cpu time": cpu_time.by_file})
    config.option.verbose = 1  # or how far it is would be shown at the end of its loop, too
    return True


def _told(session: pytest.Session, line: Connection) -> pytest.Item | None:
    try:
        number = line.recv()
    except (EOFError, OSError):  # the first process has ended
        return None
    return None if number is None else session.items[number]
