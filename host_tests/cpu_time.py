"""Says at the end what the processor's time went to: a plugin of pytest."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

SHOWN = 6
COLLECTION = "start and collection"


class CpuTime:
    """The seconds that each file's tests took, with what they started, in whatever process."""

    def __init__(self):
        self.by_file = Counter()
        self._spent = 0.0

    def pytest_collection_finish(self) -> None:
        self._count(COLLECTION)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None):
        try:
            return (yield)
        finally:
            if nextitem is None or nextitem.path != item.path:
                self._count(item.nodeid.partition("::")[0])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["cpu_time"] = dict(self.by_file)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        self.by_file.update(getattr(node, "workeroutput", {}).get("cpu_time", {}))

    def pytest_terminal_summary(self, terminalreporter) -> None:
        most = ", ".join(f"{name} {spent:.0f} s" for name, spent in self.by_file.most_common(SHOWN))
        terminalreporter.write_line(f"CPU time: {sum(os.times()[:4]):.0f} s; most of it: {most}")

    def _count(self, what: str) -> None:
        """Count what was spent since the last time."""
        now = sum(os.times()[:4]) + sum(_spent_by_children("self"))
        self.by_file[what] += now - self._spent
        self._spent = now


def _spent_by_children(process: str):
    """The seconds of each process that is still there, and of those that it saw end. Linux."""
    for task in Path("/proc", process, "task").glob("*/children"):
        try:
            children = task.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in children:
            try:
                stat = Path("/proc", child, "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            ticks = map(int, stat.rpartition(")")[2].split()[11:15])
            yield sum(ticks) / os.sysconf("SC_CLK_TCK")
            yield from _spent_by_children(child)
