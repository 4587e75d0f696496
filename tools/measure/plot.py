"""Measured figures as a picture: each against its goal, in SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from tools.measure.budgets import shown
from tools.measure.figures import FIGURES, Figure

_LABEL_WIDTH, _NAME_WIDTH, _BAR_WIDTH, _NUMBER_WIDTH = 290, 140, 360, 110
_LINE, _BAR, _GAP = 18, 12, 12
_BAR_LEFT = _LABEL_WIDTH + _NAME_WIDTH
_WIDTH = _BAR_LEFT + _BAR_WIDTH + _NUMBER_WIDTH
_MET, _MISSED, _OTHER = "#2f8f4e", "#c0453c", "#b5b9be"
_FONT = "font: 13px system-ui, sans-serif; fill: #24292f"


def svg(measured: dict[str, dict[str, float]]) -> str:
    """A bar for each figure that has a goal, and each thing measured; the goal is a line.

    A bar as long as there is room for is three times the goal or more.
    """
    parts = [_text(0, 16, "The line is the goal; a bar that fills its room is three times it.")]
    top = 2 * _LINE
    for figure in FIGURES:
        if figure.goal is None:
            continue
        bars = [(name, each[figure.key]) for name, each in measured.items() if figure.key in each]
        parts.append(_text(0, top + _BAR, figure.what))
        for index, (name, value) in enumerate(bars):
            parts += _bar(top + index * _LINE, name, value, figure)
        goal = _BAR_LEFT + _BAR_WIDTH / 3
        bottom = top + len(bars) * _LINE
        parts.append(
            f'<line x1="{goal:.0f}" x2="{goal:.0f}" y1="{top - 3}" y2="{bottom - 3}" '
            'stroke="#24292f" stroke-dasharray="3 2"/>'
        )
        top = bottom + _GAP
    size = f'width="{_WIDTH}" height="{top}" viewBox="-12 -6 {_WIDTH + 24} {top + 12}"'
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect x="-12" y="-6" width="100%" '
        f'height="100%" fill="#fff"/>\n<g style="{_FONT}">\n{body}\n</g></svg>\n'
    )


def _bar(top: int, name: str, value: float, figure: Figure) -> Iterator[str]:
    color = _OTHER if name != "firstboot" else _MET if value <= figure.goal else _MISSED
    # A goal of nothing is met by nothing, and by nothing else.
    width = _BAR_WIDTH * min(1, value / (3 * figure.goal or 1))
    yield _text(_LABEL_WIDTH, top + _BAR, name)
    yield f'<rect x="{_BAR_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{color}"/>'
    number = f"{shown(value, figure)} {figure.unit}".strip()
    yield _text(_BAR_LEFT + _BAR_WIDTH + 8, top + _BAR, number)


def _text(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(text)}</text>'
