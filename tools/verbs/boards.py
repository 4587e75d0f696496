"""The verb `boards`."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.verbs.shared import PLAIN_CODES, new_verb

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def boards(
    ask: Annotated[
        bool,
        typer.Option(
            "--ask", help="Ask boards at their prompt what they are: types one Enter into each."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the boards as JSON.")] = False,
) -> None:
    """List the boards that are plugged in.

    No board is touched: what USB says is shown, the unique id of those that have USB of their own.
    With --ask a board at its prompt says what it is; no program is stopped for that.

    Example: python3 -m tools boards
    """
    from tools.flash.listing import list_boards

    list_boards(ask, as_json)
