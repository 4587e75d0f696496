"""What is wrong with config.json, all of it at once. Imported only when something may be."""

import json
import re

from firmware.board.near import nearest
from firmware.errors import FirstbootError

# What belongs at a key of each kind, but for those that list their words.
_EXPECTED = """
bool true or false
country two capital letters, such as "DE",
dict an object
networks an object, or a list of 1 to 8,
file a file on the board
hex the network's name as 1 to 32 bytes, two small hex digits each,
hostname letters, digits and inner hyphens, at most 32,
int a number from 1 to 86400, or null,
list a list of host names, or null,
modulus what `bundle` shows of the key,
name a string of 1 to 255 characters
onboarding "portal", true or false
passphrase a password of 8 to 63 ASCII characters, or "" for none,
pin a pin's number or name, or null,
psk a password of 8 to 64 bytes, or "" for none,
seconds a number from 1 to 86400
secret what the device profile shows
ssid the network's name, 1 to 32 bytes,
str a string
text a string
token a string with no / ? & or #
uri a URI such as "coap://example.com"\
"""


def config_error(what, fix):
    """Return the error of a config.json that cannot be used. `what` has a line a mistake."""
    error = FirstbootError(what, fix)
    error.state = "config.json"
    error.retry_after = 60_000
    return error


def check_json(content, given):
    """Check that the bytes of a config.json are a JSON object, and one that boards read right.

    `given`: what they say. Raises FirstbootError.
    """
    if content is None:
        raise config_error(
            "there is no /config.json",
            "Write one, then: mpremote cp config.json :config.json\n"
            '{"wifi": {"ssid": "...", "password": "..."},\n'
            ' "server": "coap://thingsboard.example.com",\n'
            ' "provisioning": {"deviceName": "sensor-{id}",\n'
            '  "provisionDeviceKey": "...", "provisionDeviceSecret": "..."}}',
        )
    from firmware.board.strict_json import mistake_in

    mistake = mistake_in(content)
    if mistake:
        from firmware.board.json_mistakes import explain

        raise config_error(
            "config.json is no JSON: %s" % explain(content, *mistake),
            "Correct that place. On a computer: python3 -m json.tool config.json",
        )
    if not isinstance(given, dict):
        raise config_error(
            "config.json is JSON, but no object", "It begins with { and ends with }."
        )
    # MicroPython's json makes two broken letters of such a pair.
    if re.search(rb"\\u[dD][89a-fA-F]", content.replace(rb"\\", b"")):
        raise config_error(
            "config.json has a letter written as two \\u escapes",
            "Write the letter itself, in UTF-8.",
        )


def check_keys(keys, config, networks, wrong, secure, doubtful):
    """Check that every key is known, and if all fit that those for coaps go together.

    `keys`: those that are known, see firmware.board.config. `config`: what the file says, and
    `networks` its `wifi`, a list. `wrong`: (path, kind, whether it is there, value) of what is
    missing or does not fit. `secure`: whether `server` is coaps. `doubtful`: the lines of
    firmware.board.config_doubts, refused as well. Raises FirstbootError with every mistake.
    """
    problems = []
    for path, kind, given, value in wrong:
        is_what = _shown(kind, value) if given else "missing"
        expected = _EXPECTED.partition("\n%s " % kind)[2].split("\n")[0]
        expected = expected or '"%s"' % kind.replace("|", '" or "')
        problems.append("`%s` is %s; %s belongs there" % (path, is_what, expected))
    known = []
    for section, lines in keys:
        for line in lines.split("\n"):
            known.append(section + line.split(" ")[0])
    for section, _ in keys:
        places = networks if section == "wifi." else [config[section[:-1]] if section else config]
        if places == [None]:
            continue
        for key in [key for values in places for key in values]:
            path = "%s%s" % (section, key)
            if path in known and "." not in str(key):
                continue
            meant = nearest(section, key, known)
            if meant:
                problems.append("`%s` is not known; did you mean `%s`?" % (path, meant))
            else:
                # It may be a secret in the place of a key.
                where = "`%s`" % section[:-1] if section else "config.json"
                problems.append(
                    "%s has a key of %d characters that is not known" % (where, len(str(key)))
                )
    if not problems:
        for key, other in (("verify", "ca"), ("certificate", "key"), ("key", "certificate")):
            if config[other] and config["server"] and not secure:
                problems.append("`%s` is for coaps, but `server` begins with coap://" % other)
            if config[key] and secure and not config[other]:
                problems.append("`%s` is missing; over coaps `%s` needs it" % (other, key))
    problems += doubtful
    if problems:
        raise config_error(
            "\n".join(problems), "Correct config.json and put it on the board again."
        )


def dangers(config, provisioned):
    """Return what is dangerous in a config.json for coaps, a line each."""
    problems = []
    if not config["verify"]:
        problems.append(
            "`verify` is false: anybody can answer in the server's place and read the secret"
        )
    if config["access_token"] == "server" and not provisioned:
        problems.append(
            '`access_token` is "server": over coaps a lost reply would need an operator'
        )
    return problems


def check_microcoapy(board):
    """Check that microCoAPy and the adapter to it are on the board. Raises FirstbootError."""
    exists = board.storage.exists
    home = "/firmware" if exists("/firmware") else "/rom/firmware"
    adapter = home + "/coap/microcoapy"
    # A firmware that is frozen has it.
    has_adapter = not exists(home) or exists(adapter + ".py") or exists(adapter + ".mpy")
    if not (has_adapter and exists("/lib/microcoapy")):
        fix = "Put it there: mpremote mip install github:insighio/microCoAPy"
        if not has_adapter and home == "/firmware":
            fix += " + cp firmware/coap/microcoapy.py :firmware/coap/"
        elif not has_adapter:
            # A folder /firmware would hide what is in ROM.
            fix += ", and flash the board again"
        raise config_error('`codec` is "microcoapy", which is not on the board', fix)


def without_room(board, config, room, provisioned):
    """Let a provisioned board do without the part of the firmware that is not on it, and say so.

    `room`: the key that asks for it, and the name of its folder; a firmware that is frozen, and not
    on the flash, has all of them. Raises FirstbootError when the board is not provisioned.
    """
    what = "`%s` is in config.json, and firmware/%s is not on the board" % (room, room)
    fix = "Flash the board again"
    if board.storage.exists("/firmware"):
        # Else that folder would hide what is in ROM.
        fix += ", or: mpremote mip install --target / firmware/%s.json" % room
    if not provisioned:
        raise config_error(what, fix)
    board.indicator.say(what, fix)
    config[room] = None


def _shown(kind, value):
    """Return a value that cannot be a secret; of any other one its type."""
    is_number = kind in ("int", "pin", "seconds") and isinstance(value, (int, float))
    if value is None or isinstance(value, bool) or (is_number and abs(value) < 1_000_000):
        return json.dumps(value)
    if isinstance(value, str):
        return "a string of %d characters" % len(value)
    return "of type %s" % type(value).__name__
