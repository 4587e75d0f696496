"""One emulated Pico W over its power-ups, and a ThingsBoard in the same process and time.

Nothing here is a thread, a socket or this computer's clock, so that a fork is a second board with
a second ThingsBoard in the same state. Times are emulated board time, in ms.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host_tests.pico_w.board_clock import SERVER
from host_tests.power_up_bench import KEY, SECRET, config_for
from tools.fake_thingsboard.endpoint import Endpoint, Sending
from tools.fake_thingsboard.model import ThingsBoard
from tools.measure.pico_w import APP
from tools.pico_w.flash_chip import Operation
from tools.pico_w.flash_file import put_firmware
from tools.pico_w.machine import Machine
from tools.pico_w.network import Network, Peer
from tools.virtual_board.errors import NotOnFlash
from tools.virtual_board.flash import read_file

ID = bytes.fromhex("e66138528334ab21")
NAME = f"sensor-{ID.hex()}"
PROMPT = ">>> "
CTRL_C, CTRL_D = b"\x03", b"\x04"
PATIENCE = 300  # seconds of computing, for one wait of a test; forks have their own


class World:
    """`console`: what this life of the board printed. `answer`: who answers in ThingsBoard's
    place, called with (guest, server, datagram)."""

    def __init__(self, image: Path, seed: str = "Pico W"):
        chance = random.Random(seed)
        self.image = image
        self.thingsboard = ThingsBoard(KEY, SECRET, randbytes=chance.randbytes)
        self.endpoint = Endpoint(self.thingsboard)
        self.network = Network(self)
        self.answer: Callable[[Peer, Peer, bytes], None] | None = None
        self.console = ""
        self.machine: Machine | None = None
        self._getrandbits = chance.getrandbits
        self._ms_before = 0.0
        self._wanted = ""
        self._fork: tuple[Any, int] | None = None
        self._is_fork = False

    # The board

    def power_up(self, files: bytes) -> None:
        """Give power to the board with these files on its flash."""
        if self.machine:
            self._ms_before += self.machine.ms
        self.console = ""
        self.machine = Machine(
            self.image, files, ID, self.network, self._on_console, self._getrandbits
        )

    def restart(self, files: bytes | None = None) -> None:
        """Soft-reset the board, by Ctrl-C and Ctrl-D, with these files on its flash.

        What it sends before that is lost. Its radio stays on, which saves the boot of it.
        """
        fate, self.network.fate = self.network.fate, lambda way, number, datagram: []
        self.interrupt()
        self.network.fate = fate
        if files is not None:
            self.machine.files = files
        self.console = ""
        self.type(CTRL_D)

    def interrupt(self) -> None:
        """Press Ctrl-C and wait for the prompt."""
        self.console = self.console.replace(PROMPT, "")
        self.type(CTRL_C)
        self.until(PROMPT, 5_000)

    def leave(self) -> None:
        """Interrupt the board and have it leave its network; its next start joins anew."""
        self.interrupt()
        self.run("import network; network.WLAN(network.STA_IF).disconnect()")
        self.console = ""

    def type(self, text: bytes) -> None:
        self.machine.console.type(text)

    def run(self, code: str, ms: float = 60_000) -> str:
        """Run code in the raw REPL, at whose prompt the board is; gives what it prints."""
        self.start(code)
        output, errors = self.end(ms)
        assert not errors, errors
        return output

    def start(self, code: str) -> None:
        """Begin what `run` does."""
        self.console = ""
        self.type(b"\r\x01")
        self.until("raw REPL; CTRL-B to exit\r\n>", 5_000)
        self.console = ""
        self.type(code.encode() + CTRL_D)

    def end(self, ms: float) -> tuple[str, str]:
        """Wait until what was started ends; gives what it printed, and its traceback."""
        self.until("\x04>", ms)
        self.type(b"\x02")
        said = self.console.replace("\r\n", "\n").partition("OK")[2]
        output, errors, _ = said.split("\x04")
        return output, errors

    def until(self, text: str, ms: float = 120_000) -> None:
        """Let the board run until its console has `text`; fail when it has not within `ms`."""
        deadline, end = self.machine.ms + ms, time.process_time() + PATIENCE
        self._wanted = text
        while text not in self.console:
            assert self.machine.ms < deadline, f"no {text!r} in {ms:.0f} ms:\n{self.console}"
            self._step(deadline, end)
        self._wanted = ""

    def wait(self, ms: float) -> None:
        """Let the board run for so long."""
        deadline = self.machine.ms + ms
        while self.machine.ms < deadline:
            self._step(deadline, time.process_time() + PATIENCE)

    def _step(self, deadline: float, end: float) -> None:
        self.machine.after(max(deadline - self.machine.ms, 0.001), self.machine.pause)
        while True:
            assert time.process_time() < end, f"this took over {PATIENCE} s:\n{self.console}"
            self.machine.run()
            if self._fork:
                raise _InTheFork
            if self.machine.is_paused:
                return

    def _on_console(self, output: bytes) -> None:
        self.console += output.decode("utf-8", "replace")
        if self._wanted and self._wanted in self.console:
            self.machine.pause()

    # Power cuts

    def at_each_operation(
        self, wanted: Callable[[int, Operation], bool], until: str, action: Callable[..., Any]
    ) -> list[tuple[Operation, Any]]:
        """Run until the console has `until`; for each erase or program that is `wanted`, fork.

        The other board stops just before it, and `action(world, operation)` says what comes of
        that. Gives the operations and what was said.
        """
        said = []
        count = 0

        def on_operation(operation: Operation) -> None:
            nonlocal count
            count += 1
            if wanted(count, operation):
                self._cut(operation, said)

        chip = self.machine.flash_chip
        chip.on_operation = on_operation
        self._until_cut(until, action)
        chip.on_operation = lambda operation: None
        return said

    def at_moments(
        self, moments: list[float], until: str, action: Callable[..., Any]
    ) -> list[tuple[float, Any]]:
        """The same at moments, in ms from now."""
        said = []
        for moment in moments:
            self.machine.after(moment, lambda moment=moment: self._cut(moment, said))
        self._until_cut(until, action)
        return said

    def _cut(self, cut: Any, said: list) -> None:
        if not self._is_fork:
            result = self._forked(cut)
            if result is not None:
                said.append((cut, result))

    def _until_cut(self, until: str, action: Callable[..., Any]) -> None:
        try:
            self.until(until)
        except _InTheFork:
            cut, pipe = self._fork
            self._fork = None
            _answer(pipe, lambda: action(self, cut))

    def _forked(self, cut: Any) -> Any:
        """Fork; what the other one answers, None in the other one."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._is_fork = True
            self._fork = cut, writing
            self.machine.pause()
            return None
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        assert answer, f"the fork at {cut} died"
        is_right, result = pickle.loads(answer)
        assert is_right, f"cut at {cut}: {result}"
        return result

    # ThingsBoard

    @property
    def now(self) -> int:
        """Milliseconds since the first power-up."""
        return int(self._ms_before + self.machine.ms)

    def send(self, guest: Peer, server: Peer, datagram: bytes) -> None:
        """Take what the board sent (tools.pico_w.network.FarSide)."""
        if self.answer:
            self.answer(guest, server, datagram)
        else:
            self._transmit(server, self.endpoint.received(guest, datagram, self.now))

    def _transmit(self, server: Peer, sendings: list[Sending]) -> None:
        for each in sendings:
            self.network.answer(each.peer[1], server, each.datagram)
        if self.endpoint.wake_at is not None:
            self.machine.after(
                max(self.endpoint.wake_at - self.now, 1),
                lambda: self._transmit(server, self.endpoint.on_timer(self.now)),
            )

    # What is on the flash

    def read(self, path: str) -> bytes | None:
        """A file on the flash, or None."""
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder, "flash.img")
            image.write_bytes(self.machine.files)
            try:
                return read_file(image, path)
            except NotOnFlash:
                return None

    def check(self) -> None:
        """Both ends agree: one device, and its token saved."""
        saved = json.loads(self.read("/credentials.json") or b"null")
        (device,) = self.thingsboard.devices.values()
        assert saved and saved["credentialsValue"] == device.token, (saved, self.console)
        assert saved["deviceName"] == device.name == NAME
        assert device.provision_state == "provisioned"
        for path in ("/attempt.json", "/attempt.json.new", "/credentials.json.new"):
            assert self.read(path) is None, f"{path} is still there"
        assert device.token not in self.console and SECRET not in self.console


class _InTheFork(Exception):
    """This is the other board."""


def _answer(pipe: int, action: Callable[[], Any]) -> None:
    """Write what comes of `action` into a pipe, and end this process."""
    try:
        result = True, action()
    except BaseException as error:
        result = False, f"{type(error).__name__}: {error}"
    with os.fdopen(pipe, "wb") as file:
        file.write(pickle.dumps(result))
    os._exit(0)


def new_files(files: dict[str, bytes] | None = None, app: bytes = APP, **changes: Any) -> bytes:
    """A new board's flash with the firmware, an app.py and a config.json for `SERVER`."""
    server = changes.pop("server", f"coap://{SERVER}")
    config = json.dumps(config_for(server, **changes)).encode()
    with tempfile.TemporaryDirectory() as folder:
        flash = Path(folder, "flash.img")
        put_firmware(flash, config, app, files)
        return flash.read_bytes()
