"""What tools.shims adds to CPython is what MicroPython has, and breaks nothing."""

from __future__ import annotations

import asyncio
import io
import select
import socket
import subprocess
import sys
import time

import pytest

from tools import shims
from tools.shims import polling


@pytest.fixture(autouse=True)
def installed():
    shims.install()


@pytest.fixture
def sockets():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
    ):
        here.bind(("127.0.0.1", 0))
        there.connect(here.getsockname())
        yield here, there


def test_install_is_idempotent():
    before = time.ticks_ms, select.poll, sys.print_exception
    shims.install()
    assert (time.ticks_ms, select.poll, sys.print_exception) == before


def test_ticks_wrap():
    assert time.ticks_add(2**30 - 1, 2) == 1
    assert time.ticks_diff(1, 2**30 - 1) == 2
    assert time.ticks_diff(2**30 - 1, 1) == -2
    start = time.ticks_ms()
    time.sleep_ms(20)
    assert 15 <= time.ticks_diff(time.ticks_ms(), start) < 500
    assert 0 <= start < 2**30


def test_const():
    from micropython import const

    assert const(5) == 5


def test_print_exception_goes_to_standard_output(capsys):
    try:
        raise ValueError("no")
    except ValueError as error:
        sys.print_exception(error)
        file = io.StringIO()
        sys.print_exception(error, file)
    assert capsys.readouterr().out == file.getvalue()
    assert file.getvalue().startswith("Traceback") and file.getvalue().endswith("no\n")


@pytest.mark.parametrize("native", [polling._native_poll, polling.SelectPoll])
def test_ipoll_gives_the_object_that_is_ready(sockets, native, monkeypatch):
    here, there = sockets
    monkeypatch.setattr("tools.shims.polling._native_poll", native)
    poll = polling.Poll()
    poll.register(here, select.POLLIN)
    assert list(poll.ipoll(20)) == []
    there.send(b"x")
    assert list(poll.ipoll(1000)) == [(here, select.POLLIN)]
    poll.modify(here, select.POLLIN | select.POLLOUT)
    assert list(poll.ipoll(1000)) == [(here, select.POLLIN | select.POLLOUT)]
    assert poll.poll(0) == [(here.fileno(), select.POLLIN | select.POLLOUT)]
    poll.unregister(here)
    assert list(poll.ipoll(0)) == []
    with pytest.raises(FileNotFoundError):
        poll.modify(here, select.POLLIN)


def test_asyncio_and_subprocess_still_work():
    async def echo():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print(5)", stdout=subprocess.PIPE
        )
        return (await process.communicate())[0]

    assert asyncio.run(echo()).strip() == b"5"
    assert subprocess.run(["true"], check=False, capture_output=True).returncode == 0
