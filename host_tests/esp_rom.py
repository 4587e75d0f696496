"""An ESP32 without a program at a serial port: its ROM loader, to which esptool speaks."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import threading
import time
import zlib
from collections import defaultdict
from pathlib import Path

from esptool.loader import ESPLoader
from esptool.targets import CHIP_DEFS

from tools.virtual_board.cable import Cable

_OP = ESPLoader.ESP_CMDS
_NAMES = {code: name for name, code in _OP.items()}
_END = b"\xc0"
_ESCAPES = {b"\xdb\xdc": b"\xc0", b"\xdb\xdd": b"\xdb"}
_NO_PROGRAM = b"invalid header: 0xffffffff\r\n"
_INVALID = b"\x01\x05\0\0"
_FLASH_ID = 0x1640EF  # 4 MB
_SPI_USR = 1 << 18
# What esptool reckons a crystal of 40 MHz from.
_CLOCK_DIVIDER = 40_000_000 // 115_200
FLASH_BYTES = 4 << 20
CHIP_IDS = {"ESP32": 0, "ESP32-C3": 5, "ESP32-S3": 9}


def image_for(chip: str) -> bytes:
    """Something that begins as an image of MicroPython for a chip does."""
    return b"\xe9\1\2\x20" + bytes(8) + struct.pack("<H", CHIP_IDS[chip]) + bytes(range(256)) * 300


class EspRom:
    """The chip that esptool calls `chip`, at the serial port `link`, while in its context.

    Until a program speaks to its ROM loader it says what one without a program says. `flash` holds
    what is on it, `commands` the names of what it was told. A stub that is loaded is not run: what
    it would do is done here. `becomes`: another serial port, which `link` is once what was written
    has been verified.
    """

    def __init__(self, chip: str, link: Path, becomes: Path | None = None):
        self.link = link
        self.flash = bytearray(b"\x5a" * FLASH_BYTES)
        self.commands: list[str] = []
        self._target = CHIP_DEFS[chip]
        self._becomes = becomes
        self._at = 0
        self._inflate = zlib.decompressobj()
        self._reset()
        self._cable = Cable(link)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="ROM loader")

    def __enter__(self) -> EspRom:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._is_over.set()
        self._thread.join()
        self._cable.pull()

    def _reset(self) -> None:
        """What a pseudo-terminal has no line for: each program that opens it finds the ROM."""
        self._is_told = self._is_stub = False
        self._after: list[bytes] = []
        self._registers: dict[int, int] = defaultdict(int)
        if self._target.MAGIC_VALUE:
            self._registers[ESPLoader.CHIP_DETECT_MAGIC_REG_ADDR] = self._target.MAGIC_VALUE
        self._registers[self._target.UART_CLKDIV_REG] = _CLOCK_DIVIDER

    def _run(self) -> None:
        received = b""
        while not self._is_over.is_set():
            if more := self._cable.read():
                *packets, received = (received + more).split(_END)
                for packet in packets:
                    packet = re.sub(rb"\xdb[\xdc\xdd]", lambda found: _ESCAPES[found[0]], packet)
                    if packet[:1] == b"\0" and len(packet) >= 8:
                        self._is_told = True
                        self._answer(packet[1], packet[8:])
                continue
            if not self._cable.is_open():
                self._reset()
            elif not self._is_told:
                self._cable.write(_NO_PROGRAM)
            self._is_over.wait(0.002)

    def _answer(self, op: int, data: bytes) -> None:
        name = _NAMES[op]
        self.commands.append(name)
        value, payload = 0, b""
        if name == "SYNC":
            for _ in range(8):
                self._send(op, 0 if self._is_stub else 0x20120707)
            return
        handle = getattr(self, f"_{name.lower()}", None)
        try:
            if handle:
                value, payload = handle(data)
        except LookupError:
            self._send(op, 0, _INVALID)
            return
        self._send(op, value, payload + (b"\0\0" if self._is_stub else b"\0\0\0\0"))
        self._is_stub = self._is_stub or name == "MEM_END"
        for packet in self._after:
            self._write(packet)
        self._after = []
        if name == "SPI_FLASH_MD5" and self._becomes:
            other = self.link.with_name(f"{self.link.name}.new")
            other.symlink_to(os.readlink(self._becomes))
            os.replace(other, self.link)

    def _read_reg(self, data: bytes) -> tuple[int, bytes]:
        return self._registers[struct.unpack("<I", data)[0]], b""

    def _write_reg(self, data: bytes) -> tuple[int, bytes]:
        address, value = struct.unpack_from("<II", data)
        target = self._target
        if address == target.SPI_REG_BASE and value & _SPI_USR:
            command = self._registers[target.SPI_REG_BASE + target.SPI_USR2_OFFS] & 0xFF
            found = _FLASH_ID if command == 0x9F else 0
            self._registers[target.SPI_REG_BASE + target.SPI_W0_OFFS] = found
            value = 0  # done
        self._registers[address] = value
        return 0, b""

    def _get_security_info(self, _: bytes) -> tuple[int, bytes]:
        if not self._target.SECURITY_INFO_SUPPORTED:
            raise LookupError
        return 0, struct.pack("<I8xII", 0, self._target.IMAGE_CHIP_ID, 0)

    def _erase_flash(self, _: bytes) -> tuple[int, bytes]:
        self.flash[:] = b"\xff" * FLASH_BYTES
        return 0, b""

    def _flash_defl_begin(self, data: bytes) -> tuple[int, bytes]:
        size, _, _, self._at = struct.unpack_from("<IIII", data)
        self._inflate = zlib.decompressobj()
        end = self._at + -(-size // 4096) * 4096
        self.flash[self._at : end] = b"\xff" * (end - self._at)
        return 0, b""

    def _flash_defl_data(self, data: bytes) -> tuple[int, bytes]:
        written = self._inflate.decompress(data[16:])
        self.flash[self._at : self._at + len(written)] = written
        self._at += len(written)
        return 0, b""

    def _mem_end(self, _: bytes) -> tuple[int, bytes]:
        self._after = [b"OHAI"]
        return 0, b""

    def _read_flash(self, data: bytes) -> tuple[int, bytes]:
        """Whose blocks follow the answer, and whose acknowledgements are not waited for."""
        offset, size, block = struct.unpack_from("<III", data)
        content = bytes(self.flash[offset : offset + size])
        self._after = [content[at : at + block] for at in range(0, size, block)]
        self._after.append(hashlib.md5(content).digest())
        return 0, b""

    def _spi_flash_md5(self, data: bytes) -> tuple[int, bytes]:
        start, size = struct.unpack_from("<II", data)
        return 0, hashlib.md5(self.flash[start : start + size]).digest()

    def _send(self, op: int, value: int, data: bytes = b"\0\0\0\0") -> None:
        self._write(struct.pack("<BBHI", 1, op, len(data), value) + data)

    def _write(self, packet: bytes) -> None:
        escaped = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        left = _END + escaped + _END
        while left and self._cable.is_open():
            left = left[self._cable.write(left) :]
            time.sleep(0 if not left else 0.001)
