"""Many boards side by side, and the files that say which got which name."""

from __future__ import annotations

import csv
import json

import pytest

from host_tests.flash_bench import Desk
from host_tests.virtual_bench import needs_micropython
from tools.flash import content, many
from tools.flash.board import Result
from tools.flash.errors import FlashingError
from tools.flash.results import ResultsFile, write_bulk_import


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as desk:
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
    assert [*rows[0]] == ["id", "name", "port", "result", "seconds"]
    assert {row["name"] for row in rows if row["result"] == "provisioned"} == names
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
        ("id,colour\n1,red\n", "does not know colour"),
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
    assert again.provisioned == frozenset()
    again.add(Result("COM3", "aa", "kitchen", "provisioned", 4.0, 0))
    again.add(Result("COM3", "aa", "kitchen", "skipped", 0.1, 0))
    assert ResultsFile(path).provisioned == {"aa"}
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
