"""The flash of a virtual board is a board's, and what is none is named."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from littlefs import LittleFS, UserContext

from host_tests.virtual_bench import (
    CONFIG,
    NO_MICROPYTHON,
    Bench,
    both_kinds,
    both_runtimes,
    needs_micropython,
)
from tools import private
from tools.virtual_board import flash as flashes
from tools.virtual_board.board import VirtualBoard
from tools.virtual_board.boards import KINDS
from tools.virtual_board.errors import FlashError, NotOnFlash
from tools.virtual_board.flash import PROJECT, put_on_flash, read_file


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@needs_micropython
@both_kinds
def test_image_geometry_is_the_board_s(bench, kind):
    outcome = bench.play("import os; print(os.statvfs('/')[:3])", kind)
    size = {"esp32": 2 * 1024 * 1024, "rp2": 848 * 1024}[kind]
    assert bench.flash.stat().st_size == size
    assert outcome.lines == [f"(4096, 4096, {size // 4096})"]


@needs_micropython
@both_kinds
def test_what_the_board_writes_can_be_read_on_the_host(bench, kind):
    bench.play("with open('/läng.txt', 'w') as f:\n    f.write('x' * 9000)\n", kind)
    assert read_file(bench.flash, "/läng.txt") == b"x" * 9000
    board = KINDS[kind]
    files = LittleFS(
        context=UserContext(buffer=bytearray(bench.flash.read_bytes())),
        block_size=4096,
        block_count=board.block_count,
        prog_size=board.prog_size,
        mount=True,
    )
    assert sorted(files.listdir("/")) == ["boot.py", "config.json", "läng.txt", "main.py"]


@both_runtimes
def test_read_file(bench, runtime):
    bench.put("", runtime=runtime, app=b"def run(credentials): pass\n")
    assert json.loads(read_file(bench.flash, "config.json")) == CONFIG
    assert read_file(bench.flash, "/app.py").startswith(b"def run")
    for absent in ("/credentials.json", "/", "/nowhere/x", "/../flash/main.py"):
        with pytest.raises(NotOnFlash):
            read_file(bench.flash, absent)


def test_bad_flashes_are_named(bench, tmp_path):
    empty, torn, folder = tmp_path / "empty", tmp_path / "torn", tmp_path / "folder"
    empty.touch()
    torn.write_bytes(b"\0" * KINDS["esp32"].flash_size)
    folder.mkdir()
    for flash, runtime, says in (
        (tmp_path / "none", "micropython", "does not exist"),
        (empty, "micropython", "not a flash image: it has 0 bytes"),
        (folder, "micropython", "is a folder"),
        (folder, "cpython", "it has no main.py"),
        (empty, "cpython", "is a file"),
    ):
        if runtime == "micropython" and NO_MICROPYTHON:
            continue
        with pytest.raises(FlashError, match=re.escape(says)):
            VirtualBoard(flash, "esp32", runtime)
    with pytest.raises(FlashError, match="littlefs"):
        read_file(torn, "/main.py")
    with pytest.raises(FlashError, match=r"has no main\.py"):
        put_on_flash(tmp_path / "new", "esp32", "micropython", b"{}", source=folder)
    assert not (tmp_path / "new").exists()


@needs_micropython
def test_a_flash_without_file_system_is_named(tmp_path):
    flash = tmp_path / "flash"
    flash.write_bytes(b"\0" * KINDS["esp32"].flash_size)
    with pytest.raises(FlashError, match="no file system"):
        VirtualBoard(flash).power_up(8)


@needs_micropython
def test_a_flash_of_the_other_board_is_named(bench):
    bench.put("", "rp2")
    with pytest.raises(FlashError, match="another board, rp2"):
        bench.board("esp32")


def test_half_made_flash_never_has_the_name(bench, monkeypatch):
    def torn(*_):
        raise OSError("disk full")

    monkeypatch.setattr(private, "write", torn)
    with pytest.raises(OSError, match="disk full"):
        bench.put("")
    monkeypatch.undo()
    assert not bench.flash.exists()
    assert [path.name for path in bench.folder.iterdir()] == ["source"]


def test_an_image_is_made_of_few_operations(bench, monkeypatch):
    """As often as the blocks of its files are written, and no more than what is the same once."""
    operations = Counter()

    class Counting(flashes._Chip):
        def prog(self, *arguments):
            operations["program"] += 1
            return super().prog(*arguments)

        def erase(self, *arguments):
            operations["erase"] += 1
            return super().erase(*arguments)

    monkeypatch.setattr(flashes, "_Chip", Counting)
    flashes._image_with.cache_clear()
    put_on_flash(bench.flash, "esp32", "micropython", b"{}", source=PROJECT)
    blocks = sum(-(-len(content) // 4096) for content in flashes._firmware(PROJECT, b"{}").values())
    assert blocks < operations["erase"] < 2 * blocks
    operations.clear()
    put_on_flash(bench.flash, "esp32", "micropython", b"{}", source=PROJECT)
    assert 0 < operations["program"] < 10


ROMFS = """
import sys, vfs
rom = vfs.rom_ioctl(2, 0)
print(vfs.rom_ioctl(1), vfs.rom_ioctl(3, 0, 4096), rom.ioctl(4, 0), rom.ioctl(5, 0), sys.path)
if memoryview(rom)[0] == 0xFF:
    rom.writeblocks(0, b"\\xd2\\xcd\\x31\\x00" + b"\\xff" * 252, 0)
    rom.writeblocks(1, b"\\x0f" * 256, 0)
    rom.writeblocks(1, b"\\xf1" * 256, 0)
    try:
        rom.writeblocks(1, b"\\0" * 100, 256)
    except OSError as error:
        print(error.errno)
print(bytes(memoryview(rom)[4096:4098]))
rom.ioctl(6, 1)
print(bytes(memoryview(rom)[4096:4098]))
"""


@needs_micropython
def test_a_romfs_is_programmed_as_flash_is_and_mounted_once_there_is_an_image(bench):
    before, after = (
        bench.play(ROMFS, "rp2", romfs=8192),
        bench.board("rp2", romfs=8192).power_up(8),
    )
    path = "['', '.frozen', '/lib']"
    erased = r"b'\xff\xff'"
    assert before.lines == [f"1 -22 2 4096 {path}", "22", r"b'\x01\x01'", erased]
    path = "['', '.frozen', '/rom', '/rom/lib', '/lib']"
    assert after.lines == [f"1 -22 2 4096 {path}", erased, erased]


@needs_micropython
def test_a_stock_image_has_no_romfs(bench):
    assert bench.play("import vfs\nprint(hasattr(vfs, 'rom_ioctl'))").lines == ["False"]
