"""Which of the firmware's modules a board gets: what only some boards do is on those alone. Pure.

What coaps needs is on all: an attempt that was begun over coaps wants it, whatever config.json
says later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

UPDATE = "update"
# What config.json asks for, and the modules that nobody else needs.
_MODULES = {
    UPDATE: ("firmware/update/", "firmware/thingsboard/ota."),
    "onboarding": ("firmware/onboarding/",),
    "microcoapy": ("firmware/coap/microcoapy.",),
}
# All but another codec's, whose other half is on few boards.
MOST = frozenset({UPDATE, "onboarding"})


def asked_for(config: bytes | None) -> frozenset[str]:
    """The roles that a config.json has for its board; none when it is no JSON object."""
    try:
        given = json.loads((config or b"").decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return frozenset()
    if not isinstance(given, dict):
        return frozenset()
    roles = {role for role in MOST if given.get(role) not in (None, False)}
    if given.get("codec") == "microcoapy":
        roles.add("microcoapy")
    return frozenset(roles)


def chosen(modules: Iterable[str], roles: Iterable[str] = ()) -> list[str]:
    """Of the modules, paths from the project's folder, those for a board of these roles."""
    others = tuple(
        start for role, starts in _MODULES.items() if role not in roles for start in starts
    )
    return [name for name in modules if not name.startswith(others)]


def alone(files: Mapping[str, bytes], role: str) -> dict[str, bytes]:
    """Of files, by their path on the board, those that are for one role alone."""
    return {path: content for path, content in files.items() if of(path[1:]) == role}


def of(name: str) -> str:
    """The role that a module is for alone; "" when every board has it."""
    return next((role for role, starts in _MODULES.items() if name.startswith(starts)), "")
