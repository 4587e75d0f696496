"""The firmware in a board's ROMFS, from which MicroPython runs it: its code takes no heap there.

A MicroPython that was built with one mounts it at /rom as it starts, behind the file system in
sys.path. Its format and vfs.rom_ioctl: docs/reference/romfs.rst and docs/library/vfs.rst there.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mpremote.romfs import VfsRomWriter

from tools.board_files import modules
from tools.flash.errors import FlashingError, sentences
from tools.flash.install import REMOVE_TREES, Survey
from tools.flash.link import Link
from tools.flash.plan import FIRMWARE, RECORD, RECORD_IN_ROOT, is_module, sha256

# What the first record of an image is: whose it is.
_MARK = b"firmware of firstboot"
_MARK_RECORD = bytes((VfsRomWriter.ROMFS_RECORD_KIND_DATA_VERBATIM, len(_MARK))) + _MARK
_HEADER = VfsRomWriter.ROMFS_HEADER
_HEAD = 64  # bytes, in which all of that is
# A folder of this name is imported by nobody.
_OUTGOING = "/firmware.outgoing"
_PAGE = 256  # bytes that a Pico W programs at a time
_PIECE = 1024

_FIND = """
found = None
try:
    import vfs
    rom = vfs.rom_ioctl(2, 0)
    found = rom.ioctl(4, 0), rom.ioctl(5, 0), bytes(memoryview(rom)[:%d])
except (ImportError, AttributeError, OSError):
    pass
print(repr(found))
"""
# sys.path has what is frozen before it. What is imported for that is not kept.
IS_FROZEN = """
import sys
path = sys.path[:]
sys.path[:] = [".frozen"]
try:
    import firmware.errors
    print(True)
except ImportError:
    print(False)
sys.path[:] = path
for name in list(sys.modules):
    if name.startswith("firmware"):
        del sys.modules[name]
"""
_OPEN = """
import vfs
from binascii import a2b_base64 as d
try:
    vfs.umount("/rom")
except OSError:
    pass
rom = vfs.rom_ioctl(2, 0)
"""
_HASHES = """
import vfs
from binascii import hexlify
from hashlib import sha256
rom = memoryview(vfs.rom_ioctl(2, 0))
for at in range(0, %d, %d):
    print(repr(hexlify(sha256(rom[at : at + %d]).digest()).decode()), end=",\\n")
"""


@dataclass(frozen=True)
class Segment:
    """The ROMFS segment of a board. `head`: how what is in it begins."""

    link: Link
    block_count: int
    block_size: int
    head: bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return self.block_count * self.block_size

    @property
    def is_ours(self) -> bool:
        """Whether it has an image of this firmware, of whatever version."""
        return _first_record(self.head).startswith(_MARK_RECORD)

    @property
    def is_foreign(self) -> bool:
        """Whether it has an image that somebody else put there, and there is something in it."""
        record = _first_record(self.head)
        # What a power cut left of ours is a beginning of it.
        return not _MARK_RECORD.startswith(record.rstrip(b"\xff")[: len(_MARK_RECORD)])

    def empty(self) -> None:
        """Let there be no image."""
        self.link.run(_OPEN + "rom.ioctl(6, 0)")


class Image:
    """The firmware as it goes into a segment. `files`: its modules, by their path on the board.

    `size`, of whole blocks, and `block_size` in bytes.
    """

    def __init__(self, segment: Segment, files: Mapping[str, bytes]):
        self._link = segment.link
        self._blocks = blocks_of(image_of(files), segment.block_size)
        self.block_size = segment.block_size
        self.size = len(self._blocks) * segment.block_size

    def wrong(self) -> set[int]:
        """The blocks to write: those that are otherwise on the board, and with them the first."""
        printed = self._link.run(_HASHES % (self.size, self.block_size, self.block_size)).split()
        found = [line.strip(",'") for line in printed]
        wrong = {at for at, block in enumerate(self._blocks) if found[at] != sha256(block)}
        return wrong and {0, *wrong}

    def write(self, wrong: set[int], on_bytes: Callable[[int], None] = lambda n: None) -> None:
        """Write the blocks that are wrong, and read all of it back. Raises FlashingError.

        Until the last page is written there is no image.
        """
        self._link.run(_OPEN)
        for block, offset, content in operations(self._blocks, wrong):
            if content is None:
                self._link.run(f"rom.ioctl(6, {block})")
            else:
                self._link.run(f"rom.writeblocks({block}, d({b64encode(content)!r}), {offset})")
                on_bytes(len(content))
        if self.wrong():
            raise FlashingError(
                f"{self._link.port}: the ROMFS was written but reads back differently",
                "Run the same command again; if this stays, the board's flash is worn: use "
                "another board",
            )


def find(link: Link) -> Segment | None:
    """The ROMFS segment of a board; few have one."""
    found = link.value(_FIND % _HEAD)
    return Segment(link, *found) if found else None


def image_for(
    link: Link, found: Survey, recorded: Mapping[str, list[str]], files: Mapping[str, bytes]
) -> tuple[Image | None, str]:
    """The image of the firmware for this board, None when it goes on the file system.

    And, of a board with a segment, why it does and what to do about it. `files`: what is wanted
    on the board, and more than the firmware; `recorded`: what flashing put there.
    """
    segment = find(link)
    if segment is None:
        return None, ""
    image = Image(segment, {path: each for path, each in files.items() if is_module(path)})
    if segment.is_foreign:
        what = "its ROMFS has in it what firstboot did not put there"
        fix = (
            "If nobody needs that, put an empty folder in its place: mkdir nothing && mpremote "
            f"connect {link.port} romfs deploy nothing"
        )
    elif image.size > segment.size:
        what = f"its ROMFS has {segment.size // 1024} KB, and {image.size // 1024} are needed"
        fix = "Build MicroPython with a larger one"
    elif link.value(IS_FROZEN):
        what = "its MicroPython has a firmware frozen in it, which comes before what is in ROMFS"
        fix = "Build MicroPython without it"
    elif others := _of_others(found, recorded):
        what = f"{others[0]} is yours, and a folder {FIRMWARE} hides what is in ROMFS"
        fix = "Move it elsewhere"
    else:
        return image, ""
    return None, sentences(f"the firmware goes on the file system: {what}", fix)


def _of_others(found: Survey, recorded: Mapping[str, list[str]]) -> list[str]:
    """The files in the firmware's folder that are no module of it, and that nobody flashed."""
    ours = {f"/{name.removesuffix('.py')}" for name in modules()} | {RECORD.removesuffix(".json")}
    return sorted(
        path
        for path, digest in found.hashes.items()
        if is_module(path)
        and path.removesuffix(".new").rpartition(".")[0] not in ours
        and digest not in recorded.get(path, ())
    )


def let_it_run(link: Link, found: Survey) -> None:
    """Let what is in ROM run: the folder that hides it goes, all of it at one stroke."""
    if RECORD in found.hashes:
        link.put(RECORD_IN_ROOT, link.read(RECORD))
    if found.has(FIRMWARE):
        link.run(f"import os\nos.rename({FIRMWARE!r}, {_OUTGOING!r})")
        link.run(REMOVE_TREES % ([_OUTGOING],))


def tidy(link: Link, found: Survey) -> None:
    """Remove what is left of such a folder when that was cut."""
    if found.has(_OUTGOING):
        link.run(REMOVE_TREES % ([_OUTGOING],))


def image_of(files: Mapping[str, bytes]) -> bytes:
    """An image of files by their path on the board, such as "/firmware/errors.mpy"."""
    writer = VfsRomWriter()
    writer.mkdata(_MARK)
    opened: list[str] = []
    for (*folders, name), content in sorted(
        (path[1:].split("/"), content) for path, content in files.items()
    ):
        while opened != folders[: len(opened)]:
            writer.closedir()
            opened.pop()
        for folder in folders[len(opened) :]:
            writer.opendir(folder)
            opened.append(folder)
        writer.mkfile(name, content)
    for _ in opened:
        writer.closedir()
    return writer.finalise()


def operations(
    blocks: Sequence[bytes], wrong: Collection[int]
) -> Iterator[tuple[int, int, bytes | None]]:
    """What is erased (None) and programmed to write the blocks that are wrong. Pure.

    Gives block, offset in it and content. The first block is one of them: with its first page,
    which comes last, there is an image.
    """
    if not wrong:
        return
    yield 0, 0, None
    for number in sorted(wrong, reverse=True):
        block = blocks[number]
        if number:
            yield number, 0, None
        places = [*range(0, len(block), _PIECE), len(block)]
        if not number:
            places.insert(1, _PAGE)
        for begin, end in reversed([*zip(places, places[1:])]):
            yield number, begin, block[begin:end]


def blocks_of(image: bytes, size: int) -> list[bytes]:
    """An image in blocks, the last one filled up as erased flash is."""
    return [image[at : at + size].ljust(size, b"\xff") for at in range(0, len(image), size)]


def _first_record(head: bytes) -> bytes:
    """What follows the header and the length of an image; b"" when there is no image."""
    if not head.startswith(_HEADER):
        return b""
    size = 0
    for at in range(len(_HEADER), len(head)):
        size = size << 7 | head[at] & 0x7F
        if not head[at] & 0x80:
            return head[at + 1 :] if size else b""
    return b""
