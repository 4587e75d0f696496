"""/config.json: read it, check all of it, and explain every mistake at once."""

import json

from firmware.board.config_keys import (
    KEYS,
    NULLABLE,
    REQUIRED,
    SECRETS,
    SECTIONS,
    hostname,
    security_problems,
)
from firmware.errors import ConfigError

CONFIG = "/config.json"


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
    return check(content, board.id, provisioned)


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
    _look_for_unknown_keys(given, problems)
    provisioning = given.get("provisioning", {})
    if isinstance(provisioning.get("deviceName"), str):
        provisioning["deviceName"] = fill_in(provisioning["deviceName"], board_id)
    if provisioned:
        for key in ("provisionDeviceKey", "provisionDeviceSecret"):
            provisioning.setdefault(key, "forgotten")
    config = {section: {} for section in SECTIONS}
    for path, rule in KEYS.items():
        section, _, key = path.rpartition(".")
        values = given.get(section, {}) if section else given
        (config[section] if section else config)[key] = _value(values, path, key, rule, problems)
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
        given = json.loads(content.decode().lstrip("\ufeff"))
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ConfigError(
            ["config.json is not a JSON object in UTF-8"],
            "Find the place with: python3 -m json.tool config.json",
        )
    return given


def fill_in(device_name, board_id):
    """Return a deviceName with `{id}` filled in, trimmed as ThingsBoard trims it."""
    return device_name.replace("{id}", board_id).strip()


def _value(values, path, key, rule, problems):
    check, expected, default = rule
    if key not in values:
        if default is REQUIRED:
            problems.append("`%s` is missing; %s belongs there" % (path, expected))
        return default
    value = values[key]
    if value is None and (default is None or path in NULLABLE):
        return None
    if not check(value):
        problems.append(_problem(path, value, expected))
    return value


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


def _look_for_unknown_keys(given, problems):
    paths = [str(key) for key in given if key not in SECTIONS]
    for section in SECTIONS:
        paths += ["%s.%s" % (section, key) for key in given.get(section, {})]
    for path in paths:
        if path not in KEYS or ("." in path and path in given):
            nearest = min(KEYS, key=lambda known: _difference(path, known))
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
