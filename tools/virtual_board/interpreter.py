"""Find the MicroPython that plays the board."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

OLDEST = (1, 23)


@dataclass(frozen=True)
class Interpreter:
    """`command` runs MicroPython; it is None when there is none, and `why` says so.

    `package_folder` holds the Python package, if any, that the command comes from: then
    MicroPython is a module of this Python, and starts faster as one.
    """

    command: str | None
    why: str = ""
    package_folder: str = ""


@functools.cache
def find_micropython() -> Interpreter:
    """The micropython beside this Python, else on the PATH; 1.23 or newer."""
    beside = shutil.which("micropython", path=os.path.dirname(sys.executable))
    command = beside or shutil.which("micropython")
    if command is None:
        return Interpreter(None, "no micropython command beside Python or on the PATH")
    ask = [command, "-c", "import sys; print(*sys.implementation.version[:2])"]
    try:
        answer = subprocess.run(ask, check=True, capture_output=True, text=True, timeout=10)
        version = tuple(int(number) for number in answer.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Interpreter(None, f"{command} does not run: {error}")
    if version < OLDEST:
        found, oldest = (".".join(map(str, numbers)) for numbers in (version, OLDEST))
        return Interpreter(None, f"{command} is MicroPython {found or '?'}, older than {oldest}")
    package = importlib.util.find_spec("micropython_unix") if beside else None
    return Interpreter(command, package_folder=os.path.dirname(package.origin) if package else "")
