"""A board whose heap does not suffice: it never ends at the prompt, and loses no token."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from host_tests.compiled import compiled
from host_tests.power_up_bench import config_for
from host_tests.virtual_bench import NO_MICROPYTHON, needs_micropython
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.measure.bench import Bench, bench
from tools.virtual_board.errors import NotOnFlash
from tools.virtual_board.flash import put_on_flash, read_file

pytestmark = needs_micropython

NAME = "sensor-001122334455"  # of tools/measure/scripts/thin_board.py
FOREIGN = "token-of-another-device"
ALL = 160 * 1024
# Beside what stands in for the board's ROM.
ENOUGH = 96 * 1024
MORE = 112 * 1024
# From the least in which main.py can load firmware.application, to more than is needed.
POWER_UP = range(8 * 1024, 56 * 1024, 1024)
REFUSAL = range(24 * 1024, 72 * 1024, 2048)
# From the least in which the application's `run` begins.
DEVICE = range(57 * 1024, 80 * 1024, 512)
TIME_OUT = 20  # s
ENDS, WAITS, RESTARTS = "ends", "waits", "restarts"

APP = b"""
import time

from firmware.device import Device


def run(credentials):
    device = Device(credentials)
    print("working")
    for number in range(6):
        print("all sent" if device.send_telemetry({"reading": number}) else "kept")
        time.sleep(60)
        device.wait(0)
    print("worked")
"""

# While it sends, the heap has but one piece left, from nothing to more than sending takes.
READINGS = 150
GREEDY = b"""
import time

from firmware.device import Device


def take_all():
    taken = [None]
    try:
        while True:
            taken = [taken]
    except MemoryError:
        return taken


def give_back(taken, pieces):
    # One by one, since the stack may still have one of them.
    while taken and pieces:
        taken[0], taken = None, taken[0]
        pieces -= 1
    return taken


def run(credentials):
    device = Device(credentials)
    device.on_state(lambda state, text: print("state:", state, text))
    for left in range(50):
        one = {"reading": left}
        two = [{"values": {"reading": left + 1}}, {"values": {"reading": left + 2}}]
        taken = give_back(take_all(), left)
        device.send_telemetry(one)
        device.send_telemetry(two)
        device.send_attributes(one)
        device.wait(0)
        give_back(taken, -1)
    time.sleep(300)
    device.wait(0)
    print("worked:", device.dropped, "dropped,", device.waiting, "wait")
"""

# Runs out of memory, gives some of it back, and keeps the rest, as an application's globals do.
HUNGRY = b"""
taken = [None]


%s run(credentials):
    global taken
    try:
        while True:
            taken = [taken]
    except MemoryError:
        for _ in range(%d):
            taken = taken[0]
        raise
"""


@pytest.fixture(scope="module")
def scripts():
    if NO_MICROPYTHON:
        pytest.skip(NO_MICROPYTHON)
    with bench() as found:
        yield found


class Lives:
    """A board's lives, each in a heap of its own, from flashes as `new` is."""

    def __init__(
        self,
        scripts: Bench,
        folder: Path,
        server: FakeThingsBoard,
        app: bytes = b"def run(c): 0",
        **keys: object,
    ):
        self.scripts, self.server = scripts, server
        self.new, self.flash = folder / "new", folder / "flash"
        config = json.dumps(config_for(server.uri, **keys)).encode()
        put_on_flash(self.new, "esp32", "micropython", config, app, compiled())

    def begin(self) -> None:
        """Let the board be new."""
        shutil.copy(self.new, self.flash)

    def live(self, free: int) -> tuple[str, str]:
        """What the console says in one life with so many bytes free, and how it ended."""
        done = subprocess.run(
            self.scripts.command("short", self.flash, free, heap=ALL),
            cwd=self.scripts.folder,
            env=self.scripts.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIME_OUT,
        )
        console, _, end = done.stdout.rstrip("\n").rpartition("\n")
        assert end in (ENDS, WAITS, RESTARTS), f"at the prompt with {free}:\n{done.stdout}"
        return console, end

    def saved(self, path: str) -> dict | None:
        """What a file on the flash says, None when there is none."""
        try:
            return json.loads(read_file(self.flash, path))
        except NotOnFlash:
            return None


def test_a_power_up_loses_nothing(scripts, tmp_path, server):
    lives = Lives(scripts, tmp_path, server)
    devices = server.thingsboard.devices
    ends = set()
    for free in POWER_UP:
        lives.begin()
        console, end = lives.live(free)
        credentials = lives.saved("/credentials.json")
        assert credentials or lives.saved("/attempt.json") or not devices
        assert end != ENDS or credentials, console
        assert end == ENDS or "MemoryError" in console, f"with {free}:\n{console}"
        ends.add((end, bool(devices)))
        given = {name: device.token for name, device in devices.items()}
        if end != ENDS:
            console, end = lives.live(ENOUGH)
        assert end == ENDS, f"after {free}:\n{console}"
        token = lives.saved("/credentials.json")["credentialsValue"]
        assert {NAME: token} == {name: device.token for name, device in devices.items()}
        assert given in ({}, {NAME: token}), free
        server.thingsboard.delete_device(NAME)
    assert {(RESTARTS, False), (RESTARTS, True), (ENDS, True)} <= ends


def test_a_refusal_is_said_or_the_board_restarts(scripts, tmp_path, server):
    lives = Lives(scripts, tmp_path, server)
    server.thingsboard.add_device(NAME, token=FOREIGN)
    ends = set()
    for free in REFUSAL:
        lives.begin()
        console, end = lives.live(free)
        assert end != ENDS, console
        assert "MemoryError" in console or "refused:" in console, f"with {free}:\n{console}"
        assert not lives.saved("/credentials.json")
        ends.add((end, "refused:" in console))
    console, end = lives.live(ENOUGH)
    assert (end, "refused:" in console) == (WAITS, True), console
    assert {(RESTARTS, False), (WAITS, True)} <= ends


def test_a_device_raises_nothing(scripts, tmp_path, server):
    lives = Lives(scripts, tmp_path, server, APP)
    lives.begin()
    assert lives.live(ENOUGH)[1] == ENDS
    shutil.copy(lives.flash, lives.new)
    found = set()
    for free in DEVICE:
        lives.begin()
        console, _ = lives.live(free)
        if "working" in console:
            assert "worked" in console, f"with {free}:\n{console}"
            found.add("kept" in console and "all sent" not in console)
    assert found == {False, True}


def test_a_reading_that_there_is_no_memory_for_is_dropped_and_told(scripts, tmp_path, server):
    lives = Lives(scripts, tmp_path, server, GREEDY)
    for free in range(MORE, MORE + 128, 32):
        lives.begin()
        console, end = lives.live(free)
        (device,) = server.thingsboard.devices.values()
        bodies = map(json.loads, device.telemetry)
        arrived = sum(len(body) if isinstance(body, list) else 1 for body in bodies)
        dropped = READINGS - arrived
        assert end == ENDS and 0 < dropped < READINGS
        assert f"worked: {dropped} dropped, 0 wait" in console
        assert f"telemetry dropped: {dropped} readings" in console
        server.thingsboard.delete_device(NAME)


@pytest.mark.parametrize("begins", [b"def", b"async def"])
@pytest.mark.parametrize("restart", [{}, {"restart_after_crash": 5}])
def test_an_application_that_runs_out_of_memory(scripts, tmp_path, server, begins, restart):
    """It ends as any that raises; when there is none to say so, the board restarts anyway."""
    ends = set()
    for pieces in range(0, 256, 16):
        lives = Lives(scripts, tmp_path, server, HUNGRY % (begins, pieces), **restart)
        lives.begin()
        console, end = lives.live(ENOUGH)
        assert "MemoryError" in console and "app.py" in console, console
        assert end == RESTARTS or "app.py raised MemoryError" in console, console
        ends.add(end)
        server.thingsboard.delete_device(NAME)
    assert ends == ({RESTARTS} if restart else {RESTARTS, ENDS})
