"""Power cut or cable pulled at any time: a second run completes the board."""

from __future__ import annotations

import random

import pytest

from host_tests.flash_bench import FIRMWARE, Desk
from host_tests.virtual_bench import needs_micropython
from tools.flash import install
from tools.flash.link import Link
from tools.flash.plan import CONFIG, MAIN, RECORD, sha256

pytestmark = needs_micropython

# A part of the firmware, so that much of the time is spent between files.
NEW = {
    path: content
    for path, content in FIRMWARE.items()
    if "/board/" in path or path in ("/boot.py", MAIN, "/firmware/errors.mpy")
}
# An older version of it, with what the new one has no more.
OLD = {
    **NEW,
    "/firmware/old/gone.mpy": b"gone",
    "/firmware/board/wifi.mpy": b"old",
    "/firmware/errors.mpy": b"old",
    MAIN: b"print('old')\n",
}
POINTS = 8


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as desk:
        yield desk


def assert_complete(desk, board) -> None:
    with Link(str(board.link)) as link:
        found = install.survey(link)
    expected = {path: sha256(content) for path, content in NEW.items()}
    assert found.hashes.items() >= expected.items()
    assert set(found.hashes) == {*expected, CONFIG, RECORD}
    assert not [name for name in found.names if name.endswith((".new", ".bak1"))]


def assert_starts_nothing_half_done(desk, board) -> None:
    """main.py is there only with every module of its version."""
    main = desk.read(board, MAIN)
    for version in (OLD, NEW):
        if main == version[MAIN]:
            for path, content in version.items():
                assert desk.read(board, path) == content, path
            return
    assert main is None


def test_power_cut_at_many_points(desk):
    board = desk.board("rp2")
    desk.flash(board, firmware=OLD, start=False)
    old_flash = board.flash.read_bytes()
    before = board.received
    desk.flash(board, firmware=NEW, start=False)
    whole = board.received - before

    def cut_power() -> None:
        board.cut_power()
        board.pull_cable()  # so that the tool hears of it at once

    chosen = random.Random(1)
    for point in range(POINTS):
        board.cut_power()
        board.flash.write_bytes(old_flash)
        board.power_on()
        desk.wait_for_prompt(board)
        board.at_byte(whole * point // POINTS + chosen.randrange(whole // POINTS), cut_power)
        result = desk.flash(board, firmware=NEW, start=False)
        assert result.exit_code == 1
        assert "run the same command" in result.detail
        assert_starts_nothing_half_done(desk, board)
        board.plug_in()
        board.power_on()
        desk.wait_for_prompt(board)
        assert desk.flash(board, firmware=NEW, start=False).result == "flashed"
        assert_complete(desk, board)


def test_a_new_board_that_was_broken_off_is_provisioned_by_the_second_run(desk):
    board = desk.board("rp2")
    board.at_byte(30_000, board.pull_cable)
    result = desk.flash(board)
    assert result.exit_code == 1
    assert "Check the cable, plug the board in again and run the same command" in result.detail
    assert desk.read(board, MAIN) is None
    board.plug_in()
    assert desk.flash(board).result == "provisioned"
    assert desk.read(board, "/credentials.json")
    assert desk.heard.written < sum(map(len, FIRMWARE.values()))
