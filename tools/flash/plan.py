"""What has to change on a board, worked out from what is there. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

FIRMWARE = "/firmware"
# What flashing put on the board: {path: [hashes]}; two hashes while an update is under way.
RECORD = "/firmware/installed.json"
# The same where the firmware is in ROM or frozen, which a folder of its name would hide.
RECORD_IN_ROOT = "/firstboot.json"
# What the firmware keeps for its next starts.
KEPT = "/start.json"
REMEMBERED = "/onboarding.json"
MAIN, BOOT, APP, CONFIG = "/main.py", "/boot.py", "/app.py", "/config.json"
_BLOCK = 4096
# Bytes for folders, and for the firmware to save what it must.
_RESERVE = 12 * _BLOCK


@dataclass
class Plan:
    """`put`: content by path. `remove`: ours, not wanted any more. `set_aside`: old and new name.

    `kept`: files of the user's that stay in place of ours. `record`: where that is kept.
    """

    put: dict[str, bytes] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    record: str = RECORD
    record_before: bytes = b""
    record_after: bytes = b""

    @property
    def changes_firmware(self) -> bool:
        """Whether main.py has to be away until all of it is done."""
        return any(map(is_module, [*self.put, *self.remove]))


def is_module(path: str) -> bool:
    """Whether a file on the board is in the folder of the firmware's modules."""
    return path.startswith(FIRMWARE + "/")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_record(content: bytes | None) -> dict[str, list[str]]:
    """What an earlier flashing recorded; nothing when there is none, or it is broken."""
    try:
        record = json.loads(content or b"{}")
        return {str(path): [str(each) for each in hashes] for path, hashes in record.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def make_plan(
    wanted: dict[str, bytes],
    found: dict[str, str],
    names: set[str],
    recorded: dict[str, list[str]],
    keeps_firmware: bool = False,
) -> Plan:
    """`found`: hashes by path, of /firmware and of what is `wanted`; `names`: in the root.

    `keeps_firmware`: what was recorded of /firmware stays, wanted or not.
    """
    plan = Plan()
    if FIRMWARE[1:] not in names and not any(map(is_module, wanted)):
        plan.record = RECORD_IN_ROOT
    hashes = {path: sha256(content) for path, content in wanted.items()}
    for path, content in wanted.items():
        if found.get(path) == hashes[path]:
            continue
        is_users = path in found and found[path] not in recorded.get(path, ())
        if is_users and path == BOOT:
            plan.kept.append(path)
            continue
        if is_users and path in (MAIN, APP):
            plan.set_aside[path] = _free_name(path, names)
        plan.put[path] = content
    for path, hash_on_board in found.items():
        is_stale = is_module(path) and hash_on_board in recorded.get(path, ())
        is_stale = is_stale and not keeps_firmware
        if path not in wanted and path != RECORD and (is_stale or _shadows(path, wanted)):
            plan.remove.append(path)
    if plan.changes_firmware and MAIN in wanted:
        plan.put[MAIN] = wanted[MAIN]
    ours = {path: [each] for path, each in hashes.items() if path not in (CONFIG, *plan.kept)}
    for path in recorded:
        # An app.py or a certificate that is not asked for this time stays, and stays ours.
        if path not in wanted and (keeps_firmware or not is_module(path)):
            ours[path] = recorded[path]
    before = {
        path: sorted({*recorded.get(path, ()), *ours.get(path, ())}) for path in {*recorded, *ours}
    }
    plan.record_before = _dump(before)
    plan.record_after = _dump(ours)
    return plan


def space_needed(plan: Plan, sizes: dict[str, int]) -> int:
    """Bytes that the flash must have free; `sizes`: of the files on the board."""
    added = sum(_on_flash(len(content)) for content in plan.put.values())
    freed = sum(_on_flash(sizes.get(path, 0)) for path in {*plan.put, *plan.remove})
    largest = max((_on_flash(len(content)) for content in plan.put.values()), default=0)
    return max(0, added - freed) + largest + _RESERVE


def _shadows(path: str, wanted: dict[str, bytes]) -> bool:
    """Whether a file is the other form of a module of ours, or what a broken-off write left."""
    stem, _, suffix = path.rpartition(".")
    other = {"py": "mpy", "mpy": "py"}.get(suffix)
    if suffix == "new":
        return stem in wanted or _shadows(stem, wanted)
    return is_module(path) and other is not None and f"{stem}.{other}" in wanted


def _free_name(path: str, names: set[str]) -> str:
    number = 1
    while f"{path}.bak{number}"[1:] in names:
        number += 1
    return f"{path}.bak{number}"


def _on_flash(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _dump(record: dict[str, list[str]]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
