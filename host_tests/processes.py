"""Processes that tests start: none outlives its test, and nobody waits for one for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tools.set_up import ROOT

# The environment of who has nothing, but for where Python keeps what it has compiled.
BARE = {"PATH": "", **{n: v for n, v in os.environ.items() if n == "PYTHONPYCACHEPREFIX"}}
# mpremote, which looks for a board's answer every millisecond instead of every ten.
MPREMOTE = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {ROOT!r}); import tools.flash.link; "
    "from mpremote.main import main; sys.exit(main())",
]
_TIME_OUT = 60  # seconds


@contextmanager
def started(command: Iterable, **options) -> Iterator[subprocess.Popen]:
    """A process, with subprocess.Popen's options; ended when the block is left, or time is out."""
    with subprocess.Popen([*map(str, command)], **options) as process:
        timer = threading.Timer(_TIME_OUT, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()
