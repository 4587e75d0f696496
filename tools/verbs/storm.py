"""The verb `storm`."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.verbs.shared import PLAIN_CODES, FiguresAsJson, finite, new_verb

verb = new_verb()


@verb.command(epilog=PLAIN_CODES)
def storm(
    boards: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000_000,
            help="How many boards: 10,000, or 100 real ones.",
            show_default=False,
        ),
    ] = None,
    rate_limit: Annotated[
        int, typer.Option(min=1, help="Datagrams a second that the server handles.")
    ] = 500,
    outage: Annotated[
        float, typer.Option(min=0, callback=finite, help="Seconds until the server is up.")
    ] = 0.0,
    loss: Annotated[
        float, typer.Option(min=0, max=0.9, help="The share of datagrams lost each way.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Repeats a storm exactly.")] = 1,
    real: Annotated[
        bool,
        typer.Option("--real", help="Virtual boards over loopback, 300 at most; no weather."),
    ] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Restart the server under running boards, in place of power: until all observe"
            " their attributes and calls again.",
        ),
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Assign an update to all running boards, in place of power: until all have"
            " downloaded it.",
        ),
    ] = False,
    size: Annotated[
        int, typer.Option(min=1, max=4_000_000, help="Bytes of the --update.")
    ] = 20_000,
    as_json: FiguresAsJson = False,
) -> None:
    """Let power return to a whole building.

    All boards provision at once, with the code that boards run, in virtual time: how long until
    they all are, what the server has to bear, and what it would be without jitter.

    Example: python3 -m tools storm --boards 2000 --rate-limit 100 --outage 60
    """
    from tools.storm.report import POWER, RESTART, UPDATE, storm, storm_for_real
    from tools.storm.simulation import Weather

    if real + restart + update > 1:
        raise typer.BadParameter("one at a time", param_hint="--real, --restart and --update")
    if real:
        if boards and boards > 300:
            raise typer.BadParameter("300 at the most with --real", param_hint="--boards")
        raise typer.Exit(storm_for_real(boards or 100))
    weather = Weather(boards or 10_000, rate_limit, outage, loss, seed, size)
    event = UPDATE if update else RESTART if restart else POWER
    raise typer.Exit(storm(weather, as_json, event))
