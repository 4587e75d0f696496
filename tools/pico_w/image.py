"""The MicroPython image of a Pico W: which there is, where, and how to get one."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from rp2040py.device.load_flash import UF2_BLOCK_SIZE, decode_block
from rp2040py.utils.firmware_retrieve import MICROPYTHON, retrieve

VERSION = "1.26.1"
VARIABLE = "PICO_W_IMAGE"
CACHE = Path.home() / ".cache" / "rp2040py"
_BOARD = b"Raspberry Pi Pico W with RP2040"
_RELEASE = re.compile(rb"v(\d+)\.(\d+)\.(\d+)\S* on \d{4}-\d\d-\d\d")
_OLDEST = (1, 26, 1)
_NUMBER_OF_BLOCKS = 24  # where a block says how many there are
HOW = (
    f"Download RPI_PICO_W v{VERSION} (.uf2) from https://micropython.org/download/RPI_PICO_W "
    f"and name it with --image or in {VARIABLE}, or put it into {CACHE}."
)


class ImageError(RuntimeError):
    """There is no image, or it is of something else; the text says how to get one."""


def find_image(named: Path | None = None, say: Callable[[str], None] | None = None) -> Path:
    """The image to use: `named`, else what PICO_W_IMAGE names, else one in rp2040py's cache.

    With `say`, which is told of it, one that is nowhere is downloaded into that cache. Raises
    ImageError.
    """
    named = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named:
        version_of(named)
        return named
    for image in _cached():
        return image
    if say:
        say(f"downloading RPI_PICO_W {VERSION} from micropython.org (once) …")
        fetched = _fetch()
        if fetched:
            version_of(fetched)
            return fetched
    raise ImageError(f"There is no MicroPython image for a Pico W. {HOW}")


def version_of(image: Path) -> str:
    """The MicroPython version in an image. Raises ImageError for what is no image to use."""
    try:
        content = image.read_bytes()
    except OSError as error:
        raise ImageError(f"{image} cannot be read ({error.strerror}). {HOW}") from None
    try:
        blocks = range(0, len(content), UF2_BLOCK_SIZE)
        code = b"".join(decode_block(content[at : at + UF2_BLOCK_SIZE]).payload for at in blocks)
        (wanted,) = struct.unpack_from("<I", content, _NUMBER_OF_BLOCKS)
        if len(blocks) != wanted:
            raise ValueError(f"{len(blocks)} of its {wanted} blocks are there")
    except Exception as error:  # struct.error and ValueError, by what is wrong with it
        raise ImageError(f"{image} is no whole UF2 file ({error}). {HOW}") from None
    release = _RELEASE.search(code)
    if not release or _BOARD not in code:
        raise ImageError(f"{image} is no MicroPython for a Pico W. {HOW}")
    numbers = tuple(int(number) for number in release.groups())
    version = ".".join(str(number) for number in numbers)
    if numbers < _OLDEST:
        raise ImageError(f"{image} is MicroPython {version}; {VERSION} or newer is needed. {HOW}")
    return version


def _fetch() -> Path | None:
    """Download the image of VERSION into the cache; None when that cannot be."""
    try:
        for broken_off in CACHE.glob(f"RPI_PICO_W-*-v{VERSION}.uf2"):
            broken_off.unlink()  # rp2040py takes what has the name for the whole
        return retrieve(MICROPYTHON, VERSION, "pico_w")
    except (OSError, HTTPException):
        return None


def _cached() -> list[Path]:
    """The images in the cache that can be used: the one of VERSION first, then the newest."""
    found = []
    for image in CACHE.glob("RPI_PICO_W-*.uf2"):
        try:
            found.append((version_of(image), image))
        except ImageError:
            continue
    newest_first = sorted(found, key=lambda each: _numbers(each[0]), reverse=True)
    return [image for _, image in sorted(newest_first, key=lambda each: each[0] != VERSION)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
