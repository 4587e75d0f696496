"""The virtual board's flash chip, and a power supply that fails at one of its operations.

Stands in its ROM in place of block_device.py, which is then whole_block_device.py. The variable
POWER_CUT says when: "17 before", "17 inside"; operations count from 1, a program or an erase each.
"""

import os

import whole_block_device

_number, _moment = os.getenv("POWER_CUT").split()
_number = int(_number)


def _cut_power():
    os.system("kill -9 $PPID")
    while True:
        pass


class BlockDevice(whole_block_device.BlockDevice):
    operations = 0

    def writeblocks(self, block, buffer, offset=0):
        self.operations += 1
        if self.operations == _number:
            if _moment == "inside":
                super().writeblocks(block, bytes(buffer)[: len(buffer) // 2], offset)
            _cut_power()
        super().writeblocks(block, buffer, offset)

    def ioctl(self, operation, argument):
        if operation == 6:
            self.operations += 1
            if self.operations == _number:
                if _moment == "inside":
                    half = self.erased[: self.block_size // 2]
                    super().writeblocks(argument, half)
                _cut_power()
        return super().ioctl(operation, argument)
