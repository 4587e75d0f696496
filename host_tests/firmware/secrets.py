"""Configurations with a marked secret where people put one, and where they do not mean to."""

import json

from firmware.board.config import KEYS
from host_tests.firmware.world import example

MARK = "Qz7Marked!9"
PEM = "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n" % (MARK * 3)
# What is shown when it is good.
SHOWN = ("wifi__ssid", "server", "provisioning__deviceName")
PATHS = [
    (section + line.split(" ")[0]).replace(".", "__")
    for section, lines in KEYS
    for line in lines.split("\n")
]
VALUES = (
    MARK,
    MARK + "\n",
    PEM,
    [MARK],
    {MARK: 1},
    {"sid": MARK},
    {"x": [{"y": MARK}]},
    MARK * 40,
    [[MARK], None],
)
SERVERS = (
    MARK,
    "coap://u:%s@h" % MARK,
    "coap://h/" + MARK,
    "http://" + MARK,
    "coap://h:" + MARK,
    "coaps://h?" + MARK,
    "coap://h#" + MARK,
)
KEYS_OF_USERS = (MARK, "wifi " + MARK, MARK + "ssid", MARK.lower(), PEM)
# What goes missing, comes twice or comes in by mistake in the text of a file.
PIECES = ("", ",", ":", '"', "{", "}", "[", "]", "\\", "\n", "“", "'", "//", "0", "é")


def marked():
    """Return the example, in which every secret is a marked one."""
    return example(
        wifi__password=MARK,
        provisioning__provisionDeviceKey=MARK,
        provisioning__provisionDeviceSecret=MARK,
        provisioning__token=MARK,
        provisioning__password=MARK,
        provisioning__hash=PEM,
    )


def misplaced():
    """Yield the bytes of configurations with a secret at each place, of each type."""
    for path in PATHS:
        for value in VALUES:
            if path not in SHOWN or not isinstance(value, str):
                yield _with(path, value)
    for section in ("", "wifi__", "provisioning__"):
        for key in KEYS_OF_USERS:
            yield _with(section + key, 1)
    for server in SERVERS:
        yield _with("server", server)
    yield _with("ntp", [MARK, "pool.ntp.org"], server="coaps://h", ca="ca.pem")
    for key in ("ca", "certificate", "key"):
        files = {"server": "coaps://h", "ca": "ca.pem", "certificate": "c.pem", "key": "k.pem"}
        for value in (MARK, PEM, "/" + PEM):
            files[key] = value
            yield json.dumps(example(**files)).encode()


def broken(random, count):
    """Yield texts with marked secrets and mistakes in them. `random`: gives a number below one."""
    text = json.dumps(marked())
    for _ in range(count):
        at = random(len(text))
        end = at + random(3)
        yield (text[:at] + PIECES[random(len(PIECES))] + text[end:]).encode()
    yield text.encode("utf-16") if hasattr(text, "isascii") else b"\xff\xfe" + text.encode()
    yield text.replace("Home", "H\xfcme").encode().replace(b"\xc3\xbc", b"\xfc")


def is_told(text):
    """Return whether a text tells the secret, or a good part of it."""
    return "qz7marked" in text.lower()


def _with(path, value, **more):
    given = marked()
    section, _, key = path.rpartition("__")
    values = given.setdefault(section, {}) if section else given
    values[key] = value
    given.update(more)
    return json.dumps(given).encode()
