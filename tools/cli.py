"""The verbs of `python3 -m tools`: each in a file of verbs/, imported when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from tools.program import NAME, named, version
from tools.terminal import guard
from tools.verbs.shared import FAILED, explained, say

HELP = ["-h", "--help"]
VERBS = (
    "demo",
    "init",
    "boards",
    "flash",
    "onboard",
    "doctor",
    "reset",
    "bundle",
    "provision",
    "serve",
    "power-up",
    "board",
    "read",
    "storm",
    "footprint",
    "measure",
    "pictures",
    "test",
)


class _Verbs(Mapping):
    """The verbs' commands by name."""

    def __getitem__(self, name: str) -> TyperCommand:
        if name not in VERBS:
            raise KeyError(name)
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


@cache
def _command(verb: str) -> TyperCommand:
    module = import_module(f"tools.verbs.{verb.replace('-', '_')}")
    command = typer.main.get_command(module.verb)
    command.help = named(command.help)
    command.context_settings.setdefault("help_option_names", HELP)
    return command


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
    context_settings={"help_option_names": HELP},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"firstboot {version()}")
        raise typer.Exit


@app.callback()
def _every_verb(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """What comes before a verb."""


def main() -> NoReturn:
    """Run the verb that the command line names, and exit with its code."""
    guard()
    try:
        app(prog_name=NAME)
    except OSError as error:
        # What a verb has no better word for: a file that may not be read, a disk that is full.
        say(explained(error))
        # What could not be printed is not tried again at the end.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        sys.exit(FAILED)
