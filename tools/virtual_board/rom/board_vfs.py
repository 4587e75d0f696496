"""The `vfs` module of a board that was built with a ROMFS, kept in a host file beside the flash.

As ports/rp2/rp2_flash.c and ports/esp32/esp32_partition.c have it: one segment, an object that is
read as memory and written as a block device.
"""

import supervisor
import vfs
from vfs import *  # noqa: F403

_COUNT_SEGMENTS, _GET_SEGMENT = 1, 2
_BLOCK_COUNT, _BLOCK_SIZE, _BLOCK_ERASE = 4, 5, 6
_EINVAL = 22


class Segment(bytearray):
    """The ROMFS segment. It is erased in blocks, and programmed by turning ones to zeros."""

    def open(self, path, block_size, program_size):
        """Read it from a host file, and keep it there from now on."""
        self.block_size = block_size
        self.program_size = program_size
        try:
            self.file = open(path, "r+b")
            self.file.readinto(self)
        except OSError:
            self.file = open(path, "w+b")
            self._put(0, b"\xff" * len(self))

    def readblocks(self, block, buffer, offset=0):
        at = block * self.block_size + offset
        buffer[:] = memoryview(self)[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=None):
        at = block * self.block_size + (offset or 0)
        if len(buffer) % self.program_size or at % self.program_size:
            raise OSError(_EINVAL)
        if offset is None:
            for number in range(block, block + -(-len(buffer) // self.block_size)):
                self.ioctl(_BLOCK_ERASE, number)
        programmed = memoryview(self)[at : at + len(buffer)]
        self._put(at, bytes([old & new for old, new in zip(programmed, buffer)]))

    def ioctl(self, operation, argument):
        if operation == _BLOCK_COUNT:
            return len(self) // self.block_size
        if operation == _BLOCK_SIZE:
            return self.block_size
        if operation == _BLOCK_ERASE:
            self._put(argument * self.block_size, b"\xff" * self.block_size)
        return 0

    def _put(self, at, content):
        memoryview(self)[at : at + len(content)] = content
        self.file.seek(at)
        self.file.write(content)


def rom_ioctl(operation, *arguments):
    """What MicroPython's own does."""
    if operation == _COUNT_SEGMENTS:
        return 1
    if operation == _GET_SEGMENT:
        return _segment
    return -_EINVAL


def mount_rom(path):
    """Mount the segment if there is an image in it, as MicroPython does before it runs anything."""
    try:
        vfs.mount(vfs.VfsRom(_segment), "/rom")
    except OSError:
        return
    path[2:2] = ["/rom", "/rom/lib"]


_segment = Segment(supervisor.scenario["romfs"])
_segment.open(
    supervisor.settings["flash"] + ".romfs",
    supervisor.settings["geometry"]["block_size"],
    supervisor.settings["geometry"]["prog_size"],
)
