"""The whole of flashing: looks at everything before the first board, then flashes, then tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from tools import roles
from tools.flash import content, many, ports
from tools.flash.board import BROKEN_OFF, Job
from tools.flash.doctor import examine_server
from tools.flash.errors import NO_MICROPYTHON, FlashingError, sentences
from tools.flash.findings import FAILURE
from tools.flash.label import completed
from tools.flash.results import ResultsFile, write_bulk_import
from tools.flash.show import Screen
from tools.program import INTERRUPTED
from tools.virtual_board.flash import files_named_in


def flash(
    config: Path,
    named: list[str],
    *,
    micropython: Callable[[str | None], str] | None,
    every: bool,
    boards: Path | None,
    results: Path,
    bulk_import: Path | None,
    profile: str,
    app: bytes | None,
    as_source: bool,
    start: bool,
    monitor: bool,
    restore_secret: bool,
    to_root: bool,
    timeout: float,
    app_runs_for: float,
    as_json: bool,
) -> int:
    """Flash boards as the verb `flash` is told to; the exit code.

    `micropython`: puts MicroPython on the board at a port first, and gives the port it has then.
    Raises FlashingError, OSError for a file that cannot be used, and typer.BadParameter.
    """
    text = config.read_bytes()
    content.check_config(text, name=config)
    settings = content.check_config(completed(text, None), name=config)
    for finding in examine_server(settings["server"]) if settings["server"] else ():
        if finding.level == FAILURE:
            what = sentences(finding.what, finding.fix)
            typer.echo(f"warning: from this computer, {what}", err=True)
    rows = content.read_rows(boards) if boards else None
    several = every or boards is not None or len(set(named)) > 1
    if monitor and (several or not start or as_json):
        raise typer.BadParameter("it follows one board", param_hint="--monitor")
    if micropython:
        named = [micropython(named[0] if named else None)]
    chosen = ports.choose(named, every or boards is not None)
    if several:
        content.check_for_many(text, settings, rows, len(chosen), config)
    file = ResultsFile(results) if several else None
    asked_for = roles.asked_for(text)
    firmware = content.firmware(as_source, asked_for | {roles.UPDATE})
    for_slots = {} if roles.UPDATE in asked_for else roles.alone(firmware, roles.UPDATE)
    job = Job(
        config=text,
        config_name=str(config),
        firmware={path: file for path, file in firmware.items() if path not in for_slots}
        | {f"/{name}": file for name, file in files_named_in(config).items()},
        for_slots=for_slots,
        app=app,
        rows=rows,
        as_source=as_source,
        start=start,
        restore_secret=restore_secret,
        to_root=to_root,
        timeout=timeout,
        app_runs_for=app_runs_for,
        done=file.provisioned if file else {},
    )
    if bulk_import:
        write_bulk_import(bulk_import, many.names(chosen, job), profile)

    if file:
        file.begin(chosen)
    unwritten: list[FlashingError] = []
    with Screen(chosen, as_json) as screen:

        def on_result(result):
            try:
                if file:
                    file.add(result)
            except FlashingError as error:
                unwritten.append(error)
            screen.on_result(result)

        done = many.flash_all(chosen, job, screen.progress_for, on_result)
    screen.end(done)
    if unwritten:
        raise unwritten[-1]
    if any(result.result == BROKEN_OFF for result in done):
        return INTERRUPTED
    if monitor and done[0].exit_code != NO_MICROPYTHON:
        from tools.flash.monitor import monitor as stay

        stay(chosen[0])
    return many.exit_code(done)
