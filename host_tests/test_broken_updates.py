"""Broken applications, taken as an update: the board comes back to the version before by itself.

On the virtual board, real MicroPython on a real littlefs, and in a hurry.
"""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import pytest

from host_tests.compiled import compiled
from host_tests.explorer.updates import STATES
from host_tests.firmware.updates import TITLE, Site, bundle
from host_tests.test_power_cuts import failing_power  # noqa: F401 - a fixture
from host_tests.virtual_bench import needs_micropython
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.ota import Package
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.virtual_board.board import VirtualBoard
from tools.virtual_board.boards import KINDS
from tools.virtual_board.flash import PROJECT, put_on_flash, read_file
from tools.virtual_board.scenario import Scenario

pytestmark = needs_micropython

TOKEN = "token-of-sensor-1"
HURRY = 10
# It says when ThingsBoard has been told what became of the new one; not while a button is held.
OLD = """
from machine import Pin
from time import sleep
from firmware.device import Device

def run(credentials):
    print("the old one runs")
    if not Pin(0, Pin.IN, Pin.PULL_UP).value():
        sleep(600)
    device = Device(credentials)
    while '"untold": null' not in open("/slots.json").read():
        device.wait(20)
    print("told")
    device.wait(60_000)
"""
START = "import gc, machine, os, time\nfrom firmware.device import Device\n"
RUN = START + "\ndef run(credentials):\n    print('the new one runs')\n"
CONTACT = RUN + "    device = Device(credentials)\n    device.send_telemetry({'t': 1})\n"
LOOP = "    while True:\n        time.sleep_ms(20)\n"
# Without a watchdog, and with one that nothing feeds.
HANGS = RUN + "    while True:\n        pass\n"
SLEEPS = RUN + "    while True:\n        time.sleep_ms(500)\n"
GONE = "its files are gone"
STARTS = "it did not prove itself in its starts"
LOST = "it has not reached ThingsBoard within 1"
LATER = "ThingsBoard has not answered when it was to be confirmed"
TAKES_ALL = """
kept = []

def run(credentials):
    while True:
        kept.append(bytearray(1000))
"""
HANGS_WITHOUT_MEMORY = """
kept = []

def run(credentials):
    size = 100_000
    while True:
        try:
            kept.append(bytearray(size))
        except MemoryError:
            size = max(1, size // 2)
"""
FILLS = """
    try:
        with open("/mine", "wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
    except OSError:
        pass
    number = 0
    try:
        while True:
            with open("/mine%d" % number, "wb") as file:
                file.write(b"x" * 400)
            number += 1
    except OSError:
        print("full")
"""
TAKES_TIMERS = """
import machine

for number in %s:
    try:
        machine.Timer(number).init(period=100, callback=lambda timer: None)
    except ValueError:
        # A Pico W has no numbers.
        machine.Timer(-1).init(period=100, callback=lambda timer: None)
"""
CANCELS = """
import asyncio

async def run(credentials):
    raise asyncio.CancelledError
"""
NO_TEXT = """
class NoText(Exception):
    def __str__(self):
        return 1 / 0
"""
DELETES = """
def remove(path):
    for name in os.listdir(path):
        if os.stat(path + "/" + name)[0] & 0x4000:
            remove(path + "/" + name)
        else:
            os.remove(path + "/" + name)
    os.rmdir(path)
"""


class Bench:
    """A board whose root has the old version, and whose slot has a new one, switched to."""

    def __init__(self, folder: Path, kind: str = "esp32"):
        self.flash = folder / "flash.img"
        self.kind = kind
        self.lines: list[str] = []
        self.server = FakeThingsBoard(ThingsBoard("key", "secret"))
        self.thingsboard = self.server.thingsboard
        self.thingsboard.add_device("sensor-1", token=TOKEN)

    def put(
        self,
        app: str,
        files=None,
        old=OLD,
        trial=60,
        contact=60,
        watchdog=None,
        others=None,
        is_proven=False,
    ) -> None:
        """`app`, `files`: the new version; `old`: the root's app.py; `others`: more in the root."""
        site = Site(trial=trial, contact=contact)
        own = {
            path: content if isinstance(content, bytes) else content.encode()
            for path, content in (files or {}).items()
        }
        site.update(bundle({"app.py": app.encode(), **own})).switch()
        if is_proven:
            site.state.confirm()
        on_flash = {
            path[1:]: content for path, content in site.folders.files.items() if content is not None
        }
        self.put_root(old, on_flash | (others or {}), watchdog)

    def firmware(self) -> dict[str, bytes]:
        """What is in the root besides, by path."""
        return compiled()

    def put_root(self, app: str, files: dict[str, bytes], watchdog=None, **update: int) -> None:
        """A board with this in its root; `update`: of its config.json."""
        credentials = {
            "server": self.server.uri,
            "deviceName": "sensor-1",
            "credentialsType": "ACCESS_TOKEN",
            "credentialsValue": TOKEN,
        }
        self.config = {
            "wifi": {"ssid": "home", "password": "correct horse"},
            "server": self.server.uri,
            "provisioning": {"deviceName": "sensor-1"},
            "update": update,
            "watchdog": watchdog,
        }
        put_on_flash(
            self.flash,
            self.kind,
            "micropython",
            json.dumps(self.config).encode(),
            app.encode(),
            self.firmware(),
            {**files, "credentials.json": json.dumps(credentials).encode()},
        )

    def run(self, until: str, cut_after: float | None = None) -> list[str]:
        """Power up, and cut the power when the console says this, or after so many seconds.

        Gives the console. That the old one runs is all that it does then: a button is held.
        """
        lines = []

        def on_line(line):
            lines.append(line)
            if until in line:
                board.cut_power()

        pressed = {"0": [[0, 1 << 30]]} if until == "the old one runs" else {}
        scenario = Scenario(hurry=HURRY, pressed=pressed)
        board = VirtualBoard(self.flash, self.kind, scenario=scenario, on_line=on_line)
        timer = threading.Timer(cut_after or 60, board.cut_power)
        timer.start()
        outcome = board.power_up(timeout=60, stay=True)
        timer.cancel()
        assert cut_after or until in "\n".join(lines), "\n".join([outcome.ended, *lines])
        return lines

    def check_the_rest(self) -> None:
        """No update touches these."""
        assert json.loads(read_file(self.flash, "/config.json")) == self.config
        credentials = json.loads(read_file(self.flash, "/credentials.json"))
        assert credentials["credentialsValue"] == TOKEN

    def told(self, state: str) -> list[dict]:
        """What ThingsBoard has been told of updates with this state."""
        bodies = map(json.loads, self.thingsboard.devices["sensor-1"].telemetry)
        return [body for body in bodies if body.get("sw_state") == state]

    @property
    def state(self) -> dict:
        return json.loads(read_file(self.flash, "/slots.json"))


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    with bench.server:
        yield bench


# What it does, why it fails, and what else there is: see Bench.put. It depends on where the files
# are what there is still room for on a full flash.
BROKEN = {
    "a syntax error": ("def run(:", "SyntaxError", {}),
    "an exception at import": ("1 / 0", "ZeroDivisionError", {}),
    # Half of the trial, as an hour is of two.
    "an exception after an hour": (
        CONTACT + "    device.wait(20_000)\n    {}[credentials['credentialsValue']]\n",
        "KeyError: …",
        {"trial": 40},
    ),
    "it ends": (RUN, "app.py ended", {}),
    "no run": ("x = 1", "AttributeError", {}),
    "a module is missing": ("import my_sensor", "ImportError: no module named 'my_sensor'", {}),
    "an endless loop": (HANGS, LOST, {"contact": 1}),
    "a hang with a watchdog": (SLEEPS, STARTS, {"watchdog": 1}),
    "a reset loop": (RUN + "    machine.reset()", STARTS, {}),
    "a soft reset loop": (RUN + "    machine.soft_reset()", STARTS, {}),
    "all heap": (TAKES_ALL, "MemoryError", {}),
    "all heap, and hangs": (HANGS_WITHOUT_MEMORY, LOST, {"contact": 1}),
    "fills the flash": (RUN + FILLS + "    raise OSError(28)\n", ("OSError", GONE), {}),
    "fills the flash, and hangs": (RUN + FILLS + LOOP, (LOST, GONE), {"contact": 1}),
    "fills the flash, and resets": (
        RUN + FILLS + "    machine.reset()\n",
        ("cannot be noted", GONE, STARTS),
        {},
    ),
    "deletes its files": (
        START + DELETES + "def run(credentials):\n    remove('/a')\n    machine.reset()\n",
        GONE,
        {},
    ),
    "loses the Wi-Fi": (
        CONTACT + "    import network\n    network.WLAN(network.STA_IF).active(False)\n" + LOOP,
        LATER,
        {"trial": 10, "contact": 10},
    ),
    "never joins": (RUN + LOOP, LOST, {"contact": 1}),
    "takes an ESP32's last timer, and hangs": (TAKES_TIMERS % "(3,)" + HANGS, LOST, {"contact": 1}),
    "takes all timers, and waits": (
        TAKES_TIMERS % "range(4)"
        + "from firmware.board.hardware import Board\n"
        + RUN
        + "    Board().sleep(60_000)\n",
        LOST,
        {"contact": 1},
    ),
    "takes all timers, and hangs with a watchdog": (
        TAKES_TIMERS % "range(4)" + SLEEPS,
        STARTS,
        {"watchdog": 1},
    ),
    "ends the program": ("import sys\n" + RUN + "    sys.exit(1)\n", "SystemExit: 1", {}),
    "ends the program at import": ("raise SystemExit('no sensor')", "SystemExit: no sensor", {}),
    "cancels itself": (CANCELS, "CancelledError", {}),
    "catches all": (
        RUN
        + "    while True:\n        try:\n            1 / 0\n        except:\n            pass\n",
        LOST,
        {"contact": 1},
    ),
    "feeds a watchdog of its own, and no more": (
        RUN + "    watchdog = machine.WDT(timeout=3000)\n" + LOOP + "        watchdog.feed()\n",
        LOST,
        {"contact": 1},
    ),
    "closes the device": (
        CONTACT + "    device.close()\n" + LOOP,
        LATER,
        {"trial": 10, "contact": 10},
    ),
    "an exception that has no text": (NO_TEXT + RUN + "    raise NoText()\n", "NoText", {}),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("name", BROKEN)
def test_it_rolls_back(bench, name, kind):
    app, why, options = BROKEN[name]
    bench.kind = kind
    bench.put(app, **options)
    lines = bench.run("the old one runs")
    state = bench.state
    assert state["running"] == {"place": ""} and state["starts"] is None
    whys = (why,) if isinstance(why, str) else why
    assert any(each in state["failed"]["why"] for each in whys), (state["failed"], lines)
    assert (state["failed"]["version"], state["untold"]) == ("2", "FAILED")
    # And so it stays, and ThingsBoard is told, once.
    assert "the new one runs" not in bench.run("told")
    assert bench.told("FAILED") == [{"sw_state": "FAILED", "sw_error": state["failed"]["why"]}]
    bench.run("told")
    assert len(bench.told("FAILED")) == 1
    bench.check_the_rest()


def test_ctrl_c_gives_the_prompt_and_no_more(bench):
    """The trial goes on: each start is counted."""
    bench.put(RUN + "    raise KeyboardInterrupt\n")
    for left in range(4, -1, -1):
        assert "the old one runs" not in bench.run("KeyboardInterrupt")
        assert (bench.state["running"]["place"], bench.state["starts"]) == ("/a", left)
    bench.run("the old one runs")
    assert STARTS in bench.state["failed"]["why"]


WORKS = (
    (
        CONTACT
        + "    while True:\n        device.wait(50)\n        device.send_telemetry({'t': 1})\n"
    ),
    ("import in_lib\n" + RUN + "    Device(credentials).confirm_update()\n" + LOOP),
    (CONTACT + "    device.sleep(1000)\n"),
)


@pytest.mark.parametrize("app", WORKS, ids=["contact", "confirm_update", "deep sleep"])
def test_what_works_stays(bench, app):
    bench.put(app, {"lib/in_lib.py": b""}, trial=1, contact=60 if app != WORKS[1] else 10)
    lines = bench.run("update: my-app 2 is confirmed")
    assert lines.count("the new one runs") == 1
    state = bench.state
    assert (state["running"]["place"], state["starts"]) == ("/a", None)
    # It goes on until the power is off, and may have told it by then.
    told = "".join(bench.thingsboard.devices["sensor-1"].telemetry)
    assert state["untold"] == "UPDATED" or '"sw_state":"UPDATED"' in told
    lines = bench.run("the new one runs")
    assert not any("update:" in line for line in lines)
    bench.check_the_rest()


def test_what_is_confirmed_is_not_rolled_back_by_an_exception(bench):
    app = RUN + "    Device(credentials).confirm_update()\n    print(1 / 0)\n"
    bench.put(app)
    lines = bench.run("application: app.py raised ZeroDivisionError")
    assert "the new one runs" in lines
    assert "the new one runs" in bench.run("application: app.py raised ZeroDivisionError")
    assert (bench.state["running"]["place"], bench.state["failed"]) == ("/a", None)


def test_what_is_confirmed_may_end_the_program(bench):
    """Which starts it anew, as on any board."""
    bench.put("import sys\n" + RUN + "    sys.exit('as always')\n", is_proven=True)
    lines = bench.run("never said", cut_after=1)
    assert lines.count("the new one runs") > 1
    assert (bench.state["running"]["place"], bench.state["failed"]) == ("/a", None)


TAKES_THE_NEXT = """
import os, time
from firmware.board.hardware import Board
from firmware.update.install import Installation
from firmware.update.slots import State

def run(credentials):
    print("the old one runs")
    board = Board()
    state = State(board.storage)
    if state.found["failed"]["version"] == "2":
        with open("/next", "rb") as file:
            content = file.read()
        installation = Installation(board, {"key": None, "trial": 60, "contact": 60})
        installation.begin("my-app", "3", len(content), "x")
        installation.write(content)
        installation.switch()
        board.reset()
    print("both failed:", state.found["failed"]["version"])
    time.sleep(60)
"""


def test_two_broken_versions_in_a_row(bench):
    bench.put("1 / 0", old=TAKES_THE_NEXT, others={"next": bundle({"app.py": b"2 / 0"}, "3")})
    lines = bench.run("both failed: 3")
    assert lines.count("the old one runs") == 2
    assert bench.state["failed"]["version"] == "3"
    bench.check_the_rest()


BROKEN_FIRMWARE = {
    "a syntax error": ({"application.py": "def start(:"}, "SyntaxError"),
    "it is not whole": ({"application.py": "from firmware.board import x"}, "ImportError"),
    "it hangs": ({"application.py": "def begin(place, trial):\n while True: pass"}, LOST),
    "it ends": ({"application.py": "def begin(place, trial): pass"}, "app.py ended"),
    "no application": ({"errors.py": "x = 1"}, "ImportError"),
}


@pytest.mark.parametrize("name", BROKEN_FIRMWARE)
def test_broken_firmware_rolls_back(bench, name):
    files, why = BROKEN_FIRMWARE[name]
    files = {f"firmware/{path}": content for path, content in files.items()}
    bench.put(RUN + LOOP, files, contact=10)
    assert not any("the new one" in line for line in bench.run("the old one runs"))
    assert why in bench.state["failed"]["why"]
    bench.check_the_rest()


def test_firmware_of_its_own_runs_and_is_confirmed(bench):
    firmware = {
        name: content for name, content in compiled().items() if name.startswith("firmware/")
    }
    changed = "def marked(): return 'own firmware'\n"
    source = (PROJECT / "firmware" / "sleep.py").read_text() + changed
    del firmware["firmware/sleep.mpy"]
    app = RUN + "    from firmware.sleep import marked\n    print(marked())\n"
    bench.put(
        app + CONTACT.partition("runs')\n")[2] + WORKS[0].partition("'t': 1})\n")[2],
        {"firmware/sleep.py": source.encode(), **firmware},
        trial=1,
    )
    lines = bench.run("update: my-app 2 is confirmed")
    assert "own firmware" in lines
    assert "own firmware" in bench.run("own firmware")


def test_a_proven_version_that_is_damaged_gives_way(bench):
    """To what was before it: here an application deletes a module that it needs."""
    app = (
        "import needed\n"
        + RUN
        + "    Device(credentials).confirm_update()\n"
        + "    os.remove('/a/needed.py')\n    machine.reset()\n"
    )
    bench.put(app, {"needed.py": b"x = 1"})
    lines = bench.run("the old one runs")
    assert lines.count("the new one runs") == 1
    assert "ImportError: no module named 'needed'" in bench.state["failed"]["why"]


def test_a_proven_version_with_modules_named_as_micropython_s_gives_way(bench):
    files = {f"{name}.py": b"x = 1" for name in ("errno", "json", "machine", "os")}
    modules = "import errno, json, machine, os\n"
    bench.put(modules + "import missing", files, is_proven=True)
    bench.run("the old one runs")
    assert "ImportError: no module named 'missing'" in bench.state["failed"]["why"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"running": {"place": "/x"}}', b"\xff"])
def test_an_unreadable_state_runs_the_root(bench, content):
    bench.put(RUN + LOOP, others={"slots.json": content})
    assert "the new one runs" not in bench.run("the old one runs")


def test_a_rollback_may_be_cut(bench, failing_power):  # noqa: F811
    """At each operation of the flash, from the start of the broken version on."""
    bench.kind = "rp2"
    failing_power("0 never")
    bench.put("1 / 0")
    image = bench.flash.read_bytes()
    cuts = 0
    while True:
        bench.flash.write_bytes(image)
        failing_power(f"{cuts + 1} inside")
        lines = bench.run("the old one runs", cut_after=60)
        failing_power("0 never")
        if "the old one runs" in lines:
            assert cuts > 3
            return
        cuts += 1
        bench.run("the old one runs")
        assert bench.state["failed"]["version"] == "2"
        bench.check_the_rest()


TAKES_ONE = """
import time
from firmware.board.hardware import Board
from firmware.update.install import Installation
from firmware.update.slots import State

def run(credentials):
    print("the old one runs")
    board = Board()
    if not State(board.storage).found["failed"]:
        with open("/next", "rb") as file:
            content = file.read()
        installation = Installation(board, {"key": None, "trial": 60, "contact": 60})
        installation.begin("my-app", "2", len(content), "x")
        for at in range(installation.offset, len(content), 1024):
            installation.write(content[at : at + 1024])
        installation.switch()
        board.reset()
    print("done")
    time.sleep(60)
"""
CONFIRMS = """
import time
from firmware.board.hardware import Board
from inner import marked

def run(credentials):
    if Board.trial:
        Board.trial.confirm()
    print("done" if marked else "")
    time.sleep(60)
"""
RANDOM_CUTS, PARTS = 200, 4
SEED = 5


@pytest.mark.parametrize("part", range(PARTS))
def test_any_moment_of_an_update_may_be_cut(bench, part):
    takes = max(life_of(bench, -1 - number, None) for number in range(2))
    for number in range(part, RANDOM_CUTS, PARTS):
        life_of(bench, number, takes)


def life_of(bench, number: int, takes: float | None) -> float:
    """Update a board, cut after a part of the time that it takes; gives how long it took."""
    draw = random.Random(f"{SEED}/{number}")
    is_good = draw.choice((True, False))
    bench.kind = draw.choice(sorted(KINDS))
    files = {
        "app.py": CONFIRMS.encode() if is_good else b"1 / 0",
        "data.bin": b"x" * 12_000,
        "inner.py": b"marked = True",
    }
    bench.flash.unlink(missing_ok=True)
    bench.put_root(TAKES_ONE, {"next": bundle(files)})
    started = time.monotonic()
    if takes:
        bench.run("done", draw.uniform(0, takes))
    bench.run("done")
    state = bench.state
    assert state["starts"] is None, number
    if is_good:
        assert (state["running"]["place"], state["failed"]) == ("/a", None), number
        for path, content in files.items():
            assert read_file(bench.flash, f"/a/{path}") == content
    else:
        assert (state["running"]["place"], state["failed"]["version"]) == ("", "2"), number
    assert read_file(bench.flash, "/app.py").decode() == TAKES_ONE
    bench.check_the_rest()
    return time.monotonic() - started


TAKES_WHAT_IS_ASSIGNED = """
from firmware.device import Device

def is_over():
    try:
        with open("/slots.json") as file:
            state = file.read()
    except OSError:
        return False
    return all(each in state for each in ('"version"', '"starts": null', '"untold": null'))

def run(credentials):
    device = Device(credentials)
    while not is_over():
        device.send_telemetry({"t": 1})
        device.wait(20)
    print("done")
    device.wait(60_000)
"""
CUTS_ON_AIR = 24


@pytest.mark.parametrize("part", range(PARTS))
def test_any_moment_of_an_update_over_the_air_may_be_cut(tmp_path, part):
    takes = max(life_on_air(tmp_path, -1 - number, None) for number in range(2))
    for number in range(part, CUTS_ON_AIR, PARTS):
        life_on_air(tmp_path, number, takes)


def life_on_air(folder: Path, number: int, takes: float | None) -> float:
    """As life_of, with ThingsBoard that serves it and is told of it."""
    draw = random.Random(f"{SEED}/{number}")
    is_good = draw.choice((True, False))
    app = TAKES_WHAT_IS_ASSIGNED if is_good else "1 / 0"
    files = {"app.py": app.encode(), "data.bin": draw.randbytes(40_000)}
    bench = Bench(folder, draw.choice(sorted(KINDS)))
    bench.flash.unlink(missing_ok=True)
    bench.thingsboard.assign_package("sensor-1", Package("sw", TITLE, "2", bundle(files)))
    with bench.server:
        bench.put_root(TAKES_WHAT_IS_ASSIGNED, {}, spread=1, trial=1, contact=60)
        started = time.monotonic()
        if takes:
            bench.run("done", draw.uniform(0, takes))
        bench.run("done")
    bodies = map(json.loads, bench.thingsboard.devices["sensor-1"].telemetry)
    told = [body["sw_state"] for body in bodies if "sw_state" in body]
    once = [state for at, state in enumerate(told) if told[:at][-1:] != [state]]
    assert once == [*STATES, "UPDATED" if is_good else "FAILED"], number
    assert len(told) - len(once) <= bool(takes), number
    if is_good:
        assert (bench.state["running"]["place"], bench.state["failed"]) == ("/a", None), number
        for path, content in files.items():
            assert read_file(bench.flash, f"/a/{path}") == content, number
    else:
        assert bench.state["running"]["place"] == "", number
        assert bench.state["failed"]["why"].startswith("ZeroDivisionError"), number
    assert read_file(bench.flash, "/app.py").decode() == TAKES_WHAT_IS_ASSIGNED
    bench.check_the_rest()
    return time.monotonic() - started


@pytest.mark.parametrize("module", ["trial", "slots", "tree"])
def test_a_root_whose_part_for_updates_is_not_whole_runs_its_application(bench, module):
    bench.put(RUN + LOOP, others={f"firmware/update/{module}.mpy": b"M"})
    assert "the new one runs" not in bench.run("the old one runs")


@pytest.mark.parametrize("is_proven", [False, True], ids=["on trial", "proven"])
def test_what_cannot_be_noted_on_flash_runs_the_root(bench, is_proven):
    """Each save fails: a folder has the name of the file that it would write."""
    app = "import helper\n" + (START + "import missing" if is_proven else RUN + LOOP)
    bench.put(app, {"helper.py": "x = 1"}, others={"slots.json.new/x": b""}, is_proven=is_proven)
    for _ in range(2):
        assert "the new one runs" not in bench.run("the old one runs")
