"""What came of exploring a device at work, as README shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from host_tests.explorer.at_work.schedules import KINDS, Reach, explore
from host_tests.explorer.at_work.stories import STORIES
from host_tests.explorer.report import between, markdown

MARKS = "<!-- at work -->", "<!-- /at work -->"


def explore_all(reach: Reach, seed: str, say: Callable[[str], None] = print) -> dict:
    """Live through all schedules of every story; see schedules.explore. Raises Broken."""
    say(f"seed {seed}; {reach}")
    lived = {}
    for story in STORIES:
        lived |= explore(reach, [story], seed)
        say(f"{story.name}: {sum(lived[story.name].values()):,} schedules")
    return lived


def table(lived: dict) -> str:
    """Schedules by story and kind, in Markdown."""
    head = ["what a device at work lives through", "schedules", *KINDS.values()]
    lines = [head, ["---"] + ["--:"] * (len(head) - 1)]
    for name, kinds in lived.items():
        lines.append([name, *_numbers([kinds])])
    lines.append(["all", *_numbers(lived.values())])
    return markdown(lines)


def in_readme(readme: str, lived: dict) -> str:
    """The README with the table between its marks. Raises ValueError when it has no marks."""
    return between(readme, MARKS, table(lived))


def _numbers(all_kinds: Collection[Counter]) -> list[str]:
    counts = [sum(kinds[kind] for kinds in all_kinds) for kind in KINDS]
    return [f"{number:,}" for number in (sum(counts), *counts)]
