"""The verb `flash`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from tools.verbs.shared import (
    BOARD_CODES,
    application,
    end,
    existing_file,
    explained,
    finite,
    new_verb,
    say,
)

verb = new_verb()
INSTALL = "--install-micropython"


class _WithOptionalFile(TyperCommand):
    """INSTALL may stand without a file: it is empty then."""

    def parse_args(self, context, arguments: list[str]) -> list[str]:
        following = [*arguments[1:], "-"]
        given = []
        for argument, after in zip(arguments, following):
            given.append(argument)
            if argument == INSTALL and after.startswith("-"):
                given.append("")
        return super().parse_args(context, given)


@verb.command(cls=_WithOptionalFile, epilog=BOARD_CODES)
def flash(
    config: Annotated[Path, typer.Option(help="The config.json for the board.")] = Path(
        "config.json"
    ),
    port: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PORT",
            help="The board's serial port, or id: and its serial number; as often as needed.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every board that is connected.")] = False,
    boards: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="Boards by id: columns id, name, and any field of provisioning.",
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Which of many boards got which name.")] = Path(
        "results.csv"
    ),
    bulk_import: Annotated[
        Path | None,
        typer.Option(help="Write a CSV for ThingsBoard's device import first."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="The device profile that --bulk-import names.")
    ] = "default",
    install_micropython: Annotated[
        str | None,
        typer.Option(
            metavar="[FILE]",
            help="Put MicroPython on one board first, which erases an ESP32's flash: from FILE, a"
            " .bin or .uf2, or downloaded without it.",
            show_default=False,
        ),
    ] = None,
    app_file: Annotated[
        Path | None,
        typer.Option("--app", help="Your app.py, put on it too."),
    ] = None,
    source: Annotated[
        bool,
        typer.Option(
            "--source", help="Put .py files on the board's file system, not compiled ones."
        ),
    ] = False,
    no_start: Annotated[
        bool, typer.Option("--no-start", help="Do not start the board afterwards.")
    ] = False,
    monitor: Annotated[
        bool, typer.Option("--monitor", help="Stay on the console; Ctrl-] leaves it.")
    ] = False,
    restore_secret: Annotated[
        bool, typer.Option("--restore-secret", help="Give back a secret that a board forgot.")
    ] = False,
    root: Annotated[
        bool,
        typer.Option(
            "--root",
            help="On a board that had updates over the air: remove them, and flash what it began"
            " with.",
        ),
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(min=0, callback=finite, help="Seconds until a board has to be provisioned."),
    ] = 120,
    app_seconds: Annotated[
        float,
        typer.Option(
            min=0, callback=finite, help="Seconds that app.py then has to run without raising."
        ),
    ] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON; the rest goes to stderr.")
    ] = False,
) -> None:
    """Put the firmware on a board, and see it provisioned.

    Its console is followed until then. Only what differs is written, and all of it is read back;
    the firmware's modules go into the board's ROMFS, where it has one.
    It can be broken off anywhere: run it again and it goes on. With several boards, name one, or
    use --all or --csv.

    Example: python3 -m tools flash --config config.json
    """
    from tools.flash.command import flash
    from tools.flash.errors import FlashingError

    if install_micropython is not None and (every or boards or len(port or []) > 1):
        raise typer.BadParameter("it is for one board", param_hint=INSTALL)
    try:
        code = flash(
            existing_file(config, "--config"),
            port or [],
            micropython=_micropython_from(install_micropython),
            every=every,
            boards=existing_file(boards, "--csv") if boards else None,
            results=results,
            bulk_import=bulk_import,
            profile=profile,
            app=application(app_file),
            as_source=source,
            start=not no_start,
            monitor=monitor,
            restore_secret=restore_secret,
            to_root=root,
            timeout=timeout,
            app_runs_for=app_seconds,
            as_json=as_json,
        )
    except FlashingError as error:
        end(str(error), error.exit_code)
    except OSError as error:
        end(explained(error))
    raise typer.Exit(code)


def _micropython_from(file: str | None) -> Callable[[str | None], str] | None:
    """What puts MicroPython on the board at a port: from a file, or downloaded when it is ""."""
    if file is None:
        return None
    from tools.flash.micropython import put_micropython

    image = existing_file(Path(file), INSTALL) if file else None
    return lambda port: put_micropython(port, image, say)
