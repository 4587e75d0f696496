"""`python3 -m tools pictures`: draw each, and say which changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tools.pictures import leds
from tools.styled import Console

FOLDER = Path(__file__).resolve().parent
PICTURES: dict[str, Callable[[], str]] = {"leds": leds.draw}


def run(folder: Path = FOLDER) -> None:
    """Draw all pictures into a folder."""
    said = Console(stderr=True)
    for name, draw in PICTURES.items():
        with said.status(f"drawing {name} …"):
            drawn = draw()
        path = folder / f"{name}.svg"
        is_old = path.exists() and path.read_text(encoding="utf-8") == drawn
        if not is_old:
            path.write_text(drawn, encoding="utf-8")
        said.print(f"{path.name}: {'as it was' if is_old else 'drawn'}")
