"""Measured figures: each a bar, its goal a line, what else was measured marks on the bar."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

from tools.measure.budgets import TITLES, shown
from tools.measure.figures import FIGURES, Figure
from tools.pictures import svg

_WIDTH, _LEFT, RIGHT = 620, 20, 600
_ROW, _BAR = 50, 14
_GOALS = 3.4  # a bar that fills its room is so many times its goal
# The marks of what else was measured, around 0, 0: each can be seen within another.
_MARKS = (
    '<circle r="3.5"/>',
    '<path d="M0-11 11 0 0 11-11 0z"/>',
    '<path d="M-6-6H6V6H-6z"/>',
    '<path d="M0-8 8 7H-8z"/>',
    '<path d="M0 8 8-7H-8z"/>',
)
_ROUND = ' rx="2"'
_LETTER = 7.8  # px that a letter of the small text takes, about
_STYLE = ".mark { fill: none; stroke-width: 2 }\n.goal { stroke-width: 3 }\n"


def draw(measured: dict[str, dict[str, float]]) -> str:
    """The picture of figures by name and key, "firstboot" and each peer's.

    It has the figures that have a goal and that were measured of the firmware.
    """
    ours = measured["firstboot"]
    figures = [each for each in FIGURES if each.goal is not None and each.key in ours]
    peers = {name: found for name, found in measured.items() if name != "firstboot"}
    marks = dict(zip(peers, cycle(_MARKS)))
    body, top = _key(marks)
    bottom = top + len(figures) * _ROW
    for index, figure in enumerate(figures):
        y = top + index * _ROW
        body += _bar(y, ours[figure.key], figure)
        for name, found in peers.items():
            if figure.key in found:
                body += _mark(marks[name], found[figure.key], figure, y + 29)
    return svg.picture(
        "The measured figures, and their goals",
        " ".join(f"{figure.what}: {_said(ours[figure.key], figure)}." for figure in figures),
        (_WIDTH, bottom + 8),
        body,
        _STYLE,
    )


def _key(marks: dict[str, str]) -> tuple[list[str], int]:
    """What each look means, and where the figures begin below it."""
    entries = [
        (svg.rect(-9, -6, 18, 12, "blue", _ROUND), "firstboot"),
        (svg.rect(-9, -6, 18, 12, "orange", _ROUND), "beyond the goal"),
        (svg.line(0, -11, 0, 11, "ink-line goal"), "the goal"),
    ]
    entries += [
        (f'<g class="ink-line mark">{mark}</g>', TITLES.get(name, name))
        for name, mark in marks.items()
    ]
    body, x, y = [], _LEFT, 30
    for look, words in entries:
        width = 44 + _LETTER * len(words)
        if x + width > _WIDTH:
            x, y = _LEFT, y + 26
        body.append(f'<g transform="translate({x + 11:g} {y:g})">{look}</g>')
        body.append(svg.text(x + 29, y + 5, words, "ink small"))
        x += width
    return body, y + 28


def _bar(top: float, value: float, figure: Figure) -> Iterator[str]:
    end, goal = _x(value, figure), _x(figure.goal, figure)
    yield svg.text(_LEFT, top + 14, figure.what)
    yield svg.text(RIGHT, top + 14, _said(value, figure), "ink end")
    yield svg.rect(_LEFT, top + 22, RIGHT - _LEFT, _BAR, "shade", _ROUND)
    yield svg.rect(_LEFT, top + 22, min(end, goal) - _LEFT, _BAR, "blue", _ROUND)
    if value > figure.goal:
        yield svg.rect(goal, top + 22, end - goal, _BAR, "orange", _ROUND)
    yield svg.line(goal, top + 18, goal, top + 40, "ink-line goal")


def _mark(mark: str, value: float, figure: Figure, y: float) -> Iterator[str]:
    x = _x(value, figure)
    if x == RIGHT:  # further on than there is room
        yield f'<path class="ink-line mark" d="M{x - 6} {y - 6}l6 6-6 6"/>'
        x -= 16
    yield f'<g class="ink-line mark" transform="translate({x:.1f} {y:g})">{mark}</g>'


def _x(value: float, figure: Figure) -> float:
    # A goal of nothing is met by nothing, and by nothing else.
    goals = value / figure.goal if figure.goal else _GOALS * bool(value)
    return _LEFT + (RIGHT - _LEFT) * min(1, goals / _GOALS)


def _said(value: float, figure: Figure) -> str:
    return f"{shown(value, figure)} {figure.unit}".strip() + f", goal {shown(figure.goal, figure)}"
