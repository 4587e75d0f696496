"""A Pico W that waits for MicroPython: a USB drive to which an image is copied."""

from __future__ import annotations

import os
import string
from pathlib import Path

_INFO = "INFO_UF2.TXT"
_CHIPS = {"RPI-RP2": "RP2040", "RP2350": "RP2350"}


def find(roots: list[Path] | None = None) -> dict[Path, str]:
    """The drives of boards that wait for an image, and each one's chip.

    `roots`: folders that drives are mounted in; this computer's own without it.
    """
    found = {}
    for drive in [each for root in roots or _roots() for each in _folders(root)]:
        try:
            text = (drive / _INFO).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        chip = next((_CHIPS[name] for name in _CHIPS if name in text), None)
        if chip:
            found[drive] = chip
    return found


def _roots() -> list[Path]:
    if os.name == "nt":
        return [Path(f"{letter}:\\") for letter in string.ascii_uppercase[2:]]
    user = os.environ.get("USER", "")
    return [Path("/media"), Path("/media", user), Path("/run/media", user), Path("/Volumes")]


def _folders(root: Path) -> list[Path]:
    if os.name == "nt":
        return [root]
    try:
        return sorted(each for each in root.iterdir() if each.is_dir())
    except OSError:
        return []
