"""Ctrl-C on a serial line: an interrupt while code runs, a character while the REPL reads.

MicroPython catches SIGINT exactly while code may be interrupted, and Linux shows what a process
catches. The interrupt itself is SIGUSR1, see leash.py.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_RUNNING = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGUSR1 - 1)
_PATIENCE_S = 1.0


def interrupt(pid: int) -> bool:
    """Interrupt the code that MicroPython runs; False when it runs none."""
    if not _is_running(pid):
        return False
    # Stopped, it cannot come to its end between the look and the signal.
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while _status(pid, "State")[0] not in "TZX" and time.monotonic() < deadline:
            time.sleep(0)
        is_running = _is_running(pid)
        if is_running:
            os.kill(pid, signal.SIGUSR1)
    finally:
        os.kill(pid, signal.SIGCONT)
    return is_running


def is_waiting(pid: int) -> bool:
    """Whether it sleeps and runs no code: its REPL waits for input."""
    return _status(pid, "State")[0] == "S" and not _is_running(pid)


def _is_running(pid: int) -> bool:
    return int(_status(pid, "SigCgt"), 16) & _RUNNING == _RUNNING


def _status(pid: int, field: str) -> str:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    for line in status.split("\n"):
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise ProcessLookupError(f"/proc/{pid}/status has no {field}")
