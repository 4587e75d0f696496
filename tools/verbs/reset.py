"""The verb `reset`."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.verbs.shared import BOARD_CODES, Port, end, new_verb

verb = new_verb()


@verb.command(epilog=BOARD_CODES)
def reset(
    port: Port = None,
    credentials: Annotated[
        bool, typer.Option("--credentials", help="Forget the credentials; keep the rest.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove everything of firstboot's; app.py stays.")
    ] = False,
    attempt: Annotated[
        bool,
        typer.Option(
            "--attempt", help="Remove a pending attempt too, the only copy of a token perhaps."
        ),
    ] = False,
) -> None:
    """Make a board forget its credentials, or everything.

    Everything is what is firstboot's; files of yours stay.

    ThingsBoard still has the device, and what to do about that is said. An attempt that is
    pending, because a reply was lost, stays without --attempt: with it the board can still get
    its token.

    Example: python3 -m tools reset --credentials
    """
    from tools.flash import ports
    from tools.flash.errors import FlashingError
    from tools.flash.reset import reset as forget

    if credentials + everything + attempt == 0 or (credentials and everything):
        raise typer.BadParameter("name one of them", param_hint="--credentials, --all or --attempt")
    try:
        (chosen,) = ports.choose([port] if port else [], False)
        for line in forget(chosen, credentials, everything, attempt):
            typer.echo(line)
    except FlashingError as error:
        end(str(error), error.exit_code)
