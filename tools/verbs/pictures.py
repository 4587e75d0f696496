"""The verb `pictures`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.program import IS_CHECKOUT
from tools.verbs.shared import PLAIN_CODES, end, new_verb

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def pictures(
    states: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="In place of all that: draw the page in each of its states, on a phone and on a "
            "laptop, light and dark, into this folder.",
            show_default=False,
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="Of those: en or de.")] = "en",
) -> None:
    """Draw the pictures in README.md anew.

    They are SVG, in tools/pictures/: the demo and the storm from real runs, the measured figures as
    measure --record left them, the LED from the firmware's own patterns. A demo that prints what it
    did before stays the recorded one, unless tools/pictures/demo.json is removed. The page on a
    board's access point is there as screenshots, made by Chromium when the page has changed.

    Example: python3 -m tools pictures
    """
    from tools.pictures.command import run, show_states

    if not IS_CHECKOUT:
        end("The pictures are in a checkout, with its README.md: run it there.")
    raise typer.Exit(show_states(states, language) if states else run())
