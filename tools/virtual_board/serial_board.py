"""A virtual board at a serial port: mpremote, and any other tool, connects to it."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tools.virtual_board.board import settings_of
from tools.virtual_board.boards import KINDS
from tools.virtual_board.cable import Cable
from tools.virtual_board.flash import check_flash
from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.lock import locked
from tools.virtual_board.repl_console import ReplConsole, as_sent
from tools.virtual_board.repl_process import ReplProcess
from tools.virtual_board.scenario import Scenario

_SOFT_RESET = b"MPY: soft reboot\r\n"
_BOTH = ("boot.py", "main.py")
# Like a board on USB: what nobody reads holds a program up for so long, and is lost then.
_UNREAD_S = 0.5
_UNREAD_BYTES_MAX = 4096
_LOOK_S = 0.01
_RETRY_S = 0.001


class SerialBoard:
    """The board of `kind` on `flash`, at the serial port `link`, powered up while in its context.

    `id` is its unique id in hex. Programs run, and the board resets, in a thread of this process.
    Raises FlashError, ValueError and RuntimeError as VirtualBoard does.
    """

    def __init__(
        self,
        flash: Path,
        kind: str = "esp32",
        link: Path = Path("board"),
        scenario: Scenario | None = None,
        id: str | None = None,
    ):
        if kind not in KINDS:
            raise ValueError(f"no virtual board {kind!r}")
        if find_micropython().command is None:
            raise RuntimeError(f"no MicroPython to play the board: {find_micropython().why}")
        self.flash = Path(flash).absolute()
        self.kind = kind
        self.link = Path(link).absolute()
        self.received = 0
        self.resets: list[str] = []
        self._scenario = Scenario(**{**(scenario or {}), **({"id": id} if id else {})})
        check_flash(self.flash, kind, "micropython")
        self._cable: Cable | None = None
        self._process: ReplProcess | None = None
        self._console = ReplConsole(is_raw=False)
        self._power = contextlib.ExitStack()
        self._lock = threading.RLock()
        self._wake_read, self._wake_write = os.pipe()
        self._typed = bytearray()
        self._unread = b""
        self._last_sent = b""
        self._unread_since = 0.0
        self._at: tuple[int, Callable[[], None]] | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="serial board")

    def __enter__(self) -> SerialBoard:
        self.plug_in()
        self.power_on()
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._is_closed = True
        self._wake()
        self._thread.join()
        self.cut_power()
        self.pull_cable()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def plug_in(self) -> None:
        """Connect the serial cable: `link` is there."""
        with self._lock:
            if self._cable is None:
                self._cable = Cable(self.link)
        self._wake()

    def pull_cable(self) -> None:
        """Pull the serial cable: `link` is gone. The board goes on."""
        with self._lock:
            if self._cable:
                self._cable.pull()
            self._cable = None
            self._typed.clear()
            self._unread = b""

    def power_on(self) -> None:
        """Power up. Raises FlashError when another board has the flash."""
        with self._lock:
            if self._process is None:
                self._descriptor = self._power.enter_context(locked(self.flash))
                self._begin({"cause": "power"}, is_raw=False)
        self._wake()

    def cut_power(self) -> None:
        """Cut the power at once. The port stays, and says nothing."""
        with self._lock:
            if self._process:
                self._process.end()
            self._process = None
            self._typed.clear()
            self._power.close()

    def at_byte(self, count: int, action: Callable[[], None]) -> None:
        """Call `action`, such as cut_power, once `count` more bytes have been received."""
        with self._lock:
            self._at = (self.received + count, action)

    def _begin(self, reset: dict, is_raw: bool) -> None:
        is_soft = reset["cause"] == "soft"
        files = ("boot.py",) if is_soft and is_raw else _BOTH
        settings = settings_of(self.flash, self.kind, self._scenario, reset, True, files)
        self._console = ReplConsole(is_raw and is_soft)
        self._process = ReplProcess(settings, self._descriptor)
        if is_raw and is_soft:
            self._process.type(b"\x01")

    def _run(self) -> None:
        while not self._is_closed:
            with self._lock:
                is_busy = self._turn()
                poll, wait_s = self._poll(is_busy)
            if any(descriptor == self._wake_read for descriptor, _ in poll.poll(wait_s * 1000)):
                os.read(self._wake_read, 64)

    def _poll(self, is_busy: bool):
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        wait_s = 1.0
        if self._process:
            poll.register(self._process.events, select.POLLIN)
            if len(self._unread) < _UNREAD_BYTES_MAX:
                poll.register(self._process.console, select.POLLIN)
        if self._cable and self._cable.is_open():
            poll.register(
                self._cable.descriptor, select.POLLIN | (select.POLLOUT if self._unread else 0)
            )
        else:
            wait_s = _LOOK_S
        if self._unread:
            wait_s = _LOOK_S
        return poll, _RETRY_S if is_busy else wait_s

    def _turn(self) -> bool:
        """Move what can be moved; whether something typed waits for the board."""
        self._receive()
        if self._process:
            del self._typed[: self._process.type(bytes(self._typed))]
        if self._process:
            self._follow(self._process)
        self._send()
        return bool(self._typed)

    def _receive(self) -> None:
        received = self._cable.read() if self._cable else b""
        if self._at and self.received + len(received) >= self._at[0]:
            count, action = self._at
            self._at = None
            self._typed += received[: count - self.received]
            self.received = count
            self._give_all()
            action()
            return
        self.received += len(received)
        if self._process:
            self._typed += received

    def _give_all(self) -> None:
        deadline = time.monotonic() + _UNREAD_S
        while self._process and self._typed and time.monotonic() < deadline:
            del self._typed[: self._process.type(bytes(self._typed))]

    def _follow(self, process: ReplProcess) -> None:
        output: bytes | None = b""
        if len(self._unread) < _UNREAD_BYTES_MAX:
            output = process.read_console()
            self._say(self._console.feed(output or b""))
        reset = next((event for event in process.read_events() if event["event"] == "reset"), None)
        if reset is None and output is None:
            is_soft = process.exit_code() >= 0
            reset = {"cause": "soft" if is_soft else "hard"}
        if reset:
            while output:
                output = process.read_console()
                self._say(self._console.feed(output or b""))
            process.end()
            if reset["cause"] == "soft":
                self._say(_SOFT_RESET)
            self.resets.append(reset["cause"])
            self._begin(reset, self._console.is_raw)

    def _say(self, text: bytes) -> None:
        if text:
            if not self._unread:
                self._unread_since = time.monotonic()
            self._unread += as_sent(text, self._last_sent)
            self._last_sent = text[-1:]

    def _send(self) -> None:
        if not self._unread:
            return
        if self._cable is None or not self._cable.is_open():
            self._unread = b""
            return
        sent = self._cable.write(self._unread)
        if sent:
            self._unread = self._unread[sent:]
            self._unread_since = time.monotonic()
        elif time.monotonic() - self._unread_since > _UNREAD_S:
            self._unread = b""

    def _wake(self) -> None:
        os.write(self._wake_write, b"\0")
