"""Virtual boards by fork: of a Python that has MicroPython in it already, with the ROM compiled.

To start Python, ctypes and MicroPython for each board, as tools/virtual_board/leash.py does, takes
five times as long. Their flash is mapped into memory, see host_tests/board_rom/block_device.py.
This file is both ends: the tests', and the program that forks.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache, wraps
from pathlib import Path

_LENGTH = 4  # bytes, of what says how long a request is
_MAPPED_CHIP = Path(__file__).parent / "board_rom" / "block_device.py"


class Board:
    """The process of a board: what of subprocess.Popen tools/virtual_board uses."""

    def __init__(self, pid: int, handle: int, pipes: tuple[int, int, int]):
        self.pid = pid
        self._handle = handle  # a process's: its number may be another's by and by
        self._turn = threading.Lock()  # a timer of another thread may cut the power
        self.stdin = open(pipes[0], "wb")
        self.stdout = open(pipes[1], "rb")
        self.stderr = open(pipes[2], "rb")

    def send_signal(self, number: int) -> None:
        with self._turn, contextlib.suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self) -> None:
        """Wait until it is gone."""
        if self._handle is not None:
            select.select([self._handle], [], [])
            with self._turn:
                os.close(self._handle)
                self._handle = None


class Nursery:
    """The program that forks; ended by `close`, or with this process."""

    def __init__(self, package_folder: str):
        self._line, its_end = socket.socketpair()
        self._turn = threading.Lock()
        with its_end:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(its_end.fileno()), package_folder],
                pass_fds=[its_end.fileno()],
                start_new_session=True,
            )

    def start(
        self, settings: dict, lock: int, pipesize: int, environment: dict, command: list[str]
    ) -> Board:
        """Start a board, as tools.virtual_board.process.start does."""
        import fcntl  # Windows has none

        environment = {
            **os.environ,
            **environment,
            "VIRTUAL_BOARD": json.dumps(settings, ensure_ascii=False),
        }
        request = json.dumps([command, environment, os.getcwd()]).encode()
        ours, its = zip(*(os.pipe() for _ in range(3)))
        ours, its = (its[0], *ours[1:]), (ours[0], *its[1:])
        if pipesize > 0:
            for descriptor in ours:
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, pipesize)
        try:
            with self._turn:
                length = len(request).to_bytes(_LENGTH, "big")
                socket.send_fds(self._line, [length], [*its, lock])
                self._line.sendall(request)
                pid, (handle,), _, _ = socket.recv_fds(self._line, 16, 1)
        finally:
            for descriptor in its:
                os.close(descriptor)
        return Board(int(pid), handle, ours)

    def close(self) -> None:
        self._line.close()
        self._process.wait()


def install() -> None:
    """Let virtual boards that this process plays on MicroPython start here. Linux only."""
    from tools.virtual_board import process, repl_process
    from tools.virtual_board.interpreter import find_micropython

    start = process.start
    chip = (process._HERE / "rom" / "block_device.py").read_bytes()
    found = find_micropython()
    if sys.platform != "linux" or not found.package_folder:
        return

    @cache
    def nursery() -> Nursery:
        opened = Nursery(found.package_folder)
        atexit.register(opened.close)
        return opened

    @wraps(start)
    def start_by_fork(runtime, settings, lock, pipesize=-1, **environment):
        if runtime != "micropython":
            return start(runtime, settings, lock, pipesize, **environment)
        settings = {**settings, "supervisor": os.getpid()}
        rom = _compiled(process._HERE / "rom", chip)
        return nursery().start(
            settings, lock, pipesize, environment, [found.command, f"{rom}/rom.py"]
        )

    process.start = repl_process.start = start_by_fork


@cache
def _compiled(rom: Path, chip: bytes) -> Path:
    """A folder with a ROM's modules compiled; MicroPython runs only source itself.

    The module that has the source `chip` gives way to the chip that is mapped into memory.
    """
    from tools.mpy import compiled

    folder = tempfile.TemporaryDirectory(prefix="firstboot-rom-")
    atexit.register(folder.cleanup)
    modules = {module.name: module.read_bytes() for module in rom.glob("*.py")}
    (Path(folder.name) / "rom.py").write_bytes(modules.pop("rom.py"))
    mapped = _MAPPED_CHIP.read_bytes()
    modules = {name: mapped if source == chip else source for name, source in modules.items()}
    for name, source in (*modules.items(), ("file_block_device.py", chip)):
        target = Path(folder.name, name).with_suffix(".mpy")
        target.write_bytes(compiled(source, name, "-march=x64"))
    return Path(folder.name)


def main(line: int, package_folder: str) -> None:
    """Fork a board for each request, until nobody can ask any more."""
    sys.path.append(package_folder)
    import ctypes
    import mmap

    import micropython_run

    libc = ctypes.CDLL(None)
    interrupt = ctypes.CDLL(micropython_run.__file__).mp_sched_keyboard_interrupt
    line = socket.socket(fileno=line)
    nursery = os.getpid()
    while True:
        length, descriptors, _, _ = socket.recv_fds(line, _LENGTH, 4)
        if not length:
            return
        request = b""
        while len(request) < int.from_bytes(length, "big"):
            request += line.recv(65536)
        pid = os.fork()
        if pid:
            handle = os.pidfd_open(pid)
            socket.send_fds(line, [str(pid).encode()], [handle])
            for descriptor in [handle, *descriptors]:
                os.close(descriptor)
            _bury()
            continue
        line.close()
        os.setsid()
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != nursery:
            return
        for number, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, number)
            os.close(descriptor)
        command, environment, folder = json.loads(request)
        os.environ.clear()
        os.environ.update(environment)
        with open(json.loads(environment["VIRTUAL_BOARD"])["flash"], "r+b") as file:
            flash = mmap.mmap(file.fileno(), 0)
        os.environ["FLASH_AT"] = str(ctypes.addressof(ctypes.c_char.from_buffer(flash)))
        os.chdir(folder)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        libc.signal(signal.SIGUSR1, interrupt)
        signal.siginterrupt(signal.SIGUSR1, True)
        os._exit(micropython_run.run_main(command))


def _bury() -> None:
    """Forget the boards that are gone."""
    try:
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
