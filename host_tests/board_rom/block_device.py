"""A flash chip that is a host file mapped into memory, at the address in FLASH_AT.

Stands in the ROM in place of block_device.py, which is then file_block_device.py, and takes two
system calls for each read. Nothing here allocates either, nor heeds Ctrl-C: it is native code.
"""

import os

import file_block_device
import micropython


class BlockDevice(file_block_device.BlockDevice):
    address = int(os.getenv("FLASH_AT"))

    def readblocks(self, block, buffer, offset=0):
        _read(buffer, self.address + block * self.block_size + offset, len(buffer))

    def writeblocks(self, block, buffer, offset=0):
        _write(self.address + block * self.block_size + offset, buffer, len(buffer))

    def _erase(self, block):
        _write(self.address + block * self.block_size, self.erased, self.block_size)
        return 0


# Every size is a multiple of four.


@micropython.viper
def _read(buffer: ptr32, address: int, size: int):
    flash = ptr32(address)
    for word in range(size >> 2):
        buffer[word] = flash[word]


@micropython.viper
def _write(address: int, buffer: ptr32, size: int):
    flash = ptr32(address)
    for word in range(size >> 2):
        flash[word] = buffer[word]
