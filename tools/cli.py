"""The verbs of `python3 -m tools`: each in a file of verbs/, imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from tools.terminal import guard

VERBS = (
    "demo",
    "test",
    "serve",
    "power-up",
    "board",
    "read",
    "provision",
    "measure",
    "storm",
    "init",
    "boards",
    "flash",
    "doctor",
    "reset",
)


class _Verbs(Mapping):
    """The verbs' commands by name."""

    def __getitem__(self, name: str) -> TyperCommand:
        if name not in VERBS:
            raise KeyError(name)
        module = import_module(f"tools.verbs.{name.replace('-', '_')}")
        return typer.main.get_command(module.verb)

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class _Group(TyperGroup):
    def __init__(self, **attributes):
        super().__init__(**{**attributes, "commands": _Verbs()})


app = typer.Typer(
    cls=_Group,
    add_completion=False,
    help="firstboot: boards that provision themselves with ThingsBoard on their first power-up.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _every_verb() -> None:
    """What comes before a verb: nothing."""


def main() -> NoReturn:
    """Run the verb that the command line names, and exit with its code."""
    guard()
    app(prog_name="python3 -m tools")
