"""Images of MicroPython: which chip one is for, and where it comes from."""

from __future__ import annotations

import hashlib
import shutil
import struct
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tools.flash.chips import Chip
from tools.flash.errors import WRONG_USAGE, FlashingError

VERSION, DATE = "1.26.1", "20250911"
_URL = "https://micropython.org/resources/firmware/{name}"
# At offset 12 of an ESP32's image, and at offset 28 of a UF2's blocks.
_ESP_CHIPS = {0: "ESP32", 5: "ESP32-C3", 9: "ESP32-S3"}
_UF2_CHIPS = {0xE48BFF56: "RP2040", 0xE48BFF59: "RP2350"}
_UF2_MAGIC = b"UF2\nWQ]\x9e"
_UF2_BLOCK = 512
# The family of a block for any chip; images for an RP2350 begin with one (its erratum E10).
_UF2_ANY_CHIP = 0xE48BFF57

Say = Callable[[str], None]


def image_for(chip: Chip, image: Path | None, say: Say) -> Path:
    """An image for a chip, downloaded when no file is given. Raises FlashingError."""
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
