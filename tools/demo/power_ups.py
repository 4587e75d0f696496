"""A virtual board's first and second power-up, and at work, with both ends of the wire in view."""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
import threading
from pathlib import Path

from tools.demo.config import config_for
from tools.demo.screen import Screen
from tools.fake_thingsboard import certificates
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.log import shorten
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.program import NAME
from tools.virtual_board.board import VirtualBoard
from tools.virtual_board.flash import put_on_flash, read_file
from tools.virtual_board.interpreter import find_micropython

_TIMEOUT = 30  # seconds for one power-up, which takes less than one
_PICO_W_SERVER = "10.0.0.1"  # what this computer is to an emulated board
_APP = b"""\
def run(credentials):
    print("app.py: hello from", credentials["deviceName"])
"""

_AT_WORK = b"""\
from firmware.device import Device

def set_relay(is_on):
    print("app.py: relay", "on" if is_on else "off")
    return {"on": is_on}

def run(credentials):
    device = Device(credentials)
    device.on_rpc("setRelay", set_relay)
    device.on_attributes(lambda values: print("app.py: attributes", values))
    device.send_telemetry({"temperature": 21.5})
    device.wait(60_000)
"""


def show(coaps: bool = False, image: Path | None = None, screen: Screen | None = None) -> int:
    """Run the demonstration; gives the exit code.

    `coaps`: over DTLS. `image`: on this MicroPython of a Pico W, in an emulator. `screen`: where
    it is shown, for another than the terminal.
    """
    screen = screen or Screen(is_live=image is not None)
    micropython = find_micropython()
    runtime = "micropython" if micropython.command else "cpython"
    if not (micropython.command or image):
        if coaps:
            screen.say(f"coaps needs MicroPython's DTLS: {micropython.why}.")
            return 1
        screen.say(f"The board runs on CPython: {micropython.why}.")
    thingsboard = ThingsBoard(key=secrets.token_hex(10), secret=secrets.token_hex(10))
    with (
        tempfile.TemporaryDirectory(prefix="firstboot-") as folder,
        FakeThingsBoard(thingsboard, log=screen.log, tell=screen.tell) as server,
        contextlib.ExitStack() as stack,
    ):
        flash = Path(folder, "flash")
        wire, files, more = server, {}, {}
        name = _PICO_W_SERVER if image else server.host
        if coaps:
            relay, files["ca.der"] = _secure(server, name, screen)
            wire = stack.enter_context(relay)
            more = {"ca": "ca.der"} if image else {"ca": "ca.der", "ntp": None}
        config = config_for(wire.uri.replace(server.host, name), thingsboard, **more)
        if image:
            board = _pico_w(flash, image, config, files, screen)
        else:
            put_on_flash(flash, "esp32", runtime, config, _APP, files=files)
            board = VirtualBoard(flash, "esp32", runtime, on_line=screen.board)

        screen.say(f"First power-up of a new board. ThingsBoard is at {wire.uri}.")
        outcome = board.power_up(_TIMEOUT, stay=True)
        screen.show()
        if outcome.exit_code:
            screen.say(f"The board was not provisioned ({outcome.ended}): see its last lines.")
            return 1
        received = len(wire.received)

        screen.say("\nSecond power-up of the same board.")
        outcome = board.power_up(_TIMEOUT, stay=True)
        screen.show()
        sent = len(wire.received) - received
        if outcome.exit_code or sent:
            screen.say(f"It should have sent nothing, and sent {_datagrams(sent)}.")
            return 1
        if not image:
            for name in ("credentials.json", "start.json"):
                files[name] = read_file(flash, f"/{name}")
            put_on_flash(flash, "esp32", runtime, config, _AT_WORK, files=files)
            screen.say("\nThe same board, with an application that reports and obeys.")
            if not _at_work(board, server, screen):
                screen.say("It should have obeyed: see its last lines.")
                return 1
        credentials = json.loads(read_file(flash, "/credentials.json"))
    credentials["credentialsValue"] = shorten(credentials["credentialsValue"])
    screen.say(
        f"\nAt its first power-up the board sent {_datagrams(received)}, at its second none.\n"
        f"On its flash, /credentials.json: {json.dumps(credentials, ensure_ascii=False)}\n"
        "Next: put it on your own board, as README.md shows, or play with a virtual one: "
        f"{NAME} power-up --help"
    )
    return 0


def _at_work(board: VirtualBoard, server: FakeThingsBoard, screen: Screen) -> bool:
    """Let ThingsBoard configure and call a board; whether it obeyed."""
    (name,) = server.thingsboard.devices
    operator = server.operator
    screen.is_told = True
    running = threading.Thread(target=board.power_up, args=(_TIMEOUT, True))
    running.start()
    try:
        devices = server.thingsboard.devices
        if not server.wait_until(lambda: devices[name].telemetry, _TIMEOUT):
            return False
        screen.server('a person sets the shared attribute "interval" to 5')
        operator.set_shared(name, {"interval": 5})
        screen.server("a person calls setRelay(true)")
        return server.call_rpc(name, "setRelay", True) == {"on": True}
    finally:
        board.cut_power()
        running.join()
        screen.show()


def _datagrams(number: int) -> str:
    return f"{number} datagram{'' if number == 1 else 's'}"


def _pico_w(flash: Path, image: Path, config: bytes, files: dict[str, bytes], screen: Screen):
    from tools.pico_w.board import PicoW
    from tools.pico_w.flash_file import put_firmware

    put_firmware(flash, config, _APP, files)
    return PicoW(flash, image, screen.board)


def _secure(server: FakeThingsBoard, name: str, screen: Screen) -> tuple[DTLSRelay, bytes]:
    """DTLS in front of the server, and the certificate that the board knows it by, as `name`."""
    ca = certificates.new_ca(**certificates.LONG)
    issued = certificates.issue([name], ca, **certificates.LONG)
    upstream = server.host, server.port
    relay = DTLSRelay(
        upstream,
        issued.chain_pem,
        issued.key_pem,
        on_session=server.open_session,
        log=screen.server,
    )
    return relay, ca.der
