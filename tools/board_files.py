"""The firmware's files as they go on a board: each module compiled, in its place."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tools import roles
from tools.mpy import compiled
from tools.set_up import ROOT


def modules() -> list[str]:
    """The firmware's modules, as paths from the project's folder."""
    return sorted(
        path.relative_to(ROOT).as_posix() for path in Path(ROOT, "firmware").rglob("*.py")
    )


def firmware(as_source: bool = False, asked_for: Collection[str] = ()) -> dict[str, bytes]:
    """The firmware's files by their path on the board. boot.py and main.py are never compiled.

    `asked_for`: the roles, see tools.roles, without which modules stay off the board. Raises
    CompileError.
    """
    files = {f"/{name}": Path(ROOT, name).read_bytes() for name in ("boot.py", "main.py")}
    wanted = roles.chosen(modules(), asked_for)
    if as_source:
        return files | {f"/{name}": Path(ROOT, name).read_bytes() for name in wanted}
    for name in wanted:
        files[f"/{name[: -len('.py')]}.mpy"] = compiled(Path(ROOT, name).read_bytes(), name)
    return files
