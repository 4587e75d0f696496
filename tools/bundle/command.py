"""What the verb `bundle` does: makes a bundle, or looks at one, and says so."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from rich.text import Text

from tools.bundle import contents, format, room
from tools.bundle.format import Bundle, BundleError
from tools.program import version
from tools.styled import Console, progress_bars
from tools.virtual_board.boards import KINDS

# Bytes of a slot that are not files of the bundle: folders, the manifest, what is kept free.
_RESERVE = 64 * 1024


def make(
    app: Path,
    config: bytes | None,
    has_firmware: bool,
    as_source: bool,
    title: str,
    version_of_it: str,
    boards: tuple[str, ...],
    micropython: str,
    sign=None,
) -> bytes:
    """The bytes of a bundle. Raises BundleError, CompileError and OSError.

    `config`: that of the boards, with which only the firmware that they use is brought; None for
    all of it. `sign`: gives the signature of bytes.
    """
    with progress_bars() as progress:
        task = progress.add_task("compiling the application", total=None)
        files = contents.application(
            app, as_source, lambda name: progress.update(task, description=f"compiling {name}")
        )
        if has_firmware:
            progress.update(task, description="compiling the firmware")
            files.append(contents.firmware(config, as_source))
    bundle = Bundle(
        title=title,
        version=version_of_it,
        files=tuple(files),
        boards=boards,
        micropython=micropython,
        firmware="" if has_firmware else version(),
    )
    _check_size(bundle)
    return format.make(bundle, sign)


def write(path: Path, data: bytes) -> None:
    """Write a bundle, whole; nothing but a bundle is replaced. Raises BundleError and OSError."""
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(format.FIRST_LINE)) != format.FIRST_LINE.encode():
                raise BundleError(f"{path} is there and is no bundle: name another file")
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def facts(
    path: Path, data: bytes, bundle: Bundle, signature: str, config: bytes | None = None
) -> dict:
    """What a bundle is, for `--json` and for people.

    `signature`: what is known of it. `config`: that of the boards, if it is known.
    """
    return {
        "file": str(path),
        "title": bundle.title,
        "version": bundle.version,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "boards": list(bundle.boards),
        "micropython": bundle.micropython,
        "firmware": bundle.firmware,
        "needs": needs(bundle),
        "signature": signature,
        "flash": contents.on_flash(bundle.files),
        "warnings": [*_warnings(bundle), *room.warnings(bundle, len(data), config)],
        "files": [
            {"path": each.path, "size": len(each.content), "mpy": each.mpy, "sha256": each.digest}
            for each in bundle.files
        ],
    }


def show(found: dict, as_json: bool, to_do: list[str]) -> None:
    """Print what a bundle is, and what is next."""
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    console = Console(soft_wrap=True)
    console.print(
        Text.assemble(
            (f"{found['title']} {found['version']}", "bold"),
            f": {found['file']}, {found['size']:,} bytes, {found['flash'] // 1024} KB on the flash",
        )
    )
    for line in found["warnings"]:
        console.print(Text(f"  warning: {line}", "yellow"))
    for line in (f"for {found['needs']}", found["signature"], f"SHA-256 {found['sha256']}"):
        console.print(Text(f"  {line}"))
    width = max((len(each["path"]) for each in found["files"]), default=0)
    for each in found["files"]:
        console.print(Text(f"  {each['path']:<{width}}  {each['size']:>9,}"))
    for line in to_do:
        console.print(Text(line))


def needs(bundle: Bundle) -> str:
    """The boards that take it, in words."""
    needed = [" and ".join(bundle.boards) or "any board"]
    if bundle.micropython:
        needed.append(f"MicroPython {bundle.micropython} or newer")
    if bundle.firmware:
        needed.append(f"firstboot {bundle.firmware} or newer")
    return ", with ".join([needed[0], " and ".join(needed[1:])]) if needed[1:] else needed[0]


def how_to_upload(found: dict) -> list[str]:
    """What a person does next in ThingsBoard."""
    return [
        f"Next, in ThingsBoard: OTA updates, +: title {found['title']}, version "
        f"{found['version']}, package type Software, checksum algorithm SHA-256, and the file.",
        "Then name it as Assigned software in a device, or in a device profile for all of its.",
    ]


def _warnings(bundle: Bundle) -> list[str]:
    own = [file for file in bundle.files if file.path != format.PACK]
    found = [
        f"{path} hides a module of MicroPython's from the firmware too, which may fail without it: "
        "give it another name"
        for path in contents.hiding(own)
    ]
    if not contents.makes_a_device(own):
        found.append(
            "it imports no firmware.device: a board that runs it is told of no update, and goes "
            "back to what it ran before"
        )
    return found


def _check_size(bundle: Bundle) -> None:
    size = contents.on_flash(bundle.files) + _RESERVE
    kinds = bundle.boards or tuple(KINDS)
    small = min(kinds, key=lambda kind: KINDS[kind].flash_size)
    if size > KINDS[small].flash_size:
        raise BundleError(
            f"its files take {size // 1024} KB of flash, and a board of the kind {small} has "
            f"{KINDS[small].flash_size // 1024} KB for all: bring less"
        )
