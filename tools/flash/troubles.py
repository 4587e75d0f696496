"""Why a port cannot be opened, or nothing answers there, and what to do."""

from __future__ import annotations

import errno
import os
import re
import sys

import serial

from tools.flash.errors import NO_MICROPYTHON, BusyError, FlashingError

_BOOT_LOADER = re.compile(rb"invalid header|rst:0x|ets [JA]|waiting for download|flash read err")


def is_boot_loader(heard: bytes) -> bool:
    """Whether this is an ESP32 whose boot loader finds no program."""
    return bool(_BOOT_LOADER.search(heard))


def why_not_open(port: str) -> FlashingError | None:
    """Why a port cannot be opened, found by trying once more; None when it can be now."""
    try:
        serial.serial_for_url(port, exclusive=True).close()
        return None
    except ValueError as error:
        return FlashingError(f"{port}: {error}", "Name a serial port with --port")
    except (serial.SerialException, OSError) as error:
        number, text = error.errno, str(error)
        missing = number == errno.ENOENT or "FileNotFoundError" in text
        denied = number in (errno.EACCES, errno.EPERM) and os.name != "nt"
        if missing:
            return FlashingError(
                f"there is no port {port}",
                "Plug the board in; `flash` without --port shows what is there",
            )
        if denied:
            fix = "Give yourself the right to use it"
            if sys.platform == "linux":
                fix += ": sudo usermod -aG dialout $USER, then log out and in again"
            return FlashingError(f"{port}: no permission to open it", fix)
    return BusyError(
        f"{port} is in use by another program",
        "Close the serial monitor, mpremote or editor that has it open, and try again",
    )


def silent(port: str, heard: bytes) -> FlashingError:
    """What a board that does not answer is told by what it said last."""
    if is_boot_loader(heard):
        return FlashingError(
            f"{port}: the board has no MicroPython, its boot loader looks for a program",
            how_to_install(port, "esp32"),
            NO_MICROPYTHON,
        )
    return FlashingError(
        f"{port}: no MicroPython answers",
        "Press the board's reset button and try again. If that does not help, install "
        f"MicroPython: {how_to_install(port)}",
        NO_MICROPYTHON,
    )


def how_to_install(port: str, kind: str | None = None) -> str:
    """How MicroPython gets on a board of a kind, or of either."""
    esp32 = (
        "get ESP32_GENERIC-….bin from https://micropython.org/download/ESP32_GENERIC, then "
        f"`esptool --port {port} erase-flash` and "
        f"`esptool --port {port} write-flash 0x1000 ESP32_GENERIC-….bin`"
    )
    rp2 = (
        "get RPI_PICO_W-….uf2 from https://micropython.org/download/RPI_PICO_W, hold BOOTSEL "
        "while plugging the board in, and copy the UF2 to the drive that appears"
    )
    if kind == "esp32":
        return f"Install MicroPython: {esp32}"
    if kind == "rp2":
        return f"Install MicroPython: {rp2}"
    return f"on an ESP32, {esp32}; on a Pico W, {rp2}"
