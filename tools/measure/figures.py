"""What is measured of the firmware, and how: each figure has a key and a goal."""

from __future__ import annotations

import json
import random
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.bundle.format import Bundle, File, make
from tools.measure.bench import ARCHITECTURES, Bench, compile_to, firmware_files, least_heap
from tools.measure.modules import loaded_with
from tools.measure.responder import BODY_BYTES, TOKEN, Responder
from tools.virtual_board.flash import put_on_flash

HIGHEST_HEAP = 192 * 1024
_EXCHANGES = 50
_TURNS = 25
_UPDATE_BYTES = 20_000
_APP = b"""
from time import ticks_us

def run(credentials):
    global started
    started = ticks_us()
"""
# What a MicroPython that runs out of heap says, or a program that caught it.
NO_HEAP = ("MemoryError", "memory allocation", "failed:", "Exception")


@dataclass(frozen=True)
class Figure:
    """`goal`: at most this. `tested`: the same on every computer, so that a budget can hold it.

    `headroom`: how much worse a figure may be than its budget; MicroPython differs a little with
    the Python that it is built for.
    """

    key: str
    what: str
    unit: str
    goal: float | None
    tested: bool = True
    headroom: float = 0.02

    @property
    def label(self) -> str:
        """What it is, and its unit unless that is clear."""
        return f"{self.what}, {self.unit}" if self.unit not in ("", "×") else self.what


FIGURES = (
    Figure("overhead", "request beyond the JSON", "bytes", 32, headroom=0),
    Figure("datagrams", "datagrams to the token, one each way", "", 2, headroom=0),
    Figure("time_ratio", "request to token, times the bare script's", "×", 1.5, tested=False),
    Figure("time_us", "request to token on loopback", "µs", None, tested=False),
    Figure("heap_exchange", "smallest heap for one exchange", "bytes", 14_000),
    Figure("heap_power_up_mpy", "smallest heap for the first power-up", "bytes", 33_000),
    # Compiling needs large pieces of heap, and a changed line moves where they are.
    Figure("heap_power_up_py", "smallest heap for it from .py", "bytes", 48_000, headroom=0.05),
    Figure("garbage", "garbage per exchange", "bytes", 1_500),
    Figure("garbage_wait", "more of it while waiting 60 s for a late reply", "bytes", 0),
    Figure("mpy_coap", ".mpy that an exchange loads", "bytes", 6_500, headroom=0),
    Figure("mpy_all", ".mpy of all but what coaps needs", "bytes", 18_000, headroom=0),
    Figure("encode", "instructions to encode the request", "", 45_000),
    Figure("decode", "instructions to decode the response", "", 20_000),
    Figure("device_heap", "smallest heap for a Device that only reports", "bytes", None),
    Figure("device_heap_all", "smallest heap for one with attributes and calls", "bytes", None),
    # 1 KB where words have 32 bits.
    Figure("device_garbage", "garbage per reading", "bytes", 2_048),
    Figure("device_datagrams", "datagrams per reading", "", 3, headroom=0),
    Figure("device_datagrams_once", "datagrams per unconfirmed reading", "", 2, headroom=0),
    Figure("update_heap", "heap that an update takes beside its code", "bytes", 4_096),
    Figure("update_code", "heap that its code takes meanwhile", "bytes", None),
    Figure("update_bytes", "bytes on the wire, times the bundle's", "×", 1.08, headroom=0.005),
    Figure("update_programs", "flash writes for a bundle of 20 KB", "", None, headroom=0),
    Figure("onboarding_heap", "heap that onboarding takes while its page is sent", "bytes", None),
    Figure("start_mpy_ms", "power-up to app.py when provisioned", "ms", 10, tested=False),
    Figure("start_py_ms", "power-up to app.py from .py", "ms", 10, tested=False),
    Figure("flash_saves", "files saved in a first power-up", "", 3, headroom=0),
    Figure("flash_programs", "flash writes in a first power-up", "", None, headroom=0),
    Figure("flash_programs_least", "the least that saves the same files", "", None, headroom=0),
)


def sizes(bench: Bench) -> dict[str, int]:
    """The .mpy bytes of the firmware's modules; the largest of the architectures."""
    found = {}
    for architecture in ARCHITECTURES:
        with _folder() as folder:
            compile_to(bench.source, firmware_files(bench.source), folder, f"-march={architecture}")
            weights = {path.relative_to(folder): path.stat().st_size for path in _mpy(folder)}
        loaded = loaded_with("firmware.coap.connect", bench.source)
        coap = sum(weights[path.with_suffix(".mpy")] for path in loaded)
        found["mpy_coap"] = max(coap, found.get("mpy_coap", 0))
        found["mpy_all"] = max(sum(weights.values()), found.get("mpy_all", 0))
    return found


def exchange(bench: Bench, responder: Responder, client: str) -> dict[str, float]:
    """One exchange of a client on MicroPython: its bytes, heap and garbage."""
    port = responder.port
    responder.last()
    bench.run("once", client, port)
    wire = responder.last()
    return {
        "overhead": wire.bytes_up - BODY_BYTES,
        "datagrams": wire.datagrams,
        "bytes_up": wire.bytes_up,
        "bytes_down": wire.bytes_down,
        "garbage": bench.run("garbage", client, port)["bytes"],
        "heap_exchange": least_heap(
            lambda heap: bench.succeeds(
                "once", client, port, heap=heap, done=TOKEN, failed=NO_HEAP
            ),
            HIGHEST_HEAP,
        ),
    }


def times(bench: Bench, responder: Responder, clients: list[str]) -> dict[str, list[float]]:
    """What each client takes from request to token, in µs, in each of its turns.

    That is the mean of the middle half of a turn's exchanges, since the clock has whole µs.
    """
    found: dict[str, list[float]] = {client: [] for client in clients}
    quarter = _EXCHANGES // 4
    for _ in range(_TURNS):
        for client in clients:
            took = sorted(bench.run("timed", client, responder.port, _EXCHANGES)["us"])
            found[client].append(statistics.mean(took[quarter:-quarter]))
    return found


def codec(bench: Bench, module: str) -> dict[str, int]:
    """Instructions to encode and to decode the exchange's messages."""
    counts = bench.instructions(module, ("encode_request", "decode_response"))
    return dict(zip(("encode", "decode"), counts))


class PowerUps:
    """First and later power-ups of boards whose firmware is compiled, or source."""

    def __init__(self, bench: Bench, responder: Responder, compiled: bool):
        self._bench = bench
        self._responder = responder
        self._new = bench.folder / f"new-{compiled}.img"
        self._source = bench.source
        self.image = bench.folder / f"flash-{compiled}.img"
        if compiled:
            self._source = source = bench.folder / "on_flash"
            shutil.copytree(bench.compiled / "firmware", source / "firmware", dirs_exist_ok=True)
            shutil.copy(bench.source / "main.py", source)
        (self._source / "boot.py").touch()
        self._put(self._new)

    def heap(self) -> int:
        """The smallest heap for a first power-up, without the stand-ins' share of it."""
        standing = self.first()["standing"]

        def works(heap: int) -> bool:
            options = {"done": '{"bytes_programmed', "failed": NO_HEAP}
            return self._bench.succeeds("power_up", self.new_flash(), heap=heap, **options)

        # What a board draws at random has more or fewer digits, and moves where free pieces fall.
        return least_heap(lambda heap: works(heap) or works(heap), HIGHEST_HEAP) - standing

    def new_flash(self) -> Path:
        """The flash of a board that has never been powered up."""
        shutil.copy(self._new, self.image)
        return self.image

    def first(self) -> dict:
        """What a first power-up does."""
        self._responder.last()
        found = self._bench.run("power_up", self.new_flash())
        found["datagrams"] = self._responder.last().datagrams
        return found

    def device(self) -> dict[str, int]:
        """What a Device takes once the board is provisioned: its heaps, and what a reading costs.

        The heaps are without the stand-ins' share, and without a socket.
        """
        standing = self.first()["standing"]

        def heap(observes: int) -> int:
            work = ("device", self.image, 1, observes, "only")
            options = {"done": "done", "failed": NO_HEAP}
            return least_heap(
                lambda heap: self._bench.succeeds(*work, heap=heap, **options), HIGHEST_HEAP
            )

        confirmed, once = (self._bench.run("device", self.image, each, 1) for each in (1, 0))
        return {
            "device_heap": heap(0) - standing,
            "device_heap_all": heap(1) - standing,
            "device_garbage": confirmed["garbage"],
            "device_datagrams": confirmed["datagrams"],
            "device_datagrams_once": once["datagrams"],
        }

    def update(self) -> dict[str, float]:
        """What an update over the air takes of a Device with attributes and calls."""
        image = self._bench.folder / "update.img"
        file = self._bench.folder / "update.bundle"
        content = random.Random(1).randbytes(_UPDATE_BYTES)
        file.write_bytes(make(Bundle("measured", "1.2.0", [File("app.mpy", content, "6")])))
        self._put(image, update={})
        self._bench.run("power_up", image)
        idle, found = (
            self._bench.run("update", image, file, "measured", "1.2.0", each) for each in (0, 1)
        )
        return {
            "update_heap": found["most"] - idle["most"],
            "update_code": found["code"],
            "update_bytes": round(found["bytes"] / file.stat().st_size, 3),
            "update_programs": found["programs"],
        }

    def onboarding(self) -> dict[str, int]:
        """What the open access point takes, its code, its page and Improv with it."""
        image = self._bench.folder / "onboarding.img"
        self._put(image, onboarding="portal", onboarding_password="label-1234")
        return {"onboarding_heap": self._bench.run("onboarding", image)["most"]}

    def start_ms(self) -> float:
        """From power-up to app.py when provisioned; a median."""
        self.first()
        found = [self._bench.run("power_up", self.image)["us_to_app"] for _ in range(9)]
        return statistics.median(found) / 1000

    def least_programs(self, saves: list) -> int:
        """The flash writes of nothing but saving the same files and removing the first."""
        saved = json.dumps(saves)
        return self._bench.run("least_writes", self.new_flash(), saved)["programs"]

    def _put(self, image: Path, **keys: object) -> None:
        put_on_flash(image, "esp32", "micropython", self._config(keys), _APP, self._source)

    def _config(self, keys: dict) -> bytes:
        return json.dumps(
            {
                **keys,
                "wifi": {"ssid": "measured", "password": "correct horse"},
                "server": f"coap://127.0.0.1:{self._responder.port}",
                "provisioning": {
                    "deviceName": "sensor-{id}",
                    "provisionDeviceKey": "0123456789abcdefghij",
                    "provisionDeviceSecret": "jihgfedcba9876543210",
                },
            }
        ).encode()


def _mpy(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.mpy"))


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="firstboot-measure-") as name:
        yield Path(name)
