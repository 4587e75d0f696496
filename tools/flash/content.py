"""What goes on a board: the firmware's files, compiled, and config.json for this board."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from tools import board_files, shims
from tools.flash import config_file, label, tables
from tools.flash.config_file import ConfigError
from tools.flash.errors import WRONG_USAGE, FlashingError
from tools.mpy import CompileError

shims.install()

from firmware.board import config  # noqa: E402
from firmware.board.config_doubts import doubts  # noqa: E402
from firmware.coap.uri import origin  # noqa: E402
from firmware.errors import FirstbootError  # noqa: E402

# The keys of config.json by section: "", "wifi." and "provisioning.".
KEYS = {
    section: tuple(line.split(" ")[0] for line in lines.split("\n"))
    for section, lines in config.KEYS
}
# The fields that a row may have.
FIELDS = KEYS["provisioning."]


def default_of(section: str, key: str) -> Any:
    """What a key of config.json has where nothing is said; None also when it is required."""
    lines = dict(config.KEYS)[section].split("\n")
    default = next(line.split(" ")[2:] for line in lines if line.startswith(f"{key} "))
    return json.loads(default[0]) if default and default[0] != "!" else None


def firmware(as_source: bool = False, asked_for: Collection[str] = ()) -> dict[str, bytes]:
    """See tools.board_files. Raises FlashingError."""
    try:
        return board_files.firmware(as_source, asked_for)
    except CompileError as error:
        raise FlashingError(str(error), "Use --source") from None


def check_config(
    content: bytes,
    board_id: str = "0" * 12,
    provisioned: bool = True,
    name: str | Path = "config.json",
    chip: str = "",
) -> dict:
    """Check a config.json, called `name`, as the firmware does. Raises ConfigError.

    It has to be JSON. `provisioned`: nothing is refused that a provisioned board goes on with.
    Besides what the firmware makes of it there is `asked`: the paths that are missing, and that
    `onboarding` asks a person for.
    """
    name = str(name)
    config_file.read(content, name)
    try:
        checked = config.check(content, board_id, provisioned, chip, asked := [])
    except FirstbootError as error:
        raise ConfigError(name, error.what.split("\n")) from None
    checked["asked"] = asked
    if checked["endpoint"] and not _can_be(checked["endpoint"][0]):
        raise ConfigError(
            name, ["the host in `server` has a part that is empty or longer than 63 letters"]
        )
    return checked


def _can_be(host: str) -> bool:
    """Whether a host may have such a name, found or not."""
    try:
        return ":" in host or bool(host.encode("idna"))
    except UnicodeError:
        return False


def config_for(
    content: bytes,
    board_id: str,
    row: dict[str, str] | None = None,
    without_secret: bool = False,
    name: str | Path = "config.json",
    chip: str = "",
    on_board: bytes | None = None,
) -> bytes:
    """The config.json for one board. Raises FlashingError.

    `row`: the board's line of the CSV. `without_secret`: the board has forgotten it. `chip`: as
    firmware.board.hardware.Board names it. `on_board`: the config.json that is on it.
    """
    check_config(content, board_id, name=name)
    content = label.completed(content, on_board)
    given = config.parse(content)
    if row or without_secret:
        given["provisioning"].update(row or {})
        if without_secret:
            given["provisioning"].pop("provisionDeviceSecret", None)
        content = json.dumps(given, ensure_ascii=False, indent=2).encode() + b"\n"
    check_config(content, board_id, without_secret, name, chip)
    return content


def identity(content: bytes, board_id: str) -> tuple[str, str]:
    """The deviceName and the server, spelt in one way, that a config.json has for a board."""
    checked = check_config(content, board_id)
    return checked["provisioning"]["deviceName"] or "", server_of(checked)


def server_of(given: dict) -> str:
    """The server in credentials or a checked config.json, in the one spelling that it has.

    Empty where a person has yet to name it.
    """
    server = given.get("server")
    return "" if server is None else origin(str(server))


def has_forgotten(on_board: bytes | None) -> bool:
    """Whether a provisioned board's config.json is one that the secret was taken out of."""
    try:
        given = json.loads(on_board or b"")
        return bool(given["forget_secret"]) and not given["provisioning"].get(
            "provisionDeviceSecret"
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def read_rows(path: Path) -> dict[str, dict[str, str]]:
    """The boards of a CSV, by id: what belongs in `provisioning`. Raises FlashingError."""
    known = ("id", "name", *FIELDS)
    header, lines = tables.read(path, known)
    unknown = set(header) - {*known, ""}
    if "id" not in header or unknown:
        # Without a line of names the first board's values stand there, its token among them.
        numbers = ", ".join(map(str, sorted(header.index(each) + 1 for each in unknown)))
        wrong = f"has no name of ours in column {numbers}" if unknown else "has no column id"
        raise FlashingError(
            f"{path}: the first line {wrong}",
            f"The columns are id, name, and any of {', '.join(FIELDS)}",
            WRONG_USAGE,
        )
    rows: dict[str, dict[str, str]] = {}
    for row in lines:
        board_id = tables.board_id(path, row.pop("id"))
        if not board_id:
            continue
        if board_id in rows:
            raise FlashingError(
                f"{path}: {board_id} is there twice", "Keep one of the lines", WRONG_USAGE
            )
        if name := row.pop("name", ""):
            row["deviceName"] = name
        rows[board_id] = {key: _typed(key, value) for key, value in row.items() if key and value}
    names = [row["deviceName"] for row in rows.values() if "deviceName" in row]
    for name in names:
        if names.count(name) > 1 and "{id}" not in name:
            raise FlashingError(
                f'{path}: two boards are called "{name}"', "Give each its own name", WRONG_USAGE
            )
    return rows


def check_for_many(
    content: bytes,
    settings: dict,
    rows: dict[str, dict[str, str]] | None,
    boards: int,
    name: str | Path = "config.json",
) -> None:
    """Check what config.json means for `boards` boards, or for those of a CSV.

    Raises ConfigError.
    """
    if problems := doubts(settings, settings["networks"], ""):
        raise ConfigError(str(name), problems)
    given = config.parse(content)["provisioning"]
    has_csv = rows is not None
    if not has_csv:
        rows = {board_id * 12: {} for board_id in "01"[:boards]}
    named_by_config = sum("deviceName" not in row for row in rows.values())
    device_name = given.get("deviceName")
    if named_by_config > 1 and device_name is not None and "{id}" not in device_name:
        raise ConfigError(
            str(name),
            [
                f'`provisioning.deviceName` is "{device_name}" for every board, and ThingsBoard '
                "provisions a name once"
            ],
            'Put {id} in it, as in "sensor-{id}", or name the boards with --csv',
        )
    seen: dict[tuple, str] = {}
    for board_id, row in rows.items():
        secret = row.get("provisionDeviceSecret") or given.get("provisionDeviceSecret")
        where = f"{name} with the line of {board_id} in the CSV" if row else name
        config_for(content, board_id, row, not secret, where)
        request = {**given, **row}
        for what, value, fix in _one_device_s(request, board_id, settings["certificate"]):
            other = seen.setdefault((what, *value), board_id)
            if other != board_id:
                which = f"{other} and {board_id}" if has_csv else "every board"
                problem = f"{what} is the same for {which}, and ThingsBoard gives it to one device"
                raise ConfigError(str(name), [problem], fix)


def _one_device_s(
    request: dict, board_id: str, certificate: str | None
) -> Iterator[tuple[str, tuple, str]]:
    """What of a board's `provisioning` no other device may have: in words, its value, the fix."""
    filled = {
        key: value.replace("{id}", board_id)
        for key, value in request.items()
        if isinstance(value, str)
    }
    own = "Put {id} in it, or give each board its own with --csv"
    if "deviceName" in filled:
        yield "`provisioning.deviceName`", (filled["deviceName"].strip(),), own
    if "token" in filled:
        fix = f"{own}; without it each board draws a token of its own"
        yield "`provisioning.token`", (filled["token"],), fix
    # ThingsBoard tells devices of MQTT_BASIC apart by both.
    mqtt = [key for key in ("clientId", "username") if key in filled]
    if mqtt:
        what = " with ".join(f"`provisioning.{key}`" for key in mqtt)
        yield what, tuple(filled[key] for key in mqtt), own
    if "hash" in filled:
        yield "`provisioning.hash`", (filled["hash"],), "Give each board its own with --csv"
    elif certificate and filled.get("credentialsType", "X509_CERTIFICATE") == "X509_CERTIFICATE":
        fix = "Flash each board by itself, with a certificate and a key of its own"
        yield "`certificate`", (certificate,), fix


def _typed(key: str, value: str):
    return {"true": True, "false": False}.get(value.lower(), value) if key == "gateway" else value
