"""What CPython needs to run firmware/: the names that MicroPython has more.

It adds, and changes one thing: a name that no host can have is an OSError, as on MicroPython.
"""

from __future__ import annotations

import gc
import importlib.machinery
import socket
import sys
import time
import traceback

from tools.shims import micropython, polling

TICKS_PERIOD = 1 << 30
# Ticks wrap this soon after install(), so that code that forgets ticks_diff fails.
_WRAPS_AFTER_MS = 2000
_look_up = socket.getaddrinfo


def install(ticks_start: int | None = None) -> None:
    """Add them, once. `ticks_start`: what ticks_ms begins at; by default just below the wrap."""
    sys.modules.setdefault("micropython", micropython)
    if hasattr(time, "ticks_ms"):
        return
    start = TICKS_PERIOD - _WRAPS_AFTER_MS if ticks_start is None else ticks_start
    began = time.monotonic_ns()
    time.ticks_ms = lambda: ((time.monotonic_ns() - began) // 1_000_000 + start) % TICKS_PERIOD
    time.ticks_us = lambda: ((time.monotonic_ns() - began) // 1_000 + start) % TICKS_PERIOD
    time.ticks_add = lambda ticks, delta: (ticks + delta) % TICKS_PERIOD
    time.ticks_diff = _ticks_diff
    time.sleep_ms = lambda ms: time.sleep(max(0, ms) / 1000)
    sys.print_exception = _print_exception
    gc.threshold = lambda *size: -1
    socket.getaddrinfo = _getaddrinfo
    polling.install()
    if "asyncio" in sys.modules:
        sys.modules["asyncio"].sleep_ms = _asyncio_sleep_ms
    else:
        sys.meta_path.insert(0, _Asyncio())


class _Asyncio:
    """Gives asyncio MicroPython's sleep_ms when it is imported, which few programs do."""

    def find_spec(self, name, path=None, target=None):
        if name != "asyncio":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.sleep_ms = _asyncio_sleep_ms

        spec.loader.exec_module = exec_module
        return spec


def _asyncio_sleep_ms(ms):
    return sys.modules["asyncio"].sleep(max(0, ms) / 1000)


def _getaddrinfo(*arguments, **options):
    try:
        return _look_up(*arguments, **options)
    except UnicodeError:  # an empty label, or one that is too long
        raise socket.gaierror(socket.EAI_NONAME, "no host has such a name") from None


def _ticks_diff(end: int, start: int) -> int:
    half = TICKS_PERIOD // 2
    return (end - start + half) % TICKS_PERIOD - half


def _print_exception(error: BaseException, file=None) -> None:
    traceback.print_exception(type(error), error, error.__traceback__, file=file or sys.stdout)
