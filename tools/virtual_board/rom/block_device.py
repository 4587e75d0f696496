"""A flash chip in a host file."""


class BlockDevice:
    """MicroPython's extended block-device interface over an open file.

    Nothing here allocates: finalisers close leaked files with the heap locked. Nothing here
    branches: there Ctrl-C would raise, in the middle of littlefs.
    """

    def __init__(self, file, block_size, block_count):
        self.file = file
        self.block_size = block_size
        self.block_count = block_count
        self.erased = b"\xff" * block_size
        nothing = self._nothing
        self._answers = (nothing, nothing, nothing, nothing, self._count, self._size, self._erase)

    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * self.block_size + offset)
        self.file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self.file.seek(block * self.block_size + offset)
        self.file.write(buffer)

    def ioctl(self, operation, argument):
        return self._answers[operation](argument)

    def _nothing(self, argument):
        return 0

    def _count(self, argument):
        return self.block_count

    def _size(self, argument):
        return self.block_size

    def _erase(self, block):
        self.file.seek(block * self.block_size)
        self.file.write(self.erased)
        return 0
