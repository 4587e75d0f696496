"""Puts MicroPython on a board that has none: with esptool, or by copying a UF2 to its drive."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools import set_up
from tools.flash import chips, drives, facts, install, ports
from tools.flash.chips import CHIPS, Chip
from tools.flash.errors import WRONG_USAGE, FlashingError
from tools.flash.images import Say, image_for
from tools.flash.link import Link
from tools.flash.saved import PATHS
from tools.flash.troubles import how_to_install, why_not_open

_CHIP_TYPE = re.compile(r"(?:Chip type:|Chip is|Connected to) +(ESP32[\w-]*)")
# Where an ESP32's partition table is, and an entry in it: what it is, where, and its label.
_PARTITIONS, _PARTITIONS_SIZE = 0x8000, 0xC00
_PARTITION, _PARTITION_MAGIC = struct.Struct("<H2xI4x16s4x"), 0x50AA
_FILE_SYSTEM_BEGINS = 0x2000
_STANDARD_ERROR = 2
# Seconds: until a board that was reset shows as a drive, or its port is there.
_APPEARS_WITHIN = 30.0
_LOOK_AGAIN = 0.2


def put_micropython(port: str | None, image: Path | None, say: Say) -> str:
    """Put MicroPython on the board at a port, or on the only one that shows as a drive.

    `image`: a file in place of a download. Gives the port that the board has then. Raises
    FlashingError, also for an ESP32 whose flash holds what ThingsBoard gives once.
    """
    waiting = drives.find()
    if port is None and len(waiting) == 1:
        ((drive, chip),) = waiting.items()
        return _copy(drive, CHIPS[chip], image, say)
    if port is None and waiting:
        shown = ", ".join(map(str, waiting))
        raise FlashingError(
            f"several boards show as drives: {shown}", "Unplug all but one", WRONG_USAGE
        )
    (chosen,) = ports.choose([port] if port else [], False)
    return _write(chosen, image, say)


def _copy(drive: Path, chip: Chip, image: Path | None, say: Say) -> str:
    image = image_for(chip, image, say)
    before = {each.device for each in ports.connected()}
    say(f"copying {image.name} to {drive}")
    try:
        with image.open("rb") as source, (drive / image.name).open("wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        # The board takes its last block and is gone: the drive with it.
        if drive.exists():
            raise FlashingError(
                f"{drive}: {error.strerror}", "Plug the board in again with BOOTSEL held"
            ) from None
    return _appeared(before)


def _check_nothing_is_lost(port: str, say: Say) -> bool:
    """Raise FlashingError for a board whose flash is not to be erased, or not in this way.

    Gives whether MicroPython has answered.
    """
    say(f"{port}: looking what is on it")
    try:
        with Link(port) as link:
            board = facts.ask(link)
            found = install.survey(link)
            link.start()
    except FlashingError:
        if why_not_open(port):
            raise
        return False
    if board.kind == "rp2":
        raise FlashingError(f"{port} is a {board}", how_to_install(port, board.chip), WRONG_USAGE)
    if kept := [path for path in PATHS if found.has(path)]:
        raise FlashingError(
            f"{port}: {', '.join(kept)} would be lost with the rest of its flash, and ThingsBoard "
            "provisions a name once",
            f"Leave --install-micropython out: it has MicroPython {board.version_text}. Else copy "
            f"them off the board and remove them there, mpremote connect {port} cp :{kept[0]} . "
            f"+ rm :{kept[0]}, or let reset --all remove them; then start this again",
        )
    return True


def _holds_files(port: str) -> bool:
    """Whether MicroPython has made a file system on an ESP32's flash."""
    table = _read_flash(port, _PARTITIONS, _PARTITIONS_SIZE)
    for at in range(0, len(table), _PARTITION.size):
        magic, offset, label = _PARTITION.unpack_from(table, at)
        if magic == _PARTITION_MAGIC and label.rstrip(b"\0") == b"vfs":
            return _read_flash(port, offset, _FILE_SYSTEM_BEGINS).strip(b"\xff") != b""
    return False


def _read_flash(port: str, offset: int, size: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flash.bin")
        _esptool("--port", port, "read-flash", hex(offset), hex(size), str(path), show=False)
        return path.read_bytes()


def _write(port: str, image: Path | None, say: Say) -> str:
    has_answered = _check_nothing_is_lost(port, say)
    set_up.add("esptool")
    said = _esptool("--port", port, "chip-id", show=False)
    found = _CHIP_TYPE.search(said)
    chip = chips.named(found[1]) if found else None
    if chip is None or not chip.offset:
        what = found[1] if found else "a chip that is not known"
        raise FlashingError(
            f"{port} has {what}", f"The firmware runs on {', '.join(CHIPS)}", WRONG_USAGE
        )
    if not has_answered and _holds_files(port):
        raise FlashingError(
            f"{port}: the board gives no prompt, and on its flash are files of MicroPython's; what "
            "ThingsBoard gives once may be among them",
            "Hold its reset button, start this again and let go. If nothing on it is worth "
            f"keeping: {sys.executable} -m esptool --port {port} erase-flash",
        )
    image = image_for(chip, image, say)
    say(f"{port}: {chip.name}. Erasing its flash and writing {image.name} at {chip.offset}")
    arguments = ("--chip", chip.name.lower().replace("-", ""), "--port", port, "--after")
    _esptool(
        *arguments, "hard-reset", "write-flash", "--erase-all", chip.offset, str(image), show=True
    )
    return port


def _esptool(*arguments: str, show: bool) -> str:
    command = [sys.executable, "-m", "esptool", *arguments]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=_STANDARD_ERROR if show else subprocess.PIPE,
        stderr=None if show else subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stdout or "").splitlines() if line.strip()]
        reason = next((line for line in lines if "error" in line.lower()), "esptool gave up")
        raise FlashingError(
            f"{arguments[arguments.index('--port') + 1]}: {reason}",
            "Hold the board's BOOT button while this starts; a Pico W is plugged in with BOOTSEL "
            "held and shows as a drive",
        )
    return done.stdout or ""


def _appeared(before: set[str]) -> str:
    deadline = time.monotonic() + _APPEARS_WITHIN
    while time.monotonic() < deadline:
        if new := [each.device for each in ports.connected() if each.device not in before]:
            return new[0]
        time.sleep(_LOOK_AGAIN)
    raise FlashingError(
        "the board has its image and shows no port", "Plug it in again, then start this again"
    )
