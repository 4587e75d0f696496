"""Make a board forget."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tools.flash import facts, install, romfs, slots
from tools.flash.errors import FlashingError
from tools.flash.install import CREDENTIALS
from tools.flash.link import Link
from tools.flash.plan import (
    APP,
    BOOT,
    CONFIG,
    KEPT,
    MAIN,
    RECORD,
    RECORD_IN_ROOT,
    REMEMBERED,
    is_module,
)
from tools.flash.saved import PATHS, Saved

_FIRST = (
    "if ThingsBoard there has that device, delete it there first, or its server attribute "
    "provisionState if devices are pre-provisioned"
)
# What has a secret in it also under a name that it was given when it was in the way.
_WITH_SECRETS = ("credentials.json", "attempt.json", "attempt_again.json", "config.json")


def reset(port: str, credentials: bool, everything: bool, attempt: bool) -> Iterator[str]:
    """Forget the credentials, everything of ours, a pending attempt; give lines that say it.

    Without `attempt` a pending one stays, and `everything` raises FlashingError.
    """
    with Link(port) as link:
        found = install.survey(link)
        files = {path: link.read(path) for path in PATHS if found.has(path)}
        saved = Saved(files, facts.ask(link).id)
        pending = (
            f"{port}: an attempt is pending, and its access token may be nowhere else: "
            f"{', '.join(saved.pending)}"
        )
        if saved.pending and everything and not attempt:
            raise FlashingError(pending, f"Let the board end it. Or {_FIRST}; then add --attempt")
        left = {} if everything else saved.without(credentials, attempt)
        remove = [path for path in files if path not in left]
        remove += _set_aside(found, credentials, attempt)
        if everything:
            ours = _of_ours(link, found) + remove + _with_secrets(link, found)
            remove = list(dict.fromkeys(ours))
        for path, content in left.items():
            if files.get(path) != content:
                link.put(path, content)
                remove = [each for each in remove if each != path + ".new"]
        if everything:
            slots.remove(link)
            romfs.tidy(link, found)
        rom = romfs.find(link) if everything else None
        if rom and rom.is_ours:
            rom.empty()
        link.run(install.REMOVE % (remove,))
        if everything:
            link.run(install.REMOVE_EMPTY_FOLDERS % (_folders(found, remove),))
            yield f"{port}: {len(remove)} files of firstboot's are removed; yours stay"
            if rom and rom.is_ours:
                yield "its ROMFS, which had the firmware, is empty"
            if found.has(APP):
                yield "app.py is yours: it stays"
        elif credentials:
            forgotten = CREDENTIALS in files or CREDENTIALS + ".new" in files
            said = "the credentials are forgotten" if forgotten else "there were no credentials"
            yield f"{port}: {said}"
        if saved.pending and attempt:
            yield f"{pending}. It is removed: {_FIRST}"
        elif saved.pending:
            yield f"{pending}. It stays, and the board goes on with it"
            yield f"To remove it: {_FIRST}; then reset --attempt"
        elif attempt and not everything:
            yield f"{port}: no attempt is pending"
        if saved.name and (credentials or everything):
            yield (
                f'ThingsBoard still has "{saved.name}", and provisions a name once: delete the '
                "device there, or, if devices are pre-provisioned, delete its server attribute "
                "provisionState"
            )
        if credentials:
            yield "At its next power-up the board provisions itself anew, with its config.json"
            if _secret_is_gone(link, found):
                yield "Its config.json has no secret any more: flash the board again first"


def _set_aside(found: install.Survey, credentials: bool, attempt: bool) -> list[str]:
    """What the firmware could not read of them and set aside: it may have their token in it."""
    starts = ("credentials.json.bad",) * credentials
    starts += ("attempt.json.bad", "attempt_again.json.bad") * attempt
    return [f"/{name}" for name in sorted(found.names) if name.startswith(starts)]


def _of_ours(link: Link, found: install.Survey) -> list[str]:
    """What flashing put there and nobody has changed since; main.py first."""
    record = install.recorded(link, found)
    if not record:
        raise FlashingError(
            f"{link.port}: there is no record of what belongs to firstboot",
            "Flash the board once with `flash --no-start`, then reset it",
        )
    # Certificates and a key among them.
    beside = [KEPT, REMEMBERED, *(path for path in record if not is_module(path))]
    hashes = install.survey(link, [*beside, *(path + ".new" for path in beside)]).hashes
    ours = [path for path in record if hashes.get(path) in record[path] and path not in (APP, MAIN)]
    first = [MAIN] if hashes.get(MAIN) in record.get(MAIN, ()) else []
    broken_off = [
        f"{path}.new" for path in (APP, BOOT, MAIN, CONFIG, *record, RECORD, RECORD_IN_ROOT)
    ]
    written = [each + end for each in (KEPT, REMEMBERED) for end in ("", ".new")]
    last = [path for path in written if found.has(path)]
    last += [path for path in (CONFIG, RECORD, RECORD_IN_ROOT) if path in hashes]
    return first + ours + [path for path in dict.fromkeys(broken_off) if path in hashes] + last


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


def _folders(found: install.Survey, removed: list[str]) -> list[str]:
    """The folders that may be empty when these files are gone, the innermost first."""
    folders = {*found.folders, *install.folders(removed)}
    return sorted(folders, key=len, reverse=True)


def _secret_is_gone(link: Link, found: install.Survey) -> bool:
    from tools.flash.content import has_forgotten

    return CONFIG in found.hashes and has_forgotten(link.read(CONFIG))
