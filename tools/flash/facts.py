"""What a board is: asked over its link, and checked before anything is put on it."""

from __future__ import annotations

from dataclasses import dataclass

from tools.flash import chips
from tools.flash.chips import Chip
from tools.flash.errors import NO_MICROPYTHON, FlashingError
from tools.flash.link import Link
from tools.flash.troubles import how_to_install

KINDS = {"esp32": "ESP32", "rp2": "Pico W"}
OLDEST = (1, 23)
_MPY = 6

_ASK = """
import gc, os, sys
from binascii import hexlify
id = b""
try:
    from machine import unique_id
    id = unique_id()
except ImportError:
    pass
try:
    import network
    wifi = hasattr(network, "WLAN")
except ImportError:
    wifi = False
flash = os.statvfs("/")
try:
    os.stat("/?")
except OSError as error:
    # Such a name is not merely absent on FAT: there is none.
    fat = error.errno == 22
gc.collect()
print((sys.platform, hexlify(id).decode(), tuple(sys.implementation[1][:3]),
    getattr(sys.implementation, "_mpy", 0) & 255, flash[0] * flash[3], flash[0] * flash[2],
    gc.mem_free(), wifi, fat, getattr(sys.implementation, "_machine", "")))
"""
# machine.unique_id() is the MAC address on an ESP32, the flash chip's number on a Pico W.
_KIND_BY_ID_DIGITS = {12: "esp32", 16: "rp2"}


@dataclass(frozen=True)
class Facts:
    """A board with MicroPython. `free`, `flash` and `memory` in bytes, `mpy`: what it imports.

    `is_fat`: whether its file system is FAT. `machine`: what MicroPython calls the board,
    sys.implementation._machine.
    """

    port: str
    kind: str
    id: str
    version: tuple[int, ...]
    mpy: int
    free: int
    flash: int
    memory: int
    wifi: bool
    is_fat: bool = False
    machine: str = ""

    @property
    def chip(self) -> Chip | None:
        """Its chip, when it is one that is known here."""
        return chips.of_machine(self.machine)

    @property
    def chip_name(self) -> str:
        """Its chip as firmware.board.hardware.Board names it, such as "ESP32"; may be empty."""
        return self.machine.rpartition(" ")[2]

    @property
    def version_text(self) -> str:
        """MicroPython's version, such as "1.26.1"."""
        return ".".join(map(str, self.version))

    def __str__(self) -> str:
        name = self.chip.board if self.chip else KINDS.get(self.kind, self.kind)
        return f"{name}, id {self.id}, MicroPython {self.version_text}"


def ask(link: Link) -> Facts:
    """Ask a board what it is. Raises FlashingError."""
    platform, board_id, version, mpy, *numbers = link.value(_ASK)
    # MicroPython on a computer plays a board.
    kind = _KIND_BY_ID_DIGITS.get(len(board_id), platform) if platform == "linux" else platform
    return Facts(link.port, kind, board_id, version, mpy, *numbers)


def warnings(facts: Facts) -> list[tuple[str, str]]:
    """What a board had better be without, and what to do about it."""
    if not facts.is_fat:
        return []
    return [
        (
            "the board's file system is FAT: a power cut while it saves can lose files, its "
            "credentials too",
            "Copy your files off it, /credentials.json and /attempt.json too; with MicroPython "
            f"installed anew it is littlefs. {how_to_install(facts.port, facts.chip)}",
        )
    ]


def check(facts: Facts, as_source: bool = False) -> None:
    """Raise FlashingError unless the firmware runs on this board."""
    if facts.kind not in KINDS:
        raise FlashingError(
            f"{facts.port} is a {facts.kind}", "The firmware runs on an ESP32 and on a Pico W"
        )
    oldest = ".".join(map(str, OLDEST))
    if facts.version < OLDEST:
        raise FlashingError(
            f"{facts.port} has MicroPython {facts.version_text}, "
            f"and {oldest} is the oldest that will do",
            how_to_install(facts.port, facts.chip),
            NO_MICROPYTHON,
        )
    if not facts.wifi:
        raise FlashingError(
            f"{facts.port}: this MicroPython has no Wi-Fi",
            how_to_install(facts.port, facts.chip),
            NO_MICROPYTHON,
        )
    if facts.mpy != _MPY and not as_source:
        raise FlashingError(
            f"{facts.port} imports .mpy files of version {facts.mpy or 'none'}, not {_MPY}",
            "Use --source to put .py files on it",
        )
