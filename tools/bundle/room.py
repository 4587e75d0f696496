"""Whether boards have room for the firmware in each of their places: tried on a littlefs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from littlefs import LittleFS, LittleFSError

from tools import board_files, roles
from tools.bundle.format import PACK, Bundle
from tools.mpy import CompileError
from tools.virtual_board.boards import KINDS

# Blocks that a board keeps free, see firmware.update.admission.
_SPARE = 8
# Bytes of what else stands on a board: /config.json, /credentials.json, /start.json, /slots.json;
# and in a slot.
_KEPT = 600
_PACKAGE = 300


def warnings(bundle: Bundle, size: int, config: bytes | None) -> list[str]:
    """What is said of boards that have no room for two bundles like this beside their root.

    `size`: of the bundle, in bytes. `config`: of the boards, None when it is not known: then they
    have all of the firmware.
    """
    if all(file.path != PACK for file in bundle.files):
        return []
    asked_for = roles.MOST if config is None else roles.asked_for(config) | {roles.UPDATE}
    try:
        root = board_files.firmware(asked_for=asked_for)
    except CompileError:
        return []  # It is on no board as `flash` compiles it.
    root |= {f"/{name}.json": bytes(_KEPT) for name in ("config", "credentials", "start", "slots")}
    slot = {f"/{file.path}": file.content for file in bundle.files}
    manifest = size - sum(map(len, slot.values()))
    slot |= {"/package": bytes(_PACKAGE), "/manifest": bytes(manifest)}
    said = []
    for kind in [each for each in sorted(KINDS) if each in (bundle.boards or KINDS)]:
        found = slots_beside(root, slot, kind)
        if found < 2:
            said.append(_said(kind, found, config))
    return said


def slots_beside(root: Mapping[str, bytes], slot: Mapping[str, bytes], kind: str) -> int:
    """How many slots, none, one or two, with these files fit on a board beside such a root."""
    board = KINDS[kind]
    files = LittleFS(
        block_size=board.block_size,
        block_count=board.block_count,
        read_size=board.prog_size,
        prog_size=board.prog_size,
        cache_size=4 * board.prog_size,
    )
    slots = 0
    try:
        for place in ("", "/a", "/b"):
            for path, content in (slot if place else root).items():
                folder = PurePosixPath(place + path).parent.as_posix()
                files.makedirs(folder, exist_ok=True)
                with files.open(place + path, "wb") as file:
                    file.write(content)
            if files.used_block_count > board.block_count - _SPARE:
                break
            slots += bool(place)
    except LittleFSError as error:
        if error.code != LittleFSError.Error.LFS_ERR_NOSPC:
            raise
    return slots


def _said(kind: str, slots: int, config: bytes | None) -> str:
    size = f"the {KINDS[kind].flash_size // 1024} KB of a board of the kind {kind}"
    if slots:
        said = f"{size} have room for one such bundle at a time beside the firmware as flashed: "
        said += "the next one with --firmware is taken only after one without"
    else:
        said = f"{size} have no room for it beside the firmware as flashed"
    return said if config else said + ". With --config it brings only what the boards use"
