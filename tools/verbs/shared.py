"""What verbs share: options by name, exit codes, and how they end."""

from __future__ import annotations

import errno
import subprocess
import threading
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tools.program import NAME

FAILED = 1
POWER_UP_CODES = """\b
Exit codes:
  0  provisioned
  1  any other failure
  2  wrong usage
  3  ThingsBoard refused
  4  the time ran out
  5  bad configuration
  130  Ctrl-C"""
BOARD_CODES = """\b
Exit codes:
  0  provisioned, or done
  1  any other failure
  2  wrong usage
  3  ThingsBoard refused
  4  the time ran out
  5  bad configuration
  6  no MicroPython on the board, or one that is too old
  7  provisioned before, as another device or elsewhere
  8  it is provisioned, and app.py raised
  130  Ctrl-C"""
PLAIN_CODES = """\b
Exit codes:
  0  done
  1  failed
  2  wrong usage
  130  Ctrl-C"""


class BoardKind(str, Enum):
    esp32 = "esp32"
    rp2 = "rp2"


Kind = Annotated[BoardKind, typer.Option("--board", help="The board to play.")]
Port = Annotated[
    str | None,
    typer.Option("--port", metavar="PORT", help="The board's serial port, or id: and its number."),
]
Image = Annotated[
    Path | None,
    typer.Option(
        metavar="UF2",
        help="For pico-w: the MicroPython image, else what PICO_W_IMAGE names, else the one in"
        " rp2040py's cache, downloaded if need be.",
        show_default=False,
    ),
]
ScenarioFile = Annotated[
    Path | None,
    typer.Option("--scenario", help="A JSON file: what surrounds the board.", show_default=False),
]
FiguresAsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


Secret = Annotated[
    str | None,
    typer.Option(
        envvar="FIRSTBOOT_SECRET",
        help="The profile's provisionDeviceSecret; other users of this computer see it.",
        show_default=False,
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The file that --secret is in, alone; - is standard input.",
        show_default=False,
    ),
]


def new_verb() -> typer.Typer:
    """Where a verb's function is registered, with `command`."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def existing_file(path: Path, option: str) -> Path:
    """The file that an option names; typer.BadParameter when it is not there."""
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder", param_hint=option)
    if not path.is_file():
        more = f"; write one with {NAME} init" if option == "--config" else ""
        raise typer.BadParameter(f"there is no file {path}{more}", param_hint=option)
    return path


def micropython_at(path: Path, option: str) -> Path:
    """The MicroPython that an option names; typer.BadParameter when it is none."""
    command = existing_file(path, option).absolute()
    ask = [command, "-c", "import sys; print(sys.implementation.name)"]
    try:
        said = subprocess.run(ask, capture_output=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        said = b""
    if said.strip() != b"micropython":
        raise typer.BadParameter(f"{path} is no MicroPython that runs here", param_hint=option)
    return command


def text_in(path: Path, option: str) -> str:
    """The text of the file that an option names; typer.BadParameter when there is none."""
    try:
        return existing_file(path, option).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{path} is not in UTF-8", param_hint=option) from None


def finite(seconds: float | None) -> float | None:
    """The callback of an option in seconds; typer.BadParameter for no time that can be waited."""
    if seconds is not None and not seconds <= threading.TIMEOUT_MAX:
        raise typer.BadParameter(f"{seconds:g} is no number of seconds that can be waited")
    return seconds


def scenario_in(path: Path | None, is_pico_w: bool):
    """The Scenario that --scenario names; typer.BadParameter when it is none, or for pico-w."""
    if path is None:
        return None
    if is_pico_w:
        raise typer.BadParameter("pico-w has one network only", param_hint="--scenario")
    from tools.virtual_board.scenario import Scenario, ScenarioError

    try:
        return Scenario.load(existing_file(path, "--scenario"))
    except ScenarioError as error:
        raise typer.BadParameter(str(error), param_hint="--scenario") from None


def application(path: Path | None) -> bytes | None:
    """The app.py that --app names, looked at; typer.BadParameter when it will not do."""
    if path is None:
        return None
    from tools.mpy import CompileError, check_app

    try:
        return check_app(existing_file(path, "--app"))
    except CompileError as error:
        raise typer.BadParameter(str(error), param_hint="--app") from None


def secret_of(secret: str | None, file: Path | None, option: str = "--secret-file") -> str | None:
    """The secret that --secret, a file or the environment gives; None when none does.

    `option`: what names the file. typer.BadParameter when it is no text, or empty.
    """
    if file is None:
        return secret
    if str(file) == "-":
        import sys

        given = sys.stdin.readline().strip()
    else:
        given = text_in(file, option).strip()
    if not given:
        raise typer.BadParameter(f"there is nothing in {file}", param_hint=option)
    return given


def say(text: str) -> None:
    """Print a line on standard error."""
    typer.echo(text, err=True)


def explained(error: Exception) -> str:
    """What went wrong, and what to do where that is plain: a full disk, no right to write."""
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    name = error.filename2 or error.filename
    where = f"{name}: " if name else ""
    fix = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = ". Make room on this computer's disk"
    elif error.errno in (errno.EACCES, errno.EROFS):
        fix = ". Name a place where you may write"
    return f"{where}{error.strerror}{fix}"


def end(text: str, code: int = FAILED) -> NoReturn:
    """Say why the verb ends, and end it with an exit code."""
    say(text)
    raise typer.Exit(code)
