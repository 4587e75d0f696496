"""Tests that run on a forked Pico W: `@on_pico_w` for those, and the server that forks it."""

from __future__ import annotations

import fcntl
import functools
import inspect
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.pico_w.image import ImageError, find_image
from tools.set_up import ROOT

# What takes long runs when this is set.
in_full = pytest.mark.skipif(
    not os.environ.get("PICO_W_FULL"), reason="left out: it runs with PICO_W_FULL=1"
)
_BOOT_S = 400  # seconds of this computer's, at the most
_RETRY_S = 0.2
_servers: list[subprocess.Popen] = []  # of this process; they end with it


def why_not() -> str:
    """Why there is no lane here; nothing when there is one."""
    if not hasattr(os, "fork"):
        return "left out: this system has no fork"
    try:
        find_image()
    except ImageError as error:
        return f"left out: {error}"
    return ""


def on_pico_w(test: Callable) -> Callable:
    """Make a test of a function whose first argument is the World, forked before its request."""
    parameters = list(inspect.signature(test).parameters.values())[1:]
    factory = inspect.Parameter("tmp_path_factory", inspect.Parameter.KEYWORD_ONLY)

    def run(tmp_path_factory, **arguments):
        if "tmp_path" in arguments:
            arguments["tmp_path"] = str(arguments["tmp_path"])
        failure = _ask(_address(tmp_path_factory), test, arguments)
        if failure:
            pytest.fail(failure, pytrace=False)

    functools.update_wrapper(run, test)
    del run.__wrapped__
    run.__signature__ = inspect.Signature([*parameters, factory])
    run.on_the_board = test
    return run


def _ask(address: Path, test: Callable, arguments: dict) -> str:
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(str(address))
        request = json.dumps([test.__module__, test.__name__, arguments])
        server.sendall(request.encode() + b"\n")
        with server.makefile() as answer:
            text = answer.read()
    return json.loads(text)[0] if text else "the board's process died"


def _address(tmp_path_factory) -> Path:
    """The socket of this session's server, started by the first who wants it."""
    folder = tmp_path_factory.getbasetemp()
    user = os.getpid()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder, user = folder.parent, os.getppid()
    address = folder / "pico_w"
    with open(folder / "pico_w.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _answers(address):
            _start(address, user)
    return address


def _start(address: Path, user: int) -> None:
    address.unlink(missing_ok=True)
    log = address.with_suffix(".log")
    with open(log, "w") as said:
        server = subprocess.Popen(
            [sys.executable, "-m", "host_tests.pico_w.fork_server", str(address), str(user)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    _servers.append(server)
    end = time.monotonic() + _BOOT_S
    while not _answers(address):
        if server.poll() is not None or time.monotonic() > end:
            pytest.fail(f"no Pico W could be booted:\n{log.read_text()}", pytrace=False)
        time.sleep(_RETRY_S)


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True
