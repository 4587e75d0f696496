"""Measured figures as tables."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from tools.measure.budgets import shown
from tools.measure.figures import FIGURES, Figure

_WIRE = (
    Figure("bytes_up", "UDP payload up", "bytes", None),
    Figure("bytes_down", "UDP payload down", "bytes", None),
)
_LABELS = 32  # characters that the names of the figures want, at least
_NUMBERS = 13  # characters of a column


def tables(
    measured: dict[str, dict[str, float]], width: int, figures: tuple[Figure, ...] = FIGURES
) -> list[Table]:
    """A row a figure, a column each for the firmware, its goal and what else was measured.

    What does not fit into `width` characters beside the others is in a table of its own.
    """
    others = [name for name in measured if name != "firstboot"]
    fit = max(1, (width - _LABELS) // _NUMBERS - 2)
    groups = [others[start : start + fit] for start in range(0, len(others), fit)] or [[]]
    return [_table(measured, names, figures) for names in groups]


def _table(
    measured: dict[str, dict[str, float]], others: list[str], figures: tuple[Figure, ...]
) -> Table:
    result = Table(title="firstboot, measured", title_justify="left", header_style="bold")
    result.add_column("")
    result.add_column("firstboot", justify="right", no_wrap=True)
    result.add_column("goal", justify="right", style="dim", no_wrap=True)
    for name in others:
        result.add_column(name.replace(", ", ",\n"), justify="right", no_wrap=True)
    for figure in (*figures, *_WIRE):
        ours = measured["firstboot"].get(figure.key)
        cells = [shown(measured[name].get(figure.key), figure) for name in others]
        goal = shown(figure.goal, figure)
        result.add_row(figure.label, _judged(ours, figure), goal, *cells)
    return result


def _judged(value: float | None, figure: Figure) -> Text:
    if value is None or figure.goal is None:
        return Text(shown(value, figure))
    return Text(shown(value, figure), style="green" if value <= figure.goal else "red")
