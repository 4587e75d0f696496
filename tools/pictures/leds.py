"""The LED's patterns, each as it blinks and as a line over its two seconds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from tools import shims
from tools.pictures import svg

shims.install()

from firmware.board.indicator import PATTERNS  # noqa: E402

_BITS = 20  # of 100 ms each
_WIDTH, _TOP, _ROW = 620, 40, 34
_LED, _NAME, _LEFT, _BIT = 28, 52, 190, 20


def draw() -> str:
    """The picture, from firmware.board.indicator."""
    bottom = _TOP + len(PATTERNS) * _ROW
    body, keyframes = [], []
    for second in range(3):
        x = _LEFT + second * 10 * _BIT
        body.append(svg.line(x, _TOP - 8, x, bottom, "rule"))
        body.append(svg.text(x, _TOP - 16, f"{second} s", "muted small middle"))
    for index, (state, pattern) in enumerate(PATTERNS.items()):
        bits = f"{pattern:0{_BITS}b}"
        middle = _TOP + index * _ROW + _ROW / 2
        body += _row(state, bits, middle, index)
        keyframes.append(_blinking(bits, index))
    return svg.picture(
        "The patterns of the LED",
        "Each state's pattern over two seconds, which repeat. "
        + " ".join(f"{state}: {_in_words(pattern)}." for state, pattern in PATTERNS.items()),
        (_WIDTH, bottom + 12),
        body,
        "".join(keyframes) + "@media (prefers-reduced-motion: reduce) { .led { display: none } }\n",
    )


def _runs(bits: str) -> Iterator[tuple[int, int, bool]]:
    """Where each stretch begins, how long it is, and whether the LED is on."""
    start = 0
    for bit, same in groupby(bits):
        length = len(list(same))
        yield start, length, bit == "1"
        start += length


def _row(state: str, bits: str, middle: float, index: int) -> Iterator[str]:
    yield f'<circle class="led paper edge" cx="{_LED}" cy="{middle:g}" r="8"/>'
    yield (
        f'<circle class="led blue led-{index}" cx="{_LED}" cy="{middle:g}" r="8" '
        f'opacity="{bits[0]}"/>'
    )
    yield svg.text(_NAME, middle + 5, state, "ink mono")
    yield svg.line(_LEFT, middle, _LEFT + _BITS * _BIT, middle, "edge")
    for start, length, is_on in _runs(bits):
        if is_on:
            x, width = _LEFT + start * _BIT, length * _BIT
            yield svg.rect(x + 1, middle - 9, width - 2, 18, "blue", ' rx="3"')


def _blinking(bits: str, index: int) -> str:
    steps = "".join(
        f"{start * 100 / _BITS:g}% {{ opacity: {is_on:d} }} " for start, _, is_on in _runs(bits)
    )
    return (
        f"@keyframes led-{index} {{ {steps}}}\n"
        f".led-{index} {{ animation: led-{index} 2s step-end infinite }}\n"
    )


def _in_words(pattern: int) -> str:
    bits = f"{pattern:0{_BITS}b}"
    if "0" not in bits:
        return "on"
    if "1" not in bits:
        return "off"
    flashes = [length * 100 for _, length, is_on in _runs(bits) if is_on]
    number = "once" if len(flashes) == 1 else f"{len(flashes)} times"
    lengths = "/".join(str(each) for each in sorted(set(flashes)))
    return f"on {number}, for {lengths} ms"
