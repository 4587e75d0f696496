"""What the tests of flashing share: virtual boards at serial ports, and a ThingsBoard."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import serial

from host_tests.power_up_bench import KEY, PASSWORD, SECRET, config_for
from host_tests.processes import BARE
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.flash import board as flashing
from tools.flash import content
from tools.flash.board import Job, Progress, Result
from tools.virtual_board.boards import KINDS
from tools.virtual_board.errors import NotOnFlash
from tools.virtual_board.flash import LITTLEFS, PROJECT, make_blank, put_on_flash, read_file
from tools.virtual_board.scenario import Scenario
from tools.virtual_board.serial_board import SerialBoard

NETWORK = {"ssid": "home", "password": PASSWORD, "delay_ms": 0}
FIRMWARE = content.firmware()
_MODULES = {
    path[1:]: content for path, content in FIRMWARE.items() if path.startswith("/firmware/")
}
# A boot.py as MicroPython's tutorial has it, of a network that is not there.
DO_CONNECT = b"""
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("nowhere", "password")
print("connecting to network...")
while not wlan.isconnected():
    time.sleep_ms(10)
"""


class Heard(Progress):
    """Keeps what it hears."""

    def __init__(self, port: str = ""):
        self.steps: list[str] = []
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.written = 0

    def on_step(self, text: str) -> None:
        self.steps.append(text)

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)

    def on_bytes(self, size: int) -> None:
        self.written += size

    def on_line(self, line: str) -> None:
        self.lines.append(line)


class Desk:
    """Blank boards on a desk, and a ThingsBoard; in its `with` block they have power.

    `has_firmware`: boards have the firmware's modules already, and nothing that starts them.
    """

    def __init__(self, folder: Path, has_firmware: bool = False):
        self.folder = folder
        self.has_firmware = has_firmware
        self.thingsboard = ThingsBoard(KEY, SECRET)
        self.server = FakeThingsBoard(self.thingsboard)
        self.boards: list[SerialBoard] = []
        self.heard = Heard()
        self._stack = ExitStack()

    def __enter__(self) -> Desk:
        self._stack.enter_context(self.server)
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    def board(
        self, kind: str = "esp32", file_system: str = LITTLEFS, **scenario: Any
    ) -> SerialBoard:
        """One more board."""
        number = len(self.boards)
        flash = self.folder / f"{number}.img"
        if self.has_firmware:
            files = dict(KINDS[kind].files_when_new)
            put_on_flash(flash, kind, "micropython", None, None, _MODULES, files, file_system)
        else:
            make_blank(flash, kind, file_system)
        scenario = Scenario(**{"networks": [NETWORK], **scenario})
        board = SerialBoard(flash, kind, self.folder / f"port{number}", scenario)
        self.boards.append(self._stack.enter_context(board))
        self.wait_for_prompt(board)
        return board

    def wait_for_prompt(self, board: SerialBoard) -> None:
        """Wait until a board with nothing to run has started."""
        with serial.Serial(str(board.link), timeout=5) as port:
            port.write(b"\r")  # its first prompt may have come before anyone listened
            port.read_until(b">>> ")

    def config(self, **changes: Any) -> bytes:
        return json.dumps(config_for(self.server.uri, **changes)).encode()

    def flash(self, board: SerialBoard, config: bytes | None = None, **job: Any) -> Result:
        """Flash a board with the tool's own parts; what it said is in `heard`."""
        self.heard = Heard()
        job = Job(**{"config": config or self.config(), "firmware": FIRMWARE, "timeout": 10, **job})
        return flashing.flash(str(board.link), job, self.heard)

    def tools(self, verb: str, *arguments: Any, **options: Any) -> subprocess.CompletedProcess:
        """Run a verb; its config.json is `config`'s."""
        path = self.folder / "config.json"
        if not path.exists():
            path.write_bytes(self.config())
        return subprocess.run(
            [sys.executable, "-c", "from tools.cli import main; main()", verb]
            + [str(each) for each in arguments],
            **{"cwd": self.folder, "stdin": subprocess.DEVNULL, "capture_output": True, **options},
            env=BARE | {"PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
            timeout=60,
        )

    def read(self, board: SerialBoard, path: str) -> bytes | None:
        """A file on a board's flash, or None."""
        try:
            return read_file(board.flash, path)
        except NotOnFlash:
            return None
