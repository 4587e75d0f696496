"""A board's process: start it, follow its console and its events, take its power away."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tools.virtual_board.interpreter import find_micropython

_HERE = Path(__file__).resolve().parent
RECORD_SEPARATOR = b"\x1e"
_LINE_BYTES_MAX = 65536


class BoardProcess:
    """One life of a board, from power-up to reset, power cut or the end of main.py.

    Its output is always read, whether or not anyone asks for it.
    """

    def __init__(self, runtime: str, settings: Mapping[str, Any], lock: int):
        self._messages: queue.Queue = queue.Queue()
        self._process = start(runtime, settings, lock)
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_console, self._process.stdout),
                (self._read_events, self._process.stderr),
            )
        ]
        self._open_streams = len(self._readers)
        for reader in self._readers:
            reader.start()

    def next(self, deadline: float | None) -> str | dict | None:
        """The next console line (str) or event (dict); None when there will be no more.

        Raises queue.Empty once time.monotonic() reaches `deadline`.
        """
        while self._open_streams:
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            message = self._messages.get(timeout=wait)
            if message is not None:
                return message
            self._open_streams -= 1
        return None

    def interrupt(self) -> None:
        """Press Ctrl-C on the serial console."""
        self._process.send_signal(signal.SIGINT)

    def cut_power(self) -> None:
        """End it at once; nothing more is written to flash."""
        self._process.kill()

    def limit_memory(self, more: int) -> None:
        """Let the process have so many bytes more, and never again any beyond them."""
        import resource  # Windows has none

        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        has = int(status.partition("VmData:")[2].split()[0]) * 1024
        resource.prlimit(self._process.pid, resource.RLIMIT_DATA, (has + more,) * 2)

    def close(self) -> None:
        """Cut the power and wait until the process is gone."""
        self.cut_power()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        self._process.stdin.close()

    def _read_console(self, stream: IO[bytes]) -> None:
        with stream:
            for line in iter(lambda: stream.readline(_LINE_BYTES_MAX), b""):
                self._messages.put(_text(line))
        self._messages.put(None)

    def _read_events(self, stream: IO[bytes]) -> None:
        with stream:
            for line in iter(lambda: stream.readline(_LINE_BYTES_MAX), b""):
                text, separator, event = line.partition(RECORD_SEPARATOR)
                if text:
                    self._messages.put(_text(text))
                if separator:
                    self._messages.put(json.loads(event))
        self._messages.put(None)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


def start(
    runtime: str, settings: Mapping[str, Any], lock: int, pipesize: int = -1, **environment: str
) -> subprocess.Popen:
    """Start the process that plays a board; it dies with this one. `pipesize`: Popen's."""
    if runtime == "cpython":
        command = [sys.executable, "-u", "-X", "utf8", str(_HERE / "cpython.py")]
    else:
        micropython = find_micropython()
        command = [sys.executable, "-I", "-S", str(_HERE / "leash.py"), str(os.getpid())]
        command += [micropython.package_folder, micropython.command, str(_HERE / "rom" / "rom.py")]
    settings = {**settings, "supervisor": os.getpid()}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pipesize=pipesize,
        env={
            **os.environ,
            **environment,
            "VIRTUAL_BOARD": json.dumps(settings, ensure_ascii=False),
        },
        pass_fds=(lock,) if os.name == "posix" else (),
        start_new_session=True,  # Ctrl-C in a terminal is the supervisor's, not the board's
    )
