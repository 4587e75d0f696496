"""Packages that ThingsBoard assigns to a device, and what it is told of them. Pure.

Source: ThingsBoard's documentation, "Over-the-air firmware and software updates".
"""

from binascii import crc32

from firmware.thingsboard.device_api import api_path

# Software and firmware: to a board both are a bundle.
KINDS = ("sw", "fw")


class Package:
    """A package that is assigned. `kind`: "sw" or "fw". `size`: in bytes.

    `checksum`: in hex, by an `algorithm` of ThingsBoard's, such as "SHA256"; both may be "".
    `url`: where it is when ThingsBoard does not have it, else None.
    """

    def __init__(self, kind, title, version, size, algorithm="", checksum="", url=None):
        self.kind = kind
        self.title = title
        self.version = version
        self.size = size
        self.algorithm = algorithm
        self.checksum = checksum
        self.url = url

    @property
    def mark(self):
        """A number that is another one when anything of it is."""
        words = self.kind, self.title, self.version, self.size, self.algorithm, self.checksum
        return crc32(repr(words).encode())


def assigned(values, kind):
    """Return the Package of a kind that shared attributes assign; None: there is none, or not yet.

    ThingsBoard sets them one by one.
    """
    title, version, size, algorithm, checksum, url = [
        values.get("%s_%s" % (kind, key))
        for key in ("title", "version", "size", "checksum_algorithm", "checksum", "url")
    ]
    if title is None or version is None:
        return None
    is_there = isinstance(size, int) and size > 0 and checksum and algorithm
    if not (is_there or url):
        return None
    words = [str(each or "") for each in (title, version, algorithm, checksum)]
    return Package(kind, words[0], words[1], size, words[2], words[3], url)


def package_path(credentials, kind):
    """Return the path of the package of a kind. Raises FirstbootError for MQTT_BASIC."""
    return "/" + kind + api_path(credentials, "")[len("/api/v1") : -1]


def state_of(kind, state, error=None, current=None):
    """Return the telemetry that tells a state.

    `error`: why it FAILED. `current`: what runs, with its `title` and `version`; None when that is
    no package.
    """
    told = {"%s_state" % kind: state}
    if error is not None:
        told["%s_error" % kind] = error
    if current:
        for key in ("title", "version"):
            told["current_%s_%s" % (kind, key)] = current[key]
    return told
