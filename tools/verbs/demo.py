"""The verb `demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.verbs.shared import PLAIN_CODES, new_verb

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def demo(
    coaps: Annotated[bool, typer.Option("--coaps", help="Show it over DTLS.")] = False,
) -> None:
    """Show a board's first power-up and its second.

    A virtual board provisions itself with a ThingsBoard to test with. Then it is powered up again,
    and sends nothing. It needs no board and no account.

    Example: python3 -m tools demo
    """
    from tools.demo import demo

    raise typer.Exit(demo(coaps))
