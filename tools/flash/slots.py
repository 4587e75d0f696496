"""The slots of a board: which place runs, and how what is flashed gets into the other one.

The board's own code writes it, as it does an update over the air: what runs stays whole until the
other slot is, and comes back when that does not prove itself.
"""

from __future__ import annotations

import contextlib
import hashlib
from base64 import b64encode
from collections.abc import Callable
from types import SimpleNamespace

from tools import shims
from tools.bundle import contents, format
from tools.bundle.format import Bundle, File
from tools.flash.content import default_of
from tools.flash.errors import FlashingError, sentences
from tools.flash.install import REMOVE_TREES, Survey
from tools.flash.link import Link
from tools.flash.plan import APP, BOOT, MAIN, is_module
from tools.terminal import one_line

shims.install()

from firmware.update.slots import PATH, SLOTS, State  # noqa: E402

# What a bundle that came by cable is called; its version is a digest of it.
TITLE = "flash"
_CHUNK = 1024
_OPEN = """
from binascii import a2b_base64 as d
from firmware.board.hardware import Board
from firmware.errors import FirstbootError
from firmware.update.install import Installation
from firmware.update.slots import State
try:
    Board._feed = _watchdog.feed if _watchdog else None
    board = Board()
    state = State(board.storage)
    if not state.slot():
        state.fail("another version was flashed by cable")
    i = Installation(board, %r)
    i.begin(%r, %r, %r, %r)
    print(repr(i.offset))
except FirstbootError as error:
    print(repr((error.what, error.fix)))
"""
_DO = """
try:
    %s
    print(None)
except FirstbootError as error:
    print(repr((error.what, error.fix)))
"""


class Slots:
    """What /slots.json on a board says."""

    def __init__(self, content: bytes):
        self._state = State(SimpleNamespace(read=lambda path: content))

    @property
    def running(self) -> str:
        """The folder of the slot that runs, "" for the root."""
        return self._state.running

    def runs(self, bundle: Bundle) -> bool:
        """Whether what runs is this one, which came by cable."""
        package = self._state.package() or {}
        return (package.get("title"), package.get("version")) == (bundle.title, bundle.version)

    def lines(self) -> list[str]:
        """In words: what runs, whether on trial, what comes back, and what has failed."""
        state = self._state
        package = state.package()
        where = "the root, as it was flashed"
        if package:
            where = f"{state.running}: {_named(package)}"
        if state.on_trial:
            after = state.before or "the root"
            starts = state.found["starts"]
            where += f", on trial: {starts} starts are left to it, then {after} comes back"
        elif package:
            where += ", confirmed"
        lines = [f"the board runs {where}"]
        if failed := state.found["failed"]:
            lines.append(f"{_named(failed)} failed: {one_line(str(failed['why']))}")
        return lines


def find(link: Link, found: Survey) -> Slots | None:
    """The slots of a board; None of one that never had an update."""
    if not found.has(PATH):
        return None
    return Slots(link.read(PATH))


def bundle_of(files: dict[str, bytes]) -> bytes:
    """A bundle of files by their path in a slot; the same for the same."""
    listed = tuple(File(path, content) for path, content in sorted(files.items()))
    digest = hashlib.sha256(repr([(each.path, each.digest) for each in listed]).encode())
    return format.make(Bundle(TITLE, digest.hexdigest()[:12], listed))


def divided(
    link: Link, places: Slots, wanted: dict[str, bytes]
) -> tuple[bytes | None, dict[str, bytes]]:
    """Divide what is wanted on a board whose slot runs: a bundle for the other slot, and the rest.

    The bundle has what the slot that runs has of the application, unless it is wanted anew; None
    when that is what runs.
    """
    files = _application(link, places.running)
    if APP in wanted:
        files.pop("app.mpy", None)
        files["app.py"] = wanted[APP]
    own = contents.pack(wanted)
    files[own.path] = own.content
    rest = {
        path: content
        for path, content in wanted.items()
        if path not in (APP, BOOT, MAIN) and not is_module(path)
    }
    bundle = bundle_of(files)
    return (None if places.runs(format.read(bundle)) else bundle), rest


def remove(link: Link) -> None:
    """Let the root run, and remove the slots."""
    link.run(REMOVE_TREES % ([PATH, PATH + ".new", *SLOTS],))


def install(
    link: Link, data: bytes, settings: dict | None, on_bytes: Callable[[int], None]
) -> list[str]:
    """Put a bundle into the slot that does not run, and let it run, on trial; lines that say it.

    `settings`: `update` of a checked config.json. What was broken off goes on. What is on trial
    and in the way has failed: what ran before it comes back if the new one fails. Raises
    FlashingError.
    """
    bundle = format.read(data)
    given = settings or {key: default_of("update.", key) for key in ("trial", "contact")}
    given = {**given, "key": None}  # who has the board in hand needs no signature
    checksum = hashlib.sha256(data).hexdigest()
    source = _OPEN % (given, bundle.title, bundle.version, len(data), checksum)
    offset = _asked(link, source)
    on_bytes(offset)
    for start in range(offset, len(data), _CHUNK):
        piece = data[start : start + _CHUNK]
        _asked(link, _DO % f"i.write(d({b64encode(piece)!r}))")
        on_bytes(len(piece))
    _asked(link, _DO % "i.finish(); i.switch()")
    return [
        f"it is on trial: what ran before comes back unless the board reaches ThingsBoard within "
        f"{given['contact']} s and runs for {given['trial']} s, or calls confirm_update()",
        "software that is assigned in ThingsBoard replaces it",
    ]


def _application(link: Link, place: str) -> dict[str, bytes]:
    """What the slot that runs has of the application, by path; only the board's .mpy are there."""
    files = {}
    try:
        manifest = link.read(f"{place}/manifest").decode()
    except FlashingError:
        raise FlashingError(
            f"{link.port}: the slot {place}, which runs, is damaged",
            "Flash the root, and remove the slots, with --root",
        ) from None
    for line in manifest.splitlines():
        path = line.split(" ", 4)[-1]
        is_ours = path == format.PACK or path.startswith("firmware/")
        if line.startswith("file ") and not is_ours:
            with contextlib.suppress(FlashingError):
                files[path] = link.read(f"{place}/{path}")
    return files


def _asked(link: Link, source: str):
    answer = link.value(source, timeout=60.0)
    if isinstance(answer, tuple):
        what, fix = map(one_line, answer)
        fix = sentences(fix, "Or `flash --root` removes the slots, and flashes the root")
        raise FlashingError(f"{link.port}: {what}", fix)
    return answer


def _named(package: dict) -> str:
    if package["title"] == TITLE:
        return f"what `flash` put there ({one_line(package['version'])})"
    return one_line(f"{package['title']} {package['version']}")
