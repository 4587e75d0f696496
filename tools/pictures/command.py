"""`python3 -m tools pictures`: draw each, and say which changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tools.measure import budgets
from tools.pictures import demo, leds, measured, page, storm
from tools.styled import Console

FOLDER = Path(__file__).resolve().parent
PICTURES: dict[str, Callable[[], str]] = {
    "demo": lambda: demo.draw(demo.load()),
    "leds": leds.draw,
    "measured": lambda: measured.draw(budgets.load()),
    "storm": lambda: storm.draw(*storm.both_storms()),
}


def kept(name: str) -> str:
    """The picture as it is kept, and as README.md shows it."""
    return (FOLDER / f"{name}.svg").read_text(encoding="utf-8")


def run() -> int:
    """Draw all pictures anew; gives the exit code."""
    said = Console(stderr=True)
    exit_code = 0
    try:
        with said.status("running the demo …"):
            demo.renew()
    except demo.RecordError as error:
        said.print(f"The recorded demo stays: {error}")
        exit_code = 1
    for name in PICTURES:
        redraw(name)
    try:
        if page.is_stale():
            with said.status("making the screenshots of the page …"):
                page.renew()
    except page.NoBrowserError as error:
        said.print(f"The screenshots of the page stay: {error}")
        exit_code = 1
    return exit_code


def show_states(folder: Path, language: str) -> int:
    """Draw the page in each of its states into a folder; gives the exit code."""
    said = Console(stderr=True)
    try:
        with said.status("making screenshots of the page …"):
            drawn = page.draw_states(folder, language)
    except page.NoBrowserError as error:
        said.print(f"Nothing is drawn: {error}")
        return 1
    said.print(f"{len(drawn)} pictures are in {folder}")
    return 0


def redraw(name: str) -> None:
    """Draw one picture anew, and say whether it is another."""
    said = Console(stderr=True)
    with said.status(f"drawing {name} …"):
        drawn = PICTURES[name]()
    path = FOLDER / f"{name}.svg"
    if path.exists() and kept(name) == drawn:
        said.print(f"{name}.svg is as it was")
        return
    path.write_text(drawn, encoding="utf-8")
    said.print(f"{name}.svg is drawn anew")
