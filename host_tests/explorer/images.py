"""The flash images that power-ups start from: a fresh one, and those where littlefs tidies up.

littlefs keeps a directory in a pair of blocks, as a log. When the log is full it is compacted
into the other block; every 100 compactions the pair is relocated to fresh blocks.
Another file is written often enough before that this happens in a chosen commit of what follows.
"""

from __future__ import annotations

from collections import deque
from functools import cache

from host_tests.explorer.flash import BLOCK_SIZE, Chip, Files, Image
from host_tests.explorer.scene import CONFIG, Setting

BLOCKS = 12
_IN_PLACE = ("erase of block 0", "erase of block 1")
FRESH = "fresh"
_OTHER_FILE = "/main.py"


def fresh(setting: Setting) -> Image:
    """A formatted flash with config.json, as flashing leaves it."""
    return _fresh(setting.config, setting.kind)


def _fresh(config: bytes, kind: str) -> Image:
    chip = Chip((b"\xff" * BLOCK_SIZE,) * BLOCKS)
    files = Files(chip, kind, format=True)
    files.write(_OTHER_FILE, b"import firmware")
    files.write(CONFIG, config)
    return chip.image


def images(setting: Setting, commits: int = 10) -> dict[str, Image]:
    """By name: the fresh image, and those from which littlefs compacts or relocates in one of the
    next `commits`. A power-up makes at most 9 where nothing goes wrong."""
    return _images(setting.config, setting.kind, commits)


@cache
def _images(config: bytes, kind: str, commits: int) -> dict[str, Image]:
    image = _fresh(config, kind)
    chip = Chip(image)
    files = Files(chip, kind)
    erased: list[str] = []
    chip.watch = lambda operation, half: operation.startswith("erase") and erased.append(operation)
    before: deque[Image] = deque(maxlen=commits)
    images: dict[str, Image] = {FRESH: image}
    while True:
        before.append(chip.image)
        files.write(_OTHER_FILE, b"import firmware")
        relocates = any(operation not in _IN_PLACE for operation in erased)
        if relocates or (erased and len(images) == 1):
            does = "relocates" if relocates else "compacts"
            for commit, image in enumerate(reversed(before), 1):
                images[f"{does} in commit {commit}"] = image
        if relocates:
            return images
        erased.clear()
