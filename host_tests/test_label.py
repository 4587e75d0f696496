"""Boards that are told their Wi-Fi where they hang: what is put on them, and their labels."""

from __future__ import annotations

import csv
import json

import pytest

from host_tests.flash_bench import Desk
from host_tests.onboarding_bench import config, without
from tools.flash import content
from tools.flash.board import Result
from tools.flash.label import Label, completed, label_of
from tools.flash.results import ResultsFile

WIFI = {"ssid": "home", "password": "correct horse"}
BOARD = "24dcc399a4e8"


def complete(given: dict, on_board: dict | None = None) -> dict:
    kept = None if on_board is None else json.dumps(on_board).encode()
    return json.loads(completed(json.dumps(given).encode(), kept))


def test_each_board_gets_a_password_of_its_own():
    given = without(config(), "onboarding_password")
    drawn = {complete(given)["onboarding_password"] for _ in range(20)}
    assert len(drawn) == 20
    for password in drawn:
        assert len(password) == 10 and not set(password) & set("il1o0IO")


def test_what_a_board_has_stays():
    given = without(config(), "onboarding_password", "server")
    given["provisioning"] = {}
    kept = {**config("coap://theirs"), "onboarding_password": "on the label", "wifi": WIFI}
    assert complete(given, kept) == {
        **kept,
        "provisioning": {**kept["provisioning"]},
    }


def test_what_config_json_says_wins_and_a_secret_stays_with_its_server():
    kept = {**config("coap://theirs"), "wifi": WIFI, "onboarding_password": "on the label"}
    given = config("coap://ours", wifi={"ssid": "other"}, onboarding_password="12345678")
    del given["provisioning"]["provisionDeviceSecret"]
    assert complete(given, kept) == given


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"onboarding": true, "provisioning": 1}'])
def test_what_is_no_config_json_is_left_to_who_checks_it(text):
    assert completed(text, None) == text


def test_without_onboarding_nothing_is_added():
    text = json.dumps(without(config(), "onboarding", "onboarding_password")).encode()
    assert completed(text, b'{"wifi": {}}') == text and label_of(text, BOARD) is None


def test_the_label():
    label = label_of(json.dumps(config()).encode(), BOARD)
    assert label == ("firstboot-99a4e8", "of the label")
    assert str(label) == "network firstboot-99a4e8, password of the label"
    assert "open" in str(label_of(json.dumps(config(onboarding_password="")).encode(), BOARD))


def test_the_code_says_what_the_label_says():
    """Read back module by module: what segno makes of the text that phones know."""
    import segno

    lines = list(Label("firstboot-99a4e8", "a;b:c,d\\").qr_code())
    text = "WIFI:T:WPA;S:firstboot-99a4e8;P:a\\;b\\:c,d\\\\;;"
    rows = [list(row) for row in segno.make(text, micro=False, error="m").matrix_iter(border=2)]
    shown = [[cell in dark for cell in line] for line in lines for dark in ("▀█", "▄█")]
    assert shown[: len(rows)] == [[bool(each) for each in row] for row in rows]
    assert len({len(line) for line in lines}) == 1


def test_results_of_many_boards_have_their_labels(tmp_path):
    file = ResultsFile(tmp_path / "results.csv")
    file.add(Result("p1", BOARD, "sensor-1", "waits", network="firstboot-99a4e8", password="x"))
    with open(tmp_path / "results.csv", encoding="utf-8") as text:
        (row,) = csv.DictReader(text)
    assert (row["network"], row["password"]) == ("firstboot-99a4e8", "x")
    ResultsFile(tmp_path / "results.csv").begin(["p2"])
    assert "firstboot-99a4e8" in (tmp_path / "results.csv").read_text(encoding="utf-8")


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path, has_firmware=True) as desk:
        yield desk


def test_flash_puts_it_on_the_board_and_keeps_it(desk):
    board = desk.board()
    given = without(config(desk.server.uri), "onboarding_password")
    text = json.dumps(given).encode()
    first = desk.flash(board, text, start=False)
    assert first.network == f"firstboot-{first.id[-6:]}" and len(first.password) == 10
    on_board = json.loads(desk.read(board, "/config.json"))
    assert on_board == {**given, "onboarding_password": first.password}
    again = desk.flash(board, text, start=False)
    assert again.password == first.password and again.name == f"sensor-{first.id}"


@pytest.mark.parametrize("kind", ["esp32", "rp2"])
def test_flash_ends_when_the_board_asks(desk, kind):
    board = desk.board(kind, scan_ms=20, hurry=10)
    firmware = content.firmware(asked_for={"onboarding"})
    result = desk.flash(board, json.dumps(config(desk.server.uri)).encode(), firmware=firmware)
    assert (result.result, result.exit_code) == ("waits", 0), result
    assert "it asks for wifi.ssid" in result.detail and result.password == "of the label"
    assert result.network in desk.heard.lines[-1] and not desk.server.received


def test_flash_says_the_label(desk):
    board = desk.board()
    (desk.folder / "config.json").write_text(
        json.dumps(without(config(desk.server.uri), "onboarding_password"))
    )
    done = desk.tools("flash", "--port", board.link, "--no-start")
    assert done.returncode == 0, done.stdout + done.stderr
    password = json.loads(desk.read(board, "/config.json"))["onboarding_password"]
    assert "Its label: network firstboot-" in done.stdout and password in done.stdout


def test_doctor_says_what_is_left_to_people(desk):
    (desk.folder / "config.json").write_text(
        json.dumps(without(config(desk.server.uri), "onboarding_password"))
    )
    done = desk.tools("doctor")
    assert done.returncode == 0, done.stdout
    assert "whoever hangs the board is asked for wifi.ssid" in done.stdout
