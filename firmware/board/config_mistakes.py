"""What is wrong with config.json, all of it at once. Imported only when something may be."""

import json

from firmware.board.config import KEYS, SECTIONS
from firmware.errors import ConfigError

_SECRETS = ("password", "provisionDeviceKey", "provisionDeviceSecret", "token", "hash")

_EXPECTED = {
    "boolean": "true or false",
    "country": 'two capital letters, such as "DE",',
    "file": "the name of a file on the board",
    "hostname": "a name of letters, digits and inner hyphens, at most 32,",
    "hosts": "a list of host names, or null,",
    "name": "a string of 1 to 255 characters",
    "object": "an object",
    "passphrase": 'a password of 8 to 64 bytes, or "" for none,',
    "pin": "a pin's number or name, or null,",
    "seconds": "a number of seconds from 1 to 86400, or null,",
    "server": 'a URI such as "coap://thingsboard.example.com"',
    "ssid": "the network's name, 1 to 32 bytes,",
    "string": "a string",
    "text": "the value that the device profile shows",
    "token": "a string with no / ? & or #",
}


def no_config():
    """Return the ConfigError of a board without one."""
    return ConfigError(
        "there is no /config.json",
        "Put a config.json on the board:\n"
        '{"wifi": {"ssid": "...", "password": "..."},\n'
        ' "server": "coap://thingsboard.example.com",\n'
        ' "provisioning": {"deviceName": "sensor-{id}",\n'
        '  "provisionDeviceKey": "...", "provisionDeviceSecret": "..."}}\n'
        "with: mpremote cp config.json :config.json",
    )


def no_object():
    """Return the ConfigError of what is no JSON object."""
    return ConfigError(
        "config.json is not a JSON object in UTF-8",
        "Find the place with: python3 -m json.tool config.json",
    )


def escaped_letter():
    """Return the ConfigError of a letter that MicroPython's json does not read."""
    return ConfigError(
        "config.json has a letter written as two \\u escapes",
        "Write the letter itself, in UTF-8.",
    )


def explain(given, wrong):
    """Return the ConfigError with every mistake.

    `given`: what the file says. `wrong`: (path, kind) of what is missing, (path, kind, value) of
    what does not fit.
    """
    problems = []
    for path, kind, *value in wrong:
        is_what = "is " + _shown(path, value[0]) if value else "is missing"
        expected = _EXPECTED.get(kind) or " or ".join('"%s"' % word for word in kind.split("|"))
        problems.append("`%s` %s; %s belongs there" % (path, is_what, expected))
    known = [line.split(" ")[0] for line in KEYS.split("\n")]
    paths = [str(key) for key in given if key not in SECTIONS]
    for section in SECTIONS:
        paths += ["%s.%s" % (section, key) for key in given.get(section, {})]
    for path in paths:
        if path not in known or ("." in path and path in given):
            nearest = min(known + list(SECTIONS), key=lambda other: _difference(path, other))
            problems.append("`%s` is not known; did you mean `%s`?" % (path, nearest))
    return _to_correct(problems)


def check_security(config):
    """Check that the keys for coaps go together. Raises ConfigError."""
    problems = []
    if not config["secure"]:
        for key in ("ca", "certificate", "key"):
            if config[key]:
                problems.append("`%s` is for coaps, but `server` begins with coap://" % key)
    elif config["verify"] and not config["ca"]:
        problems.append("`ca` is missing; the CA's certificate belongs there, which coaps needs")
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if config[other] and not config[key]:
            problems.append("`%s` is missing; it belongs to `%s`" % (key, other))
    if problems:
        raise _to_correct(problems)


def check_microcoapy(storage):
    """Check that microCoAPy and its adapter are on the board. Raises ConfigError."""
    adapter = "/firmware/coap/microcoapy"
    has_adapter = storage.exists(adapter + ".py") or storage.exists(adapter + ".mpy")
    if not (has_adapter and storage.exists("/lib/microcoapy")):
        raise ConfigError(
            '`codec` is "microcoapy", which is not on the board',
            "Put it there: mpremote mip install github:insighio/microCoAPy\n"
            "and: mpremote cp firmware/coap/microcoapy.py :firmware/coap/",
        )


def _to_correct(problems):
    fix = "Correct config.json and put it on the board again."
    return ConfigError("\n".join(problems), fix)


def _shown(path, value):
    """Return a value, or only its kind when it is or could hold a secret."""
    public = path not in SECTIONS and path.rpartition(".")[2] not in _SECRETS
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or (public and len(json.dumps(value)) <= 60 and "@" not in str(value)):
        return json.dumps(value)
    return "a string of %d characters" % len(value) if isinstance(value, str) else "no string"


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
