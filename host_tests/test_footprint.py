"""What config.json's choices take of a board, before it is flashed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from host_tests.compiled import compiled
from host_tests.power_up_bench import config_for
from host_tests.readme import read_block
from host_tests.virtual_bench import needs_micropython
from tools import footprint
from tools.cli import app
from tools.flash import content
from tools.measure.bench import bench
from tools.roles import MOST
from tools.virtual_board.flash import put_on_flash

CONFIG = json.dumps(config_for("coaps://thingsboard.example.com", update={"key": "k.pem"})).encode()


@pytest.fixture(scope="module")
def found():
    with bench() as there:
        return footprint.choices(there, CONFIG, read_block("relay.py").encode())


@needs_micropython
def test_every_module_is_of_one_choice_and_weighs_what_flash_puts_on_a_board(found):
    named = [name for each in found.values() for name in each.modules]
    assert len(named) == len(set(named))
    compiled = content.firmware(asked_for=MOST | {"microcoapy"})
    files = {path: data for path, data in compiled.items() if path.startswith("/firmware/")}
    assert {f"/{name.replace('.', '/')}.mpy" for name in named} == set(files)
    assert sum(each.mpy for each in found.values()) == sum(map(len, files.values()))


@needs_micropython
def test_each_choice_has_its_modules(found):
    every, coaps, x509, device, observes, aio, update, onboarding, codec, _ = found.values()
    assert {"firmware.power_up", "firmware.coap.client"} <= set(every.modules)
    assert {"firmware.coap.dtls", "firmware.board.security"} <= set(coaps.modules)
    assert "firmware.coap.blockwise" in x509.modules
    assert "firmware.device" in device.modules and "firmware.coap.observe" in observes.modules
    assert aio.modules == ["firmware.aio"]
    assert all(each.heap > each.mpy for each in (coaps, device, observes, update, onboarding))
    assert codec.heap is None  # it wants microCoAPy itself
    everywhere = [each.is_everywhere for each in found.values()]
    assert everywhere == [True] * 6 + [False] * 3 + [True]


@needs_micropython
def test_what_is_chosen(found):
    assert [each.is_made for each in found.values()] == [
        *(True, True, False, True, True, False, True, False, False, None)
    ]


def test_a_flash_takes_what_is_said(tmp_path):
    """But for the two blocks of littlefs's root and of each folder; small files take no block."""
    app = b"def run(credentials): pass\n"
    put_on_flash(tmp_path / "new.img", "esp32", "micropython", CONFIG, app, compiled())
    image = (tmp_path / "new.img").read_bytes()
    blocks = [image[at : at + 4096] for at in range(0, len(image), 4096)]
    used = sum(block != b"\xff" * 4096 for block in blocks)
    said = footprint.on_flash(CONFIG, app) // 4096
    folders = 7
    assert said - 20 <= used <= said + 2 + 2 * folders


@needs_micropython
def test_the_verb(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_for("coaps://thingsboard.example.com", ca="ca.der", onboarding="portal")
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "app.py").write_text(read_block("battery.py"), encoding="utf-8")
    arguments = ["footprint", "--config", "config.json", "--app", "app.py"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    for said in ("coaps, with a token", "of a new rp2's", "smallest heap for the first power-up"):
        assert said in shown.output
    figures = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert figures["choices"]["Device that reports"]["is_made"] is True
    assert figures["flash"] > sum(
        each["flash"] for each in figures["choices"].values() if each["is_everywhere"]
    )
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1 and "config.json" in refused.output
