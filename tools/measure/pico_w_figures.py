"""The figures of the Pico W's image: recorded, compared, and shown in README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from tools.measure.peers import LEAST, MICROCOAPY

RECORDED = Path(__file__).resolve().parent / "pico_w.json"
README = Path(__file__).resolve().parents[2] / "README.md"
# What people call the columns, in order.
_COLUMNS = {
    "firstboot": "firstboot",
    LEAST: "the smallest correct client",
    MICROCOAPY: "microCoAPy",
}
_BEGIN, _END = "<!-- pico-w -->\n", "<!-- /pico-w -->\n"


class Figure(NamedTuple):
    """`key` of `measure`'s figures and what README calls it; `tolerance` of a new measurement.

    `goal`: what it is to be at most. `alone`: what to call it away from the rows around it.
    """

    key: str
    what: str
    tolerance: float = 0.05
    goal: float | None = None
    alone: str = ""


FIGURES = (
    Figure("free_at_prompt", "heap free at MicroPython's prompt, bytes", 0.01),
    Figure("free_joining", "heap free when it joins Wi-Fi, garbage counted as used"),
    Figure("free_asking", "heap free when it asks ThingsBoard"),
    Figure("free_provisioned", "heap free when it is provisioned"),
    Figure("free_least", "the least that was free at the first power-up"),
    Figure("free_least_refusal", "the least at one that is refused, a probe before it"),
    Figure("free_least_x509", "the least over coaps with an X.509 certificate, sent in blocks"),
    Figure("free_application", "heap free when app.py starts and has collected garbage", 0.01),
    Figure("free_application_again", "heap free then at the second power-up", 0.01),
    Figure("ms_first_line", "ms from reset to firstboot's first line"),
    Figure("ms_credentials", "ms from reset to credentials at the first power-up"),
    Figure(
        "ms_radio", "ms that the radio needs to start and join, with nothing but that in main.py"
    ),
    Figure(
        "ms_credentials_beyond",
        "ms from reset to credentials without those",
        goal=400,
        alone="ms from reset to credentials, the radio's own start and join apart",
    ),
    Figure("ms_to_join_beyond", "… until the Wi-Fi is joined, config.json read"),
    Figure("ms_to_ask", "… from then until it asks ThingsBoard: modules loaded"),
    Figure("ms_to_save", "… from then until its credentials are saved"),
    Figure("ms_importing", "… in all of it: importing the same modules in app.py"),
    Figure("ms_application_again", "ms from reset to app.py at the second power-up", goal=150),
    Figure("ms_exchange", "ms from the first datagram to the token", 0.1),
    Figure("erases", "flash sectors erased in the first power-up", 0),
    Figure("programs", "flash pages programmed in it", 0),
    Figure("operations_again", "flash operations in the second power-up", 0),
    Figure("free_at_work", "heap free when a Device with attributes and calls has collected", 0.01),
    Figure(
        "device_beyond",
        "more that it takes than the first power-up's most",
        goal=12_000,
        alone="more heap for a Device with attributes and calls than for a first power-up, bytes",
    ),
    Figure(
        "device_beyond_refusal",
        "more than the most of one that is refused",
        goal=12_000,
        alone="more for it than for a power-up that is refused, bytes",
    ),
    Figure("device_garbage", "garbage that a reading leaves, bytes", goal=1024),
    Figure("ms_awake", "ms from reset to sleep, a reading sent and the Wi-Fi joined", 0.1),
    Figure("datagrams_awake", "datagrams of such a wake", 0),
)


def recorded() -> dict:
    """The figures that `record` kept, as `measure` gives them."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def record(measured: dict) -> None:
    """Keep the figures, and write README.md's table anew. What was not measured stays."""
    kept = recorded() if RECORDED.exists() else {}
    ours = {**kept.get("firstboot", {}), **measured["firstboot"]}
    found = {**kept, **measured, "firstboot": ours}
    RECORDED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")


def stale(measured: dict) -> list[str]:
    """Which of these figures are no longer what is recorded, a line each."""
    before = recorded()["firstboot"]
    lines = []
    for figure in FIGURES:
        now, then = measured["firstboot"].get(figure.key), before.get(figure.key)
        if now is None:
            continue
        if then is None:
            lines.append(f"{figure.what}: {now:,.0f}, and nothing is recorded")
        elif abs(now - then) > figure.tolerance * then:
            lines.append(f"{figure.what}: {now:,.0f}, and {then:,.0f} is recorded")
    return lines


def with_table(readme: str) -> str:
    """README's text with the table that the recorded figures make."""
    before, begin, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return before + begin + table(recorded()) + end + after


def table(measured: dict) -> str:
    """The figures as README shows them."""
    names = [name for name in _COLUMNS if name in measured]
    lines = [
        f"| MicroPython {measured['image']}; emulated board time, "
        f"{measured['cycles_a_ms']:,} cycles a ms | {' | '.join(map(_COLUMNS.get, names))} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for figure in FIGURES:
        cells = [measured[name].get(figure.key) for name in names]
        if not any(cell is not None for cell in cells):
            continue
        shown = ["–" if cell is None else f"{cell:,.0f}" for cell in cells]
        what = figure.what + (f" (goal {figure.goal:,})" if figure.goal else "")
        lines.append(f"| {what} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"
