"""MicroPython for a board that has none: the right image, at the right place."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import typer

from host_tests.esp_rom import CHIP_IDS, FLASH_BYTES, EspRom, image_for
from host_tests.flash_bench import Desk
from host_tests.http_folder import Handler, served
from host_tests.power_up_bench import config_for
from host_tests.processes import BARE
from host_tests.virtual_bench import needs_micropython
from tools.flash import drives, images, micropython, ports
from tools.flash.chips import CHIPS
from tools.flash.errors import FlashingError
from tools.flash.ports import Port
from tools.verbs.flash import verb as flash_verb
from tools.virtual_board.flash import PROJECT

UF2_IDS = {"RP2040": 0xE48BFF56, "RP2350": 0xE48BFF59}


def uf2_block(number: int, count: int, family: int) -> bytes:
    head = struct.pack("<8sIIIIII", b"UF2\nWQ]\x9e", 0x2000, 0x10000000, 256, number, count, family)
    return head + bytes(476) + struct.pack("<I", 0x0AB16F30)


def uf2_image(chip: str) -> bytes:
    """As picotool makes it: for an RP2350 with a block in front that is for any chip."""
    first = uf2_block(0, 2, 0xE48BFF57) if chip == "RP2350" else b""
    return first + b"".join(uf2_block(number, 3, UF2_IDS[chip]) for number in range(3))


@pytest.fixture
def said():
    return []


@pytest.fixture
def rom(tmp_path, monkeypatch):
    """Plugs in a chip without a program, with esptool itself on the other end."""
    monkeypatch.setattr(drives, "_roots", list)
    with ExitStack() as stack:
        yield lambda chip, **options: stack.enter_context(
            EspRom(chip.lower().replace("-", ""), tmp_path / "port", **options)
        )


@pytest.mark.parametrize("chip", CHIP_IDS)
def test_an_esp32_gets_its_own_image_at_its_own_offset(tmp_path, said, rom, chip):
    image = tmp_path / "image.bin"
    image.write_bytes(image_for(chip))
    board = rom(chip)
    assert micropython.put_micropython(str(board.link), image, said.append) == str(board.link)
    content, offset = image.read_bytes(), int(CHIPS[chip].offset, 16)
    written = bytes(offset).replace(b"\0", b"\xff") + content
    assert board.flash[: len(written)] == written  # and nothing of what was there before
    assert not board.flash[len(written) :].strip(b"\xff")
    assert any(hashlib.sha256(content).hexdigest() in line for line in said)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (image_for("ESP32-S3"), "is for ESP32-S3"),
        (uf2_image("RP2350"), "is for RP2350"),
        (uf2_image("RP2040")[:-512], "is no whole image"),
        (b"<html>", "is no whole image"),
    ],
)
def test_another_image_is_not_written(tmp_path, said, rom, content, complaint):
    image = tmp_path / "image.bin"
    image.write_bytes(content)
    board = rom("ESP32")
    with pytest.raises(FlashingError, match=f"{complaint}, and the board has ESP32"):
        micropython.put_micropython(str(board.link), image, said.append)
    assert board.flash == b"\x5a" * FLASH_BYTES


def test_a_chip_that_the_firmware_does_not_run_on(tmp_path, said, rom):
    board = rom("ESP32-C6")
    with pytest.raises(FlashingError, match=r"has ESP32-C6\. The firmware runs on ESP32, "):
        micropython.put_micropython(str(board.link), None, said.append)


@needs_micropython
def test_a_board_with_credentials_is_not_erased(tmp_path, said):
    with Desk(tmp_path) as desk:
        board = desk.board()
        desk.flash(board)
        with pytest.raises(FlashingError, match=r"/credentials\.json would be lost") as error:
            micropython.put_micropython(str(board.link), None, said.append)
        assert "reset --all" in error.value.fix
        done = desk.tools("reset", "--port", board.link, "--all")
        assert done.returncode == 0, done.stdout + done.stderr
        assert micropython._check_nothing_is_lost(str(board.link), said.append)


@pytest.mark.parametrize("begins", [b"\xff" * 8, b"\1\0\0\0\xf0\x0f\xff\xf7littlefs"])
def test_files_on_a_board_without_a_prompt_are_not_erased(tmp_path, said, rom, begins):
    """A deep sleeper may have credentials; a partition that nobody has used has none."""
    image = tmp_path / "image.bin"
    image.write_bytes(image_for("ESP32"))
    board = rom("ESP32")
    entry = struct.pack("<HBBII16sI", 0x50AA, 1, 0x82, 0x200000, 0x200000, b"vfs", 0)
    board.flash[0x8000:0xA000] = (b"\xff" * 0x40 + entry).ljust(0x2000, b"\xff")
    board.flash[0x200000:0x202000] = begins.ljust(0x2000, b"\xff")
    if b"littlefs" in begins:
        with pytest.raises(FlashingError, match="gives no prompt, and on its flash are files"):
            micropython.put_micropython(str(board.link), image, said.append)
        assert "ERASE_FLASH" not in board.commands
    else:
        micropython.put_micropython(str(board.link), image, said.append)


@needs_micropython
def test_a_pico_w_is_not_one_for_esptool(tmp_path, said):
    with Desk(tmp_path) as desk:
        board = desk.board("rp2")
        with pytest.raises(FlashingError, match=r"is a Pico W, .* with BOOTSEL held"):
            micropython.put_micropython(str(board.link), None, said.append)


@needs_micropython
@pytest.mark.parametrize("file", [True, False])
def test_a_new_esp32_is_provisioned_by_one_line(tmp_path, downloads, capfd, file):
    """esptool itself, the verb itself; then MicroPython is there, as a virtual board."""
    image = tmp_path / "image.bin"
    image.write_bytes(image_for("ESP32"))
    name = f"ESP32_GENERIC-{images.DATE}-v{images.VERSION}.bin"
    (downloads / name).write_bytes(image.read_bytes())
    with Desk(tmp_path) as desk:
        board = desk.board()
        (tmp_path / "config.json").write_bytes(desk.config())
        port = tmp_path / "ttyUSB0"
        arguments = ["--install-micropython", *([image] if file else [])]
        arguments += ["--config", tmp_path / "config.json", "--port", port, "--json"]
        with EspRom("esp32", port, becomes=board.link) as rom:
            verb = typer.main.get_command(flash_verb)
            with pytest.raises(SystemExit) as end:
                verb.main([str(each) for each in arguments], "flash")
        assert end.value.code == 0
        (result,) = json.loads(capfd.readouterr().out)  # and nothing of esptool's
        assert result["result"] == "provisioned"
        assert rom.flash[0x1000:].startswith(image.read_bytes())
        assert len(desk.thingsboard.devices) == 1


@pytest.mark.parametrize(
    ("config", "more"),
    [(b"{", ()), (b"{}", ()), (None, ("--app", "bad.py")), (None, ("--csv", "bad.csv"))],
)
def test_what_is_wrong_is_found_before_the_flash_is_erased(tmp_path, rom, config, more):
    (tmp_path / "config.json").write_bytes(config or json.dumps(config_for("coap://x")).encode())
    (tmp_path / "bad.py").write_text("def run(:")
    board = rom("ESP32")
    done = subprocess.run(
        [sys.executable, "-c", "from tools.cli import main; main()", "flash", *more]
        + ["--port", str(board.link), "--install-micropython"],
        cwd=tmp_path,
        env=BARE | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (2, 5), done.stderr
    assert not board.commands


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A board that waits for its image, as the drive that its boot loader shows."""

    def show(label: str) -> Path:
        drive = tmp_path / "media" / label
        drive.mkdir(parents=True)
        (drive / "INFO_UF2.TXT").write_text(f"UF2 Bootloader v1.0\nBoard-ID: {label}\n")
        monkeypatch.setattr(drives, "_roots", lambda: [tmp_path / "media"])
        return drive

    return show


@pytest.mark.parametrize(("label", "chip"), [("RPI-RP2", "RP2040"), ("RP2350", "RP2350")])
def test_a_pico_w_gets_its_image_on_its_drive(tmp_path, said, monkeypatch, drive, label, chip):
    drive = drive(label)
    image = tmp_path / "image.uf2"
    image.write_bytes(uf2_image(chip))
    there = iter([[], [], [Port("COM7")]])
    monkeypatch.setattr(ports, "connected", lambda: next(there))
    assert micropython.put_micropython(None, image, said.append) == "COM7"
    assert (drive / "image.uf2").read_bytes() == image.read_bytes()


@pytest.mark.parametrize("stays", [True, False])
def test_a_drive_that_goes_away_has_taken_its_image(tmp_path, said, monkeypatch, drive, stays):
    drive = drive("RPI-RP2")
    image = tmp_path / "image.uf2"
    image.write_bytes(uf2_image("RP2040"))
    there = iter([[], [Port("COM7")]])
    monkeypatch.setattr(ports, "connected", lambda: next(there))

    def fsync(_):
        if not stays:
            drive.rename(tmp_path / "gone")
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(micropython.os, "fsync", fsync)
    if stays:
        with pytest.raises(FlashingError, match="Input/output error"):
            micropython.put_micropython(None, image, said.append)
    else:
        assert micropython.put_micropython(None, image, said.append) == "COM7"


@needs_micropython
def test_a_new_pico_w_is_provisioned_by_one_line(tmp_path, monkeypatch, drive):
    drive = drive("RPI-RP2")
    image = tmp_path / "image.uf2"
    image.write_bytes(uf2_image("RP2040"))
    with Desk(tmp_path) as desk:
        board = desk.board("rp2")
        (tmp_path / "config.json").write_bytes(desk.config())

        def connected() -> list[Port]:
            return [Port(str(board.link))] if (drive / "image.uf2").exists() else []

        monkeypatch.setattr(ports, "connected", connected)
        verb = typer.main.get_command(flash_verb)
        with pytest.raises(SystemExit) as end:
            verb.main(
                ["--config", str(tmp_path / "config.json"), "--install-micropython", str(image)]
            )
        assert end.value.code == 0
        assert len(desk.thingsboard.devices) == 1


# Downloads


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """A folder that is served in place of micropython.org, and a cache of its own."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Breaks(Handler):
        def copyfile(self, source, target):
            content = source.read()
            target.write(content[: len(content) // 2] if b"broken" in content else content)

    with served(folder, Breaks) as url:
        monkeypatch.setattr(images, "_URL", url + "/{name}")
        monkeypatch.setattr(images.Path, "home", lambda: tmp_path / "home")
        yield folder


def test_an_image_is_downloaded_once(tmp_path, said, downloads):
    chip = CHIPS["RP2350"]
    name = f"RPI_PICO2_W-{images.DATE}-v{images.VERSION}.uf2"
    (downloads / name).write_bytes(uf2_image("RP2350"))
    for _ in range(2):
        image = images.image_for(chip, None, said.append)
        assert image.read_bytes() == uf2_image("RP2350")
    assert [line.partition(" ")[0] for line in said] == ["downloading", f"{name}:", f"{name}:"]


def test_a_download_that_breaks_off_is_not_kept(tmp_path, said, downloads):
    name = f"ESP32_GENERIC-{images.DATE}-v{images.VERSION}.bin"
    (downloads / name).write_bytes(image_for("ESP32") + b"broken")
    for _ in range(2):
        with pytest.raises(FlashingError, match="cannot be downloaded: it broke off") as error:
            images.image_for(CHIPS["ESP32"], None, said.append)
    assert "behind --install-micropython" in str(error.value)


def test_without_internet_it_says_where_to_get_it(said, downloads):
    with pytest.raises(FlashingError, match=r"cannot be downloaded: .*404") as error:
        images.image_for(CHIPS["ESP32"], None, said.append)
    assert "https://micropython.org/download/ESP32_GENERIC" in str(error.value)


def test_the_readme_names_every_chip():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for chip in CHIPS.values():
        line = next(line for line in readme.splitlines() if f"| {chip.name} |" in line)
        assert f"[{chip.image}]({chip.page})" in line and (chip.offset or "drive") in line
