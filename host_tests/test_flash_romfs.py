"""Boards that have a ROMFS: the firmware runs from there, a person's files stay where they are."""

from __future__ import annotations

import json
import subprocess
import sys
from subprocess import PIPE
from types import SimpleNamespace

import pytest
from mpremote.romfs import VfsRomWriter

from host_tests.flash_bench import FIRMWARE, Desk
from host_tests.processes import BARE
from host_tests.virtual_bench import both_kinds, needs_micropython
from tools.flash import doctor_board, romfs
from tools.flash.board_watchdog import HAS_WATCHDOG
from tools.flash.content import firmware
from tools.flash.errors import FlashingError
from tools.flash.findings import OK, Finding
from tools.flash.install import Survey
from tools.flash.link import Link
from tools.flash.plan import MAIN, RECORD_IN_ROOT, is_module
from tools.mpy import compiled
from tools.virtual_board.flash import PROJECT

ROOM = 192 * 1024
BLOCK = 4096
IN_ROM, ON_FILES = "/rom/firmware/errors.mpy", "firmware/errors.mpy"


def modules_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if is_module(path)}


KB = -(-len(romfs.image_of(modules_of(FIRMWARE))) // BLOCK) * BLOCK // 1024
FOREIGN = VfsRomWriter()
FOREIGN.mkfile("theirs.txt", b"of somebody")
FOREIGN = FOREIGN.finalise()


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as desk:
        yield desk


def ask(board, source: str):
    with Link(str(board.link)) as link:
        return link.value(source)


def names(board) -> list[str]:
    return ask(board, "import os\nprint(sorted(os.listdir('/')))")


def where(board) -> str:
    """The file that the firmware is imported from."""
    return ask(board, "import firmware.errors\nprint(repr(firmware.errors.__file__))")


def rom_of(board):
    return board.flash.with_name(board.flash.name + ".romfs")


def put_in_rom(desk, board, content: bytes) -> None:
    """Let a board have this in its ROMFS."""
    board.cut_power()
    rom = rom_of(board)
    rom.write_bytes(content + rom.read_bytes()[len(content) :])
    board.power_on()
    desk.wait_for_prompt(board)


def flash_without_rom(desk, board, **job):
    """Flash a board as one that has no ROMFS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(romfs, "find", lambda link: None)
        return desk.flash(board, **job)


@needs_micropython
@both_kinds
def test_a_new_board_is_provisioned_from_its_rom(desk, kind):
    board = desk.board(kind, romfs=ROOM)
    result = desk.flash(board)
    assert (result.result, result.detail) == ("provisioned", "")
    assert f"writing the firmware into ROMFS, {KB} KB" in desk.heard.steps
    assert where(board) == IN_ROM
    found = names(board)
    assert "firmware" not in found and {"config.json", "credentials.json", "main.py"} <= {*found}
    assert MAIN in json.loads(desk.read(board, RECORD_IN_ROOT))
    desk.flash(board)
    assert desk.heard.written == 0 and "every file is up to date" in desk.heard.steps
    newer = {**FIRMWARE, "/firmware/errors.mpy": compiled(b"newer = 1\n", "firmware/errors.py")}
    assert desk.flash(board, firmware=newer, start=False).result == "flashed"
    assert ask(board, "import firmware.errors\nprint(firmware.errors.newer)") == 1


@needs_micropython
def test_what_is_on_the_file_system_moves_into_rom_and_back_with_source(desk):
    board = desk.board("rp2", romfs=ROOM)
    app = b"def run(credentials):\n    pass\n"
    assert flash_without_rom(desk, board, app=app).result == "provisioned"
    assert where(board) == ON_FILES
    assert desk.flash(board).result == "provisioned"
    assert where(board) == IN_ROM
    assert desk.read(board, "/app.py") == app
    assert not [name for name in names(board) if "firmware" in name or ".bak" in name]
    sources = firmware(as_source=True)
    assert desk.flash(board, firmware=sources, as_source=True).result == "provisioned"
    assert where(board) == "firmware/errors.py"
    assert RECORD_IN_ROOT[1:] not in names(board)
    assert desk.flash(board, app=app + b"\n").result == "provisioned"
    assert where(board) == IN_ROM
    assert not [name for name in names(board) if "firmware" in name or ".bak" in name]


@needs_micropython
def test_what_somebody_put_into_rom_stays(desk):
    board = desk.board("rp2", romfs=ROOM)
    put_in_rom(desk, board, FOREIGN)
    assert desk.flash(board).result == "provisioned"
    (warning,) = desk.heard.warnings
    assert warning.startswith("the firmware goes on the file system: its ROMFS has in it what fir")
    assert f"mpremote connect {board.link} romfs deploy nothing" in warning
    assert rom_of(board).read_bytes().startswith(FOREIGN)
    assert where(board) == ON_FILES
    (desk.folder / "nothing").mkdir()
    command = [sys.executable, "-m", "mpremote", *warning.partition("mpremote ")[2].split()]
    done = subprocess.run(command, cwd=desk.folder, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.flash(board).result == "provisioned" and not desk.heard.warnings
    assert where(board) == IN_ROM


@needs_micropython
def test_a_rom_that_is_too_small_is_not_used(desk):
    board = desk.board("rp2", romfs=16 * BLOCK)
    before = rom_of(board).read_bytes()
    assert desk.flash(board).result == "provisioned"
    assert desk.heard.warnings == [
        f"the firmware goes on the file system: its ROMFS has 64 KB, and {KB} are needed. Build "
        "MicroPython with a larger one"
    ]
    assert where(board) == ON_FILES and rom_of(board).read_bytes() == before


@needs_micropython
def test_a_file_of_the_user_s_in_the_firmware_s_folder_stays(desk):
    board = desk.board("rp2", romfs=ROOM)
    flash_without_rom(desk, board, start=False)
    with Link(str(board.link)) as link:
        link.put("/firmware/mine.py", b"mine")
    assert desk.flash(board).result == "provisioned"
    (warning,) = desk.heard.warnings
    assert "/firmware/mine.py is yours, and a folder /firmware hides what is in ROMFS" in warning
    assert where(board) == ON_FILES and desk.read(board, "/firmware/mine.py") == b"mine"


@needs_micropython
def test_a_firmware_that_is_frozen_comes_before_what_is_in_rom(desk, monkeypatch):
    board = desk.board("rp2", romfs=ROOM)
    with Link(str(board.link)) as link:
        assert link.value(romfs.IS_FROZEN) is False
    monkeypatch.setattr(romfs, "IS_FROZEN", "print(True)")
    assert desk.flash(board).result == "provisioned"
    (warning,) = desk.heard.warnings
    assert "its MicroPython has a firmware frozen in it" in warning
    assert where(board) == ON_FILES


@needs_micropython
def test_a_room_that_config_json_asks_for_is_missed_in_rom(desk):
    board = desk.board("rp2", romfs=ROOM)
    result = desk.flash(board, desk.config(update={}))
    assert result.exit_code != 0
    assert "firmware/update is not on the board" in result.detail
    assert "mip install" not in result.detail  # a folder /firmware would hide what is in ROM
    result = desk.flash(board, desk.config(update={}), firmware=firmware(asked_for={"update"}))
    assert result.result == "provisioned", result.detail


@needs_micropython
def test_doctor_and_reset_tell_where_the_firmware_is(desk):
    board = desk.board("rp2", romfs=ROOM)

    def doctor() -> str:
        return desk.tools("doctor", "--port", board.link).stdout

    flash_without_rom(desk, board)
    said = doctor()
    assert "the board has a ROMFS of 192 KB, and the firmware is not in it" in said
    assert "firstboot 1.0.0 is on the board, as it is here" in said
    desk.flash(board)
    assert "firstboot 1.0.0 is in the board's ROMFS, as it is here" in doctor()
    older = {**FIRMWARE, "/firmware/errors.mpy": compiled(b"old = 1\n", "firmware/errors.py")}
    desk.flash(board, firmware=older, start=False)
    assert "the firmware on the board is broken" in doctor()
    older["/firmware/errors.mpy"] = compiled(
        b"class FirstbootError(Exception):\n    pass\n", "firmware/errors.py"
    )
    desk.flash(board, firmware=older, start=False)
    assert "the firmware on the board is broken: can't import name" in doctor()
    desk.flash(board)
    done = desk.tools("reset", "--port", board.link, "--all")
    assert "its ROMFS, which had the firmware, is empty" in done.stdout, done.stdout + done.stderr
    assert names(board) == []
    assert "the firmware is not on the board" in doctor()


@needs_micropython
def test_the_verb_board_plays_a_scenario(desk):
    port, scenario = desk.folder / "tty", desk.folder / "scenario.json"
    options = ("--flash", desk.folder / "new.img", "--link", port, "--scenario", scenario)
    scenario.write_text('{"rom": 8192}', encoding="utf-8")
    assert "scenario has unknown keys ['rom']" in desk.tools("board", *options).stderr
    scenario.write_text('{"romfs": 8192}', encoding="utf-8")
    command = [sys.executable, "-c", "from tools.cli import main; main()", "board"]
    played = subprocess.Popen(
        [*command, *map(str, options)], env=BARE | {"PYTHONPATH": str(PROJECT)}, stderr=PIPE
    )
    with played:
        try:
            for _ in range(2):
                played.stderr.readline()  # that it is new, and where it is
            with Link(str(port)) as link:
                assert romfs.find(link).size == 8192
        finally:
            played.kill()


def test_doctor_tells_a_frozen_firmware():
    answers = iter([None, ("1.0.0", "firmware/power_up.py")])
    link = SimpleNamespace(value=lambda source: next(answers))
    (finding,) = doctor_board._firmware(link, Survey({}, {}, {"config.json"}, []), FIRMWARE)
    assert finding == Finding(OK, "firstboot 1.0.0 is frozen into the board's MicroPython")


def small(word: str) -> dict[str, bytes]:
    """A firmware of three blocks that says which it is."""
    sources = {
        "/firmware/application.mpy": "from firmware.last import WORD\ndef start(): print(WORD)\n",
        "/firmware/filling.mpy": f"FILLING = {'WDT ' * (BLOCK // 2)!r}\n",
        "/firmware/last.mpy": f"WORD = {word!r}\n",
    }
    modules = {path: compiled(each.encode(), path[1:]) for path, each in sources.items()}
    return {"/boot.py": FIRMWARE["/boot.py"], MAIN: FIRMWARE[MAIN], **modules}


def starts(board) -> str | None:
    """What the firmware that main.py would start says it is."""
    source = "try:\n    from firmware.last import WORD\nexcept ImportError:\n    WORD = None\n"
    return ask(board, source + "print(repr(WORD))")


@needs_micropython
@pytest.mark.parametrize("old_is_in_rom", [False, True])
def test_power_cut_before_each_thing_that_is_done(desk, monkeypatch, old_is_in_rom):
    """From the file system the board starts at any moment; from ROM, nothing that is half."""
    board = desk.board("rp2", romfs=16 * BLOCK)
    config = desk.config()
    put = (
        desk.flash if old_is_in_rom else lambda *job, **more: flash_without_rom(desk, *job, **more)
    )
    put(board, config=config, firmware=small("old"), start=False)
    before = board.flash.read_bytes(), rom_of(board).read_bytes()
    run = Link.run
    places: list[str] = []
    cut_at = 1 << 30

    def counted(link, source, *limits):
        places.append(source)
        if len(places) == cut_at:
            board.cut_power()
            board.pull_cable()
        return run(link, source, *limits)

    monkeypatch.setattr(Link, "run", counted)
    desk.flash(board, config, firmware=small("new"), start=False)
    whole = places[:]
    first = next(at for at, source in enumerate(whole) if source.startswith(romfs._OPEN))
    # What is between two other pieces is not tried here, but below.
    pieces = [source.startswith("rom.writeblocks") for source in [*whole, ""]]
    points = [at for at in range(first + 1, len(whole) + 1) if not all(pieces[at - 2 : at + 1])]
    seen = set()
    for cut_at in points:
        board.cut_power()
        for file, content in zip((board.flash, rom_of(board)), before):
            file.write_bytes(content)
        board.power_on()
        desk.wait_for_prompt(board)
        places.clear()
        at = cut_at
        assert desk.flash(board, config, firmware=small("new"), start=False).exit_code == 1
        cut_at = 1 << 30
        board.plug_in()
        board.power_on()
        desk.wait_for_prompt(board)
        seen.add(starts(board))
        assert desk.read(board, MAIN) == FIRMWARE[MAIN], at
        assert desk.flash(board, config, firmware=small("new"), start=False).result == "flashed"
        assert starts(board) == "new", whole[at - 1]
        assert not [name for name in names(board) if "firmware" in name or ".bak" in name]
    assert seen == {"old", "new"} | ({None} if old_is_in_rom else set())


@needs_micropython
def test_power_cut_while_the_old_firmware_is_removed(desk, monkeypatch):
    board = desk.board("rp2", romfs=16 * BLOCK)
    flash_without_rom(desk, board, firmware=small("old"), start=False)
    cut_short = "import os\n(path,) = %r\nos.remove(path + '/last.mpy')\nraise OSError('cut')"
    with monkeypatch.context() as patch:
        patch.setattr(romfs, "REMOVE_TREES", cut_short)
        result = desk.flash(board, firmware=small("new"), start=False)
    assert "says OSError: cut" in result.detail
    assert starts(board) == "new"
    assert ask(board, HAS_WATCHDOG) is False  # what is left names one, and nothing runs it
    assert desk.flash(board, firmware=small("new"), start=False).result == "flashed"
    assert not [name for name in names(board) if "firmware" in name]


def lives(blocks: list[bytes], rom: bytearray):
    """Every content that a segment has while it is written: cut before, in and after each step."""
    wrong = {at for at, block in enumerate(blocks) if rom[at * BLOCK :][:BLOCK] != block}
    wrong = wrong and {0, *wrong}
    for number, offset, content in romfs.operations(blocks, wrong):
        at = number * BLOCK + offset
        new = bytes(BLOCK * [255]) if content is None else content
        yield bytes(rom)
        half = new[: len(new) // 2]
        yield bytes(rom[:at] + half + rom[at + len(half) :])
        if not at and content is not None:
            for size in range(len(romfs._MARK_RECORD) + 8):
                yield new[:size] + bytes(rom[size:])
        rom[at : at + len(new)] = new
    yield bytes(rom)


def test_a_cut_leaves_no_image_or_a_whole_one_and_never_a_stranger_s():
    """But for the first page, which is programmed last: ours too, and written again."""
    old, new = (romfs.blocks_of(romfs.image_of(modules_of(small(each))), BLOCK) for each in "on")
    rom = bytearray(b"".join(old) + b"\xff" * BLOCK)
    header = VfsRomWriter.ROMFS_HEADER
    found = set()
    for life in lives(new, rom):
        segment = romfs.Segment(None, 4, BLOCK, life[:64])
        assert not segment.is_foreign
        if segment.is_ours and life[256:] in (
            b"".join(each)[256:] + b"\xff" * BLOCK for each in (old, new)
        ):
            found.add(life[256:])
        else:
            assert (
                not life.startswith(header) or life[256:] == b"".join(new)[256:] + b"\xff" * BLOCK
            )
        again = bytearray(life)
        *_, last = lives(new, again)
        assert last.startswith(b"".join(new))
    assert len(found) == 2


def test_nothing_is_programmed_twice_without_an_erase():
    """And a Pico W's pages are programmed whole."""
    blocks = romfs.blocks_of(romfs.image_of(modules_of(FIRMWARE)), BLOCK)
    for wrong in (set(range(len(blocks))), {0, 2}, {0}):
        clean: set[tuple[int, int]] = set()
        for number, offset, content in romfs.operations(blocks, wrong):
            pages = {(number, at) for at in range(0, BLOCK, 256)}
            if content is None:
                clean |= pages
                continue
            assert offset % 256 == len(content) % 256 == 0
            pages = {(number, at) for at in range(offset, offset + len(content), 256)}
            assert pages <= clean
            clean -= pages
        assert not clean
    assert not [*romfs.operations(blocks, set())]


def records(image: bytes, at: int, end: int):
    """The records of a ROMFS: kind, and where its content begins and ends."""

    def number(at: int) -> tuple[int, int]:
        value = 0
        while True:
            value = value << 7 | image[at] & 0x7F
            at += 1
            if not image[at - 1] & 0x80:
                return value, at

    while at < end:
        kind, at = number(at)
        size, at = number(at)
        if kind in (4, 5):
            length, start = number(at)
            name = image[start : start + length].decode()
            yield from (
                (f"/{name}{path}", content)
                for path, content in records(image, start + length, at + size)
            )
        elif kind == 2:
            yield "", image[at : at + size]
        elif kind == 0x14A6B1:
            yield from records(image, at, at + size)
        at += size


def test_the_image_has_every_module_and_its_mark():
    modules = modules_of(FIRMWARE)
    image = romfs.image_of(modules)
    mark, *found = records(image, 0, len(image))
    assert mark == ("", b"firmware of firstboot")
    assert dict(found) == modules and len(found) == len(modules)
    assert image == romfs.image_of(dict(reversed(modules.items())))


@pytest.mark.parametrize(
    ("head", "is_ours", "is_foreign"),
    [
        (b"\xff" * 64, False, False),
        (bytes(64), False, False),
        (b"\xd2\xcd\x31" + b"\xff" * 61, False, False),
        (VfsRomWriter().finalise() + b"\xff" * 60, False, False),
        (FOREIGN + b"\xff" * 40, False, True),
        (romfs.image_of({"/firmware/a.mpy": b"a" * 200})[:64], True, False),
    ],
)
def test_whose_an_image_is(head, is_ours, is_foreign):
    segment = romfs.Segment(None, 4, BLOCK, head)
    assert (segment.is_ours, segment.is_foreign) == (is_ours, is_foreign)


@needs_micropython
def test_rom_that_does_not_keep_what_is_written_is_an_error(desk, monkeypatch):
    board = desk.board("rp2", romfs=ROOM)
    monkeypatch.setattr(romfs, "sha256", lambda content: "0" * 64)
    with Link(str(board.link)) as link:
        image = romfs.Image(romfs.find(link), {"/firmware/a.mpy": b"a"})
        with pytest.raises(FlashingError, match="reads back differently"):
            image.write({0})
