"""A storm with jitter and without, both on the same axes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator

from tools.pictures import svg
from tools.storm.power import simulate
from tools.storm.simulation import Storm, Weather

WEATHER = Weather(rate_limit=100, outage=60)
_FIRST, _LAST = 45, 15_000  # seconds; the axis is logarithmic
_TICKS = {
    60: "1 min",
    120: "2",
    300: "5",
    600: "10",
    1800: "30 min",
    3600: "1 h",
    7200: "2",
    14400: "4 h",
}
_WIDTH, _HEIGHT = 620, 390
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 596, 84, 340


def both_storms() -> tuple[Storm, Storm]:
    """What is drawn: the storm with jitter, and without."""
    return simulate(WEATHER), simulate(WEATHER, jitter=False)


def draw(with_jitter: Storm, without: Storm) -> str:
    """The picture. Every board of both storms is provisioned in the end."""
    boards = WEATHER.boards
    ends = [each.time_until(boards) / 1000 for each in (with_jitter, without)]
    heads = (
        f"{boards:,} boards ask at once; the server is up {WEATHER.outage:g} s later",
        f"and takes {WEATHER.rate_limit} datagrams a second. How many are provisioned:",
    )
    named = f"with jitter: all in {_duration(ends[0])}", f"without: all in {_duration(ends[1])}"
    up = _x(WEATHER.outage)
    x, y = (_LEFT + up) / 2 + 5, _y(5 / 8)
    body = [
        svg.text(20, 30, heads[0]),
        svg.text(20, 52, heads[1]),
        svg.rect(_LEFT, _TOP, up - _LEFT, _BOTTOM - _TOP, "shade"),
        svg.text(x, y, "no server", "muted small middle", f' transform="rotate(-90 {x:g} {y:g})"'),
        *_axes(boards),
        _curve(without, "orange-line", ' stroke-width="2.5" stroke-dasharray="7 3"'),
        _curve(with_jitter, "blue-line", ' stroke-width="3"'),
        f'<circle class="blue" cx="{_x(ends[0]):.1f}" cy="{_TOP}" r="5"/>',
        svg.rect(_x(ends[1]) - 5, _TOP - 5, 10, 10, "orange"),
        svg.text(_x(ends[0]) + 12, _TOP + 24, named[0], "blue bold"),
        svg.text(_RIGHT, _y(0.16), named[1], "orange bold end"),
    ]
    description = f"{' '.join(heads)} {named[0]}; {named[1]}."
    return svg.picture(
        "A storm, with jitter and without",
        description,
        (_WIDTH, _HEIGHT),
        body,
        "path { fill: none; stroke-linejoin: round }\n",
    )


def _x(seconds: float) -> float:
    share = math.log(seconds / _FIRST) / math.log(_LAST / _FIRST)
    return _LEFT + share * (_RIGHT - _LEFT)


def _y(share: float) -> float:
    return _BOTTOM - share * (_BOTTOM - _TOP)


def _axes(boards: int) -> Iterator[str]:
    for quarter in range(5):
        y = _y(quarter / 4)
        yield svg.line(_LEFT, y, _RIGHT, y, "edge" if quarter == 0 else "rule")
        yield svg.text(_LEFT - 8, y + 5, f"{boards * quarter // 4:,}", "muted small end")
    for seconds, label in _TICKS.items():
        yield svg.line(_x(seconds), _BOTTOM, _x(seconds), _BOTTOM + 5, "edge")
        yield svg.text(_x(seconds), _BOTTOM + 21, label, "muted small middle")
    yield svg.text(
        _RIGHT, _BOTTOM + 40, "since power returned, on a logarithmic scale", "muted small end"
    )


def _curve(storm: Storm, look: str, more: str) -> str:
    """How many boards are provisioned, at every half of a pixel at which there are more."""
    points = [f"M{_LEFT} {_BOTTOM}"]
    drawn = 0
    for step in range(2 * (_RIGHT - _LEFT) + 1):
        x = _LEFT + step / 2
        seconds = _FIRST * (_LAST / _FIRST) ** ((x - _LEFT) / (_RIGHT - _LEFT))
        provisioned = bisect_right(storm.provisioned, seconds * 1000)
        if provisioned > drawn:
            points.append(f"H{x:g}V{_y(provisioned / storm.boards):.1f}")
            drawn = provisioned
    return f'<path class="{look}" d="{"".join(points)}"{more}/>'


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
