"""Measured figures as tables."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from tools.measure import budgets, pico_w_figures
from tools.measure.budgets import shown
from tools.measure.figures import FIGURES, Figure, judged

_WIRE = (
    Figure("bytes_up", "UDP payload up", "bytes", None),
    Figure("bytes_down", "UDP payload down", "bytes", None),
)
# The goals of what takes minutes, or a board's own image: what, the goal, the command that says it.
_ELSEWHERE = (
    ("the suite on two idle cores, the Pico W's lane apart, s", 150, "test"),
    ("the first set-up and the demo after it, s", 10, "demo"),
)
_PICO_W = "measure --pico-w"
_ON_32_BITS = "measure --micropython …"
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


def elsewhere(bits: int) -> Table:
    """The goals that other commands measure, and what those have recorded.

    `bits`: of the words of the MicroPython that was measured on.
    """
    result = Table(title="measured by other commands", title_justify="left", header_style="bold")
    result.add_column("")
    result.add_column("recorded", justify="right", no_wrap=True)
    result.add_column("goal", justify="right", style="dim", no_wrap=True)
    result.add_column("python3 -m tools …", no_wrap=True)
    if bits == 64:
        recorded = budgets.load(32)["firstboot"]
        for figure, here in zip(judged(32), judged(bits)):
            is_of_boards = figure.goal is not None and figure.goal != here.goal
            if is_of_boards and not figure.key.startswith("device"):
                value = _judged(recorded.get(figure.key), figure)
                goal = shown(figure.goal, figure)
                result.add_row(f"32 bits: {figure.label}", value, goal, _ON_32_BITS)
    recorded = pico_w_figures.recorded()["firstboot"]
    for figure in pico_w_figures.FIGURES:
        if figure.goal is not None:
            value = recorded.get(figure.key)
            result.add_row(
                f"Pico W: {figure.alone or figure.what}",
                "–" if value is None else _coloured(f"{value:,.0f}", value <= figure.goal),
                f"{figure.goal:,}",
                _PICO_W,
            )
    for what, goal, command in _ELSEWHERE:
        result.add_row(what, "–", f"{goal:,}", command)
    return result


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
    return _coloured(shown(value, figure), value <= figure.goal)


def _coloured(text: str, is_met: bool) -> Text:
    return Text(text, style="green" if is_met else "red")
