"""The bundle: a manifest of lines, an empty line, then the files' contents in its order. Pure.

firstboot-bundle 1
title my-app
version 1.2.0
boards esp32 rp2            sys.platform; left out: any
micropython 1.23            at least; left out: any
firmware 1.0.0              at least this firstboot; left out in one that brings its own firmware/
file 6 1234 <sha256> app.mpy        in the order of their paths
file - 55 <sha256> web/index.html
sha256 <sha256>             over all bytes before this line
signature <base64>          only when signed, over all bytes before this line
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

FIRST_LINE = "firstboot-bundle 1"
# Bytes that a board takes.
LONGEST_LINE = 200
LONGEST_MANIFEST = 16_384
LONGEST_PATH = 100
# The mpy version of a file that is for every board, and no module of MicroPython's.
ANY = "-"
# A slot's firmware/ in one file, see firmware.update.pack.
PACK = "firmware.pack"
# What an update never brings: it stands in the root of the flash, and stays.
_NEVER = ("main.py", "main.mpy", "boot.py", "boot.mpy", "config.json", "credentials.json")
# A slot's own.
_TAKEN = ("manifest", "manifest.new", "manifest.rest", "package", "package.new")
_VERSION = re.compile(r"\d+(\.\d+)*\Z")
_MPY = re.compile(r"-|\d+(\.\d+)?\Z")


class BundleError(Exception):
    """Why something is no bundle, or cannot become one."""


class File(NamedTuple):
    """A file by its path in the slot; `mpy`: the version of .mpy that it is for, or ANY.

    A path may come several times, for several versions.
    """

    path: str
    content: bytes
    mpy: str = ANY

    @property
    def digest(self) -> str:
        """Its SHA-256, in hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Bundle:
    """What a bundle says and holds.

    `boards`: sys.platform of those that it is for, () for any. `micropython`, `firmware`: the
    oldest versions that will do, "" for any. `signature`: None when there is none; `signed`: the
    bytes that it is over, of a bundle that was read.
    """

    title: str
    version: str
    files: tuple[File, ...]
    boards: tuple[str, ...] = ()
    micropython: str = ""
    firmware: str = ""
    signature: bytes | None = None
    signed: bytes = field(default=b"", repr=False)

    @property
    def has_firmware(self) -> bool:
        """Whether it brings the firmware's modules, too."""
        return any(file.path == PACK or file.path.startswith("firmware/") for file in self.files)


def make(bundle: Bundle, sign: Callable[[bytes], bytes] | None = None) -> bytes:
    """The bytes of a bundle: the same for the same. Raises BundleError.

    `sign`: gives the signature of bytes.
    """
    _check_words(bundle)
    lines = [FIRST_LINE, f"title {bundle.title}", f"version {bundle.version}"]
    if bundle.boards:
        lines.append(f"boards {' '.join(sorted(bundle.boards))}")
    if bundle.micropython:
        lines.append(f"micropython {bundle.micropython}")
    if bundle.firmware:
        lines.append(f"firmware {bundle.firmware}")
    files = sorted(bundle.files)
    check_paths(files)
    for file in files:
        lines.append(f"file {file.mpy} {len(file.content)} {file.digest} {file.path}")
    manifest = _joined(lines)
    manifest += f"sha256 {hashlib.sha256(manifest).hexdigest()}\n".encode()
    if sign:
        manifest += f"signature {b64encode(sign(manifest)).decode()}\n".encode()
    manifest += b"\n"
    if len(manifest) > LONGEST_MANIFEST:
        raise BundleError(
            f"the list of its {len(files)} files has {len(manifest)} bytes, and boards take "
            f"{LONGEST_MANIFEST}: bring fewer files"
        )
    return manifest + b"".join(file.content for file in files)


def packed(files: Mapping[str, bytes]) -> bytes:
    """A PACK of the files of a folder, by their path in it."""
    lists: dict[str, bytes] = {"": b"\n"}
    contents = b""
    for path, content in sorted(files.items()):
        folder, _, name = path.rpartition("/")
        for parent in PurePosixPath(path).parents:
            lists.setdefault("" if parent.name == "" else str(parent), b"\n")
        lists[folder] += f"{name} {len(contents)} {len(content)}\n".encode()
        contents += content
    table = b"\n"
    for folder, listed in sorted(lists.items()):
        table += f"{folder} {len(contents)} {len(listed)}\n".encode()
        contents += listed
    return b"%d\n" % len(table) + table + contents


def unpacked(pack: bytes) -> dict[str, bytes]:
    """The files in a PACK."""
    size, _, rest = pack.partition(b"\n")
    table, contents = rest[: int(size)], rest[int(size) :]
    files = {}
    for folder, listed in _parts(table, contents):
        for name, content in _parts(listed, contents):
            files[f"{folder}/{name}".lstrip("/")] = content
    return files


def _parts(lines: bytes, contents: bytes) -> Iterator[tuple[str, bytes]]:
    """What the lines of a PACK name, each with its part of the contents."""
    for line in lines.decode().split("\n"):
        if line:
            name, at, size = line.rsplit(" ", 2)
            yield name, contents[int(at) : int(at) + int(size)]


def read(data: bytes) -> Bundle:
    """The bundle in bytes, every SHA-256 checked, but no signature. Raises BundleError."""
    head, end, contents = data[:LONGEST_MANIFEST].partition(b"\n\n")
    if not head.startswith(FIRST_LINE.encode() + b"\n"):
        raise BundleError(f"it is no bundle: its first line is not {FIRST_LINE!r}")
    if not end and len(data) < LONGEST_MANIFEST:
        raise BundleError("it ends in the middle of its manifest")
    if not end:
        raise BundleError(f"its manifest does not end within {LONGEST_MANIFEST} bytes")
    try:
        lines = head.decode().split("\n")
    except UnicodeDecodeError:
        raise BundleError("its manifest is not in UTF-8") from None
    said: dict[str, str] = {}
    listed = []
    if lines[-1].startswith("signature "):
        said["signature"] = lines.pop().partition(" ")[2]
    signed = "".join(f"{line}\n" for line in lines).encode()
    own = lines.pop()
    listing = "".join(f"{line}\n" for line in lines).encode()
    if own != f"sha256 {hashlib.sha256(listing).hexdigest()}":
        raise BundleError("its manifest is damaged: its SHA-256 is another")
    for number, line in enumerate(lines[1:], 2):
        word, _, rest = line.partition(" ")
        if word == "file":
            listed.append(_file_line(number, rest))
        elif word in ("title", "version", "boards", "micropython", "firmware"):
            if word in said:
                raise BundleError(f"line {number} of its manifest says {word} again")
            said[word] = rest
        else:
            raise BundleError(f"line {number} of its manifest is not known")
    for word in ("title", "version"):
        if word not in said:
            raise BundleError(f"its manifest has no {word}")
    start = len(head) + len(end)
    files = []
    for mpy, size, digest, path in listed:
        file = File(path, data[start : start + size], mpy)
        if len(file.content) < size:
            raise BundleError(f"it ends in the middle of {path}")
        if file.digest != digest:
            raise BundleError(f"{path} is damaged: its SHA-256 is another")
        files.append(file)
        start += size
    if start != len(data):
        raise BundleError(f"{len(data) - start} bytes follow its last file")
    check_paths(files)
    bundle = Bundle(
        title=said["title"],
        version=said["version"],
        files=tuple(files),
        boards=tuple(said.get("boards", "").split()),
        micropython=said.get("micropython", ""),
        firmware=said.get("firmware", ""),
        signature=_signature(said.get("signature")),
        signed=signed if "signature" in said else b"",
    )
    _check_words(bundle)
    return bundle


def check_paths(files: Iterable[File]) -> None:
    """Raise BundleError for a path that a board refuses, or that is there twice."""
    seen: dict[str, list[str]] = {}
    for file in files:
        path = file.path
        parts = path.split("/")
        if len(path.encode()) > LONGEST_PATH:
            raise BundleError(f"{path}: boards take paths of {LONGEST_PATH} bytes at most")
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in path) or "\\" in path:
            raise BundleError(f"{path!r} has a character that no name of a file may have")
        if path != path.strip():
            raise BundleError(f"{path!r} begins or ends with a blank")
        if any(part in ("", ".", "..") for part in parts):
            raise BundleError(f"{path!r} leaves the place of the application")
        if path in _NEVER:
            raise BundleError(f"{path} stays on the board as it is: no update brings it")
        if parts[0] in _TAKEN:
            raise BundleError(f"{path}: a board keeps a file of its own under that name")
        others = seen.setdefault(path, [])
        if others and (file.mpy in (ANY, *others) or ANY in others):
            raise BundleError(f"{path} is there twice")
        others.append(file.mpy)
    if list(seen) != sorted(seen):
        raise BundleError("its files are not in the order of their paths")
    for path in sorted(seen):
        stem, _, suffix = path.rpartition(".")
        if suffix == "mpy" and f"{stem}.py" in seen:
            raise BundleError(f"{stem}.py and {path} are one module: bring one of them")
        for end in range(1, path.count("/") + 1):
            folder = "/".join(path.split("/")[:end])
            if folder in seen:
                raise BundleError(f"{folder} is a file and a folder")


def _check_words(bundle: Bundle) -> None:
    for what in ("title", "version"):
        word = getattr(bundle, what)
        if not word or word != word.strip() or not word.isprintable():
            raise BundleError(f"its {what} is no text on one line without blanks around it")
    for what in ("micropython", "firmware"):
        word = getattr(bundle, what)
        if word and not _VERSION.match(word):
            raise BundleError(f"{word!r} is no version for {what}: it is like 1.23")
    for board in bundle.boards:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", board):
            raise BundleError(f"{board!r} is no board's sys.platform")


def _joined(lines: Iterable[str]) -> bytes:
    joined = b""
    for line in lines:
        encoded = line.encode()
        if len(encoded) > LONGEST_LINE:
            what = line.split(" ")[-1] if line.startswith("file ") else line.split(" ")[0]
            raise BundleError(
                f"{what}: its line has {len(encoded)} bytes, and boards take {LONGEST_LINE}: "
                "shorten the name"
            )
        joined += encoded + b"\n"
    return joined


def _file_line(number: int, rest: str) -> tuple[str, int, str, str]:
    match = re.fullmatch(r"(\S+) (\d{1,9}) ([0-9a-f]{64}) (.+)", rest)
    if not match or not _MPY.match(match[1]):
        raise BundleError(f"line {number} of its manifest is no line of a file")
    return match[1], int(match[2]), match[3], match[4]


def _signature(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise BundleError("its signature is no base64") from None
