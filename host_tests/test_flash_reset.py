"""Making a board forget: what may be nowhere else stays until a person says otherwise."""

from __future__ import annotations

import json

import pytest

from host_tests.flash_bench import Desk
from host_tests.virtual_bench import needs_micropython
from tools.flash import facts
from tools.flash.link import Link
from tools.flash.plan import RECORD, sha256

pytestmark = needs_micropython

ELSEWHERE = "coap://elsewhere.example.com:5683"


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as desk:
        yield desk


def attempt(board_id, *places, **changes) -> bytes:
    """An attempt.json with a token for each (server, deviceName)."""
    tokens = [
        {"server": server, "address": "", "deviceName": name, "token": "T" * 20, "given": False}
        for server, name in places
    ]
    fields = {
        "body": "00" * 32,
        "port": 20000,
        "message_id": 7,
        "coap_token": "0011223344556677",
        "tokens": tokens,
        "id": board_id,
        "replaces": None,
        "server": places[0][0] if places else ELSEWHERE,
        "address": "192.0.2.1",
    }
    return json.dumps({**fields, **changes}).encode()


def credentials(server, name) -> bytes:
    fields = {
        "server": server,
        "deviceName": name,
        "credentialsType": "ACCESS_TOKEN",
        "credentialsValue": "T" * 20,
    }
    return json.dumps(fields).encode()


def put(board, files: dict[str, bytes]) -> None:
    with Link(str(board.link)) as link:
        if "/firmware/installed.json" in files:
            link.run("import os\nos.mkdir('/firmware')")
        for path, content in files.items():
            link.put(path, content)


def id_of(board) -> str:
    with Link(str(board.link)) as link:
        return facts.ask(link).id


def names(board) -> list[str]:
    with Link(str(board.link)) as link:
        return link.value("import os\nprint(sorted(os.listdir('/')))")


def reset(desk, board, *options):
    done = desk.tools("reset", "--port", board.link, *options)
    assert "Traceback" not in done.stderr and "T" * 20 not in done.stdout + done.stderr
    return done


def is_pending(name: str, server: str = ELSEWHERE) -> str:
    return f'pending, and its access token may be nowhere else: "{name}" at {server}'


def test_a_pending_attempt_outlives_the_credentials(desk):
    """And what the board's console advises leads to a board that is provisioned."""
    board = desk.board()
    result = desk.flash(board)
    put(board, {"/attempt.json": attempt(result.id, (ELSEWHERE, "sensor-1"))})
    renamed = desk.config().replace(b"sensor-{id}", b"kitchen-{id}")
    told = desk.flash(board, renamed)
    assert told.exit_code == 7 and "python3 -m tools reset --credentials" in told.detail
    before = desk.read(board, "/attempt.json")
    done = reset(desk, board, "--credentials")
    assert done.returncode == 0, done.stderr
    assert "the credentials are forgotten" in done.stdout
    assert f"{is_pending('sensor-1')}. It stays" in done.stdout
    assert done.stdout.index("delete it there first") < done.stdout.index("reset --attempt")
    assert desk.read(board, "/attempt.json") == before
    assert desk.read(board, "/credentials.json") is None
    again = desk.flash(board, renamed)
    assert (again.result, again.name) == ("provisioned", f"kitchen-{result.id}")
    assert json.loads(desk.read(board, "/attempt.json"))["tokens"] == json.loads(before)["tokens"]


def test_everything_wants_a_word_about_a_pending_attempt(desk):
    board = desk.board("rp2")
    main = b"print('main')"
    record = json.dumps({"/main.py": [sha256(main)]}).encode()
    pending = attempt(id_of(board), (ELSEWHERE, "sensor-1"))
    put(board, {"/main.py": main, RECORD: record, "/attempt.json": pending})
    before = names(board)
    done = reset(desk, board, "--all")
    assert done.returncode == 1 and done.stdout == ""
    assert is_pending("sensor-1") in done.stderr and "then add --attempt" in done.stderr
    assert names(board) == before
    done = reset(desk, board, "--all", "--attempt")
    assert done.returncode == 0, done.stderr
    assert "It is removed: if ThingsBoard there has that device, delete it" in done.stdout
    assert names(board) == []


def test_an_attempt_alone(desk):
    board = desk.board("rp2")
    put(board, {"/credentials.json": credentials(ELSEWHERE, "a")})
    put(board, {"/attempt.json": attempt(id_of(board), (ELSEWHERE, "sensor-1"))})
    done = reset(desk, board, "--attempt")
    assert done.returncode == 0 and f"{is_pending('sensor-1')}. It is removed" in done.stdout
    assert "ThingsBoard still has" not in done.stdout
    assert names(board) == ["credentials.json"]
    assert "no attempt is pending" in reset(desk, board, "--attempt").stdout


def test_what_the_credentials_settle_goes_with_them(desk):
    """A cut after the save left it: its token is the one that is to be forgotten."""
    board = desk.board("rp2")
    board_id, here = id_of(board), "coap://127.0.0.1"
    found = {"/credentials.json": credentials(here, "a")}
    put(board, {**found, "/attempt.json": attempt(board_id, (here + ":5683", "a"))})
    done = reset(desk, board, "--credentials")
    assert "is pending" not in done.stdout and 'still has "a"' in done.stdout
    assert names(board) == []
    both = attempt(board_id, (here + ":5683", "a"), (ELSEWHERE, "sensor-1"))
    put(board, {**found, "/attempt.json": both})
    done = reset(desk, board, "--credentials")
    assert f"{is_pending('sensor-1')}. It stays" in done.stdout
    assert names(board) == ["attempt.json"]
    (left,) = json.loads(desk.read(board, "/attempt.json"))["tokens"]
    assert left["server"] == ELSEWHERE


def test_files_that_a_power_cut_left_under_another_name(desk):
    board = desk.board("rp2")
    pending = attempt(id_of(board), (ELSEWHERE, "sensor-1"))
    put(board, {"/credentials.json.new": credentials(ELSEWHERE, "a")})
    put(board, {"/attempt.json.new": pending})
    done = reset(desk, board, "--credentials")
    assert "the credentials are forgotten" in done.stdout
    assert 'ThingsBoard still has "a"' in done.stdout
    assert f"{is_pending('sensor-1')}. It stays" in done.stdout
    assert names(board) == ["attempt.json"]
    (left,) = json.loads(desk.read(board, "/attempt.json"))["tokens"]
    assert left["deviceName"] == "sensor-1"

    record = json.dumps({"/main.py": []}).encode()
    put(board, {RECORD: record, "/attempt.json.new": pending, "/config.json.new": b"{"})
    assert reset(desk, board, "--all").returncode == 1
    assert reset(desk, board, "--all", "--attempt").returncode == 0
    assert names(board) == []


def test_attempts_that_name_no_device(desk):
    """One that lets ThingsBoard choose, one of a board whose flash was copied, one that is none."""
    board = desk.board("rp2")
    put(board, {"/attempt.json": attempt(id_of(board))})
    assert f"nowhere else: a device at {ELSEWHERE}" in reset(desk, board, "--all").stderr
    put(board, {"/attempt.json": attempt("00" * 8, (ELSEWHERE, "sensor-1"))})
    assert "is pending" not in reset(desk, board, "--credentials").stdout
    put(board, {"/attempt.json": b"{"})
    assert "nowhere else: it cannot be read" in reset(desk, board, "--all").stderr
    assert desk.read(board, "/attempt.json") == b"{"


def test_an_attempt_in_its_other_place_goes_on(desk):
    board = desk.board("rp2")
    put(board, {"/credentials.json": credentials(ELSEWHERE, "a").replace(b"T", b"U")})
    put(board, {"/attempt_again.json": attempt(id_of(board), (ELSEWHERE, "a"))})
    done = reset(desk, board, "--credentials")
    assert f"{is_pending('a')}. It stays" in done.stdout
    assert names(board) == ["attempt.json"]
    (token,) = json.loads(desk.read(board, "/attempt.json"))["tokens"]
    assert token["token"] == "T" * 20


def test_everything_takes_certificates_and_a_key_too(desk):
    """Also those that the last config.json did not name."""
    board = desk.board("rp2")
    files = {"/certs/ca.pem": b"CA", "/key.pem": b"KEY", "/main.py": b"print('main')"}
    for given in (files, {"/main.py": files["/main.py"]}):
        desk.flash(board, firmware=given, start=False)
    assert {"certs", "key.pem"} <= set(names(board))
    done = reset(desk, board, "--all")
    assert done.returncode == 0, done.stderr
    assert names(board) == []


def test_reset_forgets_the_credentials(desk):
    board = desk.board()
    name = desk.flash(board).name
    put(board, {f"/{each}.json.bad1": b'{"token": "t' for each in ("credentials", "attempt")})
    done = desk.tools("reset", "--port", board.link, "--credentials")
    assert done.returncode == 0, done.stderr
    assert "the credentials are forgotten" in done.stdout
    assert desk.read(board, "/credentials.json.bad1") is None
    assert desk.read(board, "/attempt.json.bad1")
    assert f'ThingsBoard still has "{name}"' in done.stdout and "provisionState" in done.stdout
    assert desk.read(board, "/credentials.json") is None
    assert desk.read(board, "/config.json")


def test_reset_of_everything_leaves_what_is_the_user_s(desk):
    board = desk.board("rp2")
    desk.flash(board, app=b"def run(credentials): pass\n")
    with_secrets = ("credentials.json.bad1", "attempt.json", "config.json.new")
    put(board, {f"/{name}": b"mine" for name in ("mine.txt", *with_secrets)})
    done = reset(desk, board, "--all", "--attempt")
    assert done.returncode == 0, done.stderr
    assert names(board) == ["app.py", "mine.txt"]


def test_reset_wants_to_know_what(desk):
    assert desk.tools("reset", "--port", "COM9").returncode == 2
