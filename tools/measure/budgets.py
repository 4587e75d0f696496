"""What the firmware may take: recorded figures, which a test holds new ones against."""

from __future__ import annotations

import json
from pathlib import Path

from tools.measure.figures import FIGURES, Figure, judged
from tools.measure.peers import ADAPTED, LEAST, MICROCOAPY, MQTT_SDK

# By how many bits the words of the MicroPython had that they were measured on.
BUDGETS = {
    64: Path(__file__).resolve().parent / "budgets.json",
    32: Path(__file__).resolve().parent / "budgets_32.json",
}
README = Path(__file__).resolve().parents[2] / "README.md"
# What people call the columns of the figures, in order.
TITLES = {
    "firstboot": "firstboot",
    ADAPTED: "firstboot with microCoAPy's codec",
    MICROCOAPY: "microCoAPy",
    LEAST: "the smallest correct client",
    "bare": "no library",
    MQTT_SDK: MQTT_SDK,
}
_DECIMALS = {"ms": 1, "s": 2, "×": 2}
_MARKS = {64: ("<!-- measured -->\n", "<!-- /measured -->\n")}
_MARKS[32] = ("<!-- measured on 32 bits -->\n", "<!-- /measured on 32 bits -->\n")
# Of 32 bits: what README shows in a row, from .mpy files, in ROMFS and frozen.
_HEAPS = (
    ("one exchange", "heap_exchange", "romfs_exchange", "frozen_exchange"),
    ("the first power-up, on a Pico W's flash", "heap_pico_w", "romfs_pico_w", "frozen_pico_w"),
    ("one that is refused, a probe in it", "heap_refusal", "romfs_refusal", "frozen_refusal"),
    ("a mistake in config.json, said", "heap_mistake", "romfs_mistake", "frozen_mistake"),
    ("a Device that only reports", "device_heap", None, None),
    ("a Device with attributes and calls", "device_heap_all", None, None),
)
# Builds of MicroPython for 32 bits differ in the names that they have in ROM.
_HEADROOM_32 = 0.04


def load(bits: int = 64) -> dict[str, dict[str, float]]:
    """The recorded figures, "firstboot" and each peer's, by name and key."""
    return json.loads(BUDGETS[bits].read_text(encoding="utf-8"))


def record(measured: dict[str, dict[str, float]], bits: int = 64) -> None:
    """Record new figures, and write README.md's table anew. What was not measured is kept."""
    recorded = load(bits)
    for name in TITLES:
        if name in measured:
            recorded[name] = {**recorded.get(name, {}), **_repeatable(measured[name], bits)}
    BUDGETS[bits].write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")


def exceeded(measured: dict[str, float], bits: int = 64) -> list[str]:
    """What is worse than recorded, a line each; and what is so much better that it is stale."""
    recorded = load(bits)["firstboot"]
    lines = []
    for figure in _recordable(bits):
        if figure.key not in measured:
            continue
        now, budget = measured[figure.key], recorded.get(figure.key)
        headroom = figure.headroom if bits == 64 else max(figure.headroom, _HEADROOM_32)
        if budget is None:
            lines.append(f"{figure.what}: {now:,} is not recorded")
        elif not budget * (1 - 2 * headroom) <= now <= budget * (1 + headroom):
            worse = "over" if now > budget else "far under"
            lines.append(f"{figure.what}: {now:,} is {worse} the {budget:,} recorded")
    return lines


def with_tables(readme: str) -> str:
    """README's text with the tables that the recorded figures make."""
    for bits, made in ((64, table()), (32, heaps())):
        begin, end = _MARKS[bits]
        before, begin, rest = readme.partition(begin)
        _, end, after = rest.partition(end)
        readme = before + begin + made + end + after
    return readme


def table() -> str:
    """The recorded figures as README shows them."""
    recorded = load()
    names = [name for name in TITLES if name in recorded]
    titles = (TITLES[name] for name in names)
    lines = [f"| | {' | '.join(titles)} |", "|---" * (len(names) + 1) + "|"]
    for figure in FIGURES:
        if figure.tested:
            columns = (recorded[name] for name in names)
            cells = [shown(column.get(figure.key), figure) for column in columns]
            lines.append(f"| {figure.label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def heaps() -> str:
    """The smallest heaps on words of 32 bits as README shows them."""
    recorded = load(32)
    figures = {each.key: each for each in judged(32)}
    least = recorded.get(LEAST, {})
    title = "smallest heap in bytes, words of 32 bits, and its goal"
    lines = [f"| {title} | .mpy files | in ROMFS | frozen | {TITLES[LEAST]} |", "|---" * 5 + "|"]
    for what, *keys in _HEAPS:
        cells = [_with_goal(recorded["firstboot"].get(key), figures.get(key)) for key in keys]
        possible = shown(least.get(keys[0]), figures[keys[0]])
        lines.append(f"| {what} | {' | '.join(cells)} | {possible} |")
    return "\n".join(lines) + "\n"


def _with_goal(value: float | None, figure: Figure | None) -> str:
    if value is None:
        return "–"
    return shown(value, figure) + (f", goal {shown(figure.goal, figure)}" if figure.goal else "")


def shown(value: float | None, figure: Figure) -> str:
    """A figure as people read it."""
    return "–" if value is None else f"{value:,.{_DECIMALS.get(figure.unit, 0)}f}"


def _recordable(bits: int) -> list[Figure]:
    """On 64 bits what a test measures; on 32 bytes: of .mpy files, with a goal, or in README."""
    if bits == 64:
        return [each for each in FIGURES if each.tested]
    shown_there = {key for _, *keys in _HEAPS for key in keys}
    return [
        each
        for each in judged(bits)
        if each.unit == "bytes"
        and (each.goal or each.key in shown_there or each.key.startswith("mpy"))
    ]


def _repeatable(found: dict[str, float], bits: int) -> dict[str, float]:
    recordable = {figure.key for figure in _recordable(bits)}
    return {key: value for key, value in found.items() if key in recordable}
