"""Packages that ThingsBoard assigns to a device, and what it is told of them. Pure.

Source: ThingsBoard's documentation, "Over-the-air firmware and software updates".
"""

from binascii import crc32

from firmware.thingsboard.device_api import api_path

# Software and firmware: to a board both are a bundle.
KINDS = ("sw", "fw")


def assigned(values, kind):
    """Return the package of a kind that shared attributes assign; None: there is none, or not yet.

    A dictionary: `kind`, "sw" or "fw"; `title`, `version`; `size`, in bytes; `checksum`, in hex,
    by a `checksum_algorithm` of ThingsBoard's, such as "SHA256": all three may be missing; `url`:
    where it is when ThingsBoard does not have it, else None; `lacks`: which of these it takes, and
    is not there as it should be, else None; `mark`: a number that is another when anything of the
    others but `url` is. ThingsBoard sets them one by one, none to an object or an array.
    """
    found = {}
    for key in ("title", "version", "size", "checksum_algorithm", "checksum", "url"):
        found[key] = values.get("%s_%s" % (kind, key))
        if isinstance(found[key], (dict, list)):
            found[key] = None
    if found["title"] is None or found["version"] is None:
        return None
    found["lacks"] = None
    if not found["url"]:
        size = found["size"]
        if not isinstance(size, int) or size is True or size <= 0:
            found["lacks"] = "size"
        for key in ("checksum_algorithm", "checksum"):
            if not found[key]:
                found["lacks"] = key
        if found["lacks"]:
            # When all is there it is another.
            found["checksum"] = ""
    for key in ("title", "version", "checksum_algorithm", "checksum"):
        if not isinstance(found[key], str):
            found[key] = str(found[key] or "")
    words = [found[key] for key in ("title", "version", "size", "checksum_algorithm", "checksum")]
    found["mark"] = crc32(repr((kind,) + tuple(words)).encode())
    found["kind"] = kind
    return found


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
