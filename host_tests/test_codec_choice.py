"""The codec that config.json names: what a board does that lacks it, and what is on its flash."""

from __future__ import annotations

import json

import pytest

from host_tests.power_up_bench import BOARDS, config_for
from tools.virtual_board.board import VirtualBoard
from tools.virtual_board.errors import NotOnFlash
from tools.virtual_board.flash import put_on_flash, read_file

ADAPTER = "/firmware/coap/microcoapy.py"


@pytest.mark.parametrize("lane", BOARDS)
def test_a_board_without_microcoapy_says_so(tmp_path, lane):
    kind, runtime = lane
    config = json.dumps(config_for("coap://127.0.0.1", codec="microcoapy")).encode()
    flash = tmp_path / "flash"
    put_on_flash(flash, kind, runtime, config)
    outcome = VirtualBoard(flash, kind, runtime, on_line=lambda line: None).power_up(20)
    assert outcome.exit_code == 5
    assert "mpremote mip install github:insighio/microCoAPy" in "\n".join(outcome.lines)


def test_the_adapter_is_left_off_unless_config_asks_for_it(tmp_path):
    flash = tmp_path / "flash"
    put_on_flash(flash, "esp32", "micropython", json.dumps(config_for("coap://127.0.0.1")).encode())
    with pytest.raises(NotOnFlash):
        read_file(flash, ADAPTER)


def test_the_adapter_is_put_there_when_config_asks_for_it(tmp_path):
    flash = tmp_path / "flash"
    config = config_for("coap://127.0.0.1", codec="microcoapy")
    put_on_flash(flash, "esp32", "micropython", json.dumps(config).encode())
    assert read_file(flash, ADAPTER)
