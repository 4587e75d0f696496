"""`demo --onboarding`: whoever opens the page that it names takes the board to "provisioned"."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from host_tests.phone import Phone
from host_tests.virtual_bench import needs_micropython
from tools.virtual_board.flash import PROJECT

pytestmark = needs_micropython


@pytest.fixture
def demo():
    """The verb that runs, and the port of the page that it names."""
    running = subprocess.Popen(
        [sys.executable, "-u", "-c", "from tools.cli import main; main()", "demo", "--onboarding"],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    said = ""
    for line in running.stdout:
        said += line
        if named := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            break
    else:
        pytest.fail(said)
    yield running, int(named[1])
    running.kill()
    running.communicate()


def test_a_person_takes_it_to_provisioned(demo):
    running, port = demo
    phone = Phone(lambda: SimpleNamespace(ports=SimpleNamespace(wait_for=lambda *_: port)))
    page = phone.page()
    assert list(page.networks)[:2] == ["demo", "demo guests"]
    phone.send(page, "demo", password="demo-password")
    assert phone.wait_for("provisioned").heading == "All done"
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 0 and said.endswith(
        "The board is in the Wi-Fi, and provisioned.\n"
    )
    assert "demo-password" not in said.partition("Ctrl-C ends it.")[2]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles only")
def test_ctrl_c_ends_it(demo):
    running, _ = demo
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == 130 and said.endswith("Ended; the board is gone.\n")
