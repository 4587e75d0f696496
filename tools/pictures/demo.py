"""The demo as a terminal shows it, in its own time, slowed down; from a run that was recorded."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.demo import power_ups
from tools.demo.screen import Screen
from tools.pictures import svg
from tools.program import NAME
from tools.virtual_board.interpreter import find_micropython

RECORDED = Path(__file__).resolve().parent / "demo.json"
README = Path(__file__).resolve().parents[2] / "README.md"
_BEGIN = "<!-- demo -->\n```\n"
_BLOCK = re.compile(rf"{_BEGIN}.*?```\n", re.DOTALL)
_SLOWER = 25  # times
_PAUSE = 16_000  # ms from its end until it begins again
_WIDTH, _LEFT, _TOP, _ROW, _COLUMNS = 720, 18, 62, 20, 75
_FONT_SIZE = 15
_LETTER = 0.602 * _FONT_SIZE
_WORD = re.compile(r"[^ ,]*[ ,]?")
_BAR = " │ "
_VARIES = (
    (r"\[ *\d+\.\d{3}\]", "[time]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:port"),
    (r"micropython \d+\.\d+\.\d+", "micropython version"),
    (r"\b[0-9a-f]{12}\b", "id"),
    (r'"[^" ]{3}…"', '"…"'),
)


class RecordError(Exception):
    """The demo cannot run, or did not run to its end; the text says why."""


class Line(NamedTuple):
    """A line of the demo's; `at`: ms since its first."""

    at: int
    text: str


class _Recorder(Screen):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[float, str]] = []

    def put(self, at: float, label: str, line: str) -> None:
        self.lines.append((at, f"{label}{_BAR}{line}"))

    def say(self, text: str = "") -> None:
        now = time.monotonic()
        self.lines += [(now, line) for line in text.split("\n")]


def record() -> list[Line]:
    """Run the demo. Raises RecordError."""
    micropython = find_micropython()
    if not micropython.command:
        raise RecordError(micropython.why)
    screen = _Recorder()
    code = power_ups.show(screen=screen)
    if code:
        raise RecordError("\n".join(text for _, text in screen.lines))
    began = screen.lines[0][0]
    return [Line(round(1000 * (at - began)), text) for at, text in screen.lines]


def load() -> list[Line]:
    """The recorded run."""
    return [Line(*each) for each in json.loads(RECORDED.read_text(encoding="utf-8"))]


def save(lines: list[Line]) -> None:
    """Make a run the recorded one."""
    rows = ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    RECORDED.write_text(f"[\n{rows}\n]\n", encoding="utf-8")


def renew() -> None:
    """Make a new run the recorded one, and README.md's, if none is or it prints something else.

    Raises RecordError.
    """
    lines = record()
    if RECORDED.exists() and by_side(printed(lines)) == by_side(printed(load())):
        lines = load()
    else:
        save(lines)
    readme = README.read_text(encoding="utf-8")
    block = f"{_BEGIN}{printed(lines)}```\n"
    README.write_text(_BLOCK.sub(lambda _: block, readme, count=1), encoding="utf-8")


def printed(lines: list[Line]) -> str:
    """What the run printed."""
    return "".join(f"{line.text}\n" for line in lines)


def by_side(output: str) -> dict[str, list[str]]:
    """The lines that a demo printed, without what varies: the board's, the server's and its own.

    How the board's and the server's lines mix varies, too.
    """
    for pattern, word in _VARIES:
        output = re.sub(pattern, word, output)
    sides: dict[str, list[str]] = {}
    for line in output.splitlines():
        side, bar, _ = line.partition(_BAR)
        sides.setdefault(side if bar else "demo", []).append(line)
    return sides


def draw(lines: list[Line]) -> str:
    """The picture of a run."""
    shown = list(_rows(lines))
    lasts = _SLOWER * lines[-1].at + _PAUSE
    body = [f'<circle class="gray" cx="{24 + 18 * each}" cy="20" r="5"/>' for each in range(3)]
    body.append(svg.text(_WIDTH - 20, 25, f"{_SLOWER} times slower than it was", "muted small end"))
    body.append(svg.line(0, 38, _WIDTH, 38, "rule"))
    body.append(_mono(_LEFT, _TOP, f"$ {NAME} demo", "ink bold"))
    for index, row in enumerate(shown):
        body.append(f'<g class="{_name(row.at)}">{row.drawn(_TOP + (index + 1) * _ROW)}</g>')
    style = [f".mono {{ font-size: {_FONT_SIZE}px }}\n"]
    for at in sorted({row.at for row in shown}):
        share = 100 * _SLOWER * at / lasts
        style.append(
            f"@keyframes {_name(at)} {{ 0% {{ opacity: 0 }} {share:.2f}% {{ opacity: 1 }} }}\n"
            f".{_name(at)} {{ animation: {_name(at)} {lasts}ms step-end infinite }}\n"
        )
    style.append("@media (prefers-reduced-motion: reduce) { g { animation: none !important } }\n")
    return svg.picture(
        "The demo in a terminal",
        "A board's first power-up and its second, line by line: " + printed(lines),
        (_WIDTH, _TOP + len(shown) * _ROW + 20),
        body,
        "".join(style),
    )


class _Row(NamedTuple):
    """A row on the terminal; `margin`: what stands left of the text, if it is a side's."""

    at: int
    side: str
    margin: str
    text: str

    def drawn(self, y: float) -> str:
        if not self.margin:
            return _mono(_LEFT, y, self.text, "ink bold")
        margin = _mono(_LEFT, y, self.margin, "blue" if self.side == "board " else "purple")
        return margin + _mono(_LEFT + _LETTER * len(self.margin), y, self.text, "ink")


def _rows(lines: list[Line]) -> Iterator[_Row]:
    for line in lines:
        side, bar, text = line.text.rpartition(_BAR)
        margin = side + bar
        for part in _wrapped(text, _COLUMNS - len(margin)):
            yield _Row(line.at, side, margin, part)
            margin = margin.replace(side, " " * len(side))


def _wrapped(text: str, room: int) -> list[str]:
    """The text in parts that fit, broken after spaces and commas."""
    parts = [""]
    for word in _WORD.findall(text):
        if len(parts[-1] + word.rstrip()) > room:
            parts.append("")
        parts[-1] += word
    return parts


def _mono(x: float, y: float, words: str, look: str) -> str:
    # SVG makes one of several spaces, and none at the ends.
    return svg.text(x, y, words.replace(" ", "\N{NO-BREAK SPACE}"), f"mono {look}")


def _name(at: int) -> str:
    return f"at-{at}"
