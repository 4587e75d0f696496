"""What the firmware may take: recorded figures, which a test holds new ones against."""

from __future__ import annotations

import json
from pathlib import Path

from tools.measure.figures import FIGURES, Figure
from tools.measure.peers import ADAPTED, LEAST, MICROCOAPY, MQTT_SDK

BUDGETS = Path(__file__).resolve().parent / "budgets.json"
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
_BEGIN, _END = "<!-- measured -->\n", "<!-- /measured -->\n"


def load() -> dict[str, dict[str, float]]:
    """The recorded figures, "firstboot" and each peer's, by name and key."""
    return json.loads(BUDGETS.read_text(encoding="utf-8"))


def record(measured: dict[str, dict[str, float]]) -> None:
    """Record new figures, and write README.md's table anew. What was not measured is kept."""
    recorded = load()
    for name in TITLES:
        if name in measured:
            recorded[name] = {**recorded.get(name, {}), **_repeatable(measured[name])}
    BUDGETS.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")


def exceeded(measured: dict[str, float]) -> list[str]:
    """What is worse than recorded, a line each; and what is so much better that it is stale."""
    recorded = load()["firstboot"]
    lines = []
    for figure in FIGURES:
        if not figure.tested or figure.key not in measured:
            continue
        now, budget = measured[figure.key], recorded.get(figure.key)
        if budget is None:
            lines.append(f"{figure.what}: {now:,} is not recorded")
        elif not budget * (1 - 2 * figure.headroom) <= now <= budget * (1 + figure.headroom):
            worse = "over" if now > budget else "far under"
            lines.append(f"{figure.what}: {now:,} is {worse} the {budget:,} recorded")
    return lines


def with_table(readme: str) -> str:
    """README's text with the table that the recorded figures make."""
    before, begin, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return before + begin + table() + end + after


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


def shown(value: float | None, figure: Figure) -> str:
    """A figure as people read it."""
    return "–" if value is None else f"{value:,.{_DECIMALS.get(figure.unit, 0)}f}"


def _repeatable(found: dict[str, float]) -> dict[str, float]:
    tested = {figure.key for figure in FIGURES if figure.tested}
    return {key: value for key, value in found.items() if key in tested}
