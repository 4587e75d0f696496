"""The boards that can be played."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BoardKind:
    """Flash geometry and limits of one board; sizes in bytes."""

    prog_size: int
    flash_size: int
    unique_id_size: int
    datagram_queue: int
    machine: str
    block_size: int = 4096
    files_when_new: tuple[tuple[str, bytes], ...] = ()

    @property
    def block_count(self) -> int:
        return self.flash_size // self.block_size


_ESP32_BOOT_PY = b"""\
# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
#import webrepl
#webrepl.start()
"""

KINDS = {
    "esp32": BoardKind(
        prog_size=32,
        flash_size=2048 * 1024,
        unique_id_size=6,
        datagram_queue=6,
        machine="Generic ESP32 module with ESP32",
        files_when_new=(("boot.py", _ESP32_BOOT_PY),),
    ),  # ESP32_GENERIC, 4 MB
    "rp2": BoardKind(
        prog_size=256,
        flash_size=848 * 1024,
        unique_id_size=8,
        datagram_queue=4,
        machine="Raspberry Pi Pico W with RP2040",
    ),  # RPI_PICO_W; MicroPython 1.26 and newer keep four datagrams
}
