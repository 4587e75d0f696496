"""A virtual board at a serial port: mpremote, and any other tool, connects to it."""

from __future__ import annotations

import contextlib
import math
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tools.virtual_board.board import settings_of
from tools.virtual_board.boards import KINDS
from tools.virtual_board.errors import NotOnFlash
from tools.virtual_board.flash import check_flash, read_file
from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.lock import locked
from tools.virtual_board.ports import Ports
from tools.virtual_board.repl_console import ReplConsole
from tools.virtual_board.repl_process import ReplProcess
from tools.virtual_board.scenario import Scenario
from tools.virtual_board.serial_line import SerialLine
from tools.virtual_board.watchdog import Watchdog

_CTRL_A = b"\x01"
_SOFT_RESET = b"MPY: soft reboot\r\n"
# What the ROM of an ESP32 says when it wakes.
_AWAKE = b"rst:0x5 (DEEPSLEEP_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
_RETRY_S = 0.001
_TAKE_S = 1.0


class SerialBoard:
    """The board of `kind` on `flash`, at the serial port `link`, powered up while in its context.

    It lives in a thread of this process. `id` is its unique id in hex. `received` counts the bytes
    that have come in, `resets` holds the cause of each reset, `ports` is as of VirtualBoard.
    Raises FlashError for what is no flash, ValueError for an unknown kind or id, RuntimeError where
    no such board can be.
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
        if sys.platform != "linux" or not find_micropython().package_folder:
            raise RuntimeError(
                "a virtual board at a serial port needs Linux and the MicroPython that "
                "tools/requirements.txt names"
            )
        if id is not None and len(bytes.fromhex(id)) != KINDS[kind].unique_id_size:
            raise ValueError(f"the id of {kind} has {KINDS[kind].unique_id_size} bytes, not {id}")
        self.flash = Path(flash).absolute()
        self.kind = kind
        self.link = Path(link).absolute()
        self.received = 0
        self.resets: list[str] = []
        self.ports = Ports(kind)
        self._scenario = Scenario(**{**(scenario or {}), **({"id": id} if id else {})})
        check_flash(self.flash, kind, "micropython")
        with contextlib.suppress(NotOnFlash):
            read_file(self.flash, "boot.py")
        self._line = SerialLine(self.link)
        self._process: ReplProcess | None = None
        self._flash_lock = -1
        self._console = ReplConsole(False, KINDS[kind].machine)
        self._watchdog = Watchdog()
        self._power = contextlib.ExitStack()
        self._typed = bytearray()
        self._at: tuple[int, Callable[[], None]] | None = None
        self._wakes: tuple[float, dict] | None = None
        self._is_waking = False
        self._is_over = False
        self._lock = threading.RLock()
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True, name="serial board")

    def __enter__(self) -> SerialBoard:
        self.power_on()
        try:
            self.plug_in()
        except RuntimeError:
            self.cut_power()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._is_over = True
        self._look()
        self._thread.join()
        self.cut_power()
        self.pull_cable()
        os.close(self._woken)
        os.close(self._wake)

    def plug_in(self) -> None:
        """Connect the serial cable: `link` is there."""
        with self._lock:
            self._line.plug_in()
        self._look()

    def pull_cable(self) -> None:
        """Pull the serial cable: `link` is gone. The board goes on."""
        with self._lock:
            self._line.pull()

    def power_on(self) -> None:
        """Power up. Raises FlashError when another board has the flash."""
        with self._lock:
            if self._process is None and self._wakes is None:
                self._flash_lock = self._power.enter_context(locked(self.flash))
                self._begin({"event": "reset", "cause": "power"})
        self._look()

    def cut_power(self) -> None:
        """Cut the power at once. The port stays, and says nothing."""
        with self._lock:
            if self._process:
                self._process.end()
                self.ports.end_life()
            self._process = self._wakes = None
            self._typed.clear()
            self._power.close()

    def at_byte(self, count: int, action: Callable[[], None]) -> None:
        """Call `action`, cut_power for example, once the board has read `count` more bytes."""
        with self._lock:
            self._at = (self.received + count, action)

    def _begin(self, reset: dict) -> None:
        """Begin a life. A soft reset in the raw REPL leads back to it, and leaves out main.py."""
        self._watchdog.follow(reset)
        self._is_waking = reset["cause"] == "deepsleep"
        stays_raw = reset["cause"] == "soft" and self._console.is_raw
        files = ("boot.py",) if stays_raw else ("boot.py", "main.py")
        settings = settings_of(
            self.flash, self.kind, self._scenario, reset, True, files, self.ports.known
        )
        self._console = ReplConsole(stays_raw, KINDS[self.kind].machine)
        self._process = ReplProcess(settings, self._flash_lock)
        self._typed[:0] = _CTRL_A if stays_raw else b""

    def _run(self) -> None:
        while not self._is_over:
            with self._lock:
                self._wake_up()
                self._receive()
                self._type()
                self._follow()
                self._line.send()
                poll, wait_s = self._what_to_wait_for()
            if any(descriptor == self._woken for descriptor, _ in poll.poll(wait_s * 1000)):
                os.read(self._woken, 64)

    def _look(self) -> None:
        os.write(self._wake, b"\0")

    def _what_to_wait_for(self) -> tuple[select.poll, float]:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        wait_s = self._line.watch(poll)
        if self._process:
            poll.register(self._process.events, select.POLLIN)
            if not self._line.is_full:
                poll.register(self._process.console, select.POLLIN)
        if self._typed:
            wait_s = _RETRY_S
        for at in (self._watchdog.fires, self._wakes and self._wakes[0]):
            if at is not None:
                wait_s = min(wait_s, max(0.0, at - time.monotonic()))
        return poll, wait_s

    def _wake_up(self) -> None:
        """From deep sleep: until MicroPython runs, nobody hears what is typed."""
        if self._wakes and time.monotonic() >= self._wakes[0]:
            _, reset = self._wakes
            self._wakes = None
            if self.kind == "esp32":
                self._line.say(_AWAKE)
            self._begin(reset)

    def _receive(self) -> None:
        received = self._line.receive()
        self.received += len(received)
        if self._process and (self._process.is_ready or not self._is_waking):
            self._typed += received
        if self._at and self.received >= self._at[0]:
            count, action = self._at
            self._at = None
            too_many = min(self.received - count, len(self._typed))
            kept = self._typed[len(self._typed) - too_many :]
            del self._typed[len(self._typed) - too_many :]
            self._let_it_read()
            action()
            if self._process:
                self._typed += kept

    def _type(self) -> None:
        if self._process:
            del self._typed[: self._process.type(bytes(self._typed))]

    def _let_it_read(self) -> None:
        deadline = time.monotonic() + _TAKE_S
        while self._process and time.monotonic() < deadline:
            self._type()
            if not self._typed and not self._process.has_unread():
                return

    def _follow(self) -> None:
        if self._process is None:
            return
        is_gone = not self._line.is_full and self._hear() is None
        reset = self._reset_told() or self._watchdog.reset()
        if reset is None and is_gone:
            reset = {"event": "reset", "cause": "hard"}  # it crashed
        if reset:
            while self._hear():
                pass
            self._process.end()
            self.ports.end_life()
            self.resets.append(reset["cause"])
            if reset["cause"] == "soft":
                self._line.say(_SOFT_RESET)
            if reset["cause"] == "deepsleep":
                # Without a time it sleeps until its power is cut; what is typed meanwhile is lost.
                ms = reset["after_ms"] or math.inf
                self._watchdog.follow(reset)
                self._typed.clear()
                self._process, self._wakes = None, (time.monotonic() + ms / 1000, reset)
            else:
                self._begin(reset)

    def _hear(self) -> bytes | None:
        output = self._process.read_console()
        self._line.say(self._console.feed(output or b""))
        return output

    def _reset_told(self) -> dict | None:
        resets = []
        for event in self._process.read_events():
            self._watchdog.follow(event)
            self.ports.follow(event)
            if event["event"] == "reset":
                resets.append(event)
        return resets[0] if resets else None
