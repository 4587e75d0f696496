"""Updates over the air on a virtual board: one that is good, and one that is broken and goes."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.bundle import contents, format, keys
from tools.demo.config import config_for
from tools.demo.screen import Screen
from tools.fake_thingsboard.messages import parse_json
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.ota import Package
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.flash.slots import Slots
from tools.program import NAME
from tools.virtual_board.board import VirtualBoard
from tools.virtual_board.flash import put_on_flash, read_file
from tools.virtual_board.interpreter import find_micropython

_TITLE = "my-app"
_TIMEOUT = 30  # seconds for one version, which takes some 3
_TRIAL = 2  # seconds
_ENDS = ("UPDATED", "FAILED")
_APP = """\
from firmware.device import Device


def run(credentials):
    device = Device(credentials)
    while True:
        device.send_telemetry({{"version": {version}}})
        device.wait(1000)
{rest}"""
_BUG = '        raise RuntimeError("a bug in version {version}")\n'


class _Stage:
    """A board that runs in a thread of its own, and what ThingsBoard was told by it."""

    def __init__(self, board: VirtualBoard, thingsboard: ThingsBoard):
        self._board = board
        self._thingsboard = thingsboard
        self._thread = threading.Thread(target=board.power_up, args=(None, True), daemon=True)

    def __enter__(self) -> _Stage:
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._board.cut_power()
        self._thread.join()

    def told(self) -> Iterator[dict]:
        """All that the board has sent, one object after the other."""
        for device in list(self._thingsboard.devices.values()):
            for text in device.telemetry:
                body = parse_json(text.encode())
                for each in body if isinstance(body, list) else [body]:
                    yield each.get("values", each)

    def ends(self) -> list[str]:
        """How its updates have ended."""
        return [each["sw_state"] for each in self.told() if each.get("sw_state") in _ENDS]

    def states(self) -> list[str]:
        """What it told of updates: their states, and why one failed."""
        return [
            ": ".join([each["sw_state"], *([each["sw_error"]] if "sw_error" in each else [])])
            for each in self.told()
            if "sw_state" in each
        ]

    def wait(self, is_so: Callable[[], bool]) -> bool:
        """Wait until it is so; whether it is in time."""
        deadline = time.monotonic() + _TIMEOUT
        while not is_so():
            if time.monotonic() > deadline or not self._thread.is_alive():
                return False
            time.sleep(0.02)
        return True


def show(screen: Screen | None = None) -> int:
    """Run the demonstration; gives the exit code. `screen`: for another than the terminal."""
    screen = screen or Screen(is_live=True)
    micropython = find_micropython()
    if not micropython.command:
        screen.say(f"Updates are shown on MicroPython: {micropython.why}.")
        return 1
    thingsboard = ThingsBoard(key=secrets.token_hex(10), secret=secrets.token_hex(10))

    def tell(line: str) -> None:
        screen.put(time.monotonic(), "server", line)

    with (
        tempfile.TemporaryDirectory(prefix="firstboot-") as folder,
        FakeThingsBoard(thingsboard, tell=tell) as server,
    ):
        flash = Path(folder, "flash")
        key = keys.new_key(Path(folder, "key.pem"))
        update = {"key": keys.modulus(key), "trial": _TRIAL, "contact": 20, "spread": 1}
        config = config_for(server.uri, thingsboard, update=update)
        put_on_flash(flash, "esp32", "micropython", config, _app(1).encode())
        board = VirtualBoard(flash, "esp32", on_line=screen.board)
        screen.say(f"Version 1 of {_TITLE} is on a new board. ThingsBoard is at {server.uri}.")
        with _Stage(board, thingsboard) as stage:
            if not stage.wait(lambda: {"version": 1} in stage.told()):
                return _failed(screen, "version 1 does not run")
            for version, bug in ((2, ""), (3, _BUG)):
                package = _package(folder, version, bug, key)
                what = "with a bug in it" if bug else "signed"
                screen.say(
                    f"\nVersion {version}, {what}: {len(package.data):,} bytes, assigned to "
                    "the board in ThingsBoard."
                )
                server.operator.assign(None, package)
                end = "FAILED" if bug else "UPDATED"
                if not stage.wait(lambda end=end: end in stage.ends()):
                    return _failed(screen, f"version {version} was not {end}")
            stage.wait(lambda: list(stage.told())[-1] == {"version": 2})
            states = stage.states()
        places = Slots(read_file(flash, "/slots.json"))
    screen.say(f"\nWhat ThingsBoard was told: {', '.join(states)}.")
    for line in places.lines():
        screen.say(f"On its flash: {line}.")
    screen.say(f"Next: make a bundle of your own application: {NAME} bundle --help")
    return 0


def _failed(screen: Screen, what: str) -> int:
    screen.say(f"It should not be so: {what} within {_TIMEOUT} s; see the last lines.")
    return 1


def _app(version: int, bug: str = "") -> str:
    return _APP.format(version=version, rest=bug.format(version=version))


def _package(folder: str, version: int, bug: str, key) -> Package:
    path = Path(folder, "app.py")
    path.write_text(_app(version, bug), encoding="utf-8")
    files = tuple(contents.application(path))
    bundle = format.Bundle(title=_TITLE, version=str(version), files=files)
    return Package("sw", _TITLE, str(version), format.make(bundle, keys.signer(key)))
