"""Puts MicroPython on a board that has none: with esptool, or by copying a UF2 to its drive."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tools import set_up
from tools.flash import chips, drives, facts, install, ports
from tools.flash.chips import CHIPS, Chip
from tools.flash.errors import WRONG_USAGE, FlashingError
from tools.flash.link import Link
from tools.flash.saved import PATHS
from tools.flash.troubles import how_to_install, why_not_open

VERSION, DATE = "1.26.1", "20250911"
_URL = "https://micropython.org/resources/firmware/{name}"
# At offset 12 of an ESP32's image, and at offset 28 of a UF2's blocks.
_ESP_CHIPS = {0: "ESP32", 5: "ESP32-C3", 9: "ESP32-S3"}
_UF2_CHIPS = {0xE48BFF56: "RP2040", 0xE48BFF59: "RP2350"}
_UF2_MAGIC = b"UF2\nWQ]\x9e"
_UF2_BLOCK = 512
# The family of a block for any chip; images for an RP2350 begin with one (its erratum E10).
_UF2_ANY_CHIP = 0xE48BFF57
_CHIP_TYPE = re.compile(r"(?:Chip type:|Chip is|Connected to) +(ESP32[\w-]*)")
# Seconds: until a board that was reset shows as a drive, or its port is there.
_APPEARS_WITHIN = 30.0
_LOOK_AGAIN = 0.2

Say = Callable[[str], None]


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


def chip_of(image: bytes) -> str | None:
    """The chip that an image is for; None when it is no whole image for a chip here."""
    if image.startswith(_UF2_MAGIC):
        return _chip_of_uf2(image)
    if image[:1] == b"\xe9" and len(image) > 14:
        return _ESP_CHIPS.get(struct.unpack_from("<H", image, 12)[0])
    return None


def _chip_of_uf2(image: bytes) -> str | None:
    blocks = [image[at : at + _UF2_BLOCK] for at in range(0, len(image), _UF2_BLOCK)]
    if len(blocks[-1]) != _UF2_BLOCK or not blocks[-1].startswith(_UF2_MAGIC):
        return None
    number, count = struct.unpack_from("<II", blocks[-1], 20)
    families = {struct.unpack_from("<I", block, 28)[0] for block in blocks} - {_UF2_ANY_CHIP}
    return _UF2_CHIPS.get(families.pop()) if number + 1 == count and len(families) == 1 else None


def _copy(drive: Path, chip: Chip, image: Path | None, say: Say) -> str:
    image = _image_for(chip, image, say)
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


def _check_nothing_is_lost(port: str, say: Say) -> None:
    """Raise FlashingError for a board whose flash is not to be erased, or not in this way."""
    say(f"{port}: looking what is on it")
    try:
        with Link(port) as link:
            board = facts.ask(link)
            found = install.survey(link)
            link.start()
    except FlashingError:
        if why_not_open(port):
            raise
        return  # no MicroPython answers: nothing of firstboot's is in use there
    if board.kind == "rp2":
        raise FlashingError(f"{port} is a {board}", how_to_install(port, board.chip), WRONG_USAGE)
    if kept := [path for path in PATHS if found.has(path)]:
        raise FlashingError(
            f"{port}: {', '.join(kept)} would be lost with the rest of its flash, and ThingsBoard "
            "provisions a name once",
            f"Copy them off the board and remove them there, mpremote connect {port} "
            f"cp :{kept[0]} . + rm :{kept[0]}, or let reset --all remove them; then start this "
            "again",
        )


def _write(port: str, image: Path | None, say: Say) -> str:
    _check_nothing_is_lost(port, say)
    set_up.add("esptool")
    said = _esptool("--port", port, "chip-id", show=False)
    found = _CHIP_TYPE.search(said)
    chip = chips.named(found[1]) if found else None
    if chip is None or not chip.offset:
        what = found[1] if found else "a chip that is not known"
        raise FlashingError(
            f"{port} has {what}", f"The firmware runs on {', '.join(CHIPS)}", WRONG_USAGE
        )
    image = _image_for(chip, image, say)
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
        stdout=None if show else subprocess.PIPE,
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


def _image_for(chip: Chip, image: Path | None, say: Say) -> Path:
    image = image or _download(chip, say)
    content = image.read_bytes()
    made_for = chip_of(content)
    if made_for != chip.name:
        raise FlashingError(
            f"{image} is {'for ' + made_for if made_for else 'no whole image'}, and the board has "
            f"{chip.name}",
            f"Get {chip.image} from {chip.page}",
            WRONG_USAGE,
        )
    say(f"{image.name}: SHA-256 {hashlib.sha256(content).hexdigest()}")
    return image


def _download(chip: Chip, say: Say) -> Path:
    name = f"{chip.image}-{DATE}-v{VERSION}.{'bin' if chip.offset else 'uf2'}"
    folder = Path.home() / ".cache" / "firstboot"
    target = folder / name
    if target.is_file():
        return target
    say(f"downloading {_URL.format(name=name)}")
    half = target.with_name(name + ".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(_URL.format(name=name), timeout=30) as response,
            half.open("wb") as file,
        ):
            shutil.copyfileobj(response, file)
            if file.tell() != int(response.headers["Content-Length"] or file.tell()):
                raise OSError("it broke off")
        half.replace(target)
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise FlashingError(
            f"{name} cannot be downloaded: {error}",
            f"Get it from {chip.page} and name it behind --install-micropython",
        ) from None
    return target


def _appeared(before: set[str]) -> str:
    deadline = time.monotonic() + _APPEARS_WITHIN
    while time.monotonic() < deadline:
        if new := [each.device for each in ports.connected() if each.device not in before]:
            return new[0]
        time.sleep(_LOOK_AGAIN)
    raise FlashingError(
        "the board has its image and shows no port", "Plug it in again, then start this again"
    )
