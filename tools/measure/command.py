"""`python3 -m tools measure`: measure, then show, draw or record."""

from __future__ import annotations

import json
import statistics
from contextlib import nullcontext
from pathlib import Path

from tools.measure import budgets, firstboot, growth, modules, peers, remainder, report
from tools.measure.bench import Bench, MeasureError, bench, has_valgrind
from tools.measure.figures import judged, times
from tools.measure.responder import Responder
from tools.styled import Console

# The script of each that runs on MicroPython.
CLIENTS = {
    "firstboot": "firstboot",
    peers.LEAST: "least",
    "bare": "bare",
    peers.MICROCOAPY: "micro_coapy",
    peers.ADAPTED: "adapted",
}
_BITS_OF_BOARDS = 32
_WIDTH = 140  # characters, when no terminal says how many it has


def run(
    wanted: list[tuple[str, Path | None]],
    details: bool,
    as_json: bool,
    micropython: Path | None = None,
    frozen: Path | None = None,
    record: bool = False,
) -> dict[str, dict[str, float]]:
    """Measure the firmware and its peers, which peers.find gives, and print it.

    Gives the figures by name and key.

    `micropython`: the command of another MicroPython than the tests'; `frozen`: of one with the
    firmware in it. `record`: make the figures the budgets of words of this size. Raises
    MeasureError.
    """
    folders = tuple(folder for _, folder in wanted if folder)
    said = Console(stderr=True)
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    with (
        bench(micropython=micropython) as there,
        bench(extra=folders, micropython=micropython) as with_peers,
        bench(micropython=frozen, is_frozen=True) if frozen else nullcontext() as image,
        Responder() as responder,
        said.status("measuring …") as status,
    ):
        if image and image.bits != there.bits:
            raise MeasureError(
                f"the words of {frozen} have {image.bits} bits, those of the MicroPython that the"
                f" rest is measured on {there.bits}, and goals go by that: name with --micropython"
                " another one"
            )

        if record and micropython and there.bits != _BITS_OF_BOARDS:
            raise MeasureError(
                f"only a MicroPython whose words have {_BITS_OF_BOARDS} bits, as boards' have, is"
                " recorded besides that of the tests"
            )

        def step(what: str) -> None:
            status.update(f"measuring {what} …")

        measured = {
            "firstboot": firstboot.measure(there, responder, step=step),
            peers.LEAST: peers.least(there, responder),
            "bare": peers.bare(there, responder),
        }
        for name, folder in wanted:
            step(name)
            try:
                measured[name] = peers.measure(with_peers, responder, name, folder)
                if name == peers.MICROCOAPY:
                    measured[peers.ADAPTED] = peers.adapted(with_peers, responder)
            except MeasureError as error:
                said.print(f"{name} is left out: {error}")
        if image:
            measured["firstboot"].update(firstboot.frozen(image, responder, step))
        step("times")
        _add_times(measured, with_peers, responder)
        step("what the rest is made of")
        figures = judged(there.bits)
        rest = remainder.measure(there, responder, measured["firstboot"], figures, image)
        grown = growth.measure(there, step) if details else {}
        parts = modules.measure(there) if details else {}
    if not has_valgrind():
        said.print("instructions are left out: there is no valgrind")
    if as_json:
        extra = {"modules": parts, "growth": grown} if details else {}
        goals = {each.key: {"goal": each.goal, "unit": each.unit} for each in figures}
        found = {"measured": measured, "figures": goals, "made_of": rest, **extra}
        console.print_json(json.dumps(found))
    else:
        for each in report.tables(measured, console.width, figures):
            console.print(each)
        if rest:
            ours, least = measured["firstboot"], measured[peers.LEAST]
            console.print(remainder.table(rest, ours, least, figures))
        console.print(report.elsewhere(there.bits))
        if details:
            console.print(modules.table(parts))
            console.print(growth.table(grown))
        for line in budgets.exceeded(measured["firstboot"], there.bits) if not record else ():
            console.print(f"Not as recorded: {line}")
    if record:
        budgets.record(measured, there.bits)
    return measured


def _add_times(measured: dict[str, dict[str, float]], bench: Bench, responder: Responder) -> None:
    """Add the times of those that run on MicroPython, measured by turns."""
    clients = {CLIENTS[name]: name for name in measured if name in CLIENTS}
    turns = times(bench, responder, list(clients))
    for client, name in clients.items():
        measured[name]["time_us"] = statistics.median(turns[client])
    for name in ("firstboot", peers.LEAST):
        ratios = [ours / bare for ours, bare in zip(turns[CLIENTS[name]], turns["bare"])]
        measured[name]["time_ratio"] = statistics.median(ratios)
