"""The verb `read`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tools.verbs.shared import PLAIN_CODES, end, new_verb

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def read(
    flash: Annotated[Path, typer.Option(help="The flash of a virtual board.")],
    path: Annotated[
        str | None,
        typer.Argument(help="The file, for example /credentials.json.", show_default=False),
    ] = None,
) -> None:
    """Print a file of a virtual board's flash.

    Without a file's name: which version the board runs. Exit code 1 says that it is not there.

    Example: python3 -m tools read --flash board.img /credentials.json
    """
    from tools.virtual_board.flash import FlashError, NotOnFlash, read_file

    try:
        if path is None:
            _tell_what_runs(flash)
            return
        content = read_file(flash, path)
    except NotOnFlash as error:
        end(str(error))
    except FlashError as error:
        raise typer.BadParameter(str(error), param_hint="--flash") from None
    if sys.stdout.isatty():
        typer.echo(content.decode(errors="replace"), nl=not content.endswith(b"\n"))
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _tell_what_runs(flash: Path) -> None:
    from tools.flash.slots import PATH, Slots
    from tools.virtual_board.flash import NotOnFlash, read_file

    try:
        places = Slots(read_file(flash, PATH))
    except NotOnFlash:
        places = Slots(b"")
    for line in places.lines():
        typer.echo(line)
