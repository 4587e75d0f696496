"""What the tests of the virtual board share: a small flash to power boards up from."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from tools.virtual_board.board import Outcome, VirtualBoard
from tools.virtual_board.boards import KINDS
from tools.virtual_board.flash import put_on_flash
from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.scenario import Scenario

CONFIG = {"wifi": {"ssid": "home", "password": "correct horse"}}
NO_MICROPYTHON = find_micropython().why
needs_micropython = pytest.mark.skipif(bool(NO_MICROPYTHON), reason=NO_MICROPYTHON or "-")
both_kinds = pytest.mark.parametrize("kind", sorted(KINDS))
both_runtimes = pytest.mark.parametrize(
    "runtime", [pytest.param("micropython", marks=needs_micropython), "cpython"]
)

# The start of a main.py that joins Wi-Fi with up().
UP = """
import network, select, socket, time
wlan = network.WLAN(network.STA_IF)

def up():
    wlan.active(True)
    wlan.connect("home", "correct horse")
    while not wlan.isconnected():
        time.sleep_ms(5)

def error_of(action, *arguments):
    try:
        return action(*arguments)
    except OSError as error:
        return error.errno
"""


class Bench:
    """Makes flashes with a small main.py and powers boards up from them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.flash = folder / "flash"
        self.source = folder / "source"

    def put(self, main: str, kind="esp32", runtime="micropython", boot="", files=(), **keys):
        for name, text in {"main.py": main, "boot.py": boot, **dict(files)}.items():
            file = self.source / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
        if self.flash.is_file():
            self.flash.unlink()  # it may be another kind's
        config = json.dumps(keys.pop("config", CONFIG)).encode()
        put_on_flash(self.flash, kind, runtime, config, source=self.source, **keys)

    def board(self, kind="esp32", runtime="micropython", on_line=lambda line: None, **scenario):
        return VirtualBoard(self.flash, kind, runtime, Scenario(**scenario), on_line)

    def play(
        self, main: str, kind="esp32", runtime="micropython", timeout=8, stay=False, **scenario
    ) -> Outcome:
        self.put(main, kind, runtime)
        return self.board(kind, runtime, **scenario).power_up(timeout, stay)
