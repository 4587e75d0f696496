"""MicroPython to measure with: the firmware compiled, and scripts run on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from tools.mpy import CompileError, compiled
from tools.virtual_board.flash import PROJECT
from tools.virtual_board.interpreter import Interpreter, find_micropython

SCRIPTS = Path(__file__).resolve().parent / "scripts"
ARCHITECTURES = ("xtensawin", "armv6m")
_TIME_OUT = 20  # seconds for one script
_PATIENCE = 1.5  # seconds for one that may have run out of heap: some then wait for ever
STEP = 128  # bytes by which a smallest heap is found
_COUNT = re.compile(r"^totals: (\d+)", re.MULTILINE)
# How often a loop runs under callgrind: how CPython starts then makes under 0.3 %.
REPETITIONS = 100
# The modules that only `coaps://` needs, and the adapter of another codec.
_OPTIONAL = (
    "dtls",
    "dtls_failure",
    "dtls_steps",
    "security",
    "security_steps",
    "clock",
    "microcoapy",
)
_RUN_MODULE = "import sys; sys.path.append({!r}); import micropython_unix as m; m.run_main({!r})"
# The same of several, one after the other, each marked.
_RUN_MODULES = """\
import os, sys; sys.path.append({!r}); import micropython_unix as m
for command in {!r}: os.putenv("MARK", ""); m.run_main(command)
os.putenv("MARK", "")
"""


class MeasureError(Exception):
    """A script did not do what was to be measured; the text is what it said."""


class Bench:
    """A folder with `firmware/` compiled, as source in `source`, and the scripts that measure.

    Scripts run in that folder, from which MicroPython imports before any other: it keeps the path
    of what it imports, which is no longer here than on a board.

    `source`: the project's folder. `extra`: folders that MicroPython imports from besides.
    `micropython`: the command of another MicroPython than the tests'. `is_frozen`: it has the
    firmware in it.
    """

    def __init__(
        self,
        folder: Path,
        source: Path = PROJECT,
        extra: tuple[Path, ...] = (),
        micropython: Path | None = None,
        is_frozen: bool = False,
    ):
        self.folder = folder
        self.is_frozen = is_frozen
        self.micropython = Interpreter(str(micropython)) if micropython else find_micropython()
        self.compiled = folder
        self.source = folder / "py"
        self.scripts = folder / "scripts"
        files = firmware_files(source, with_optional=True)
        if not is_frozen:
            compile_to(source, files, self.compiled)
        for file in (Path("main.py"), *files):
            _copy(source, file, self.source)
        names = [path.relative_to(SCRIPTS) for path in sorted(SCRIPTS.glob("*.py"))]
        compile_to(SCRIPTS, names, self.scripts)
        self.extra = []
        for number, each in enumerate(extra):
            packages = [path.relative_to(each) for path in sorted(each.glob("*/*.py"))]
            self.extra.append(compile_to(each, packages, folder / f"extra{number}"))

    @property
    def bits(self) -> int:
        """How many the words of this MicroPython have: 32 or 64."""
        return self._word["bits"]

    @property
    def has_romfs(self) -> bool:
        """Whether this MicroPython can have a ROMFS."""
        return self._word["romfs"]

    @cached_property
    def _word(self) -> dict:
        return self.run("word")

    def run(self, script: str, *arguments: object, heap: int | None = None) -> dict:
        """Run a script with the compiled firmware; gives the JSON object it prints last."""
        return _object(self.output(script, *arguments, heap=heap)[-1])

    def output(self, script: str, *arguments: object, heap: int | None = None) -> list[str]:
        """Run a script with the compiled firmware; gives the lines it prints, one or more."""
        try:
            done = subprocess.run(
                self.command(script, *arguments, heap=heap),
                cwd=self.folder,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=_TIME_OUT,
            )
        except subprocess.TimeoutExpired:
            raise MeasureError(f"{script}: not done in {_TIME_OUT} s") from None
        lines = done.stdout.splitlines()
        if done.returncode or not lines:
            raise MeasureError(f"{script}: {done.stdout}{done.stderr}")
        return lines

    def succeeds(
        self, script: str, *arguments: object, heap: int, done: str, failed: tuple[str, ...] = ()
    ) -> bool:
        """Whether a script prints a line with `done` in a heap of so many bytes."""
        lines = self.lines_until(script, *arguments, heap=heap, words=(done, *failed))
        return bool(lines) and done in lines[-1]

    def lines_until(
        self, script: str, *arguments: object, heap: int, words: tuple[str, ...]
    ) -> list[str]:
        """What a script prints in a heap of so many bytes, up to a line with one of these words."""
        process = subprocess.Popen(
            self.command(script, *arguments, heap=heap),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        timer = threading.Timer(_PATIENCE, process.kill)
        timer.start()
        lines = []
        with process:
            for line in process.stdout:
                lines.append(line)
                if any(word in line for word in words):
                    break
            process.kill()
        timer.cancel()
        return lines

    def instructions(self, module: str, functions: tuple[str, ...]) -> list[int]:
        """Instructions of a call of each function, by callgrind, less those of `nothing`."""
        scripts = [("repeat", module, each, REPETITIONS) for each in ("nothing", *functions)]
        if folder := self.micropython.package_folder:
            commands = [[self.micropython.command, "-m", *map(str, each)] for each in scripts]
            python = [sys.executable, "-S", "-c", _RUN_MODULES.format(folder, commands)]
            counts = self._counts(python)[-len(scripts) - 1 : -1]
        else:
            counts = [sum(self._counts(self.command(*each))) for each in scripts]
        nothing, *loops = counts
        return [round((loop - nothing) / REPETITIONS) for loop in loops]

    def command(self, script: str, *arguments: object, heap: int | None = None) -> list[str]:
        found = self.micropython
        if found.command is None:
            raise MeasureError(found.why)
        size = [] if heap is None else ["-X", f"heapsize={heap}"]
        command = [found.command, *size, "-m", script, *map(str, arguments)]
        if not found.package_folder:
            return command
        # MicroPython is a module of this Python; without its site module it starts at once.
        return [sys.executable, "-S", "-c", _RUN_MODULE.format(found.package_folder, command)]

    def environment(self) -> dict[str, str]:
        folders = (each.relative_to(self.folder) for each in (self.scripts, *self.extra))
        path = [*folders, ".frozen"]
        # Without a fixed seed CPython, which MicroPython is a module of, starts at varying cost.
        return {**os.environ, "MICROPYPATH": ":".join(map(str, path)), "PYTHONHASHSEED": "0"}

    def _counts(self, command: list[str]) -> list[int]:
        """The instructions that a command takes up to each time that it sets an environment
        variable, and from the last one to its end."""
        with tempfile.TemporaryDirectory(prefix="firstboot-measure-") as folder:
            valgrind = ["valgrind", "--tool=callgrind", "--dump-before=setenv"]
            valgrind += [f"--callgrind-out-file={folder}/counts"]
            done = subprocess.run(
                [*valgrind, *command],
                cwd=self.folder,
                env=self.environment(),
                capture_output=True,
                text=True,
            )
            # counts.1, counts.2 …, and counts, of what comes last.
            dumps = sorted(Path(folder).iterdir(), key=lambda path: int(path.suffix[1:] or 1 << 30))
            found = [_COUNT.search(path.read_text(encoding="utf-8")) for path in dumps]
        if done.returncode or not all(found):
            raise MeasureError(f"{command}: {done.stdout}{done.stderr}")
        return [int(each[1]) for each in found]


def has_valgrind() -> bool:
    return shutil.which("valgrind") is not None


@contextmanager
def bench(**options) -> Iterator[Bench]:
    """A Bench in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="firstboot-measure-") as folder:
        yield Bench(Path(folder), **options)


def firmware_files(source: Path, with_optional: bool = False) -> list[Path]:
    """The firmware's modules; what few boards need only `with_optional`."""
    files = [path.relative_to(source) for path in sorted(source.glob("firmware/**/*.py"))]
    return [file for file in files if with_optional or file.stem not in _OPTIONAL]


def compile_to(source: Path, files: list[Path], folder: Path, *options: str) -> Path:
    """Compile files of a folder into another, as `flash` does."""
    for file in files:
        target = (folder / file).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(compiled((source / file).read_bytes(), file.as_posix(), *options))
        except CompileError as error:
            raise MeasureError(str(error)) from None
    return folder


def least_heap(works: Callable[[int], bool], highest: int, step: int = STEP) -> int:
    """The smallest heap, in steps of `step` bytes, with which and above which `works` holds.

    Where free pieces fall decides as well as how much is free, so that a larger heap can fail
    where a smaller one does not: 16 KB above it are tried, too, a KB at a time.
    """
    if not works(highest):
        raise MeasureError(f"it does not work with a heap of {highest} bytes")
    failing = [0]
    while failing:
        low, high = failing[-1] // step, highest // step
        while high - low > 1:
            middle = (low + high) // 2
            if works(middle * step):
                high = middle
            else:
                low = middle
        above = range(high * step + 1024, min(highest, high * step + 16 * 1024), 1024)
        failing = [heap for heap in above if not works(heap)]
    return high * step


def _object(line: str) -> dict:
    try:
        return json.loads(line)
    except ValueError:
        raise MeasureError(f"a script printed {line!r}, which is no JSON") from None


def _copy(source: Path, file: Path, folder: Path) -> None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / file, folder / file)
