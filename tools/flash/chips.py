"""The chips that the firmware runs on, and what MicroPython for them is called."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MACHINE = re.compile(r" with (\S+)$")
_ROM = re.compile(rb"ESP-ROM:(esp32\w+)-")
_ESP32_ROM = re.compile(rb"ets [A-Z][a-z]{2} +\d+ \d{4}")


@dataclass(frozen=True)
class Chip:
    """`kind`: MicroPython's sys.platform. `image`: its image's name. `offset`: where it goes."""

    name: str
    kind: str
    board: str
    image: str
    offset: str = ""

    @property
    def page(self) -> str:
        """Where the image is to be had."""
        return f"https://micropython.org/download/{self.image}"


CHIPS = {
    chip.name: chip
    for chip in (
        Chip("ESP32", "esp32", "ESP32", "ESP32_GENERIC", "0x1000"),
        Chip("ESP32-S3", "esp32", "ESP32-S3", "ESP32_GENERIC_S3", "0x0"),
        Chip("ESP32-C3", "esp32", "ESP32-C3", "ESP32_GENERIC_C3", "0x0"),
        Chip("RP2040", "rp2", "Pico W", "RPI_PICO_W"),
        Chip("RP2350", "rp2", "Pico 2 W", "RPI_PICO2_W"),
    )
}


def named(name: str) -> Chip | None:
    """The chip that somebody calls `name`, such as esp32c3 or ESP32-C3."""
    plain = name.upper().replace("-", "").replace("_", "")
    return next((each for each in CHIPS.values() if each.name.replace("-", "") == plain), None)


def of_machine(machine: str) -> Chip | None:
    """The chip that MicroPython says it runs on, in sys.implementation._machine."""
    found = _MACHINE.search(machine)
    return named(found[1]) if found else None


def of_boot_loader(heard: bytes) -> Chip | None:
    """The chip whose boot loader says this on the console."""
    if found := _ROM.search(heard):
        return named(found[1].decode())
    return CHIPS["ESP32"] if _ESP32_ROM.search(heard) else None


def of_kind(kind: str) -> Chip | None:
    """The chip that most boards of a kind have."""
    return next((each for each in CHIPS.values() if each.kind == kind), None)
