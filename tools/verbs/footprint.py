"""The verb `footprint`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.verbs.shared import (
    PLAIN_CODES,
    FiguresAsJson,
    application,
    end,
    existing_file,
    micropython_at,
    new_verb,
    say,
)

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def footprint(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A config.json: what it chooses.", show_default=False),
    ] = None,
    app: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An app.py: what it uses.", show_default=False),
    ] = None,
    micropython: Annotated[
        Path | None,
        typer.Option(
            metavar="COMMAND",
            help="Weigh heap on this MicroPython, such as one of 32 bits, as boards have.",
            show_default=False,
        ),
    ] = None,
    as_json: FiguresAsJson = False,
) -> None:
    """Show what the choices in config.json take of a board.

    That is of its flash and its heap, before it is flashed. The sizes are those of the firmware
    as `flash` compiles it; heap is weighed here, module by module, and what whole power-ups take
    is as `measure --micropython … --record` has recorded it of 32 bits.

    Example: python3 -m tools footprint --config config.json --app app.py
    """
    from tools import footprint
    from tools.flash.content import check_config
    from tools.flash.errors import FlashingError
    from tools.measure.bench import bench
    from tools.styled import Console

    given = existing_file(config, "--config").read_bytes() if config else None
    source = application(app)
    if micropython:
        micropython = micropython_at(micropython, "--micropython")
    try:
        if given is not None:
            check_config(given, name=config)
        say("weighing the firmware …")
        with bench(micropython=micropython) as there:
            found = footprint.choices(there, given, source)
            bits = there.bits
    except FlashingError as error:
        end(str(error))
    if as_json:
        typer.echo(footprint.as_json(found, given, source))
        return
    console = Console()
    if not console.is_terminal:
        console.width = 140
    console.print(footprint.table(found))
    for line in footprint.lines(given, source, bits):
        console.print(line)
