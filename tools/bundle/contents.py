"""What goes into a bundle: an application's files and the firmware's, compiled."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from tools import board_files, roles, shims
from tools.bundle.format import ANY, PACK, BundleError, File, packed
from tools.mpy import CompileError, check_app, compiled

shims.install()

from firmware.application import NATIVE  # noqa: E402

# The version of what mpy-cross makes here; of the one after the point only native code is.
MPY = "6"
_OWN_ROOM = "firmware"
_LEFT_OUT = ("__pycache__",)
_BLOCK = 4096
# A module with native code is for one chip: such a one is compiled on the board.
_IS_NATIVE = "invalid arch"
# What an import finds in a slot: a file, or a folder.
_MODULE = re.compile(r"(?:lib/)?(\w+)(?:\.m?py$|/)")


def application(
    path: Path, as_source: bool = False, on_file: Callable[[str], None] = lambda name: None
) -> list[File]:
    """The files of an application: an app.py, or a folder that has one.

    Raises BundleError, CompileError, and OSError.
    """
    if not path.is_dir():
        return [_module(path, "app.py", as_source, on_file)]
    if not (path / "app.py").is_file():
        raise BundleError(f"{path} has no app.py, which is what a board starts")
    files = []
    for file in sorted(_files_in(path)):
        name = file.relative_to(path).as_posix()
        if name.split("/")[0] in (_OWN_ROOM, PACK):
            raise BundleError(f"{file}: that name is the firmware's own")
        if name.endswith(".mpy"):
            files.append(_compiled(file, name))
        elif name.endswith(".py"):
            files.append(_module(file, name, as_source, on_file))
        else:
            files.append(File(name, file.read_bytes()))
    return files


def makes_a_device(files: Iterable[File]) -> bool:
    """Whether an application names a firmware.device: without one nothing is heard of ThingsBoard.

    A compiled module has its names in it, too.
    """
    modules = [file.content for file in files if file.path.endswith((".py", ".mpy"))]
    return any(b"firmware" in each and (b"device" in each or b"aio" in each) for each in modules)


def hiding(files: Iterable[File]) -> list[str]:
    """The paths of an application's modules that hide MicroPython's own from the firmware."""
    modules = ((file.path, _MODULE.match(file.path)) for file in files)
    return [path for path, found in modules if found and found[1] in NATIVE.split()]


def firmware(config: bytes | None, as_source: bool = False) -> File:
    """The firmware's modules, packed: for all boards, or what a config.json asks for.

    Raises BundleError.
    """
    asked_for = roles.MOST if config is None else roles.asked_for(config) | {roles.UPDATE}
    try:
        return pack(board_files.firmware(as_source, asked_for))
    except CompileError as error:
        raise BundleError(f"{error}. Use --source") from None


def pack(files: Mapping[str, bytes]) -> File:
    """Of files, by their path on a board, the firmware's modules in one."""
    start = f"/{_OWN_ROOM}/"
    modules = {path[len(start) :]: data for path, data in files.items() if path.startswith(start)}
    has_mpy = any(path.endswith(".mpy") for path in modules)
    return File(PACK, packed(modules), MPY if has_mpy else ANY)


def on_flash(files: Iterable[File]) -> int:
    """The bytes that files take on a board's flash."""
    return sum(-(-len(file.content) // _BLOCK) * _BLOCK for file in files)


def _files_in(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each[0] != "." and each not in _LEFT_OUT]
        for name in names:
            if name[0] != "." and not name.endswith(".pyc"):
                yield Path(place, name)


def _module(file: Path, name: str, as_source: bool, on_file: Callable[[str], None]) -> File:
    on_file(name)
    source = check_app(file) if name == "app.py" else file.read_bytes()
    if as_source:
        return File(name, source)
    try:
        return File(name[: -len("py")] + "mpy", compiled(source, name), MPY)
    except CompileError as error:
        if _IS_NATIVE in str(error):
            return File(name, source)
        raise CompileError(f"{file}: {str(error).splitlines()[-1]}") from None


def _compiled(file: Path, name: str) -> File:
    """A .mpy that is there: its second byte is its version, its third has native code's chip."""
    data = file.read_bytes()
    if data[:1] != b"M" or len(data) < 4:
        raise BundleError(f"{file} is no module that mpy-cross compiled")
    if data[1] != int(MPY):
        raise BundleError(f"{file} is of .mpy version {data[1]}; {MPY} is what boards import")
    if data[2] >> 2:
        raise BundleError(f"{file} holds native code of one chip: bring its source instead")
    return File(name, data, MPY)
