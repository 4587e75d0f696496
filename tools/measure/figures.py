"""What is measured of the firmware, and how: each figure has a key and a goal."""

from __future__ import annotations

import json
import random
import re
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tools import roles
from tools.bundle.format import Bundle, File, make
from tools.flash.romfs import image_of
from tools.measure.bench import (
    ARCHITECTURES,
    STEP,
    Bench,
    compile_to,
    firmware_files,
    least_heap,
)
from tools.measure.modules import loaded_with, names_in
from tools.measure.responder import BODY_BYTES, TOKEN, Responder
from tools.virtual_board.flash import put_on_flash

HIGHEST_HEAP = 192 * 1024
PROGRAM_SIZES = {"esp32": 32, "rp2": 256}
_NAMES = re.compile(r"n_qstr=(\d+)")
_FIRST_TABLE = 20  # names
_NAME_BYTES = 3  # of each beside its address: its hash and its length
# Of each block of so many words MicroPython's py/gc.c has so many bits beside it.
_BLOCK_WORDS, _BLOCK_BITS = 4, 3
_WANTED = re.compile(r"allocating (\d+) bytes")
_EXCHANGES = 50
_TURNS = 25
# Bytes of DTLS around a datagram, with AES-GCM: 13 of a record, 8 of a nonce, 16 of a tag.
RECORD = 37
BLOCK = 1024  # bytes of a package, as ThingsBoard serves it
_UPDATE_BYTES = 20_000
_UPDATE_HEAP = 384 * 1024  # bytes: collected often, a larger one takes long
_APP = b"""
from time import ticks_us

def run(credentials):
    global started
    started = ticks_us()
"""
# The smallest client that provisions a board, compiled.
LEAST_FILES = ("least.mpy", "least_power_up.mpy")
_LEAST_MAIN = b"import least_power_up\n"
# What a MicroPython that runs out of heap says, or a program that caught it.
NO_HEAP = ("MemoryError", "memory allocation", "failed:", "Exception")


@dataclass(frozen=True)
class Figure:
    """`goal`: at most this; a pair is of words of 32 bits, as boards have, and of 64.

    `tested`: the same on every computer, so that a budget can hold it, and fast enough for a test.

    `headroom`: how much worse a figure may be than its budget; MicroPython differs a little with
    the Python that it is built for.
    """

    key: str
    what: str
    unit: str
    goal: float | tuple[float | None, float | None] | None
    tested: bool = True
    headroom: float = 0.02

    @property
    def label(self) -> str:
        """What it is, and its unit unless that is clear."""
        return f"{self.what}, {self.unit}" if self.unit not in ("", "×") else self.what


_FIGURES = (
    Figure("overhead", "request beyond the JSON", "bytes", 32, headroom=0),
    Figure("datagrams", "datagrams to the token, one each way", "", 2, headroom=0),
    Figure("time_ratio", "request to token, times the bare script's", "×", 1.45, tested=False),
    Figure("time_us", "request to token on loopback", "µs", None, tested=False),
    Figure("heap_exchange", "smallest heap for one exchange", "bytes", (12_500, 14_000)),
    Figure("heap_blocks", "smallest heap for one in blocks", "bytes", None, tested=False),
    Figure("heap_power_up_mpy", "smallest heap for the first power-up", "bytes", (26_000, 33_000)),
    Figure(
        "heap_pico_w", "smallest heap for it on a Pico W's flash", "bytes", (26_000, None), False
    ),
    Figure("heap_refusal", "smallest heap for a refusal, on that", "bytes", (26_000, None), False),
    Figure("heap_mistake", "smallest heap for a mistake in config.json", "bytes", None, False),
    # Compiling needs large pieces of heap, and a changed line moves where they are.
    Figure(
        "heap_power_up_py",
        "first power-up's heap from .py",
        "bytes",
        (None, 48_000),
        headroom=0.05,
    ),
    Figure(
        "frozen_exchange", "frozen: smallest heap for one exchange", "bytes", (7_000, None), False
    ),
    Figure("frozen_pico_w", "frozen: for the first power-up", "bytes", (14_000, None), False),
    Figure("frozen_refusal", "frozen: for a refusal", "bytes", (14_000, None), False),
    Figure("frozen_mistake", "frozen: for a mistake in config.json", "bytes", None, False),
    Figure("frozen_update", "frozen: an update's heap, code and all", "bytes", None, tested=False),
    Figure("frozen_update_most", "frozen: the same, for moments", "bytes", None, tested=False),
    Figure("romfs_exchange", "in ROMFS: smallest heap for one exchange", "bytes", None, False),
    Figure("romfs_pico_w", "in ROMFS: for the first power-up", "bytes", None, False),
    Figure("romfs_refusal", "in ROMFS: for a refusal", "bytes", None, False),
    Figure("romfs_mistake", "in ROMFS: for a mistake in config.json", "bytes", None, False),
    Figure("garbage", "garbage per exchange", "bytes", (None, 1_500)),
    Figure("garbage_wait", "more of it while waiting 60 s for a late reply", "bytes", 0),
    Figure("mpy_coap", ".mpy that an exchange loads", "bytes", 6_500, headroom=0),
    Figure("mpy_power_up", ".mpy that a successful power-up loads", "bytes", 19_000, tested=False),
    Figure("mpy_all", ".mpy of all but what coaps needs", "bytes", None, headroom=0),
    Figure("encode", "instructions to encode the request", "", 45_000),
    Figure("decode", "instructions to decode the response", "", 20_000),
    Figure("device_heap", "smallest heap for a Device that only reports", "bytes", None),
    Figure("device_heap_all", "smallest heap for one with attributes and calls", "bytes", None),
    Figure("device_beyond", "more for that than for a power-up", "bytes", (12_000, None), False),
    Figure(
        "device_beyond_refusal",
        "more for it than for one that is refused",
        "bytes",
        (12_000, None),
        False,
    ),
    Figure("device_aio", "more for that with asyncio", "bytes", None, tested=False),
    Figure("device_garbage", "garbage per reading", "bytes", (1_024, 2_048)),
    Figure("device_datagrams", "datagrams per reading", "", 3, headroom=0),
    Figure("device_datagrams_once", "datagrams per unconfirmed reading", "", 2, headroom=0),
    Figure("device_bytes", "IPv4 bytes per reading, both ways", "", None, tested=False),
    Figure("update_heap", "an update's heap beside its code", "bytes", 4_096),
    Figure("update_code", "heap that its code takes meanwhile", "bytes", None),
    Figure("update_most", "the most of both, for moments", "bytes", None, tested=False),
    Figure("update_bytes", "bytes on the wire, times the bundle's", "×", 1.08, headroom=0.005),
    Figure(
        "update_bytes_coaps",
        "the same over `coaps`, its records included",
        "×",
        None,
        headroom=0.005,
    ),
    Figure("update_programs", "flash writes for a bundle of 20 KB", "", None, headroom=0),
    Figure("onboarding_heap", "heap that onboarding takes while its page is sent", "bytes", None),
    Figure("start_mpy_ms", "power-up to app.py when provisioned", "ms", 10, tested=False),
    Figure("start_py_ms", "power-up to app.py from .py", "ms", 10, tested=False),
    Figure("provision_cpu", "CPU time of `provision`, start and all", "s", 0.15, tested=False),
    Figure("flash_saves", "files saved in a first power-up", "", 3, headroom=0),
    Figure("flash_programs", "flash writes in a first power-up", "", None, headroom=0),
    Figure("flash_programs_least", "the least that saves the same files", "", None, headroom=0),
)


def judged(bits: int) -> tuple[Figure, ...]:
    """The figures with the goals of a MicroPython whose words have so many bits."""
    place = 0 if bits == 32 else 1
    return tuple(
        replace(each, goal=each.goal[place]) if isinstance(each.goal, tuple) else each
        for each in _FIGURES
    )


FIGURES = judged(64)


def sizes(bench: Bench) -> dict[str, int]:
    """The .mpy bytes of the firmware's modules; the largest of the architectures."""
    return {
        "mpy_coap": mpy_of(bench, loaded_with("firmware.coap.connect", bench.source)),
        "mpy_all": mpy_of(bench, firmware_files(bench.source)),
    }


def mpy_of(bench: Bench, files: list[Path]) -> int:
    """The .mpy bytes of these modules; of the architecture that needs more."""
    found = []
    for architecture in ARCHITECTURES:
        with _folder() as folder:
            compile_to(bench.source, files, folder, f"-march={architecture}")
            found.append(sum(path.stat().st_size for path in _mpy(folder)))
    return max(found)


def exchange(bench: Bench, responder: Responder, client: str) -> dict[str, float]:
    """One exchange of a client on MicroPython: its bytes, heap and garbage."""
    port = responder.port
    responder.last()
    bench.run("once", client, port)
    wire = responder.last()
    return {
        "heap_exchange": heap_of_exchange(bench, responder, client),
        "overhead": wire.bytes_up - BODY_BYTES,
        "datagrams": wire.datagrams,
        "bytes_up": wire.bytes_up,
        "bytes_down": wire.bytes_down,
        "garbage": bench.run("garbage", client, port)["bytes"],
    }


def heap_of_exchange(bench: Bench, responder: Responder, client: str) -> int:
    """The smallest heap for one exchange of a client."""
    options = {"done": TOKEN, "failed": NO_HEAP}
    return least_heap(
        lambda heap: bench.succeeds("once", client, responder.port, heap=heap, **options),
        HIGHEST_HEAP,
    )


def heap_of_exchange_in_romfs(bench: Bench, responder: Responder) -> int:
    """The smallest heap for one exchange of a firmware that is in ROMFS."""
    rom = Rom(bench)
    options = {"done": TOKEN, "failed": NO_HEAP}
    what = "once_in_romfs", "firstboot", responder.port, rom.path
    least = least_heap(
        lambda heap: bench.succeeds(*what, heap=heap, **options), HIGHEST_HEAP + rom.heap
    )
    return least - rom.heap


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


@dataclass(frozen=True)
class Fullest:
    """A heap when most is on it, in bytes.

    `live`: all that is on it. `loaded`: the names of the firmware's modules on it. `names`: the
    texts of interned names, `name_tables`: the tables of them that a board has and `live` has not.
    `heap_table`: MicroPython's own, of which blocks are taken. `piece`: what is wanted in one piece
    and not there when the heap is a step smaller; None where MicroPython does not say.
    """

    live: int
    loaded: list[str]
    names: int
    name_tables: int
    heap_table: int
    piece: int | None


class Rom:
    """A ROMFS with the firmware that every board has, in a file. On a board it takes no heap.

    `heap`: the bytes that it takes here, which no board pays.
    """

    def __init__(self, bench: Bench):
        self.path = bench.folder / "firmware.romfs"
        names = roles.chosen(
            path.relative_to(bench.compiled).as_posix()
            for path in bench.compiled.glob("firmware/**/*.mpy")
        )
        self.path.write_bytes(
            image_of({f"/{name}": (bench.compiled / name).read_bytes() for name in names})
        )
        word = bench.bits // 8
        block = _BLOCK_WORDS * word
        blocks = -(-self.path.stat().st_size // block)
        self.beside = round(blocks * _BLOCK_BITS / 8)
        self.heap = blocks * block + self.beside


class PowerUps:
    """First and later power-ups of boards whose firmware is compiled, source, frozen or in ROMFS.

    `kind`: of the board, whose flash it has: "esp32" or "rp2". `form`: "mpy", "py", "frozen",
    "romfs", or "least", the smallest client in the firmware's place.
    """

    def __init__(self, bench: Bench, responder: Responder, form: str, kind: str = "esp32"):
        self._bench = bench
        self._responder = responder
        self._kind = kind
        self._program_size = PROGRAM_SIZES[kind]
        self._new = bench.folder / f"new-{kind}-{form}.img"
        self._mistaken = bench.folder / f"mistaken-{kind}-{form}.img"
        self.image = bench.folder / f"flash-{kind}-{form}.img"
        self._source = bench.source if form == "py" else bench.folder / f"on_flash-{form}"
        self._files = {}
        if form != "py":
            (self._source / "firmware").mkdir(parents=True, exist_ok=True)
            shutil.copy(bench.source / "main.py", self._source)
        if form == "least":
            self._files = {name: (bench.scripts / name).read_bytes() for name in LEAST_FILES}
            (self._source / "main.py").write_bytes(_LEAST_MAIN)
        if form == "mpy":
            compiled = bench.compiled / "firmware"
            shutil.copytree(compiled, self._source / "firmware", dirs_exist_ok=True)
        (self._source / "boot.py").touch()
        self._rom = Rom(bench) if form == "romfs" else None
        rom = [self._rom.path] if self._rom else []
        # The smallest client has few names, for which there is room in any table.
        self._is_frozen = int(form in ("frozen", "least"))
        self._power_up = ("power_up", self.image, self._program_size, self._is_frozen, *rom)
        self._put(self._new)
        self._put(self._mistaken, led="no pin", retries=3)

    def heap(self) -> int:
        """The smallest heap for a first power-up, without what a board does not pay."""
        return self._heap_until('{"bytes_programmed', self._new) - self._standing(self.first())

    def refusal(self) -> int:
        """The smallest heap for a refusal, and the probe before it."""
        self._responder.refuses = True
        try:
            standing = self._standing(self._failing(self._new))
            return self._heap_until("refused:", self._new) - standing
        finally:
            self._responder.refuses = False

    def mistake(self) -> int:
        """The smallest heap for a mistake in config.json, which is said."""
        standing = self._standing(self._failing(self._mistaken))
        return self._heap_until("config.json:", self._mistaken) - standing

    def fullest(self, heap: int) -> Fullest:
        """What is on the heap when a power-up has most there; `heap`: the smallest, as measured."""
        ends = self._failing(self._new) if self._responder.refuses else self.first()
        beside = self._standing(ends)
        whole = heap + beside
        shutil.copy(self._new, self.image)
        lines = self._bench.output("fullest", *self._power_up[1:], heap=2 * HIGHEST_HEAP)
        found = json.loads(lines[-1])
        before, *_, names = names_in(lines)
        shutil.copy(self._new, self.image)
        return Fullest(
            found["live"],
            found["loaded"],
            names - before,
            ends["standing"] - beside,
            heap_table(whole, self._bench.bits),
            piece_wanted(self._bench, *self._power_up, heap=whole - STEP),
        )

    def new_flash(self) -> Path:
        """The flash of a board that has never been powered up."""
        shutil.copy(self._new, self.image)
        return self.image

    def first(self) -> dict:
        """What a first power-up does."""
        self._responder.last()
        self.new_flash()
        found = self._run(*self._power_up)
        found["datagrams"] = self._responder.last().datagrams
        return found

    def _failing(self, new: Path) -> dict:
        """What no board pays of a first power-up, until it waits for the next try."""
        shutil.copy(new, self.image)
        return self._run("failing", *self._power_up[1:])

    def loaded(self) -> list[Path]:
        """The files of the modules that a first power-up loads."""
        names = self._bench.run("loaded", self.new_flash())["loaded"]
        files = (Path(*name.split(".")) for name in names)
        found = (
            file / "__init__.py"
            if (self._bench.source / file).is_dir()
            else file.with_suffix(".py")
            for file in files
        )
        return [file for file in found if (self._bench.source / file).exists()]

    def _heap_until(self, says: str, new: Path) -> int:
        """The smallest heap in which a new board says this."""

        def works(heap: int) -> bool:
            shutil.copy(new, self.image)
            return self._bench.succeeds(*self._power_up, heap=heap, done=says, failed=NO_HEAP)

        highest = HIGHEST_HEAP + (self._rom.heap if self._rom else 0)
        # What a board draws at random has more or fewer digits, and moves where free pieces fall.
        return least_heap(lambda heap: works(heap) or works(heap), highest)

    def _run(self, script: str, *arguments: object) -> dict:
        """What a script says of a board, and how many names there are before it and after it."""
        lines = self._bench.output(script, *arguments)
        found = json.loads(lines[-1])
        found["names"] = [int(each[1]) for line in lines if (each := _NAMES.search(line))]
        return found

    def _heap_of_device(self, observes: int, how: str = "only") -> int:
        """The smallest heap for a Device at work, without what a board does not pay."""
        work = ("device", self.image, 1, observes, how)
        options = {"done": '"done"', "failed": NO_HEAP}
        least = least_heap(
            lambda heap: self._bench.succeeds(*work, heap=heap, **options), HIGHEST_HEAP
        )
        return least - self._standing(self._run(*work))

    def _standing(self, found: dict) -> int:
        """What no board pays: the stand-ins for what is in its ROM, and the table of their names.

        MicroPython's tables of names have 20 places, 40, 80 and so on.
        """
        before, all_names = found["names"]
        word = self._bench.bits // 8
        tables = (_tables(count, word) for count in (all_names, before, all_names - before))
        all_tables, theirs, firmwares = tables
        beside = self._rom.beside if self._rom else 0
        return found["standing"] + beside + all_tables - theirs - firmwares

    def device(self) -> dict[str, int]:
        """What a Device takes once the board is provisioned: its heaps, and what a reading costs.

        The heaps are without the stand-ins' share, and without a socket.
        """
        self.first()
        confirmed, once = (self._bench.run("device", self.image, each, 1) for each in (1, 0))
        return {
            "device_heap": self._heap_of_device(0),
            "device_heap_all": self._heap_of_device(1),
            "device_garbage": confirmed["garbage"],
            "device_datagrams": confirmed["datagrams"],
            "device_datagrams_once": once["datagrams"],
            "device_bytes": confirmed["bytes"],
        }

    def asyncio_heap(self) -> int:
        """How much more heap a Device with attributes and calls takes with asyncio."""
        self.first()
        return self._heap_of_device(1, "aio") - self._heap_of_device(1)

    def update(self) -> dict[str, float]:
        """What an update over the air takes of a Device with attributes and calls."""
        run = self._update(_UPDATE_BYTES)
        idle, found = (run(is_assigned, "as-it-is") for is_assigned in (0, 1))
        idle_loaded, loaded = (run(is_assigned, "loaded") for is_assigned in (0, 1))
        beside_code = loaded["most"]["block"] - max(idle_loaded["most"].values())
        beyond = _beyond(idle, found)
        return {
            "update_heap": beside_code,
            "update_datagram": loaded["longest"],
            "update_code": beyond["block"] - beside_code,
            "update_most": max(beyond.values()),
            "update_bytes": round(found["bytes"] / found["size"], 3),
            "update_bytes_coaps": round(
                (found["bytes"] + found["datagrams"] * RECORD) / found["size"], 3
            ),
            "update_programs": found["programs"],
        }

    def update_frozen(self) -> dict[str, int]:
        """What it takes of a Device in all, while blocks come and at its most."""
        beyond = self.update_beyond(_UPDATE_BYTES)
        return {"frozen_update": beyond["block"], "frozen_update_most": max(beyond.values())}

    def update_beyond(self, size: int) -> dict[str, int]:
        """What it takes of a Device in all in each of its steps; `size`: of its file, in bytes."""
        run = self._update(size)
        return _beyond(*(run(is_assigned, "as-it-is") for is_assigned in (0, 1)))

    def _update(self, size: int) -> Callable[[int, str], dict]:
        """What runs scripts/update.py, with ASSIGNED and HOW, on a board that is provisioned."""
        image = self._bench.folder / "update.img"
        file = self._bench.folder / "update.bundle"
        content = random.Random(1).randbytes(size)
        file.write_bytes(make(Bundle("measured", "1.2.0", [File("app.mpy", content, "6")])))
        self._put(image, update={})
        self._bench.run("power_up", image, self._program_size, self._is_frozen)
        provisioned = image.read_bytes()

        def run(is_assigned: int, how: str) -> dict:
            image.write_bytes(provisioned)
            what = (
                image,
                self._program_size,
                file,
                "measured",
                "1.2.0",
                is_assigned,
                self._is_frozen,
                how,
            )
            return {**self._lived("update", *what), "size": file.stat().st_size}

        return run

    def _lived(self, script: str, *what: object) -> dict:
        """What a script finds, with no place in the tables of names that no name has taken."""
        lines = self._bench.output(script, *what, heap=_UPDATE_HEAP)
        found = json.loads(lines[-1])
        word = self._bench.bits // 8
        names = {}
        for line in lines:
            if line.startswith("at "):
                step = line[3:]
            elif each := _NAMES.search(line):
                names[step] = int(each[1])
        for step, count in names.items():
            found["most"][step] -= _tables(count, word) - count * (word + _NAME_BYTES)
        return found

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
        config = self._config(keys)
        put_on_flash(image, self._kind, "micropython", config, _APP, self._source, self._files)

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


def _beyond(idle: dict, found: dict) -> dict[str, int]:
    """How much more than with no update there is in each of its steps, Wi-Fi's joining left out."""
    without = max(idle["most"].values())
    return {step: live - without for step, live in found["most"].items() if step != "idle"}


def _tables(names: int, word: int) -> int:
    """The bytes of the tables that so many names take (MicroPython's py/qstr.c)."""
    size = places = 0
    table = _FIRST_TABLE
    while places < names:
        size += 6 * word + table * (word + _NAME_BYTES)
        places += table
        table *= 2
    return size


def piece_wanted(bench: Bench, *script: object, heap: int) -> int | None:
    """How many bytes in one piece a script wants first that a heap has not, or None."""
    lines = bench.lines_until(*script, heap=heap, words=("MemoryError: ",))
    found = _WANTED.search(lines[-1]) if lines else None
    return int(found[1]) if found else None


def heap_table(heap: int, bits: int) -> int:
    """The bytes of a heap in which MicroPython has which blocks are taken."""
    block = _BLOCK_WORDS * bits
    return round(heap * _BLOCK_BITS / (block + _BLOCK_BITS))


def _mpy(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.mpy"))


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="firstboot-measure-") as name:
        yield Path(name)
