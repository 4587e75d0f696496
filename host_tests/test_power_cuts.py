"""SIGKILL: power cuts on the virtual board, real MicroPython on a real littlefs, real datagrams."""

from __future__ import annotations

import json
import random
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from host_tests.compiled import compiled
from tools.fake_thingsboard.model import STRATEGIES, ThingsBoard
from tools.fake_thingsboard.server import REPLIES, FakeThingsBoard
from tools.virtual_board import process
from tools.virtual_board.board import VirtualBoard
from tools.virtual_board.boards import KINDS
from tools.virtual_board.flash import FAT, LITTLEFS, NotOnFlash, put_on_flash, read_file
from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.scenario import Scenario

pytestmark = pytest.mark.skipif(
    find_micropython().command is None, reason=f"no MicroPython: {find_micropython().why}"
)

FAILING_CHIP = Path(__file__).parent / "explorer" / "rom" / "block_device.py"
HOME = {"ssid": "home", "password": "correct horse"}
NAME, KEY, SECRET = "sensor-1", "profile-key", "profile-secret"
POWER_UPS = 4  # a cut, and what it may take from there
SEED = 3
RANDOM_CUTS = 200
AT_A_TIME = 2


class Site:
    """A board with its flash, and its ThingsBoard; what is drawn comes from `draw`."""

    def __init__(
        self,
        folder: Path,
        kind: str,
        draw: random.Random,
        file_system: str = LITTLEFS,
    ):
        self.file_system = file_system
        self.flash = folder / "flash.img"
        strategy = draw.choice(STRATEGIES)
        self.thingsboard = ThingsBoard(KEY, SECRET, strategy)
        if strategy == "preprovisioned":
            self.thingsboard.add_device(NAME)
        self.server = FakeThingsBoard(self.thingsboard, reply=draw.choice(REPLIES))
        self.kind = kind
        self.access_token = draw.choice(("device", "server"))
        self.lines: list[str] = []

    def __enter__(self) -> Site:
        self.server.__enter__()
        config = {
            "wifi": HOME,
            "server": self.server.uri,
            "provisioning": {
                "deviceName": NAME,
                "provisionDeviceKey": KEY,
                "provisionDeviceSecret": SECRET,
            },
            "access_token": self.access_token,
        }
        put_on_flash(
            self.flash,
            self.kind,
            "micropython",
            json.dumps(config).encode(),
            source=compiled(),
            file_system=self.file_system,
        )
        # The join takes no time: else half of all moments would be in it.
        scenario = Scenario(networks=[{**HOME, "delay_ms": 0}])
        self.board = VirtualBoard(
            self.flash, self.kind, scenario=scenario, on_line=self.lines.append
        )
        return self

    def __exit__(self, *exception) -> None:
        self.server.__exit__(*exception)

    def power_up(self):
        self.lines.append("--- power-up")
        return self.board.power_up(timeout=60)

    def check_that_nothing_is_lost(self) -> None:
        """Power up until provisioned, then compare both ends."""
        for _ in range(POWER_UPS):
            outcome = self.power_up()
            if outcome.exit_code == 0:
                break
        assert outcome.exit_code == 0, outcome.ended
        credentials = json.loads(read_file(self.flash, "/credentials.json"))
        assert list(self.thingsboard.devices) == [NAME]
        assert credentials["credentialsValue"] == self.thingsboard.devices[NAME].token
        for name in ("/credentials.json.bad1", "/attempt.json.bad1", "/attempt.json"):
            with pytest.raises(NotOnFlash):
                read_file(self.flash, name)

    def check_that_it_is_quiet(self) -> None:
        """Power up once more: nothing is sent."""
        datagrams = len(self.server.received)
        assert self.power_up().exit_code == 0
        assert len(self.server.received) == datagrams, "it was provisioned and sent a datagram"


@pytest.fixture
def failing_power(tmp_path, monkeypatch):
    """Gives a function to choose the flash operation at which boards kill themselves."""
    original = Path(process.__file__).parent
    shutil.copytree(original / "rom", tmp_path / "rom")
    shutil.copy(original / "leash.py", tmp_path)
    (tmp_path / "rom/block_device.py").rename(tmp_path / "rom/whole_block_device.py")
    shutil.copy(FAILING_CHIP, tmp_path / "rom")
    with monkeypatch.context() as patch:
        patch.setattr(process, "_HERE", tmp_path)
        yield lambda when: patch.setenv("POWER_CUT", when)


@pytest.mark.parametrize("kind", KINDS)
def test_every_flash_operation_of_a_first_power_up_may_be_cut(kind, tmp_path, failing_power):
    draw = random.Random(f"{SEED}/{kind}")
    cuts = 0
    number = 1
    while True:
        for moment in ("before", "inside"):
            folder = tmp_path / f"{number} {moment}"
            folder.mkdir()
            with Site(folder, kind, draw) as site:
                failing_power(f"{number} {moment}")
                outcome = site.power_up()
                failing_power("0 never")
                site.check_that_nothing_is_lost()
                if outcome.exit_code == 0:  # it makes no more operations
                    site.check_that_it_is_quiet()
                    assert cuts >= 12
                    return
            assert outcome.ended == "the process died", site.lines
            cuts += 1
        number += 1


def test_every_write_of_a_replacing_save_on_fat_may_be_cut(tmp_path, failing_power):
    """FAT removes the old file before it renames the new one.

    Between two sectors, that is: within one, FAT loses what is there, and `flash` warns of it.
    """
    site = Site(tmp_path, "esp32", random.Random(SEED), FAT)
    site.access_token = "device"
    site.thingsboard = ThingsBoard(KEY, SECRET)
    site.server = FakeThingsBoard(site.thingsboard, delay=60)
    failing_power("0 never")
    with site:
        lose_reply(site)
        site.server.delay = 0
        image = site.flash.read_bytes()
        number = 1
        while True:
            # It has forgotten the request, says FAILURE, and the attempt is saved anew.
            site.server.__exit__(None, None, None)
            site.server.__enter__()
            site.flash.write_bytes(image)
            failing_power(f"{number} before")
            outcome = site.power_up()
            failing_power("0 never")
            site.check_that_nothing_is_lost()
            if outcome.exit_code == 0:
                break
            assert outcome.ended == "the process died", site.lines
            number += 1
        assert number > 12


def lose_reply(site) -> None:
    """Power up, and cut the power when ThingsBoard has the request."""
    cut = threading.Thread(target=cut_when_it_has_asked, args=(site,))
    cut.start()
    site.power_up()
    cut.join()
    assert list(site.thingsboard.devices) == [NAME]


def cut_when_it_has_asked(site) -> None:
    while NAME not in site.thingsboard.devices:
        time.sleep(0.01)
    site.board.cut_power()


def test_any_moment_of_a_first_power_up_may_be_cut(tmp_path):
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        # As many at a time as later, so that they take as long as later; the first ones take more.
        took = pool.map(lambda number: _power_up(tmp_path, -1 - number), range(2 * AT_A_TIME))
        takes = max([*took][AT_A_TIME:])
        list(pool.map(lambda number: _cut(tmp_path, number, takes), range(RANDOM_CUTS)))


def _power_up(folder: Path, number: int) -> float:
    """A first power-up with no cut; how long it takes, in seconds."""
    with _site(folder, number) as (site, _):
        started = time.monotonic()
        assert site.power_up().exit_code == 0
        return time.monotonic() - started


def _cut(folder: Path, number: int, takes: float) -> None:
    """Cut the power at a random time, an earlier one when the board was faster than that."""
    was_cut = False
    while not was_cut:
        with _site(folder, number) as (site, draw):
            timer = threading.Timer(draw.uniform(0, takes), site.board.cut_power)
            timer.start()
            was_cut = site.power_up().exit_code != 0
            timer.cancel()
            timer.join()
            try:
                site.check_that_nothing_is_lost()
            except AssertionError as error:
                lines = "\n".join(site.lines)
                raise AssertionError(f"seed {SEED}/{number}: {error}\n{lines}") from error
        takes *= 0.8


@contextmanager
def _site(parent: Path, number: int):
    draw = random.Random(f"{SEED}/{number}")
    folder = parent / str(number)
    folder.mkdir()
    with Site(folder, draw.choice(list(KINDS)), draw) as site:
        yield site, draw
    shutil.rmtree(folder)
