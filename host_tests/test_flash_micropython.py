"""MicroPython for a board that has none: the right image, at the right place."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys

import pytest

from tools.flash import drives, micropython, ports
from tools.flash.chips import CHIPS
from tools.flash.errors import FlashingError
from tools.flash.ports import Port
from tools.virtual_board.flash import PROJECT

ESP_IDS = {"ESP32": 0, "ESP32-C3": 5, "ESP32-S3": 9}
UF2_IDS = {"RP2040": 0xE48BFF56, "RP2350": 0xE48BFF59}


def image_for(chip: str) -> bytes:
    if chip in ESP_IDS:
        return b"\xe9" + bytes(11) + struct.pack("<H", ESP_IDS[chip]) + bytes(500)
    block = b"UF2\nWQ]\x9e" + bytes(20) + struct.pack("<I", UF2_IDS[chip])
    return block + bytes(512 - len(block))


@pytest.fixture
def said():
    return []


@pytest.fixture
def esptool(monkeypatch):
    """Stands in for esptool beside a chip: keeps its command lines."""

    class Esptool:
        def __init__(self):
            self.chip = "ESP32"
            self.commands = []

        def run(self, command, **options):
            assert command[:3] == [sys.executable, "-m", "esptool"]
            self.commands.append(command[3:])
            said = f"Connected to {self.chip} on /dev/ttyUSB0:\nChip type:   {self.chip} (rev 3)\n"
            return subprocess.CompletedProcess(command, 0, said)

    esptool = Esptool()
    monkeypatch.setattr(micropython.subprocess, "run", esptool.run)
    monkeypatch.setattr(drives, "_roots", list)
    return esptool


@pytest.mark.parametrize("chip", ESP_IDS)
def test_an_esp32_gets_its_own_image_at_its_own_offset(tmp_path, said, esptool, chip):
    image = tmp_path / "image.bin"
    image.write_bytes(image_for(chip))
    esptool.chip = chip
    assert micropython.install("/dev/ttyUSB0", image, said.append) == "/dev/ttyUSB0"
    write = esptool.commands[-1]
    assert write[write.index("--erase-all") + 1 :] == [CHIPS[chip].offset, str(image)]
    assert write[write.index("--chip") + 1] == chip.lower().replace("-", "")
    assert any(hashlib.sha256(image.read_bytes()).hexdigest() in line for line in said)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(image_for("ESP32-S3"), "is for ESP32-S3"), (b"<html>", "is no image of MicroPython")],
)
def test_another_image_is_not_written(tmp_path, said, esptool, content, complaint):
    image = tmp_path / "image.bin"
    image.write_bytes(content)
    with pytest.raises(FlashingError, match=f"{complaint}, and the board has ESP32"):
        micropython.install("/dev/ttyUSB0", image, said.append)
    assert not any("write-flash" in command for command in esptool.commands)


def test_a_chip_that_the_firmware_does_not_run_on(tmp_path, said, esptool):
    esptool.chip = "ESP32-H2"
    with pytest.raises(FlashingError, match=r"has ESP32-H2\. The firmware runs on ESP32, "):
        micropython.install("/dev/ttyUSB0", None, said.append)


@pytest.mark.parametrize(("label", "chip"), [("RPI-RP2", "RP2040"), ("RP2350", "RP2350")])
def test_a_pico_w_gets_its_image_on_its_drive(tmp_path, said, monkeypatch, label, chip):
    drive = tmp_path / "media" / label
    drive.mkdir(parents=True)
    (drive / "INFO_UF2.TXT").write_text(f"UF2 Bootloader v1.0\nBoard-ID: {label}\n")
    monkeypatch.setattr(drives, "_roots", lambda: [tmp_path / "media"])
    image = tmp_path / "image.uf2"
    image.write_bytes(image_for(chip))
    there = iter([[], [Port("COM7")]])
    monkeypatch.setattr(ports, "connected", lambda: next(there))
    assert micropython.install(None, image, said.append) == "COM7"
    assert (drive / "image.uf2").read_bytes() == image.read_bytes()


def test_without_internet_it_says_where_to_get_it(tmp_path, said, esptool, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(micropython.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(micropython.Path, "home", lambda: tmp_path)
    with pytest.raises(FlashingError, match="cannot be downloaded: no route to host") as error:
        micropython.install("/dev/ttyUSB0", None, said.append)
    assert "https://micropython.org/download/ESP32_GENERIC" in str(error.value)
    assert "--image" in str(error.value)


def test_esptool_takes_the_command_lines(tmp_path):
    (tmp_path / "image.bin").write_bytes(image_for("ESP32"))
    write = ("--after", "hard-reset", "write-flash", "--erase-all", "0x1000", "image.bin")
    for arguments in (("chip-id",), write):
        done = subprocess.run(
            [sys.executable, "-m", "esptool", "--port", "/nowhere", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode and "Could not open /nowhere" in done.stdout + done.stderr


def test_the_readme_names_every_chip():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for chip in CHIPS.values():
        line = next(line for line in readme.splitlines() if f"| {chip.name} |" in line)
        assert f"[{chip.image}]({chip.page})" in line and (chip.offset or "drive") in line
