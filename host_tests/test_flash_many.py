"""Many boards side by side, and the files that say which got which name."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tests.flash_bench import Desk
from host_tests.power_up_bench import config_for
from host_tests.processes import started
from host_tests.virtual_bench import needs_micropython
from tools import private, styled
from tools.flash import content, many, show
from tools.flash.board import Job, Result
from tools.flash.errors import FlashingError
from tools.flash.results import ResultsFile, write_bulk_import
from tools.flash.show import Screen, short
from tools.virtual_board.flash import PROJECT


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path, has_firmware=True) as desk:
        yield desk


def rows_of(path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@needs_micropython
def test_eight_boards_side_by_side_and_one_that_fails(desk, tmp_path):
    boards = [desk.board("rp2" if number % 2 else "esp32") for number in range(8)]
    ports = [argument for board in boards for argument in ("--port", board.link)]
    missing = ("--port", tmp_path / "missing")
    done = desk.tools("flash", "--all", *ports, *missing, "--timeout", "20", "--json")
    assert done.returncode == 1, done.stderr
    results = json.loads(done.stdout)
    assert [each["result"] for each in results] == ["provisioned"] * 8 + ["failed"]
    assert results[-1]["detail"].startswith("there is no port ")
    names = {each["name"] for each in results[:8]}
    assert names == set(desk.thingsboard.devices) and len(names) == 8
    rows = rows_of(tmp_path / "results.csv")
    assert [*rows[0]] == [*("id", "name", "port", "result", "seconds", "reason", "content")]
    assert {row["name"] for row in rows if row["result"] == "provisioned"} == names
    assert (tmp_path / "results.csv").stat().st_mode & 0o077 == 0
    (reason,) = {row["reason"] for row in rows if row["result"] == "failed"}
    assert reason.startswith("there is no port ")
    assert "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr

    again = desk.tools("flash", "--all", *ports, *missing, "--json")
    assert [each["result"] for each in json.loads(again.stdout)] == ["skipped"] * 8 + ["failed"]
    assert rows_of(tmp_path / "results.csv") == rows


@needs_micropython
def test_a_csv_names_the_boards(desk, tmp_path):
    boards = [desk.board(id=f"24dcc399a4e{number}") for number in range(2)]
    ports = [argument for board in boards for argument in ("--port", board.link)]
    (tmp_path / "boards.csv").write_text(
        "id,name,token\n24:DC:C3:99:A4:E0,kitchen,kitchen-token\n24dcc399a4ef,attic,\n",
        encoding="utf-8",
    )
    done = desk.tools(
        "flash", "--csv", "boards.csv", *ports, "--bulk-import", "import.csv", "--profile", "home"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(desk.thingsboard.devices) == ["kitchen"]
    assert desk.thingsboard.devices["kitchen"].token == "kitchen-token"
    assert "kitchen-token" not in done.stdout + done.stderr
    assert "24dcc399a4e1 is not in the CSV" in done.stdout
    assert rows_of(tmp_path / "import.csv") == [
        {"name": "attic", "type": "home", "label": "24dcc399a4ef"},
        {"name": "kitchen", "type": "home", "label": "24dcc399a4e0"},
    ]


# The files


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name\nkitchen\n", "has no column id"),
        ("id,colour\n1,red\n", "has no name of ours in column 2"),
        ("id,name\n1,a\n01,b\n1,c\n", "1 is there twice"),
        ("id,name\n1,a\n2,a\n", 'two boards are called "a"'),
    ],
)
def test_a_csv_with_a_mistake_is_wrong_usage(tmp_path, text, complaint):
    path = tmp_path / "boards.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FlashingError, match=complaint) as error:
        content.read_rows(path)
    assert error.value.exit_code == 2


def test_a_csv_as_spreadsheets_write_it(tmp_path):
    path = tmp_path / "boards.csv"
    path.write_text(
        "\ufeffid, name ,gateway\r\nAA:BB, kitchen,TRUE\r\n,,\r\ncc,,\r\n", encoding="utf-8"
    )
    assert content.read_rows(path) == {
        "aabb": {"deviceName": "kitchen", "gateway": True},
        "cc": {},
    }


def test_results_stay_and_are_replaced_by_id(tmp_path):
    path = tmp_path / "results.csv"
    file = ResultsFile(path)
    file.add(Result("COM3", result="no MicroPython", exit_code=6))
    file.add(Result("COM4", "aa", "kitchen", "refused", 3.2, 3))
    again = ResultsFile(path)
    assert again.provisioned == {}
    again.add(Result("COM3", "aa", "kitchen", "provisioned", 4.0, 0, content="c0"))
    again.add(Result("COM3", "aa", "kitchen", "skipped", 0.1, 0))
    assert ResultsFile(path).provisioned == {"aa": "c0"}
    assert [row["result"] for row in rows_of(path)] == ["provisioned"]


def test_a_results_file_that_is_something_else_is_kept(tmp_path):
    path = tmp_path / "boards.csv"
    path.write_text("id,name\n1,a\n", encoding="utf-8")
    with pytest.raises(FlashingError, match="is no results file"):
        ResultsFile(path)


def test_bulk_import_has_what_thingsboard_asks_for(tmp_path):
    path = tmp_path / "import.csv"
    write_bulk_import(path, {"aa": "sensor, the first", "bb": "a"}, "default")
    assert path.read_bytes() == (b'name,type,label\na,default,bb\n"sensor, the first",default,aa\n')


@pytest.mark.parametrize(
    ("codes", "expected"), [((), 0), ((0, 0), 0), ((0, 3, 3), 3), ((3, 4), 1), ((6,), 6)]
)
def test_exit_code_of_many(codes, expected):
    assert many.exit_code([Result("port", exit_code=code) for code in codes]) == expected


BAD_TABLES = {
    "a number": (b"id,name\n2.4E+11,kitchen\n", "a spreadsheet made a number, 2.4E+11"),
    "a German number": (b"id;name\n2,4E+11;kitchen\n", "a spreadsheet made a number, 2,4E"),
    "lost zeros": (b"id,name\n4201234567,kitchen\n", "a spreadsheet made a number"),
    "cp1252": ("id,name\n1,Küche\n".encode("cp1252"), "line 2 is not in UTF-8"),
    "a workbook": (b"PK\x03\x04\0\0", "it is no text"),
    "a quote without end": (b'id,name\n1,"kitchen\n', "line 2"),
    "too many cells": (b"id,name\n1,kitchen,2\n", "line 2 has more cells"),
    "nothing": (b"", "has no column id"),
}


@pytest.mark.parametrize("table", BAD_TABLES)
def test_a_table_that_cannot_be_read_is_a_line(tmp_path, table):
    text, complaint = BAD_TABLES[table]
    path = tmp_path / "boards.csv"
    path.write_bytes(text)
    with pytest.raises(FlashingError, match=re.escape(complaint)) as error:
        content.read_rows(path)
    assert error.value.exit_code == 2 and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "ID;NAME;Gateway\r\nAABB;Küche;TRUE\r\n".encode(),
        "id\tname\tgateway\naabb\tKüche\ttrue\n".encode("utf-16"),
        "\ufeffId,Name,GATEWAY\naabb,Küche,true\n".encode(),
    ],
)
def test_a_table_as_other_spreadsheets_write_it(tmp_path, text):
    path = tmp_path / "boards.csv"
    path.write_bytes(text)
    assert content.read_rows(path) == {"aabb": {"deviceName": "Küche", "gateway": True}}


def test_one_name_for_many_boards_is_refused_before_the_first(desk, tmp_path):
    config = desk.config().replace(b"sensor-{id}", b"sensor")
    (tmp_path / "config.json").write_bytes(config)
    many_ports = ("--port", tmp_path / "one", "--port", tmp_path / "two")
    done = desk.tools("flash", *many_ports)
    assert done.returncode == 5
    assert '`provisioning.deviceName` is "sensor" for every board' in done.stderr
    (tmp_path / "boards.csv").write_text("id,name\naa,kitchen\nbb,\ncc,\n", encoding="utf-8")
    assert desk.tools("flash", *many_ports, "--csv", "boards.csv").returncode == 5
    (tmp_path / "config.json").write_bytes(config.replace(b"sensor", b"sensor-{ID}"))
    done = desk.tools("flash", *many_ports)
    assert done.returncode == 5 and "did you mean `{id}`" in done.stderr
    assert not (tmp_path / "results.csv").exists()


ONE_DEVICE_S = {
    "token": ({"token": "fleet-token"}, "`provisioning.token`"),
    "clientId": ({"credentialsType": "MQTT_BASIC", "clientId": "c"}, "`provisioning.clientId`"),
    "username": ({"credentialsType": "MQTT_BASIC", "username": "u"}, "`provisioning.username`"),
    "both": (
        {"credentialsType": "MQTT_BASIC", "clientId": "c", "username": "u"},
        "`provisioning.clientId` with `provisioning.username`",
    ),
    "hash": ({"credentialsType": "X509_CERTIFICATE", "hash": "MII"}, "`provisioning.hash`"),
}


@pytest.mark.parametrize("field", ONE_DEVICE_S)
def test_what_only_one_device_can_have_is_refused_before_the_first_board(desk, tmp_path, field):
    fields, named = ONE_DEVICE_S[field]
    (tmp_path / "config.json").write_bytes(desk.config(provisioning=fields))
    for option in ("--all", "--no-start"):
        done = desk.tools("flash", option, "--port", tmp_path / "one", "--port", tmp_path / "two")
        assert done.returncode == 5 and done.stdout == ""
        assert f"config.json: {named} is the same for every board" in done.stderr
        assert done.stderr.count("\n") == 1 and "fleet-token" not in done.stderr
    assert not (tmp_path / "results.csv").exists()


def refused(desk, rows, boards=2, **changes) -> str:
    """What is said of these boards; nothing when they will do."""
    config = desk.config(**changes)
    try:
        content.check_for_many(config, content.check_config(config), rows, boards)
    except FlashingError as error:
        assert error.exit_code == 5 and "\n" not in str(error)
        return str(error)
    return ""


def test_what_a_csv_gives_each_board(desk):
    fixed = {"provisioning": {"token": "fleet-token"}}
    one, two, three = "aa" * 6, "bb" * 6, "cc" * 6
    assert refused(desk, {one: {"token": "a"}, two: {"token": "b"}}, **fixed) == ""
    assert refused(desk, {one: {"token": "a"}, two: {}}, **fixed) == ""
    said = refused(desk, {one: {"token": "a"}, two: {}, three: {}}, **fixed)
    assert f"`provisioning.token` is the same for {two} and {three}" in said
    assert "Put {id} in it" in said and "fleet-token" not in said
    assert "`provisioning.token`" in refused(desk, {one: {"token": "a"}, two: {"token": "a"}})
    name = {"provisioning": {"deviceName": "sensor"}}
    said = refused(desk, {one: {"deviceName": "sensor"}, two: {}}, **name)
    assert f"`provisioning.deviceName` is the same for {one} and {two}" in said
    assert refused(desk, None, boards=1, **fixed) == ""


def test_one_certificate_for_many_boards(desk):
    keys = {"server": "coaps://127.0.0.1", "ca": "ca", "certificate": "own.pem", "key": "key.pem"}
    config = json.dumps({**json.loads(desk.config()), **keys}).encode()
    settings = content.check_config(config)
    with pytest.raises(FlashingError, match="`certificate` is the same for every board"):
        content.check_for_many(config, settings, None, 2)
    content.check_for_many(config, settings, None, 1)
    # It is not shown for another kind of credentials.
    tokens = config.replace(
        b'"provisioning": {', b'"provisioning": {"credentialsType": "ACCESS_TOKEN", '
    )
    content.check_for_many(tokens, content.check_config(tokens), None, 2)


def test_results_that_cannot_be_written_are_found_first(desk, tmp_path):
    ports = ("--all", "--port", tmp_path / "one")
    done = desk.tools("flash", *ports, "--results", tmp_path / "nowhere" / "results.csv")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "results.csv cannot be written: No such file" in done.stderr
    assert "there is no port" not in done.stdout
    full = Path("/dev/full")
    if full.exists():
        (tmp_path / "results.csv.new").symlink_to(full)
        done = desk.tools("flash", *ports)
        assert done.returncode == 1 and "cannot be written: No space left" in done.stderr


def test_a_disk_that_fills_up_in_between_is_said(tmp_path, monkeypatch):
    file = ResultsFile(tmp_path / "results.csv")
    file.begin(["COM3"])
    monkeypatch.setattr(private, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(FlashingError, match=r"results.csv cannot be written: full\. Make room"):
        file.add(Result("COM3", result="provisioned"))


def test_what_has_changed_is_done_again():
    job = Job(b"{}", {"/main.py": b"1"})
    contents = {
        each.content("aa")
        for each in (
            job,
            dataclasses.replace(job, config=b"{} "),
            dataclasses.replace(job, firmware={"/main.py": b"2"}),
            dataclasses.replace(job, app=b"def run(c): pass"),
            dataclasses.replace(job, rows={"aa": {"deviceName": "kitchen"}}),
        )
    }
    assert len(contents) == 5


@needs_micropython
def test_a_board_whose_application_changed_is_done_again(desk, tmp_path):
    board = desk.board()
    flash = ("flash", "--all", "--port", board.link, "--json")
    assert desk.tools(*flash).returncode == 0
    (tmp_path / "app.py").write_text("def run(credentials): pass\n", encoding="utf-8")
    (again,) = json.loads(desk.tools(*flash, "--app", "app.py").stdout)
    assert again["result"] == "provisioned" and desk.read(board, "/app.py")
    (third,) = json.loads(desk.tools(*flash, "--app", "app.py").stdout)
    assert third["result"] == "skipped"


@needs_micropython
@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles only")
def test_ctrl_c_ends_with_a_summary_and_a_row_for_every_board(desk, tmp_path):
    board = desk.board(networks=[])  # it will look for its network for long
    (tmp_path / "config.json").write_bytes(desk.config())
    command = [sys.executable, "-c", "from tools.cli import main; main()", "flash", "--all"]
    command += ["--port", str(board.link), "--port", str(tmp_path / "missing")]
    with started(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if "starting" in line:
                break
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "0 of 2 boards done" in said and "Traceback" not in complaints
    rows = {row["port"]: row for row in rows_of(tmp_path / "results.csv")}
    assert rows[str(board.link)]["result"] == "broken off" and rows[str(board.link)]["id"]
    assert rows[str(tmp_path / "missing")]["result"] == "failed"


@pytest.mark.parametrize(
    ("fields", "rows", "boards", "refused"),
    [
        ({"token": "fixed"}, None, 2, "token"),
        ({"token": "fixed"}, None, 1, None),
        ({"token": "t-{id}"}, None, 2, None),
        ({"token": "fixed"}, {"1": {"token": "a"}, "2": {"token": "b"}}, 2, None),
        ({"token": "fixed"}, {"1": {"token": "a"}, "2": {}, "3": {}}, 3, "token"),
        ({"credentialsType": "MQTT_BASIC", "username": "u"}, None, 2, "username"),
        ({"credentialsType": "MQTT_BASIC", "username": "u", "clientId": "{id}"}, None, 2, None),
    ],
)
def test_what_only_one_board_can_have(fields, rows, boards, refused):
    given = config_for("coap://example.com", provisioning={"deviceName": "s-{id}", **fields})
    text = json.dumps(given).encode()
    settings = content.check_config(text)
    if refused is None:
        content.check_for_many(text, settings, rows, boards)
        return
    with pytest.raises(FlashingError, match=f"`provisioning.{refused}` is the same") as error:
        content.check_for_many(text, settings, rows, boards)
    assert "fixed" not in str(error.value)


def on_a_screen(columns: int, monkeypatch) -> tuple[Screen, io.StringIO]:
    """A screen for three boards, and what is shown on it."""
    shown = io.StringIO()
    monkeypatch.setattr(show, "Console", lambda **_: Plain(shown, columns))
    return Screen([f"/dev/ttyUSB{number}" for number in range(3)]), shown


class Plain(styled.Console):
    def __init__(self, file, columns):
        super().__init__(force_terminal=True, width=columns, color_system=None)
        self.file = file


@pytest.mark.parametrize("columns", [60, 100])
def test_names_are_whole_and_boards_stay_in_their_lines(monkeypatch, columns):
    screen, shown = on_a_screen(columns, monkeypatch)
    results = [
        Result(f"/dev/ttyUSB{number}", f"24dcc399a4e{number}", name, result, 12.3, 0, detail)
        for number, (name, result, detail) in enumerate(
            [
                ("sensor-24dcc399a4e0", "provisioned", ""),
                ("sensor-24dcc399a4e1", "provisioned as another", "it is another"),
                ("", "failed", "there is no port"),
            ]
        )
    ]
    with screen:
        for each in reversed(results):
            screen.progress_for(each.port).on_step("looking at the board")
        for each in reversed(results):
            screen.on_result(each)
        screen._bars.refresh()
        live = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.getvalue()).rstrip().splitlines()[-3:]
        assert [line.split()[0] for line in live] == ["ttyUSB0", "ttyUSB1", "ttyUSB2"]
    screen.end(results)
    lines = shown.getvalue().splitlines()
    for each in results[:2]:
        assert any(each.name in line and short(each.port) in line for line in lines)
    assert "1 of 3" not in lines[-1] and "3 of 3 boards done" in lines[-1]
    assert "it is another" in shown.getvalue()


@pytest.mark.parametrize("columns", [60, 100])
def test_a_board_that_waits_shows_what_it_sends_again(monkeypatch, columns):
    screen, shown = on_a_screen(columns, monkeypatch)
    with screen:
        waiting = screen.progress_for("/dev/ttyUSB1")
        waiting.on_line(
            '[   0.140] provisioning: asking coap://192.0.2.1 for "sensor-24dcc399a4e1"'
        )
        waiting.on_line("[   2.871] no answer yet; sent again, 2 of 5")
        screen._bars.refresh()
        live = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.getvalue()).rstrip().splitlines()[-2]
    assert live.startswith("ttyUSB1") and "no answer yet; sent again, 2 of 5" in live


def test_the_time_runs_until_the_board_is_done(monkeypatch):
    screen, _ = on_a_screen(80, monkeypatch)
    column = show._Time()
    (task, *_) = screen._bars.tasks
    progress = screen.progress_for("/dev/ttyUSB0")
    progress.on_total(0)  # every file is up to date, and still it has to be provisioned
    now = time.monotonic()
    monkeypatch.setattr(show.time, "monotonic", lambda: now + 30)
    assert column.render(task).plain.strip() == "30 s"
    screen.on_result(Result("/dev/ttyUSB0", result="provisioned"))
    monkeypatch.setattr(show.time, "monotonic", lambda: now + 60)
    assert column.render(task).plain.strip() == "30 s"
