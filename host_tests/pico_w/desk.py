"""A World's board on a desk: at a serial port, with a ThingsBoard on this computer's loopback."""

from __future__ import annotations

import json
import mmap
import struct
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from host_tests.pico_w.world import SERVER, World
from host_tests.power_up_bench import config_for
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.pico_w.serial_board import AtAPort
from tools.set_up import ROOT
from tools.virtual_board.flash import make_blank

_PATIENCE_MS = 600_000  # of board time, for one command
_HEARD = "RP2040PY-GUEST"  # what a scan in rp2040py finds, whatever network is joined


class Desk:
    """`uri`: the server's, for both the board and the tools; `config`: a config.json for it."""

    def __init__(self, world: World, folder: Path):
        self.world = world
        self.folder = Path(folder)
        self.server = FakeThingsBoard(world.thingsboard)
        self._stack = ExitStack()

    def __enter__(self) -> Desk:
        self._stack.enter_context(self.server)
        self.uri = f"coap://{SERVER}:{self.server.port}"
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps(config_for(self.uri, wifi={"ssid": _HEARD})))
        clock = self.folder / "clock"
        clock.write_bytes(bytes(8))
        with open(clock, "r+b") as file:
            self._clock = mmap.mmap(file.fileno(), 8)
        self.port = self.folder / "port"
        self._line = AtAPort(self.world.machine, self.port, self.world.network)
        self._stack.callback(self._line.close)
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    def mpremote(self, *arguments: str) -> str:
        """Run mpremote's command line on the board; gives what it printed."""
        return self._run("mpremote.main:main", "connect", str(self.port), *arguments)

    def verb(self, verb: str, *arguments: str) -> str:
        """Run a verb of the tools at the board's port; gives what it printed."""
        return self._run("tools.cli:main", verb, "--port", str(self.port), *arguments)

    def _run(self, main: str, *arguments: str) -> str:
        """Run a tool's main on the board's clock; it has to end with 0."""
        machine = self.world.machine
        deadline = machine.ms + _PATIENCE_MS
        clock = "host_tests.pico_w.board_clock", str(self.folder / "clock")
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", *clock, main, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            try:
                while process.poll() is None and machine.ms < deadline:
                    self._clock[:8] = struct.pack("d", machine.ms / 1000)
                    self._line.step()
            finally:
                code = process.poll()
                process.kill()
                process.wait()
            said.seek(0)
            text = said.read()
        assert code == 0, f"{main} {arguments} ended with {code}:\n{text}"
        return text


def blank() -> bytes:
    """The flash of a board with nothing but MicroPython on it."""
    with tempfile.TemporaryDirectory() as folder:
        flash = Path(folder, "flash.img")
        make_blank(flash, "rp2")
        return flash.read_bytes()
