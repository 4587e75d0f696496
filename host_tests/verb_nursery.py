"""Verbs by fork: of a Python that has imported already what verbs take long to import.

To start Python and import typer, rich and aiocoap for each verb that a test starts takes several
times as long. Only libraries are imported before: the project's own modules are as a start finds
them. A verb is a child of the process that started it, with that one's environment, folder and
pipes. This file is both ends: the tests', and the program that forks.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from functools import cache, wraps

from tools.set_up import ROOT

VERB = "from tools.cli import main; main()"
_FORKS = "from host_tests import verb_nursery; exec(verb_nursery.forked({line}))"
# Not typer.rich_utils: it reads the environment when it is imported.
_LIBRARIES = (
    "aiocoap",
    "asyncio",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.x509",
    "littlefs",
    "mpremote.transport_serial",
    "OpenSSL.SSL",
    "rich.console",
    "rich.live",
    "rich.markdown",
    "rich.progress",
    "rich.table",
    "segno",
    "serial.tools.list_ports",
    "typer.core",
)
# What Python reads when it starts.
_READ_AT_START = ("PYTHON", "LANG", "LC_")
_LENGTH = 4  # bytes, of what says how long a request is
_PR_SET_CHILD_SUBREAPER = 36


class Nursery:
    """The program that forks, for verbs with such an environment; it ends with this process."""

    def __init__(self, environment: dict[str, str]):
        self._line, its_end = socket.socketpair()
        self._turn = threading.Lock()
        with its_end:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _FORKS.format(line=its_end.fileno())],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[its_end.fileno()],
            )

    def start(self, request: list, pipes: list[int]) -> int:
        """Start a verb; return its process's number."""
        text = json.dumps(request).encode()
        with self._turn:
            socket.send_fds(self._line, [len(text).to_bytes(_LENGTH, "big")], pipes)
            self._line.sendall(text)
            if pid := int.from_bytes(self._line.recv(_LENGTH), "big"):
                return pid
        raise ChildProcessError("the process that forks verbs has ended")

    def close(self) -> None:
        self._line.close()
        self._process.wait()


def install() -> None:
    """Let verbs that this process starts as VERB start here. Linux only."""
    if sys.platform != "linux":
        return
    # Whose parent has ended is a child of this process.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    execute = subprocess.Popen._execute_child

    @cache
    def nursery(environment: frozenset) -> Nursery:
        opened = Nursery(dict(environment) | {"PYTHONPATH": ROOT})
        atexit.register(opened.close)
        return opened

    @wraps(execute)
    def execute_by_fork(process, command, *how):
        executable, preexec, close_fds, pass_fds, folder, environment = how[:6]
        pipes = how[9:15]  # of standard input its end and ours; of output, and errors, ours and its
        starts_session, *group = how[-2:] if sys.version_info >= (3, 11) else how[-1:]
        is_usual = close_fds and not (executable or preexec or pass_fds) and group in ([], [-1])
        environment = os.environ if environment is None else environment
        path = environment.get("PYTHONPATH", str(folder or os.getcwd()))
        is_verb = isinstance(command, list) and command[:3] == [sys.executable, "-c", VERB]
        if not (is_verb and is_usual and path == ROOT):
            return execute(process, command, *how)
        environment = {name: os.fsdecode(value) for name, value in environment.items()}
        at_start = frozenset(
            (name, value)
            for name, value in environment.items()
            if name.startswith(_READ_AT_START) and name != "PYTHONPATH"
        )
        arguments = [os.fsdecode(each) for each in command[2:]]
        request = [arguments, environment, str(folder or os.getcwd()), starts_session]
        its = [pipes[0], pipes[3], pipes[5]]
        its = [number if end == -1 else end for number, end in enumerate(its)]
        process.pid = nursery(at_start).start(request, its)
        process._child_created = True
        process._close_pipe_fds(*pipes)

    subprocess.Popen._execute_child = execute_by_fork


def forked(line: int) -> str:
    """Fork for each request; return, in the fork, the program that it is to run."""
    for library in _LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()
    # What reaches a fork before it is ready, it gets then.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    line = socket.socket(fileno=line)
    while True:
        length, pipes, _, _ = socket.recv_fds(line, _LENGTH, 3)
        if not length:
            sys.exit()
        request = b""
        while len(request) < int.from_bytes(length, "big"):
            request += line.recv(65536)
        pid = _fork_for_parent()
        if not pid:
            line.close()
            _become(pipes, *json.loads(request))
            return VERB
        line.send(pid.to_bytes(_LENGTH, "big"))
        for end in pipes:
            os.close(end)


def _fork_for_parent() -> int:
    """Fork, as os.fork does, but for the parent of this process."""
    reading, writing = os.pipe()
    middle = os.fork()
    if middle:
        os.close(writing)
        pid = int.from_bytes(os.read(reading, _LENGTH), "big")
        os.close(reading)
        os.waitpid(middle, 0)
        return pid
    pid = os.fork()
    if pid:
        os.write(writing, pid.to_bytes(_LENGTH, "big"))
        os._exit(0)
    os.close(reading)
    os.close(writing)
    return 0


def _become(
    pipes: list[int], arguments: list[str], environment: dict, folder: str, starts_session: bool
) -> None:
    """Be a process that has just started so."""
    for number, end in enumerate(pipes):
        os.dup2(end, number)
    for end in pipes:
        os.close(end)
    if starts_session:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["-c", *arguments[1:]]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        setattr(sys, name, _stream(number, getattr(sys, name)))
        setattr(sys, f"__{name}__", getattr(sys, name))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _stream(number: int, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """A standard stream, as Python opens it when it starts."""
    is_read = number == 0
    raw = io.FileIO(number, "r" if is_read else "w", closefd=False)
    if not like.write_through:
        buffer = io.BufferedReader if is_read else io.BufferedWriter
        raw = buffer(raw)
    return io.TextIOWrapper(
        raw,
        like.encoding,
        like.errors,
        newline=None if is_read else "\n",
        line_buffering=raw.isatty() or number == 2,
        write_through=like.write_through,
    )
