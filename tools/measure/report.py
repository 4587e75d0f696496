"""Measured figures as a table."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from tools.measure.budgets import shown
from tools.measure.figures import FIGURES, Figure

_WIRE = (
    Figure("bytes_up", "UDP payload up", "bytes", None),
    Figure("bytes_down", "UDP payload down", "bytes", None),
)


def table(measured: dict[str, dict[str, float]]) -> Table:
    """A row a figure, a column each for the firmware, its goal and what else was measured."""
    result = Table(title="firstboot, measured", title_justify="left", header_style="bold")
    result.add_column("", no_wrap=True)
    result.add_column("unit", style="dim")
    result.add_column("firstboot", justify="right")
    result.add_column("goal", justify="right", style="dim")
    others = [name for name in measured if name != "firstboot"]
    for name in others:
        result.add_column(name, justify="right")
    for figure in (*FIGURES, *_WIRE):
        ours = measured["firstboot"].get(figure.key)
        cells = [shown(measured[name].get(figure.key), figure) for name in others]
        goal = shown(figure.goal, figure)
        result.add_row(figure.what, figure.unit, _judged(ours, figure), goal, *cells)
    return result


def _judged(value: float | None, figure: Figure) -> Text:
    if value is None or figure.goal is None:
        return Text(shown(value, figure))
    return Text(shown(value, figure), style="green" if value <= figure.goal else "red")
