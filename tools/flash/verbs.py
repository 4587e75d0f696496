"""The verbs for real boards: flash, doctor, reset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

CODES = """\b
Exit codes:
  0  provisioned, or done
  1  any other failure
  2  wrong usage
  3  ThingsBoard refused
  4  the time ran out
  5  bad configuration
  6  no MicroPython on the board, or one that is too old"""

Ports = Annotated[
    list[str] | None,
    typer.Option(
        "--port",
        metavar="PORT",
        help="The board's serial port, or id: and its serial number; as often as needed.",
        show_default=False,
    ),
]
OnePort = Annotated[
    str | None,
    typer.Option("--port", metavar="PORT", help="The board's serial port, or id: and its number."),
]


def existing_file(path: Path, option: str) -> Path:
    """The file that an option names; typer.BadParameter when it is not there."""
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint=option)
    return path


def flash(
    config: Annotated[Path, typer.Option(help="The config.json for the board.")] = Path(
        "config.json"
    ),
    port: Ports = None,
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
    app_file: Annotated[
        Path | None,
        typer.Option("--app", help="Your app.py, put on it too."),
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Put .py files on the board, not compiled ones.")
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
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds until a board has to be provisioned.")
    ] = 120,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON; the rest goes to stderr.")
    ] = False,
) -> None:
    """Put the firmware on a board and follow it until it is provisioned.

    Only what differs is written, and all of it is read back. It can be broken off anywhere: run
    it again and it goes on. With several boards, name one, or use --all or --csv.

    Example: python3 -m tools flash --config config.json
    """
    from tools.flash import content, many, ports
    from tools.flash.board import Job
    from tools.flash.doctor import FAILURE, examine_server
    from tools.flash.errors import FlashingError
    from tools.flash.results import ResultsFile, write_bulk_import
    from tools.flash.show import Screen
    from tools.virtual_board.flash import files_named_in

    try:
        text = existing_file(config, "--config").read_bytes()
        settings = content.check_config(text)
        for finding in examine_server(settings["server"]):
            if finding.level == FAILURE:
                typer.echo(f"warning: from this computer, {finding.what}. {finding.fix}", err=True)
        rows = content.read_rows(existing_file(boards, "--csv")) if boards else None
        chosen = ports.choose(port or [], every or boards is not None)
        side_by_side = every or boards is not None or len(chosen) > 1
        if monitor and (side_by_side or no_start or as_json):
            raise typer.BadParameter("it follows one board", param_hint="--monitor")
        file = ResultsFile(results) if side_by_side else None
        job = Job(
            config=text,
            firmware=content.firmware(source, settings["codec"])
            | {f"/{name}": file for name, file in files_named_in(config).items()},
            app=existing_file(app_file, "--app").read_bytes() if app_file else None,
            rows=rows,
            as_source=source,
            start=not no_start,
            restore_secret=restore_secret,
            timeout=timeout,
            done=file.provisioned if file else frozenset(),
        )
        if bulk_import:
            write_bulk_import(bulk_import, many.names(chosen, job), profile)
    except FlashingError as error:
        _end(error)
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1) from None

    with Screen(chosen, as_json) as screen:

        def on_result(result):
            if file:
                file.add(result)
            screen.on_result(result)

        done = many.flash_all(chosen, job, screen.progress_for, on_result)
    screen.end(done)
    if monitor and done[0].exit_code != 6:
        from tools.flash.monitor import monitor as stay

        try:
            stay(chosen[0])
        except FlashingError as error:
            _end(error)
    raise typer.Exit(many.exit_code(done))


def doctor(
    config: Annotated[Path, typer.Option(help="The config.json to look at.")] = Path("config.json"),
    port: OnePort = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find out why a board does not provision: the server, the network, the board.

    Without --port it looks from this computer only.

    Example: python3 -m tools doctor --config config.json
    """
    from tools.flash.doctor import examine
    from tools.flash.errors import FlashingError

    try:
        code = examine(existing_file(config, "--config").read_bytes(), port, as_json)
    except FlashingError as error:
        _end(error)
    raise typer.Exit(code)


def reset(
    port: OnePort = None,
    credentials: Annotated[
        bool, typer.Option("--credentials", help="Forget the credentials; keep the rest.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove everything of firstboot's; app.py stays.")
    ] = False,
) -> None:
    """Make a board forget its credentials, or everything of firstboot's.

    ThingsBoard still has the device, and what to do about that is said.

    Example: python3 -m tools reset --credentials
    """
    from tools.flash import ports
    from tools.flash.errors import FlashingError
    from tools.flash.reset import reset as forget

    if credentials == everything:
        raise typer.BadParameter("name one of them", param_hint="--credentials or --all")
    try:
        (chosen,) = ports.choose([port] if port else [], False)
        for line in forget(chosen, everything):
            typer.echo(line)
    except FlashingError as error:
        _end(error)


def _end(error) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(error.exit_code)
