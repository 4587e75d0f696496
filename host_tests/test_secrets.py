"""No secret in what the tools print, log, write to results or raise, wherever somebody put it."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from host_tests.firmware.secrets import (
    MARK,
    PATHS,
    PEM,
    SERVERS,
    SHOWN,
    VALUES,
    broken,
    is_told,
    marked,
    misplaced,
)
from host_tests.firmware.world import NAME, example
from host_tests.flash_bench import Desk
from host_tests.power_up_bench import config_for
from host_tests.processes import started
from host_tests.virtual_bench import needs_micropython
from tools.cli import app
from tools.fake_thingsboard.codec import CON, Message, encode
from tools.fake_thingsboard.model import ThingsBoard
from tools.flash import content, doctor
from tools.flash.config_file import ConfigError
from tools.virtual_board.flash import PROJECT, files_named_in


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
        if path.count("__") or path not in ("wifi", "provisioning", "update")
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
    with Desk(tmp_path, has_firmware=True) as desk:
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


# The verbs that play a board, a server or many boards


@contextmanager
def serving():
    """A `serve` whose key and secret are marked; yields its URI and what it has printed."""
    log = []
    with started(
        [sys.executable, "-u", "-c", "from tools.cli import main; main()"]
        + ["serve", "--port", "0", "--key", MARK, "--secret", MARK],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as serve:
        uri = re.search(r"coap://\S+", serve.stdout.readline())[0]
        yield uri, log
        serve.send_signal(signal.SIGINT)
        log.append(serve.communicate(timeout=5)[0])


@needs_micropython
def test_power_up_and_what_serve_says_of_it(tmp_path):
    config = tmp_path / "config.json"
    provisioned = 0
    with serving() as (uri, log):
        for number, text in enumerate([json.dumps(marked()).encode(), *configurations()[::17]]):
            config.write_bytes(text.replace(b"coap://" + NAME.encode(), uri.encode()))
            flash = tmp_path / f"{number}.img"
            verb = ["power-up", "--config", str(config), "--flash", str(flash), "--timeout", "0.6"]
            said = said_by([*verb, "--json"] if number % 2 else verb)
            assert said and not is_told(said), (text, said)
            provisioned += "provisioned:" in said
    assert provisioned and log[0].count("POST /api/v1/provision") >= provisioned
    assert not is_told(log[0]), log[0]


def requests():
    """Requests with a secret at each place where a device may have one."""
    fields = {"provisionDeviceKey": MARK, "provisionDeviceSecret": MARK, "deviceName": "a"}
    bodies = [
        json.dumps({**fields, **more})
        for more in (
            {"token": MARK},
            {"credentialsType": "MQTT_BASIC", "username": MARK, "password": MARK},
            {"credentialsType": "X509_CERTIFICATE", "hash": PEM},
            {"token": [MARK], "more": {"x": [{"y": MARK}]}},
        )
    ]
    bodies += [bodies[0][:-2], MARK, json.dumps([MARK, fields])]
    for body in bodies:
        yield Message(CON, 2, 0, b"1", ("api", "v1", "provision"), payload=body.encode())
    for path in ((MARK, "attributes"), (MARK, "telemetry"), (MARK,), (MARK, "rpc", MARK)):
        for code in (1, 2):
            yield Message(CON, code, 0, b"1", ("api", "v1", *path), payload=b'{"a":1}' * (code - 1))
    yield Message(CON, 1, 0, b"1", ("fw", MARK), query=(f"title={MARK}",))
    yield Message(CON, 2, 0, b"1", (MARK,), payload=MARK.encode())


def test_what_serve_says_of_any_request():
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client, serving() as (uri, log):
        host, port = uri.removeprefix("coap://").split(":")
        for number, request in enumerate(requests()):
            client.sendto(encode(request._replace(message_id=number)), (host, int(port)))
        client.settimeout(2)
        for _ in requests():
            client.recv(2048)
    assert log[0].count("/api/v1") > 5
    assert not is_told(log[0]), log[0]


def test_provision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text(MARK, encoding="utf-8")
    asked = ["--key", MARK, "--secret-file", "secret", "--name", "sensor-1"]
    with serving() as (uri, log):
        for verb in (asked, asked, [*asked, "--json"], ["--key", "no", *asked[2:]]):
            said = said_by(["provision", "--server", uri, *verb])
            assert said and not is_told(said), said
        for server in SERVERS:
            said = said_by(["provision", "--server", server, *asked])
            assert said and not is_told(said), (server, said)
    assert not is_told(log[0]), log[0]


def made_by(monkeypatch, where, **secrets):
    """The ThingsBoards that a module makes from now on, with these secrets in place of its own."""
    made = []

    def make(**given):
        made.append(ThingsBoard(**{**given, **secrets}))
        return made[-1]

    monkeypatch.setattr(f"{where}.ThingsBoard", make)
    return made


def told_of(made, said):
    """The tokens of all devices that are in a text; there has to be one that could be."""
    tokens = [device.token for each in made for device in each.devices.values()]
    assert tokens
    return [token for token in tokens if token in said]


def test_storm(monkeypatch):
    made = made_by(monkeypatch, "tools.storm.power")
    for extra in ([], ["--json"]):
        said = said_by(["storm", "--boards", "3", *extra])
        assert said and not told_of(made, said)


@needs_micropython
def test_storm_of_real_boards(monkeypatch):
    made = made_by(monkeypatch, "tools.fake_thingsboard.model", key=MARK, secret=MARK)
    said = said_by(["storm", "--real", "--boards", "2"])
    assert said and not is_told(said) and not told_of(made, said)
