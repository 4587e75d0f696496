"""/config.json: read it and check all of it.

Mistakes are explained by firmware.board.config_mistakes, which a good config.json never loads.
"""

import json

from micropython import const

from firmware.coap import uri

CONFIG = "/config.json"
SECTIONS = ("wifi", "provisioning")

# The path, the kind of value, and the default: JSON, or what makes the key required.
# One text, since thirty tuples cost a board four times the memory.
KEYS = """\
wifi.ssid ssid required
wifi.password passphrase ""
wifi.country country null
wifi.hostname hostname null
server server required
provisioning.deviceName name required
provisioning.provisionDeviceKey text required-until-provisioned
provisioning.provisionDeviceSecret text required-until-provisioned
provisioning.gateway boolean null
provisioning.credentialsType ACCESS_TOKEN|MQTT_BASIC|X509_CERTIFICATE null
provisioning.token token null
provisioning.clientId string null
provisioning.username string null
provisioning.password string null
provisioning.hash string null
access_token device|server "device"
ca file null
certificate file null
key file null
verify boolean true
ntp hosts ["pool.ntp.org"]
forget_secret boolean false
watchdog seconds null
restart_after_crash seconds null
led pin "LED"
codec firmware|microcoapy "firmware"\
"""
# May be null though the default is not.
_NULLABLE = ("ntp", "led")
_UNTIL_PROVISIONED = "required-until-provisioned"
_LONGEST_HOSTNAME = const(32)


def load(board, provisioned=False):
    """Return config.json as a dictionary with every key, defaults filled in.

    Besides, what `server` names: `endpoint`, which is (host, port, name for Uri-Host), and
    `secure`, whether it is coaps. A provisioned board needs no secret. Raises ConfigError with
    every mistake, FirstbootError.
    """
    content = board.storage.read(CONFIG)
    if content is None:
        raise _mistakes().no_config()
    config = check(content, board.id, provisioned)
    if config["codec"] == "microcoapy":
        _mistakes().check_microcoapy(board.storage)
    if config["certificate"] and not provisioned:
        from firmware.board.security import add_certificate

        add_certificate(config["provisioning"], board, config)
    return config


def check(content, board_id, provisioned=False):
    """Return the configuration in the bytes of a config.json. Raises ConfigError.

    `board_id`: the unique id in hex, for `{id}` in deviceName.
    """
    given = parse(content)
    wrong = []
    unknown = len(given)
    config = {}
    for section in SECTIONS:
        config[section] = {}
        values = given.get(section, {})
        if not isinstance(values, dict):
            wrong.append((section, "object", values))
            values = given[section] = {}
        unknown += len(values) - (section in given)
    for line in KEYS.split("\n"):
        path, kind, default = line.split(" ", 2)
        section, _, key = path.rpartition(".")
        values = given.get(section, {}) if section else given
        value = None
        if key in values:
            unknown -= 1
            value = values[key]
            if key == "deviceName" and isinstance(value, str):
                # ThingsBoard trims it, too.
                value = value.replace("{id}", board_id).strip()
            nullable = default == "null" or path in _NULLABLE
            if not (value is None and nullable) and not fits(kind, value):
                wrong.append((path, kind, value))
        elif default == "required" or (default == _UNTIL_PROVISIONED and not provisioned):
            wrong.append((path, kind))
        elif default != _UNTIL_PROVISIONED:
            value = json.loads(default)
        (config[section] if section else config)[key] = value
    if wrong or unknown:
        raise _mistakes().explain(given, wrong)
    host, port, name, config["secure"] = uri.parse(config["server"])
    config["endpoint"] = host, port, name
    if config["ca"] or config["certificate"] or config["key"] or config["secure"]:
        _mistakes().check_security(config)
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
        raise _mistakes().no_object()
    # MicroPython's json makes two broken letters of such a pair.
    escapes = text.replace("\\\\", "").lower()
    if any("\\ud" + digit in escapes for digit in "89abcdef"):
        raise _mistakes().escaped_letter()
    return given


def fits(kind, value):
    """Return whether a value is of a kind."""
    if isinstance(value, bool) or kind == "boolean":
        return isinstance(value, bool) and kind == "boolean"
    if isinstance(value, list):
        return kind == "hosts" and all(fits("text", host) for host in value)
    if isinstance(value, int):
        return (kind == "pin" and value >= 0) or (kind == "seconds" and 1 <= value <= 86_400)
    if not isinstance(value, str) or kind in ("hosts", "seconds"):
        return False
    size = len(value.encode())
    if "|" in kind:
        return value in kind.split("|")
    if kind == "ssid":
        return 1 <= size <= 32
    if kind == "passphrase":
        return size == 0 or 8 <= size <= 64
    if kind == "country":
        return len(value) == 2 and not value.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    if kind == "hostname":
        return value == hostname(value)
    if kind == "server":
        try:
            return uri.parse(value) is not None
        except ValueError:
            return False
    if kind == "token" and any(mark in value for mark in "/?&#"):
        return False
    return kind == "string" or (value.strip() != "" and (kind != "name" or len(value) <= 255))


def hostname(device_name):
    """Return a deviceName made fit for DNS: letters, digits and inner hyphens, at most 32."""
    fit = "".join(c if c.isalpha() or c.isdigit() else "-" for c in device_name if ord(c) < 128)
    return fit[:_LONGEST_HOSTNAME].strip("-") or "firstboot"


def _mistakes():
    """Return what explains mistakes and checks what few boards have."""
    from firmware.board import config_mistakes

    return config_mistakes
