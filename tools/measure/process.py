"""The processor's time that whole processes on this computer take, start and all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from tools.measure.bench import MeasureError
from tools.measure.responder import FIELDS, Responder
from tools.virtual_board.flash import PROJECT

_TIMES = 7
HAS_TIMES = sys.platform != "win32"  # where nobody says what children took


def provision(responder: Responder) -> float:
    """The CPU time of the verb `provision`, in s."""
    options = ["--server", f"coap://127.0.0.1:{responder.port}", "--name", FIELDS["deviceName"]]
    options += ["--key", FIELDS["provisionDeviceKey"]]
    options += ["--secret", FIELDS["provisionDeviceSecret"]]
    return _least_of("-m", "tools", "provision", *options)


def aiocoap_client(responder: Responder) -> float:
    """The CPU time of aiocoap's command with the same request, in s."""
    uri = f"coap://127.0.0.1:{responder.port}/api/v1/provision"
    body = json.dumps(FIELDS, separators=(",", ":"))
    options = ["-m", "POST", "--content-format", "application/json", "--payload", body, uri]
    return _least_of("-m", "aiocoap.cli.client", *options)


def parts(provision: float) -> dict[str, float]:
    """What the CPU time of `provision` is made of."""
    python = _least_of("-c", "")
    with_typer = _least_of("-c", "import typer")
    return {
        "Python's own start": python,
        "typer, which reads the command line": with_typer - python,
        "the verb, the firmware's client and the exchange": provision - with_typer,
    }


def _least_of(*arguments: str) -> float:
    """The least that a Python with these arguments took; what else runs here adds to it only."""
    found = []
    with tempfile.TemporaryDirectory(prefix="firstboot-measure-") as folder:
        for _ in range(_TIMES):
            before = _of_children()
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise MeasureError(f"{arguments}: {done.stdout}{done.stderr}")
            found.append(_of_children() - before)
    return min(found)


def _of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system
