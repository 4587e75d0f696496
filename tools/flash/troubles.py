"""Why a port cannot be opened, or nothing answers there, and what to do."""

from __future__ import annotations

import errno
import os
import re
import sys

import serial

from tools.flash import chips
from tools.flash.chips import Chip
from tools.flash.errors import NO_MICROPYTHON, BusyError, FlashingError

# What an ESP32's boot loader says when there is no program to start; that alone proves it.
_NO_PROGRAM = re.compile(rb"invalid header|flash read err|No bootable app partitions")
_DOWNLOAD = re.compile(rb"waiting for download")
_SLEEP = re.compile(rb"rst:0x5 |DEEPSLEEP")
_BROWNOUT = re.compile(rb"[Bb]rownout")
_NO_TERMINAL = (errno.ENOTTY, errno.EISDIR, errno.ENXIO)
_NAME_A_PORT = "Name one with --port; `boards` shows what is there"
_HOLD_RESET = "Hold the board's reset button, start this again and let go"


def why_not_open(port: str) -> FlashingError | None:
    """Why a port cannot be opened, found by trying once more; None when it can be now."""
    try:
        serial.serial_for_url(port, exclusive=True).close()
        return None
    except ValueError as error:
        return FlashingError(f"{port}: {error}", _NAME_A_PORT)
    except (serial.SerialException, OSError) as error:
        number, text = error.errno, str(error)
        missing = number == errno.ENOENT or "FileNotFoundError" in text
        denied = number in (errno.EACCES, errno.EPERM) and os.name != "nt"
        if number in _NO_TERMINAL or f"({errno.ENOTTY}, " in text:
            return FlashingError(f"{port} is no serial port", _NAME_A_PORT)
        if missing:
            return FlashingError(
                f"there is no port {port}",
                "Plug the board in; `boards` shows what is there",
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


def boot_loader_s(port: str, heard: bytes) -> FlashingError | None:
    """What a boot loader's own words on the console prove; None when they prove nothing."""
    if _DOWNLOAD.search(heard):
        return FlashingError(
            f"{port}: the board waits for a download, and starts nothing",
            "Press its reset button, then start this again",
        )
    if len(_NO_PROGRAM.findall(heard)) > 1:
        return FlashingError(
            f"{port}: the board has no MicroPython, its boot loader finds no program",
            how_to_install(port, chips.of_boot_loader(heard)),
            NO_MICROPYTHON,
        )
    return None


def no_prompt(port: str, heard: bytes) -> FlashingError:
    """What a board is told that gives no prompt, by what it said."""
    if _BROWNOUT.search(heard):
        return FlashingError(
            f"{port}: the board resets because its supply voltage drops",
            "Use another cable, or a USB port that gives more current",
        )
    if _SLEEP.search(heard):
        return FlashingError(f"{port}: the board sleeps most of the time", _HOLD_RESET)
    if heard:
        return FlashingError(f"{port}: a program runs and Ctrl-C does not stop it", _HOLD_RESET)
    return FlashingError(
        f"{port}: the board says nothing. It sleeps, its program lets no Ctrl-C through, or there "
        "is no MicroPython on it",
        f"{_HOLD_RESET}. If it never had MicroPython: {how_to_install(port)}",
    )


def restarted(port: str) -> FlashingError:
    """What is said of a board that began anew, or went on for ever, in the middle of a question."""
    return FlashingError(
        f"{port}: the board does not come to an end with what it was asked, or resets itself",
        f"If a watchdog runs on it: {_HOLD_RESET[0].lower()}{_HOLD_RESET[1:]}",
    )


def how_to_install(port: str, chip: Chip | None = None) -> str:
    """How MicroPython gets on a board with a chip, or on one whose chip is not known."""
    if chip is None:
        return (
            f"`flash --install-micropython --port {port}` puts MicroPython on an ESP32; a Pico W "
            "is plugged in with BOOTSEL held, and then `flash --install-micropython` does it"
        )
    if chip.offset:
        return (
            f"`flash --install-micropython --port {port}` puts it there: {chip.image} at "
            f"{chip.offset}, and erases the flash"
        )
    return (
        "Plug the board in with BOOTSEL held, so that it shows as a drive; then "
        f"`flash --install-micropython` puts {chip.image} there"
    )
