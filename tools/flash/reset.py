"""Make a board forget."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tools.flash import install
from tools.flash.errors import FlashingError
from tools.flash.link import Link
from tools.flash.plan import APP, CONFIG, MAIN, RECORD, read_record

_SECRETS = tuple(
    path + suffix
    for path in (install.CREDENTIALS, "/attempt.json", "/attempt_again.json")
    for suffix in ("", ".new")
)
# What has a secret in it also under a name that it was given when it was in the way.
_WITH_SECRETS = ("credentials.json", "attempt.json", "attempt_again.json", "config.json")


def reset(port: str, everything: bool) -> Iterator[str]:
    """Forget the credentials, or everything of ours; give lines that say what was done."""
    with Link(port) as link:
        found = install.survey(link)
        name = install.credentials(link, found).get("deviceName")
        remove = [path for path in _SECRETS if found.has(path)]
        if everything:
            remove = list(dict.fromkeys(_of_ours(link, found) + _with_secrets(link, found)))
        link.run(install.REMOVE % (remove,))
        if everything:
            link.run(install.REMOVE_EMPTY_FOLDERS % (_folders(found),))
            yield f"{port}: {len(remove)} files of firstboot's are removed; yours stay"
            if found.has(APP):
                yield "app.py is yours: it stays"
        elif remove:
            yield f"{port}: the credentials are forgotten"
        else:
            yield f"{port}: there were no credentials"
        if name:
            yield (
                f'ThingsBoard still has "{name}", and provisions a name once: delete the device '
                "there, or, if devices are pre-provisioned, delete its server attribute "
                "provisionState"
            )
        if not everything:
            yield "At its next power-up the board provisions itself anew, with its config.json"
            if _secret_is_gone(link, found):
                yield "Its config.json has no secret any more: flash the board again first"


def _of_ours(link: Link, found: install.Survey) -> list[str]:
    """What flashing put there and nobody has changed since; main.py first."""
    record = read_record(link.read(RECORD)) if RECORD in found.hashes else {}
    if not record:
        raise FlashingError(
            f"{link.port}: there is no record of what belongs to firstboot",
            "Flash the board once with `flash --no-start`, then reset it",
        )
    ours = [
        path
        for path in record
        if found.hashes.get(path) in record[path] and path not in (APP, MAIN)
    ]
    first = [MAIN] if found.hashes.get(MAIN) in record.get(MAIN, ()) else []
    last = [path for path in (CONFIG, RECORD) if path in found.hashes]
    return first + ours + last


def _with_secrets(link: Link, found: install.Survey) -> list[str]:
    """Every file with a secret of ours in it, the private key too."""
    config = link.read(CONFIG) if CONFIG in found.hashes else b"{}"
    try:
        key = json.loads(config).get("key") or ""
    except (ValueError, AttributeError):
        key = ""
    return [
        f"/{name}"
        for name in sorted(found.names)
        if name.startswith(_WITH_SECRETS) or name == str(key).strip("/")
    ]


def _folders(found: install.Survey) -> list[str]:
    return [*sorted(found.folders, key=len, reverse=True), "/firmware"]


def _secret_is_gone(link: Link, found: install.Survey) -> bool:
    from tools.flash.content import has_forgotten

    return CONFIG in found.hashes and has_forgotten(link.read(CONFIG))
