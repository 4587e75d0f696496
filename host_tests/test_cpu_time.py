"""What the end of a run says of the processor's time, host_tests/cpu_time.py."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from host_tests.cpu_time import CpuTime, spent_by_descendants
from host_tests.processes import started

SPENDS = 0.3
SPENDER = f"""
import time
while time.process_time() < {SPENDS}:
    pass
print("spent", flush=True)
input()
"""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SPENDER!r}])"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc as it is")


def spender(program: str = SPENDER):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return started([sys.executable, "-I", "-S", "-c", program], **pipes)


@pytest.mark.parametrize("program", [SPENDER, PARENT], ids=["child", "child of a child"])
def test_each_counts_for_the_file_that_ran_when_it_was_spent(program):
    spent = CpuTime()
    spent._count("before")
    with spender(program) as process:
        process.stdout.readline()
        spent._count("first")
        process.communicate(b"\n")
    spent._count("second")
    assert spent.by_file["first"] >= SPENDS * 0.9
    assert spent.by_file["second"] < SPENDS / 2


def test_none_is_left_out_while_others_end():
    over = threading.Event()

    def start_others():
        while not over.is_set():
            subprocess.run([sys.executable, "-I", "-S", "-c", ""])

    others = threading.Thread(target=start_others)
    with spender() as process:
        process.stdout.readline()
        others.start()
        try:
            found = [spent_by_descendants(os.getpid()) for _ in range(20)]
        finally:
            over.set()
            others.join()
    assert min(found) >= SPENDS * 0.9


def test_what_was_missed_once_counts_once(monkeypatch):
    found = iter([5.0, 1.0, 6.0])
    monkeypatch.setattr("host_tests.cpu_time.spent_by_descendants", lambda _: next(found))
    spent = CpuTime()
    for file in ("first", "second", "third"):
        spent._count(file)
    assert spent.by_file["second"] < 1
    assert spent.by_file["third"] < 2
