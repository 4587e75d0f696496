"""/config.json: read it and check all of it.

Mistakes are explained by firmware.board.config_mistakes, which a good config.json never loads.
"""

import json

from firmware.board.hostname import hostname
from firmware.coap import uri

PATH = "/config.json"

# Of each section the keys: the name, the kind of value, and the default: JSON, null when there is
# none, or ! for a key that is required. Texts, since tuples cost a board four times the memory.
KEYS = (
    (
        "",
        """\
wifi networks {}
server uri !
provisioning dict {}
access_token device|server "device"
ca file
certificate file
key file
verify bool true
ntp list ["pool.ntp.org"]
forget_secret bool false
watchdog int
restart_after_crash int
led pin "LED"
codec firmware|microcoapy "firmware"
update dict
onboarding onboarding false
onboarding_password passphrase
onboarding_pin pin\
""",
    ),
    (
        "wifi.",
        """\
ssid ssid !
ssid_hex hex
password psk ""
country country
hostname hostname\
""",
    ),
    (
        "provisioning.",
        """\
deviceName name !
provisionDeviceKey secret !
provisionDeviceSecret secret !
gateway bool
credentialsType ACCESS_TOKEN|MQTT_BASIC|X509_CERTIFICATE
token token
clientId text
username text
password str
hash str\
""",
    ),
    (
        "update.",
        """\
key modulus
trial seconds 7200
contact seconds 3600
spread seconds 600\
""",
    ),
)


def load(board, provisioned=False, asked=None):
    """Return config.json as a dictionary with every key, defaults filled in.

    Besides, what `server` names: `endpoint`, which is [host, port, name for Uri-Host], `secure`,
    whether it is coaps, and its `origin`, see firmware.coap.uri; `networks`, those of `wifi`, each
    with its `name`, the bytes in the air; and `own_token`, whether the token that config.json gives
    has `{id}` in it and so is this board's alone. A provisioned board needs no secret, and takes
    what firmware.board.config_doubts doubts. `asked`: gets the missing paths that `onboarding` asks
    a person for; without it those are mistakes. Raises FirstbootError with every mistake.
    """
    content = board.storage.read(PATH)
    if content is None:
        # On FAT a save by the firmware, cut before its rename, leaves a whole one here.
        left = board.storage.read(PATH + ".new") or b""
        if left.endswith(b"}"):
            board.storage.finish(PATH)
            content = left
    config = check(content, board.id, provisioned, board.chip, asked)
    if config["codec"] == "microcoapy":
        from firmware.board.config_mistakes import check_microcoapy

        check_microcoapy(board)
    exists = board.storage.exists
    home = "/firmware" if exists("/firmware") else "/rom/firmware"
    for room in ("update", "onboarding"):
        if config[room] and exists(home) and not exists(home + "/" + room):
            from firmware.board.config_mistakes import without_room

            without_room(board, config, room, provisioned)
    return config


def check(content, id, provisioned=False, chip="", asked=None):
    """Return the configuration in the bytes of a config.json, see `load`. Raises FirstbootError.

    `id`: the board's unique id in hex, for `{id}` in a name or a token. `chip`: see Board.
    """
    config = parse(content, not provisioned)
    networks = config.get("wifi")
    if not (isinstance(networks, list) and fits("networks", networks)):
        networks = None
    is_asking = asked is not None and config.get("onboarding")
    wrong, unknown = [], 0
    own_token = is_odd = False
    for section, lines in KEYS:
        places = [(section, config[section[:-1]] if section else config)]
        if section == "update." and config["update"] is None:
            places = []
        if section == "wifi." and networks:
            places = [("wifi[%d]." % number, wifi) for number, wifi in enumerate(networks)]
        lines = lines.split("\n")
        for place, values in places:
            for line in lines:
                key, kind, default = (line + " null").split(" ")[:3]
                if provisioned and kind == "secret":
                    default = "null"
                given = key in values
                is_named = key == "ssid" and "ssid_hex" in values
                if default == "!" and not given and (is_named or (is_asking and place == section)):
                    default = "null"
                    if not is_named:
                        asked.append(place + key)
                if given or default == "!":
                    value = values.get(key)
                    if kind in ("name", "token", "text") and isinstance(value, str):
                        own_token = own_token or (kind == "token" and "{id}" in value)
                        value = value.replace("{id}", id)
                        is_odd = is_odd or "{" in value
                        if kind == "name":
                            # ThingsBoard trims it, too.
                            value = value.strip()
                    if not fits(kind, value) and json.dumps(value) != default:
                        wrong.append((place + key, kind, given, value))
                        value = {}  # in place of a section, so that its keys are missing
                    elif default[0] not in "!{" and not (kind == "psk" and len(value) < 64):
                        is_odd = True
                else:
                    value = json.loads(default)
                values[key] = value
            # Every known key is there now.
            unknown += len(values) - len(lines)
    networks = networks or [config["wifi"]]
    endpoint, secure = None, False
    server = config["server"]
    if server and not (wrong or unknown):
        *endpoint, secure = uri.parse(server)
    doubtful = []
    # In the keys that every board needs there is little to doubt.
    if not provisioned and (wrong or unknown or is_odd or uri.doubt(server)):
        from firmware.board.config_doubts import doubts

        doubtful = doubts(config, networks, chip)
    is_coaps = secure or config["ca"] or config["certificate"] or config["key"]
    if wrong or unknown or doubtful or is_coaps:
        from firmware.board.config_mistakes import check_keys

        check_keys(KEYS, config, networks, wrong, secure, doubtful)
    config.update(endpoint=endpoint, secure=secure, own_token=own_token, networks=networks)
    config["origin"] = server and uri.origin(server)
    for wifi in networks:
        wifi["hostname"] = wifi["hostname"] or hostname(config["provisioning"]["deviceName"] or "")
        if wifi["ssid_hex"]:
            wifi["ssid"] = wifi["name"] = bytes.fromhex(wifi["ssid_hex"])
        else:
            wifi["name"] = (wifi["ssid"] or "").encode()
    return config


def parse(content, strict=False):
    """Return the JSON object in the bytes of a config.json, None for no file.

    `strict`: not what only MicroPython takes for JSON. Raises FirstbootError.
    """
    given, is_json = None, True
    if strict and content:
        from firmware.board.strict_json import mistake_in

        is_json = not mistake_in(content)
    try:
        # Some editors put a byte order mark in front.
        given = is_json and json.loads((content or b"").decode().lstrip("\ufeff"))
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        pass
    if not isinstance(given, dict) or b"\\ud" in content.lower():
        from firmware.board.config_mistakes import check_json

        check_json(content, given)
    return given


def fits(kind, value):
    """Return whether a value is of a kind."""
    given = type(value).__name__
    if kind == "onboarding":
        return given == "bool" or value == "portal"
    if given == "int":
        is_time = kind in ("int", "seconds")
        return (is_time and 1 <= value <= 86_400) or (kind == "pin" and value >= 0)
    if kind == "networks":
        networks = value if given == "list" else [value]
        return 1 <= len(networks) <= 8 and all(isinstance(wifi, dict) for wifi in networks)
    if given == kind:
        return given != "list" or all(map(fits, ["file"] * len(value), value))
    if given != "str":
        return value is None and kind in ("list", "pin")
    size = len(value.encode())
    if "|" in kind:
        return value in kind.split("|")
    if kind == "ssid":
        return 1 <= size <= 32
    if kind == "psk":
        return 8 <= size <= 64
    if kind == "passphrase":
        return not size or 8 <= size == len(value) <= 63
    if kind == "hex":
        return 2 <= size <= 64 and not (size % 2 or value.strip("0123456789abcdef"))
    if kind == "country":
        return len(value) == size == 2 and value.isalpha() and value.isupper()
    if kind == "hostname":
        return value == hostname(value)
    if kind == "uri":
        try:
            return uri.parse(value) is not None
        except ValueError:
            return False
    if kind == "modulus":
        from firmware.board.modulus import modulus

        return modulus(value) is not None
    if kind == "token" and any(mark in value for mark in "/?&#"):
        return False
    if kind == "name" and len(value) > 255:
        return False
    no_text = ("bool", "dict", "int", "list", "seconds")
    return kind == "text" or (value.strip() != "" and kind not in no_text)
