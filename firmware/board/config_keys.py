"""The keys of config.json: what belongs there, and what counts when nothing is."""

from micropython import const

from firmware.coap.uri import Uri

SECTIONS = ("wifi", "provisioning")
SECRETS = ("password", "provisionDeviceKey", "provisionDeviceSecret", "token", "hash")

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
NULLABLE = ("ntp", "led")

_EXPECTED = {
    "boolean": "true or false",
    "country": 'two capital letters, such as "DE",',
    "file": "the name of a file on the board",
    "hostname": "a name of letters, digits and inner hyphens, at most 32,",
    "hosts": "a list of host names, or null,",
    "name": "a string of 1 to 255 characters",
    "passphrase": 'a password of 8 to 64 bytes, or "" for none,',
    "pin": "a pin's number or name, or null,",
    "seconds": "a number of seconds from 1 to 86400, or null,",
    "server": 'a URI such as "coap://thingsboard.example.com"',
    "ssid": "the network's name, 1 to 32 bytes,",
    "string": "a string",
    "text": "the value that the device profile shows",
    "token": "a string with no / ? & or #",
}
_LONGEST_HOSTNAME = const(32)
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def expected(kind):
    """Return what belongs where this kind is asked for, for a person."""
    return _EXPECTED.get(kind) or " or ".join('"%s"' % choice for choice in kind.split("|"))


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
    if kind == "ssid":
        return 1 <= size <= 32
    if kind == "passphrase":
        return size == 0 or 8 <= size <= 64
    if kind == "country":
        return len(value) == 2 and not value.strip(_CAPITALS)
    if kind == "hostname":
        return value == hostname(value)
    if kind == "server":
        return _is_server(value)
    if kind == "token" and any(mark in value for mark in "/?&#"):
        return False
    if kind not in _EXPECTED:
        return value in kind.split("|")
    return kind == "string" or (value.strip() != "" and (kind != "name" or len(value) <= 255))


def security_problems(config):
    """Return what is wrong with the keys for coaps, as texts."""
    problems = []
    if not Uri(config["server"]).secure:
        for key in ("ca", "certificate", "key"):
            if config[key]:
                problems.append("`%s` is for coaps, but `server` begins with coap://" % key)
    elif config["verify"] and not config["ca"]:
        problems.append("`ca` is missing; the CA's certificate belongs there, which coaps needs")
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if config[other] and not config[key]:
            problems.append("`%s` is missing; it belongs to `%s`" % (key, other))
    return problems


def hostname(device_name):
    """Return a deviceName made fit for DNS: letters, digits and inner hyphens, at most 32."""
    fit = "".join(c if c.isalpha() or c.isdigit() else "-" for c in device_name if ord(c) < 128)
    return fit[:_LONGEST_HOSTNAME].strip("-") or "firstboot"


def _is_server(text):
    try:
        Uri(text)
    except ValueError:
        return False
    return True
