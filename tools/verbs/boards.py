"""The verb `boards`."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.verbs.shared import PLAIN_CODES, new_verb

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def boards(
    as_json: Annotated[bool, typer.Option("--json", help="Print the boards as JSON.")] = False,
) -> None:
    """List the boards that are plugged in.

    A board at its prompt is asked what it is. One that runs a program is not stopped: of it what
    USB says is shown.

    Example: python3 -m tools boards
    """
    from tools.flash.listing import list_boards

    list_boards(as_json)
