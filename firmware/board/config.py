"""/config.json: read it, check all of it, and explain every mistake at once."""

import json

from firmware.board.config_keys import (
    KEYS,
    NULLABLE,
    SECRETS,
    SECTIONS,
    expected,
    fits,
    hostname,
    security_problems,
)
from firmware.errors import ConfigError

CONFIG = "/config.json"

_UNTIL_PROVISIONED = "required-until-provisioned"


_EXAMPLE = (
    "Put a config.json on the board:\n"
    '{"wifi": {"ssid": "...", "password": "..."},\n'
    ' "server": "coap://thingsboard.example.com",\n'
    ' "provisioning": {"deviceName": "sensor-{id}",\n'
    '  "provisionDeviceKey": "...", "provisionDeviceSecret": "..."}}\n'
    "with: mpremote cp config.json :config.json"
)


def load(board, provisioned=False):
    """Return config.json as a dictionary with every key, defaults filled in.

    A provisioned board needs no secret. Raises ConfigError with every mistake, StorageError.
    """
    content = board.storage.read(CONFIG)
    if content is None:
        raise ConfigError(["there is no /config.json"], _EXAMPLE)
    config = check(content, board.id, provisioned)
    if config["codec"] == "microcoapy" and not _has_microcoapy(board.storage):
        raise ConfigError(
            ['`codec` is "microcoapy", which is not on the board'],
            "Put it there: mpremote mip install github:insighio/microCoAPy\n"
            "and: mpremote cp firmware/coap/microcoapy.py :firmware/coap/",
        )
    if config["certificate"] and not provisioned:
        from firmware.board.security import add_certificate

        add_certificate(config["provisioning"], board, config)
    return config


def check(content, board_id, provisioned=False):
    """Return the configuration in the bytes of a config.json. Raises ConfigError.

    `board_id`: the unique id in hex, for `{id}` in deviceName.
    """
    given = parse(content)
    problems = []
    for section in SECTIONS:
        if not isinstance(given.get(section, {}), dict):
            problems.append(_problem(section, given[section], "an object"))
            given[section] = {}
    provisioning = given.get("provisioning", {})
    if isinstance(provisioning.get("deviceName"), str):
        provisioning["deviceName"] = fill_in(provisioning["deviceName"], board_id)
    config = {section: {} for section in SECTIONS}
    paths = []
    for line in KEYS.split("\n"):
        path, kind, default = line.split(" ", 2)
        paths.append(path)
        section, _, key = path.rpartition(".")
        values = given.get(section, {}) if section else given
        if key in values:
            value = values[key]
            nullable = default == "null" or path in NULLABLE
            if not (value is None and nullable) and not fits(kind, value):
                problems.append(_problem(path, value, expected(kind)))
        elif default == "required" or (default == _UNTIL_PROVISIONED and not provisioned):
            value = None
            problems.append("`%s` is missing; %s belongs there" % (path, expected(kind)))
        else:
            value = None if default == _UNTIL_PROVISIONED else json.loads(default)
        (config[section] if section else config)[key] = value
    _look_for_unknown_keys(given, paths, problems)
    problems = problems or security_problems(config)
    if problems:
        raise ConfigError(problems, "Correct config.json and put it on the board again.")
    wifi = config["wifi"]
    wifi["hostname"] = wifi["hostname"] or hostname(config["provisioning"]["deviceName"])
    return config


def forget_secret(board):
    """Take provisionDeviceSecret out of config.json: the one write to it by firmware."""
    given = parse(board.storage.read(CONFIG))
    if given["provisioning"].pop("provisionDeviceSecret", None) is not None:
        board.storage.save(CONFIG, json.dumps(given).encode())


def parse(content):
    """Return the JSON object in the bytes of a config.json. Raises ConfigError."""
    try:
        # Some editors put a byte order mark in front.
        text = content.decode().lstrip("\ufeff")
        given = json.loads(text)
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        given = None
    if not isinstance(given, dict):
        raise ConfigError(
            ["config.json is not a JSON object in UTF-8"],
            "Find the place with: python3 -m json.tool config.json",
        )
    # MicroPython's json makes two broken letters of such a pair.
    escapes = text.replace("\\\\", "").lower()
    if any("\\ud" + digit in escapes for digit in "89abcdef"):
        raise ConfigError(
            ["config.json has a letter written as two \\u escapes"],
            "Write the letter itself, in UTF-8.",
        )
    return given


def fill_in(device_name, board_id):
    """Return a deviceName with `{id}` filled in, trimmed as ThingsBoard trims it."""
    return device_name.replace("{id}", board_id).strip()


def _has_microcoapy(storage):
    adapter = "/firmware/coap/microcoapy"
    on_board = storage.exists(adapter + ".py") or storage.exists(adapter + ".mpy")
    return on_board and storage.exists("/lib/microcoapy")


def _problem(path, value, expected):
    return "`%s` is %s; %s belongs there" % (path, _shown(path, value), expected)


def _shown(path, value):
    """Return a value, or only its kind when it is or could hold a secret."""
    public = path not in SECTIONS and path.rpartition(".")[2] not in SECRETS
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or (public and len(json.dumps(value)) <= 60 and "@" not in str(value)):
        return json.dumps(value)
    return "a string of %d characters" % len(value) if isinstance(value, str) else "no string"


def _look_for_unknown_keys(given, known, problems):
    paths = [str(key) for key in given if key not in SECTIONS]
    for section in SECTIONS:
        paths += ["%s.%s" % (section, key) for key in given.get(section, {})]
    for path in paths:
        if path not in known or ("." in path and path in given):
            nearest = min(known + list(SECTIONS), key=lambda other: _difference(path, other))
            problems.append("`%s` is not known; did you mean `%s`?" % (path, nearest))


def _difference(path, known):
    """Return how far a key is from a known one; one in the wrong section is near."""
    path, known = path.lower(), known.lower()
    in_any_section = _distance(path.rpartition(".")[2], known.rpartition(".")[2])
    return min(_distance(path, known), in_any_section + 1)


def _distance(a, b):
    """Return how many letters have to be added, left out or changed to make b of a."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a):
        diagonal, row[0] = row[0], i + 1
        for j, other in enumerate(b):
            diagonal, row[j + 1] = (
                row[j + 1],
                min(row[j] + 1, row[j + 1] + 1, diagonal + (letter != other)),
            )
    return row[-1]
