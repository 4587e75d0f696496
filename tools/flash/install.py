"""Brings the files of a board up to date, so that it can be broken off anywhere and done again.

Where modules change main.py goes first and comes last: a board with half of an update starts
nothing.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tools.flash import plan as planning
from tools.flash.errors import FlashingError
from tools.flash.facts import Facts
from tools.flash.link import Link
from tools.flash.plan import (
    APP,
    BOOT,
    CONFIG,
    FIRMWARE,
    MAIN,
    RECORD,
    RECORD_IN_ROOT,
    Plan,
    is_module,
    sha256,
)

CREDENTIALS = "/credentials.json"
_HASHED_IN_ROOT = tuple(
    path + suffix for path in (MAIN, BOOT, APP, CONFIG, RECORD_IN_ROOT) for suffix in ("", ".new")
)

_SURVEY = """
import hashlib, os
from binascii import hexlify
buffer = memoryview(bytearray(512))
def show(path, size):
    h = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            n = file.readinto(buffer)
            if not n:
                break
            h.update(buffer[:n])
    print((path, size, hexlify(h.digest()).decode()), end=",\\n")
def walk(folder):
    for entry in os.ilistdir(folder):
        path = folder + "/" + entry[0]
        if entry[1] & 0x4000:
            print((path, 0, ""), end=",\\n")
            walk(path)
        else:
            show(path, entry[3])
for entry in os.ilistdir("/"):
    path = "/" + entry[0]
    if path in %r and not entry[1] & 0x4000:
        show(path, entry[3])
    else:
        print((path, 0, ""), end=",\\n")
    if path == "/firmware" and entry[1] & 0x4000:
        walk(path)
for path in %r:
    try:
        show(path, os.stat(path)[6])
    except OSError:
        pass
"""
_HASH = """
import hashlib
from binascii import hexlify
h = hashlib.sha256()
with open(%r, "rb") as file:
    while True:
        piece = file.read(512)
        if not piece:
            break
        h.update(piece)
print(repr(hexlify(h.digest()).decode()))
"""
_MAKE_FOLDERS = """
import os
for path in %r:
    try:
        os.mkdir(path)
    except OSError:
        os.stat(path)
"""
REMOVE = """
import os
for path in %r:
    os.remove(path)
"""
REMOVE_TREES = """
import os
def remove(path):
    try:
        mode = os.stat(path)[0]
    except OSError:
        return
    if mode & 0x4000:
        for name in os.listdir(path):
            remove(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)
for path in %r:
    remove(path)
"""
REMOVE_EMPTY_FOLDERS = """
import os
for path in %r:
    try:
        os.rmdir(path)
    except OSError:
        pass
"""


@dataclass
class Survey:
    """What is on a board: hashes and sizes by path, every name in the root, every folder."""

    hashes: dict[str, str]
    sizes: dict[str, int]
    names: set[str]
    folders: list[str]

    def has(self, path: str) -> bool:
        return path[1:] in self.names

    def without_firmware(self) -> Survey:
        """What is left when the folder with the firmware is gone."""
        return Survey(
            {path: each for path, each in self.hashes.items() if not is_module(path)},
            {path: each for path, each in self.sizes.items() if not is_module(path)},
            self.names - {FIRMWARE[1:]},
            [path for path in self.folders if not is_module(path)],
        )


def survey(link: Link, wanted: Iterable[str] = ()) -> Survey:
    """Look at a board's files. `wanted`: paths to look at besides those of every board."""
    wanted = (*_HASHED_IN_ROOT, *wanted)
    deeper = [path for path in wanted if path.count("/") > 1 and not is_module(path)]
    listed = link.run(_SURVEY % (wanted, deeper))
    entries = ast.literal_eval(f"[{listed}]")
    return Survey(
        hashes={path: digest for path, _, digest in entries if digest},
        sizes={path: size for path, size, digest in entries if digest},
        names={path[1:] for path, _, _ in entries if path.count("/") == 1},
        folders=[path for path, _, digest in entries if not digest and path.count("/") > 1],
    )


def credentials(link: Link, found: Survey) -> dict:
    """What is in a board's /credentials.json; nothing when it is none."""
    if not found.has(CREDENTIALS):
        return {}
    try:
        saved = json.loads(link.read(CREDENTIALS))
    except ValueError:
        return {}
    return saved if isinstance(saved, dict) else {}


def recorded(link: Link, found: Survey) -> dict[str, list[str]]:
    """What flashing put on this board, see tools.flash.plan."""
    record: dict[str, list[str]] = {}
    for path in (RECORD_IN_ROOT, RECORD):
        if path in found.hashes:
            for each, hashes in planning.read_record(link.read(path)).items():
                record[each] = sorted({*record.get(each, ()), *hashes})
    return record


def check_space(facts: Facts, plan: Plan, found: Survey) -> None:
    """Raise FlashingError when the plan does not fit on the flash."""
    needed = planning.space_needed(plan, found.sizes)
    if plan.put and needed > facts.free:
        raise FlashingError(
            f"{facts.port}: the flash has {facts.free // 1024} KB free and "
            f"{needed // 1024} KB are needed",
            f"Remove files that you need no more: mpremote connect {facts.port} rm :FILE",
        )


def apply(
    link: Link, plan: Plan, found: Survey, on_bytes: Callable[[int], None] = lambda n: None
) -> None:
    """Make the changes, and read all of them back. Raises FlashingError."""
    stale = [
        path for path in (RECORD, RECORD_IN_ROOT) if path in found.hashes and path != plan.record
    ]
    is_recorded = found.hashes.get(plan.record) == sha256(plan.record_after) and not stale
    if not plan.put and not plan.remove and is_recorded:
        return
    for path, aside in plan.set_aside.items():
        link.run(f"import os\nos.rename({path!r}, {aside!r})")
    goes_first = MAIN in plan.put and plan.changes_firmware
    if goes_first and MAIN in found.hashes and MAIN not in plan.set_aside:
        link.run(REMOVE % ([MAIN],))
    link.run(_MAKE_FOLDERS % (folders([plan.record, *plan.put]),))
    link.put(plan.record, plan.record_before)
    if plan.remove:
        link.run(REMOVE % (plan.remove,))
    for path, content in plan.put.items():
        if path != MAIN:
            link.put(path, content, on_bytes)
    link.run(REMOVE_EMPTY_FOLDERS % (sorted(found.folders, key=len, reverse=True),))
    _verify(link, plan)
    if MAIN in plan.put:
        link.put(MAIN, plan.put[MAIN], on_bytes)
        if link.value(_HASH % MAIN) != sha256(plan.put[MAIN]):
            raise _worn(link, MAIN)
    link.put(plan.record, plan.record_after)
    if stale:
        link.run(REMOVE % (stale,))


def _verify(link: Link, plan: Plan) -> None:
    hashes = survey(link, plan.put).hashes
    for path, content in plan.put.items():
        if path != MAIN and hashes.get(path) != sha256(content):
            raise _worn(link, path)


def _worn(link: Link, path: str) -> FlashingError:
    return FlashingError(
        f"{link.port}: {path} was written but reads back differently",
        "Run the same command again; if this stays, the board's flash is worn: use another board",
    )


def folders(paths: Iterable[str]) -> list[str]:
    """The folders that these files are in, the outermost first."""
    found = set()
    for path in paths:
        parts = path.split("/")[1:-1]
        found |= {"/" + "/".join(parts[: end + 1]) for end in range(len(parts))}
    return sorted(found, key=len)
