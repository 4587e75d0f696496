"""A virtual board without Wi-Fi, whose page whoever sees this opens in a browser."""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
from pathlib import Path

from tools.demo.config import config_for
from tools.demo.screen import Screen
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.program import INTERRUPTED
from tools.virtual_board.board import Outcome, VirtualBoard
from tools.virtual_board.flash import put_on_flash
from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.scenario import Scenario

_OPENS_WITHIN = 20.0  # seconds
_ENDS_WITHIN = 900.0
_PASSWORD = "demo-password"
_NETWORKS = [
    {"ssid": "demo", "password": _PASSWORD, "rssi": -47},
    {"ssid": "demo guests", "rssi": -62},
    {"ssid": "Café <b>Zoë</b> 🦊", "password": "somebody else's", "rssi": -71},
    {"ssid": "far away", "password": "somebody else's", "rssi": -84},
]


def show(screen: Screen | None = None, ends_within: float = _ENDS_WITHIN) -> int:
    """Run it until the board is provisioned, or for `ends_within` seconds; gives the exit code."""
    screen = screen or Screen(is_live=True)
    runtime = "micropython" if find_micropython().command else "cpython"
    thingsboard = ThingsBoard(key=secrets.token_hex(10), secret=secrets.token_hex(10))
    with (
        tempfile.TemporaryDirectory(prefix="firstboot-") as folder,
        FakeThingsBoard(thingsboard, log=screen.server) as server,
    ):
        flash = Path(folder, "flash")
        put_on_flash(flash, "esp32", runtime, _config(server.uri, thingsboard))
        scenario = Scenario(networks=_NETWORKS, scan_ms=1000)
        board = VirtualBoard(flash, "esp32", runtime, scenario, screen.board)
        screen.say(f"A new board without Wi-Fi. ThingsBoard is at {server.uri}.")
        return _follow(board, screen, ends_within)


def _follow(board: VirtualBoard, screen: Screen, ends_within: float) -> int:
    outcome = Outcome()
    # Not Thread.join, which Ctrl-C can leave with the thread taken for one that has ended.
    has_ended = threading.Event()

    def power_up() -> None:
        nonlocal outcome
        try:
            outcome = board.power_up(ends_within, stay=True)
        finally:
            has_ended.set()

    threading.Thread(target=power_up, daemon=True).start()
    try:
        port = board.ports.wait_for("tcp", 80, _OPENS_WITHIN)
        screen.say(
            f"\nOpen http://127.0.0.1:{port}/ in a browser: it is what a phone shows on the "
            f'board\'s own network.\nIt hears "demo", whose password is {_PASSWORD}, "demo guests" '
            "without one, and others. Ctrl-C ends it.\n"
        )
        has_ended.wait(ends_within)
    except KeyboardInterrupt:
        board.cut_power()
        has_ended.wait()
        screen.say("\nEnded; the board is gone.")
        return INTERRUPTED
    except TimeoutError as error:
        screen.say(str(error))
        return 1
    finally:
        board.cut_power()
        has_ended.wait()
    if outcome.exit_code:
        screen.say(f"The board was not provisioned ({outcome.ended}).")
        return 1
    screen.say("\nThe board is in the Wi-Fi, and provisioned.")
    return 0


def _config(uri: str, thingsboard: ThingsBoard) -> bytes:
    password = secrets.token_hex(5)
    config = json.loads(config_for(uri, thingsboard, onboarding=True, onboarding_password=password))
    del config["wifi"]
    return json.dumps(config).encode()
