"""The line to one board: mpremote's serial transport, with its troubles explained."""

from __future__ import annotations

import ast
import contextlib
import math
import struct
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace

from mpremote import transport_serial
from mpremote.transport import TransportError, TransportExecError

from tools.flash.board_watchdog import FEED, HAS_WATCHDOG
from tools.flash.errors import BusyError, FlashingError, LostError, RunsError
from tools.flash.prompt import enter_if_idle, reach_raw_repl, start_afresh
from tools.flash.read_ahead import ReadAhead
from tools.flash.troubles import restarted, why_not_open

# mpremote prints what it did not expect; here an error says it.
transport_serial.print = lambda *arguments: None
# It looks for an answer every 10 ms, and most are there sooner.
transport_serial.time = SimpleNamespace(
    monotonic=time.monotonic, sleep=lambda seconds: time.sleep(seconds / 10)
)

PROMPT = ">>> "
# Seconds: for a read, for a write, until a program that gives the port back has done so.
_READ_TIMEOUT = 1.0
_WRITE_TIMEOUT = 5.0
_OPENS_WITHIN = 1.0
_OPEN_AGAIN = 0.02
# Bytes of a file in one command: the board needs several times as much memory for it.
_CHUNK = 1536

_OPEN_FILE = "from binascii import a2b_base64 as d\nimport os\nf=open({0!r},'wb')\nw=f.write\n"
_CLOSE_FILE = "f.close()\nos.rename({0!r},{1!r})\n"

# What a board says that has restarted in the middle of a question.
_BEGAN_ANEW = (PROMPT.encode(), b"\nrst:0x", b"] firstboot ")


class Link:
    """A board at a serial port, with its program stopped, while in its `with` block.

    `may_stop`: false for a board that is asked only when it is at its prompt; RunsError says that
    it is not. `ends_within`: seconds after which no question is waited for any more. Raises
    FlashingError for everything that can go wrong, with what to do about it; the board's program
    starts again then, if it can.
    """

    def __init__(self, port: str, may_stop: bool = True, ends_within: float = math.inf):
        self.port = port
        self._ends = time.monotonic() + ends_within
        self._may_stop = may_stop
        self._transport: transport_serial.SerialTransport | None = None
        self._lines: deque[str] = deque()
        self._begun_line = b""
        self._feed = ""

    def __enter__(self) -> Link:
        self._transport = self._open()
        try:
            self._transport.serial = ReadAhead(self._transport.serial)
            self._transport.serial.write_timeout = _WRITE_TIMEOUT
            self._stop_program()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, *exception) -> None:
        if kind and issubclass(kind, FlashingError):
            with contextlib.suppress(FlashingError):
                self.start()
        self.close()

    def close(self) -> None:
        """Give the port back."""
        if self._transport:
            with contextlib.suppress(OSError):
                if self._transport.in_raw_repl:
                    self._transport.exit_raw_repl()
            with contextlib.suppress(OSError):
                self._transport.close()
            with contextlib.suppress(OSError):
                self._transport.serial.close()  # mpremote leaves it open when the cable is gone
            self._transport = None

    @property
    def transport(self) -> transport_serial.SerialTransport:
        """mpremote's own."""
        return self._transport

    def run(self, source: str, timeout: float = 10.0, at_most: float = 60.0) -> str:
        """Run MicroPython on the board and return what it prints.

        `timeout`: the longest silence; `at_most`: how long all of it may take, both in seconds.
        """
        with self._explained():
            self._transport.exec_raw_no_follow(self._feed + source)
            printed, raised = (self._read_to_end(timeout, at_most) for _ in range(2))
            if raised:
                raise TransportExecError(printed, raised.decode(errors="replace"))
            return printed.decode(errors="replace")

    def value(self, source: str, timeout: float = 10.0):
        """Run MicroPython that prints one literal, and return its value."""
        printed = self.run(source, timeout)
        try:
            return ast.literal_eval(printed.strip())
        except (ValueError, SyntaxError):
            raise self._lost("the board answered with something else") from None

    def read(self, path: str) -> bytes:
        """A file's content."""
        with self._explained():
            return bytes(self._transport.fs_readfile(path, chunk_size=1024))

    def put(self, path: str, content: bytes, on_bytes: Callable[[int], None] = lambda n: None):
        """Write a file under another name and rename it. `on_bytes`: told of each piece written."""
        temporary = path + ".new"
        source = _OPEN_FILE.format(temporary)
        for start in range(0, len(content), _CHUNK):
            piece = content[start : start + _CHUNK]
            source += f"w(d({b64encode(piece)!r}))\n"
            if start + _CHUNK < len(content):
                self.run(source)
                source = ""
            on_bytes(len(piece))
        self.run(source + _CLOSE_FILE.format(temporary, path))

    def start(self) -> None:
        """Soft-reset the board, so that boot.py and main.py run."""
        with self._explained():
            self._transport.serial.write(b"\r\x03")
            self._transport.exit_raw_repl()
            self._transport.read_until(1, PROMPT.encode(), timeout=2, timeout_overall=2)
            self._transport.serial.write(b"\x04")

    def lines(self, timeout: float) -> Iterator[str]:
        """The console's lines until `timeout` seconds are over or the program has ended.

        The last one is PROMPT when the program ended.
        """
        deadline = time.monotonic() + timeout
        while True:
            while self._lines:
                yield self._lines.popleft()
            if self._begun_line.endswith(PROMPT.encode()):
                yield PROMPT
                return
            if time.monotonic() > deadline:
                return
            with self._explained():
                text = self._transport.serial.read(self._transport.serial.in_waiting)
            if not text:
                time.sleep(0.01)
                continue
            *whole, self._begun_line = (self._begun_line + text).split(b"\n")
            lines = (line.decode(errors="replace").strip("\r") for line in whole)
            self._lines.extend(line for line in lines if line)

    def _open(self) -> transport_serial.SerialTransport:
        deadline = time.monotonic() + _OPENS_WITHIN
        while True:
            try:
                return transport_serial.SerialTransport(self.port, timeout=_READ_TIMEOUT)
            except (TransportError, OSError, ValueError):
                trouble = why_not_open(self.port) or self._lost("the port cannot be opened")
            if not isinstance(trouble, (BusyError, LostError)) or time.monotonic() > deadline:
                raise trouble
            time.sleep(_OPEN_AGAIN)

    def _stop_program(self) -> None:
        with self._explained():
            if not self._may_stop:
                if not enter_if_idle(self._transport):
                    raise RunsError(f"{self.port}: it runs a program", "Name it with --port")
                return
            try:
                self._settle()
            except LostError:
                self._settle()  # what was typed to reach it came too late, into the first question

    def _settle(self) -> None:
        reach_raw_repl(self._transport, self.port)
        self._keep_watchdog()
        start_afresh(self._transport, self.port)
        self._keep_watchdog()

    def _keep_watchdog(self) -> None:
        """A watchdog outlives its program: where there is one, every run feeds it."""
        self._feed = ""
        if self.value(HAS_WATCHDOG):
            self._feed = FEED

    def _read_to_end(self, timeout: float, at_most: float) -> bytes:
        deadline = min(time.monotonic() + at_most, self._ends)
        heard = bytearray()

        def hear(byte: bytes) -> None:
            heard.extend(byte)
            if time.monotonic() > deadline or heard.endswith(_BEGAN_ANEW):
                raise restarted(self.port)

        left = max(0.0, deadline - time.monotonic())
        end = self._transport.read_until(1, b"\x04", timeout, hear, left)
        if end != b"\x04":
            raise restarted(self.port)
        return bytes(heard[:-1])

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except TransportExecError as error:
            raise self._refused_by_board(error.error_output) from None
        except TransportError:
            raise self._lost("the board stopped answering") from None
        except (OSError, struct.error, TypeError, AttributeError) as error:
            if isinstance(error, (TypeError, AttributeError)) and self._transport is None:
                raise
            raise self._lost("the connection broke off") from None

    def _lost(self, what: str) -> LostError:
        return LostError(
            f"{self.port}: {what}",
            "Check the cable, plug the board in again and run the same command: it goes on "
            "where it stopped",
        )

    def _refused_by_board(self, traceback: str) -> FlashingError:
        said = (traceback.strip().splitlines() or ["nothing"])[-1]
        if "ENOSPC" in said or said == "OSError: 28":
            return FlashingError(
                f"{self.port}: the board's flash is full",
                f"Remove files that you need no more, for example with: mpremote connect "
                f"{self.port} rm :FILE",
            )
        if "MemoryError" in said:
            fix = "Press the board's reset button and run the same command again"
        else:
            fix = "Run the same command again; if this stays, install MicroPython anew"
        return FlashingError(f"{self.port}: MicroPython on the board says {said}", fix)
