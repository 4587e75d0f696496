"""Says at the end what the processor's time went to: a plugin of pytest."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
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
        own = sum(os.times()[:4])
        # What ends between these two is counted the next time.
        now = max(self._spent, own + spent_by_descendants(os.getpid()))
        self.by_file[what] += now - self._spent
        self._spent = now


def spent_by_descendants(ancestor: int) -> float:
    """The seconds of each process that is still there, and of those that it saw end. Linux.

    From each process's parent, since the kernel's lists of children leave out some while others
    end, and one left out for once counts for two files: all that it ever spent, for the second.
    """
    children, spent = defaultdict(list), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = stat.rpartition(")")[2].split()
        children[int(fields[1])].append(folder.name)
        spent[folder.name] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    found = list(children[ancestor])
    for process in found:
        found += children[int(process)]
    return sum(spent[process] for process in found)
