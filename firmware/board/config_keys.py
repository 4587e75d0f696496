"""The keys of config.json: what belongs there, and what counts when nothing is."""

from micropython import const

from firmware.coap.uri import Uri

SECTIONS = ("wifi", "provisioning")
SECRETS = ("password", "provisionDeviceKey", "provisionDeviceSecret", "token", "hash")

_LONGEST_NAME = const(255)
_LONGEST_SSID = const(32)
_LONGEST_HOSTNAME = const(32)
_LONGEST_SECONDS = const(86_400)


def hostname(device_name):
    """Return a deviceName made fit for DNS: letters, digits and inner hyphens, at most 32."""
    fit = "".join(c if c.isalpha() or c.isdigit() else "-" for c in device_name if ord(c) < 128)
    return fit[:_LONGEST_HOSTNAME].strip("-") or "firstboot"


def _is_text(value):
    return isinstance(value, str) and value.strip() != ""


def _is_string(value):
    return isinstance(value, str)


def _is_boolean(value):
    return isinstance(value, bool)


def _is_number(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_seconds(value):
    return _is_number(value) and 1 <= value <= _LONGEST_SECONDS


def _is_token(value):
    # It becomes a segment of a path.
    return _is_text(value) and not any(mark in value for mark in "/?&#")


def _is_ssid(value):
    return isinstance(value, str) and 0 < len(value.encode()) <= _LONGEST_SSID


def _is_wifi_password(value):
    return isinstance(value, str) and (value == "" or 8 <= len(value.encode()) <= 64)


def _is_country(value):
    return isinstance(value, str) and len(value) == 2 and all("A" <= c <= "Z" for c in value)


def _is_hostname(value):
    return _is_text(value) and len(value) <= _LONGEST_HOSTNAME and value == hostname(value)


def _is_name(value):
    return _is_text(value) and len(value) <= _LONGEST_NAME


def _is_server(value):
    try:
        return not Uri(value).secure
    except (ValueError, AttributeError):
        return False


def _is_list_of_hosts(value):
    return isinstance(value, list) and all(_is_text(host) for host in value)


_TEXT = "a string"
_FILE = "the name of a file on the board"
_SECONDS = "a number of seconds from 1 to 86400, or null"
REQUIRED = object()

# Path: (check, what belongs there, default). A default of None allows null.
KEYS = {
    "wifi.ssid": (_is_ssid, "the network's name, 1 to 32 bytes", REQUIRED),
    "wifi.password": (_is_wifi_password, 'a password of 8 to 64 bytes, or "" for none', ""),
    "wifi.country": (_is_country, 'two capital letters, such as "DE"', None),
    "wifi.hostname": (_is_hostname, "letters, digits and hyphens, at most 32", None),
    "server": (_is_server, 'a URI such as "coap://thingsboard.example.com"', REQUIRED),
    "provisioning.deviceName": (_is_name, "a string of 1 to 255 characters", REQUIRED),
    "provisioning.provisionDeviceKey": (_is_text, "the device profile's key", REQUIRED),
    "provisioning.provisionDeviceSecret": (_is_text, "the device profile's secret", REQUIRED),
    "provisioning.gateway": (_is_boolean, "true or false", None),
    "provisioning.credentialsType": (
        lambda value: value in ("ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE"),
        '"ACCESS_TOKEN", "MQTT_BASIC" or "X509_CERTIFICATE"',
        None,
    ),
    "provisioning.token": (_is_token, "a string with no / ? & or #", None),
    "provisioning.clientId": (_is_string, _TEXT, None),
    "provisioning.username": (_is_string, _TEXT, None),
    "provisioning.password": (_is_string, _TEXT, None),
    "provisioning.hash": (_is_string, "the text of a certificate", None),
    "access_token": (
        lambda value: value in ("device", "server"),
        '"device" or "server"',
        "device",
    ),
    "ca": (_is_text, _FILE, None),
    "certificate": (_is_text, _FILE, None),
    "key": (_is_text, _FILE, None),
    "verify": (_is_boolean, "true or false", True),
    "ntp": (_is_list_of_hosts, "a list of host names, or null", ["pool.ntp.org"]),
    "forget_secret": (_is_boolean, "true or false", False),
    "watchdog": (_is_seconds, _SECONDS, None),
    "restart_after_crash": (_is_seconds, _SECONDS, None),
    "led": (
        lambda value: _is_text(value) or _is_number(value),
        "a pin's number or name, or null",
        "LED",
    ),
    "codec": (
        lambda value: value in ("firmware", "microcoapy"),
        '"firmware" or "microcoapy"',
        "firmware",
    ),
}
NULLABLE = ("ntp", "led")
