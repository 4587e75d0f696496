"""No secret in what the tools print, log, write to results or raise, wherever somebody put it."""

from __future__ import annotations

import json
import random
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from host_tests.firmware.secrets import MARK, PATHS, SHOWN, VALUES, broken, is_told, misplaced
from host_tests.firmware.world import example
from host_tests.flash_bench import Desk
from host_tests.power_up_bench import config_for
from host_tests.virtual_bench import needs_micropython
from tools.cli import app
from tools.flash import content, doctor
from tools.flash.config_file import ConfigError
from tools.virtual_board.flash import files_named_in


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Of `server` nothing is asked."""
    for module in ("tools.flash.doctor", "tools.flash.command"):
        monkeypatch.setattr(f"{module}.examine_server", lambda uri: iter(()))


def said_by(arguments: list[str]) -> str:
    """What a verb prints, and the traceback of what it lets through."""
    done = CliRunner().invoke(app, arguments)
    said = done.output + done.stderr
    if done.exc_info and not isinstance(done.exception, SystemExit):
        said += "".join(traceback.format_exception(*done.exc_info))
    return said


def configurations() -> list[bytes]:
    return [*misplaced(), *broken(random.Random(3).randrange, 60)]


def test_doctor_and_flash(tmp_path):
    config = tmp_path / "config.json"
    verbs = (["doctor"], ["doctor", "--json"], ["flash", "--port", "no-such-port"])
    for number, text in enumerate(configurations()):
        config.write_bytes(text)
        for verb in (verbs[number % 2], verbs[2]):
            said = said_by([*verb, "--config", str(config)])
            assert said and not is_told(said), (text, verb, said)


def test_what_is_raised(tmp_path):
    config = tmp_path / "config.json"
    for text in configurations():
        config.write_bytes(text)
        for call in (
            lambda text=text: content.check_config(text),
            lambda text=text: content.config_for(text, "24dcc399a4e8", {"token": MARK}),
            lambda text=text: content.config_for(text, "24dcc399a4e8", None, True),
            lambda text=text: content.identity(text, "24dcc399a4e8"),
            lambda: files_named_in(config),
        ):
            try:
                call()
            except ConfigError as error:
                assert not is_told("".join(traceback.format_exception(error))), (text, error)


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from(VALUES), min_size=1, max_size=5),
    st.sets(st.sampled_from(["wifi", "server", "provisioning"]), max_size=1),
)
def test_many_secrets_at_once(changes, missing):
    changes = {
        path: value
        for path, value in changes.items()
        if path.count("__") or path not in ("wifi", "provisioning")
        if path not in SHOWN or not isinstance(value, str)
    }
    config = example(**changes)
    for section in missing:
        del config[section]
    for check in (content.check_config, content.config_for):
        try:
            check(json.dumps(config).encode(), "24dcc399a4e8")
        except ConfigError as error:
            assert not is_told(str(error)), (config, str(error))


def test_a_csv_without_a_line_of_names(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config_for("coap://h")), encoding="utf-8")
    (tmp_path / "boards.csv").write_text(f"24dcc399a4e8,kitchen,{MARK}\n", encoding="utf-8")
    said = said_by(
        ["flash", "--config", str(tmp_path / "config.json"), "--csv", str(tmp_path / "boards.csv")]
    )
    assert "has no name of ours in column 1, 2, 3" in said and not is_told(said)


def test_a_findings_line_of_a_placeholder_tells_no_key():
    findings = doctor._key_and_secret(
        {"provisionDeviceKey": f"{MARK} ", "provisionDeviceSecret": MARK}
    )
    assert not is_told("\n".join(map(str, findings)))


@needs_micropython
def test_a_whole_flashing_and_its_files(tmp_path):
    with Desk(tmp_path) as desk:
        board = desk.board()
        desk.thingsboard.secret = MARK
        fields = {"provisionDeviceSecret": MARK, "token": f"{MARK}-{{id}}", "password": MARK}
        (tmp_path / "config.json").write_bytes(desk.config(provisioning=fields))
        ports = ["--port", board.link, "--timeout", "20"]
        for extra in ([], ["--json"]):
            done = desk.tools("flash", "--all", *ports, *extra)
            assert done.returncode == 0, done.stdout + done.stderr
            assert not is_told(done.stdout + done.stderr)
        kept = {"config.json"}
        for file in tmp_path.iterdir():
            if (
                file.is_file()
                and file.suffix in (".csv", ".json", ".log")
                and file.name not in kept
            ):
                assert not is_told(file.read_text(encoding="utf-8")), file
        done = desk.tools("reset", "--port", board.link, "--credentials")
        assert not is_told(done.stdout + done.stderr)
