"""A flash chip in a host file."""


class BlockDevice:
    """MicroPython's extended block-device interface over an open file.

    Nothing here allocates: finalisers close leaked files with the heap locked.
    """

    def __init__(self, file, block_size, block_count):
        self.file = file
        self.block_size = block_size
        self.block_count = block_count
        self.erased = b"\xff" * block_size

    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * self.block_size + offset)
        self.file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self.file.seek(block * self.block_size + offset)
        self.file.write(buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.block_count
        if operation == 5:
            return self.block_size
        if operation == 6:
            self.file.seek(argument * self.block_size)
            self.file.write(self.erased)
        return 0
