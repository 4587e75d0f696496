"""microCoAPy as the codec under our exchange: the codec's own tests, and a board provisioned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_tests.firmware import test_message
from host_tests.power_up_bench import BOARDS, KEY, SECRET, config_for
from host_tests.virtual_bench import needs_micropython
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.measure import budgets, peers
from tools.measure.bench import bench
from tools.measure.responder import Responder
from tools.virtual_board.board import VirtualBoard
from tools.virtual_board.flash import PROJECT, put_on_flash, read_file
from tools.virtual_board.interpreter import find_micropython

MICROCOAPY = os.environ.get("MICROCOAPY", "")
if not MICROCOAPY or not peers.is_microcoapy(Path(MICROCOAPY)):
    pytest.skip(
        "left out: MICROCOAPY names no folder that holds microCoAPy", allow_module_level=True
    )

PACKAGE = {
    f"lib/microcoapy/{file.name}": file.read_bytes()
    for file in Path(MICROCOAPY, "microcoapy").glob("*.py")
}
CONTRACT = [name for name in vars(test_message) if name.startswith("test_")]
# Runs the codec's tests with microCoAPy's encode and decode, on both interpreters.
RUN_CONTRACT = """
import sys
sys.path.append(sys.argv[1])
sys.path.append(sys.argv[2])
try:
    from tools import shims
    shims.install()
except (ImportError, AttributeError):
    pass  # MicroPython has what they bring
from firmware.coap import microcoapy
from host_tests.firmware import test_message
microcoapy.install()
test_message.encode = microcoapy.encode
test_message.decode = microcoapy.decode
for name in sys.argv[3:]:
    getattr(test_message, name)()
    print(name)
"""


@pytest.mark.parametrize(
    "interpreter", ["cpython", pytest.param("micropython", marks=needs_micropython)]
)
def test_the_codec_s_tests_hold_for_microcoapy(tmp_path, interpreter):
    script = tmp_path / "run_contract.py"
    script.write_text(RUN_CONTRACT, encoding="utf-8")
    command = sys.executable if interpreter == "cpython" else find_micropython().command
    done = subprocess.run(
        [command, str(script), str(PROJECT), MICROCOAPY, *CONTRACT],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == CONTRACT


@pytest.mark.parametrize("lane", BOARDS)
@pytest.mark.parametrize("reply", ["piggybacked", "separate"])
def test_a_board_provisions_itself_through_microcoapy(tmp_path, lane, reply):
    kind, runtime = lane
    with FakeThingsBoard(ThingsBoard(KEY, SECRET), reply=reply) as server:
        config = json.dumps(config_for(server.uri, codec="microcoapy")).encode()
        flash = tmp_path / "flash"
        put_on_flash(flash, kind, runtime, config, files=PACKAGE)
        outcome = VirtualBoard(flash, kind, runtime, on_line=lambda line: None).power_up(20)
        assert outcome.exit_code == 0, "\n".join(outcome.lines)
        (device,) = server.thingsboard.devices.values()
    assert json.loads(read_file(flash, "/credentials.json"))["credentialsValue"]
    assert b"\xb3api\x02v1\x09provision\x11\x32" in server.received[0].data


@needs_micropython
def test_the_default_codec_takes_less_than_half_as_readme_says():
    with bench(extra=(Path(MICROCOAPY),)) as there, Responder() as responder:
        adapted = peers.adapted(there, responder)
    ours = budgets.load()["firstboot"]
    for key in {"heap_exchange", "encode", "decode"} & set(adapted):
        assert 2 * ours[key] < adapted[key], key
