"""Packages of firmware and software for devices, at /fw and /sw. Pure."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from tools.fake_thingsboard.messages import (
    BAD_REQUEST,
    CONTENT,
    EMPTY,
    INTERNAL_SERVER_ERROR,
    NOT_FOUND,
    SEPARATE,
    UNAUTHORIZED,
    Reply,
)

KINDS = ("fw", "sw")

# What is deleted when a package is assigned and when it is taken away, in ThingsBoard's order.
_OTHERS = ("tag", "url")
_ALL = ("checksum_algorithm", "version", "ts", "tag", "checksum", "title", "state", "size", "url")


class Package(NamedTuple):
    """A package that is assigned to a device; `kind` is "fw" or "sw"."""

    kind: str
    title: str
    version: str
    data: bytes

    @property
    def attributes(self):
        """The shared attributes that tell a device of it."""
        attributes = {
            "title": self.title,
            "version": self.version,
            "size": len(self.data),
            "checksum_algorithm": "SHA256",
            "checksum": hashlib.sha256(self.data).hexdigest(),
        }
        return {f"{self.kind}_{key}": value for key, value in attributes.items()}


def keys_of_others(kind):
    """The shared attributes that an assigned package does not have."""
    return [f"{kind}_{key}" for key in _OTHERS]


def keys_of_all(kind):
    """Every shared attribute of a package."""
    return [f"{kind}_{key}" for key in _ALL]


def read_package(device, kind, query):
    """The reply to GET /fw/{token} or /sw/{token}: a chunk, or with no size all of it.

    `device`: None when the token is nobody's.
    """
    return _read(device, kind, query)._replace(way=SEPARATE)


def _read(device, kind, query):
    if device is None:
        return Reply(UNAUTHORIZED)
    package = device.package(kind)
    if package is None:
        return Reply(NOT_FOUND)
    asked = dict(argument.partition("=")[::2] for argument in query)
    if asked.get("title", package.title) != package.title:
        return Reply(BAD_REQUEST)
    if asked.get("version", package.version) != package.version:
        return Reply(BAD_REQUEST)
    try:
        size, chunk = (int(asked.get(name) or 0) for name in ("size", "chunk"))
    except ValueError:
        return Reply(INTERNAL_SERVER_ERROR)
    if size < 1:
        return Reply(CONTENT, package.data)
    if chunk < 0:
        return Reply(INTERNAL_SERVER_ERROR)
    data = package.data[chunk * size : (chunk + 1) * size]
    return Reply(CONTENT, data) if data else Reply(EMPTY)
