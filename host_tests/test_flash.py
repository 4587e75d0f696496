"""Flashing one board: from a blank one to a provisioned one, and again."""

from __future__ import annotations

import json

import pytest

from host_tests.flash_bench import FIRMWARE, Desk
from host_tests.power_up_bench import SECRET
from host_tests.virtual_bench import both_kinds, needs_micropython
from tools.flash import content
from tools.flash.install import survey
from tools.flash.link import Link
from tools.flash.plan import RECORD, sha256

pytestmark = needs_micropython


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path, has_firmware=True) as desk:
        yield desk


def on_board(board) -> dict[str, str]:
    with Link(str(board.link)) as link:
        return survey(link).hashes


def put(board, **files: bytes) -> None:
    with Link(str(board.link)) as link:
        for name, text in files.items():
            link.put(f"/{name}.py", text)


def run(board, source: str) -> str:
    with Link(str(board.link)) as link:
        return link.run(source)


@both_kinds
def test_a_blank_board_is_provisioned(desk, kind):
    desk.has_firmware = False
    board = desk.board(kind)
    result = desk.flash(board)
    assert (result.exit_code, result.result, result.detail) == (0, "provisioned", "")
    assert result.name == f"sensor-{result.id}"
    assert list(desk.thingsboard.devices) == [result.name]
    found = on_board(board)
    expected = {path: sha256(each) for path, each in FIRMWARE.items()}
    if kind == "esp32":
        del expected["/boot.py"]  # it came with one
    assert found.items() >= expected.items()
    assert found["/config.json"] == sha256(desk.config())


def test_a_second_run_writes_nothing(desk):
    board = desk.board("rp2")
    desk.flash(board)
    before = on_board(board)
    assert desk.flash(board).result == "provisioned"
    assert desk.heard.written == 0
    assert "every file is up to date" in desk.heard.steps
    assert on_board(board) == before


def test_only_what_differs_is_written(desk):
    board = desk.board("rp2")
    desk.flash(board)
    changed = {**FIRMWARE, "/firmware/errors.mpy": FIRMWARE["/firmware/errors.mpy"] + b"\0"}
    desk.flash(board, firmware=changed, start=False)
    assert desk.heard.steps[-1].startswith("writing 2 files")
    assert on_board(board)["/firmware/errors.mpy"] == sha256(changed["/firmware/errors.mpy"])


def test_stale_modules_go_and_the_user_s_files_stay(desk):
    board = desk.board("rp2")
    old = {**FIRMWARE, "/firmware/old/gone.mpy": b"M", "/firmware/gone.mpy": b"M"}
    desk.flash(board, firmware=old, start=False)
    run(
        board,
        "import os\nfor name in ('firmware/errors.py', 'firmware/mine.py', 'mine.txt'):\n"
        "    with open('/' + name, 'w') as file: file.write('x')",
    )
    assert desk.flash(board).result == "provisioned"
    found = on_board(board)
    assert not {"/firmware/old/gone.mpy", "/firmware/gone.mpy", "/firmware/errors.py"} & set(found)
    assert "/firmware/mine.py" in found and desk.read(board, "/mine.txt") == b"x"
    assert run(board, "import os\nprint('old' in os.listdir('/firmware'))").strip() == "False"


def test_a_main_py_of_the_user_s_is_set_aside(desk):
    board = desk.board("rp2")
    put(board, main=b"print('mine')", boot=b"print('my boot')")
    assert desk.flash(board).result == "provisioned"
    assert desk.read(board, "/main.py.bak1") == b"print('mine')"
    assert desk.read(board, "/boot.py") == b"print('my boot')"
    assert "/main.py is yours: it is now /main.py.bak1" in desk.heard.steps
    assert desk.flash(board).result == "provisioned"
    assert desk.read(board, "/main.py.bak2") is None


def test_source_and_back(desk):
    board = desk.board()
    source = content.firmware(as_source=True)
    assert desk.flash(board, firmware=source, as_source=True).result == "provisioned"
    assert "/firmware/errors.py" in on_board(board)
    assert desk.flash(board).result == "provisioned"
    assert not [path for path in on_board(board) if path.endswith("errors.py")]


def test_an_app_is_put_on_it_and_stays(desk):
    board = desk.board()
    app = b"def run(credentials):\n    print('app runs')\n"
    desk.flash(board, app=app)
    assert desk.read(board, "/app.py") == app
    desk.flash(board)
    assert desk.read(board, "/app.py") == app
    desk.flash(board, app=app + b"\n", start=False)
    assert desk.read(board, "/app.py") == app + b"\n"
    assert desk.read(board, "/app.py.bak1") is None


def test_no_start_leaves_it_unprovisioned(desk):
    board = desk.board()
    result = desk.flash(board, start=False)
    assert (result.exit_code, result.result) == (0, "flashed")
    assert desk.read(board, "/credentials.json") is None
    assert not desk.server.received
    done = desk.tools("flash", "--port", board.link, "--no-start")
    assert done.returncode == 0
    assert ": flashed in " in done.stdout.splitlines()[-1] and "Ctrl-C" not in done.stderr


def test_a_refused_board_is_3(desk):
    result = desk.flash(desk.board(), desk.config(provisioning={"provisionDeviceKey": "wrong" * 4}))
    assert (result.exit_code, result.result) == (3, "refused")
    assert result.detail.startswith("refused: ThingsBoard answered NOT_FOUND")
    assert "secret. Check provisionDeviceKey" in result.detail


def test_an_unreachable_server_is_4(desk):
    config = json.loads(desk.config())
    config["server"] = "coap://127.0.0.1:9"
    result = desk.flash(desk.board(), json.dumps(config).encode(), timeout=0.5)
    assert (result.exit_code, result.result) == (4, "time ran out")


def test_a_mistake_in_config_json_is_5_and_nothing_is_touched(desk):
    board = desk.board()
    before = on_board(board)
    result = desk.flash(board, desk.config(led=[], wifi={"sid": "home"}))
    assert result.exit_code == 5
    assert "`wifi.sid` is not known; did you mean `wifi.ssid`?" in result.detail
    assert on_board(board) == before


def test_a_forgotten_secret_stays_forgotten(desk):
    board = desk.board()
    config = desk.config(forget_secret=True)
    assert desk.flash(board, config).result == "provisioned"
    assert desk.flash(board, config).result == "provisioned"
    assert SECRET.encode() not in desk.read(board, "/config.json")
    assert any("stays forgotten" in step for step in desk.heard.steps)
    desk.flash(board, config, start=False, restore_secret=True)
    assert SECRET.encode() in desk.read(board, "/config.json")


def test_a_flash_that_is_too_full_is_not_touched(desk):
    desk.has_firmware = False
    board = desk.board("rp2")
    run(
        board,
        "f = open('/big', 'wb')\nb = bytes(4096)\nfor i in range(180): f.write(b)\nf.close()",
    )
    result = desk.flash(board)
    assert result.exit_code == 1
    assert "KB are needed" in result.detail and "mpremote connect" in result.detail
    assert RECORD not in on_board(board)


def test_what_config_json_names_goes_on_the_board_too(desk, tmp_path):
    """The CA of coaps, from beside config.json; and no codec that it does not ask for."""
    board = desk.board("rp2")
    path = tmp_path / "config.json"
    config = {**json.loads(desk.config()), "server": "coaps://127.0.0.1", "ca": "ca.der"}
    path.write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "ca.der").write_bytes(b"a certificate")
    done = desk.tools("flash", "--port", board.link, "--config", path, "--no-start")
    assert done.returncode == 0, done.stdout + done.stderr
    found = on_board(board)
    assert desk.read(board, "/ca.der") == b"a certificate"
    assert "/firmware/coap/dtls.mpy" in found
    assert "/firmware/coap/microcoapy.mpy" not in found


def test_a_board_that_was_provisioned_as_another(desk):
    board = desk.board()
    old = desk.flash(board)
    config = desk.config()
    renamed = config.replace(b"sensor-{id}", b"kitchen-{id}")
    result = desk.flash(board, renamed)
    assert (result.result, result.exit_code) == ("provisioned as another", 7)
    assert result.name == old.name
    assert f'the board is "{old.name}" on coap://127.0.0.1:' in result.detail
    assert f'not "kitchen-{old.id}" on ' in result.detail
    assert "but the board is provisioned with" in result.detail
    result = desk.flash(board, config.replace(b"127.0.0.1", b"localhost"))
    assert (result.result, result.name) == ("provisioned as another", old.name)
    assert 'not "sensor' in result.detail and "on coap://localhost:" in result.detail
    assert "delete it there first, or its server attribute" in result.detail
    assert ",." not in result.detail and ".." not in result.detail
    assert desk.flash(board).result == "provisioned"


def test_an_app_that_raises_is_no_success(desk):
    board = desk.board()
    app = b"def run(credentials):\n    print('starts')\n    {}['temperature']\n"
    result = desk.flash(board, app=app)
    assert (result.result, result.exit_code) == ("app.py raised", 8)
    assert result.detail == "app.py raised KeyError: temperature"
    result = desk.flash(board, app=b"import nothing_such\ndef run(credentials): pass\n")
    assert result.detail.startswith("app.py raised ImportError: no module named 'nothing_such'")
    assert desk.flash(board, app=b"def run(credentials): pass\n").result == "provisioned"
    late = b"import time\ndef run(credentials):\n    time.sleep_ms(600)\n    1 / 0\n"
    assert desk.flash(board, app=late, app_runs_for=0.2).result == "provisioned"
    assert desk.flash(board, app=late, app_runs_for=2).exit_code == 8
