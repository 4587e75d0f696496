"""All that is explored, how far, and the table of what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

from host_tests.explorer import life
from host_tests.explorer.faults import Bounds, explore_decay, explore_fates
from host_tests.explorer.images import FRESH, images
from host_tests.explorer.people import KINDS_OF_STORIES
from host_tests.explorer.run import ACKNOWLEDGED, EXPIRED, MOVED, PROVISIONED, TAKEN
from host_tests.explorer.scene import ACCESS_TOKENS, AGE_CLASS, STRATEGIES, Setting
from host_tests.explorer.search import BACK_WITH, OFF_FOR, Search, Tally, root
from host_tests.explorer.server import REPLIES
from host_tests.explorer.town import People
from host_tests.explorer.walk import Reach, Walk, stories
from tools.virtual_board.boards import KINDS

SEED = "1"
MARKS = "<!-- explorer -->", "<!-- /explorer -->"

# What people are let loose on.
PEOPLE = (
    People(),
    People("coap", "drawn", "sensor-{id}", reply="separate"),
    People("coap", "drawn", reply="bare", file_system="fat"),
    People("coap", "drawn", strategy="preprovisioned"),
    People("coap", "given"),
    People("coap", "fixed", "sensor-{id}"),
    People("coap", "server", reply="separate"),
    People("coap", "mqtt"),
    People("coaps", "drawn"),
    People("coaps", "x509"),
    People("coaps", "x509", "sensor-{id}", reply="separate", file_system="fat"),
    People("coaps", "long-x509", reply="separate"),
    People("coaps", "shown"),
    People("coaps", "server"),
)
REACH = Reach(faults=1, lost=2)
FAR_REACH = Reach(faults=2, lost=4, pairs=True)


class Depth(NamedTuple):
    """How far. `cuts` at most from a fresh image; `taken_cuts` when the name was taken;
    `tidying_cuts` where littlefs compacts or relocates, with each of `tidying_replies`."""

    cuts: int
    taken_cuts: int
    tidying_cuts: int
    tidying_replies: tuple[str, ...]
    every_image: int
    bounds: Bounds


DEFAULT = Depth(2, 1, 1, ("piggybacked",), 1, Bounds(one=12, two=6, three=4, lost=7))
SHALLOW = Depth(1, 1, 0, (), 0, Bounds(one=0, two=0, three=0, lost=0))
DEEP = Depth(3, 2, 2, REPLIES, 2, Bounds(one=20, two=10, three=7, lost=12))


def settings() -> Iterator[Setting]:
    for values in product(STRATEGIES, ACCESS_TOKENS, REPLIES, KINDS):
        yield Setting(*values)


def explore(setting: Setting, depth: Depth = DEFAULT, seed: str = SEED) -> Tally:
    """Explore one setting. Raises Broken."""
    search = Search(setting, seed)
    tidying = dict(images(setting))
    fresh = root(setting, FRESH, tidying.pop(FRESH), seed)
    search.explore([fresh], depth.cuts, depth.every_image)
    taken = root(setting, FRESH, fresh.image, seed, taken=True)
    search.explore([taken], depth.taken_cuts, 0)
    if setting.reply in depth.tidying_replies:
        roots = [root(setting, name, image, seed) for name, image in tidying.items()]
        search.explore(roots, depth.tidying_cuts)
    explore_decay(search, fresh)
    if setting.kind == "esp32":  # what becomes of datagrams has nothing to do with the flash
        explore_fates(search, fresh, depth.bounds)
    return search.tally


def explore_all(
    depth: Depth = DEFAULT, seed: str = SEED, say: Callable[[str], None] = print
) -> dict[Setting, Tally]:
    """Explore every setting. Raises Broken."""
    say(f"seed {seed}; {bounds(depth)}")
    tallies = {}
    for setting in settings():
        tally = tallies[setting] = explore(setting, depth, seed)
        say(f"{setting}: {tally.schedules:,} schedules, {tally.states:,} states")
    return tallies


def explore_people(setting: People, reach: Reach = REACH, seed: str = SEED) -> dict[str, Counter]:
    """Live through all stories in one setting; the schedules of each kind by their ends.

    Raises Lost.
    """
    walk = Walk(setting, seed, reach)
    tallies: dict[str, Counter] = {kind: Counter() for kind in KINDS_OF_STORIES}
    for story in stories(setting):
        tallies[story.kind] += walk.tell(story)
        if reach.pairs:
            tallies[story.kind] += walk.tell_pairs(story)
    return tallies


def bounds(depth: Depth) -> str:
    """How far the exploration goes, in words."""
    return (
        f"up to {depth.cuts} cuts, {depth.taken_cuts} where the name was taken, "
        f"{depth.tidying_cuts} where littlefs compacts or relocates (replies: "
        f"{', '.join(depth.tidying_replies)}); off for {', '.join(OFF_FOR)}; back with "
        f"{' or '.join(BACK_WITH.values())}; {depth.bounds}; "
        f"ages within {AGE_CLASS // 1000} s are taken for the same"
    )


_COLUMNS = {
    PROVISIONED: "provisioned by itself",
    EXPIRED: "off too long",
    MOVED: "another address",
    ACKNOWLEDGED: "reply acknowledged",
    TAKEN: "name taken before",
}


def table(tallies: dict[Setting, Tally]) -> str:
    """Schedules by how they ended, in Markdown: a row for each strategy and `access_token`."""
    rows = {}
    for setting, tally in tallies.items():
        rows.setdefault((setting.strategy, setting.access_token), Tally()).add(tally)
    total = Tally()
    for tally in rows.values():
        total.add(tally)
    head = ["strategy", "`access_token`", "schedules", "states", *_COLUMNS.values()]
    lines = [head, ["---", "---"] + ["--:"] * (len(head) - 2)]
    for (strategy, access_token), tally in rows.items():
        lines.append([strategy, access_token, *_numbers(tally)])
    lines.append(["all", "", *_numbers(total)])
    return markdown(lines)


_PEOPLE_COLUMNS = {
    life.PROVISIONED: "provisioned by itself",
    life.EXPIRED: "off too long",
    life.EDITED: "asked otherwise in between",
    life.OPERATOR: "changed in ThingsBoard",
    life.ANOTHERS: "name taken before",
}


def table_of_people(tallies: dict[People, dict[str, Counter]]) -> str:
    """Schedules by how they ended, in Markdown: a row for each kind of what people do."""
    rows = {kind: Counter() for kind in KINDS_OF_STORIES}
    for kinds in tallies.values():
        for kind, ends in kinds.items():
            rows[kind] += ends
    rows["all"] = sum(rows.values(), Counter())
    head = ["what people do", "schedules", *_PEOPLE_COLUMNS.values()]
    lines = [head, ["---"] + ["--:"] * (len(head) - 1)]
    for kind, ends in rows.items():
        numbers = [sum(ends.values()), *(ends[end] for end in _PEOPLE_COLUMNS)]
        lines.append([kind, *(f"{number:,}" for number in numbers)])
    return markdown(lines)


def markdown(lines: list[list[str]]) -> str:
    """The rows of a table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_readme(readme: str, tallies: dict, people: dict) -> str:
    """The README with both tables between its marks. Raises ValueError when it has no marks."""
    return between(readme, MARKS, f"{table(tallies)}\n\n{table_of_people(people)}")


def between(readme: str, marks: tuple[str, str], text: str) -> str:
    """The README with a text between two marks. Raises ValueError when it has none."""
    begin, end = marks
    before, found, rest = readme.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"the README needs the marks {begin} and {end} for the explorer's table")
    return f"{before}{begin}\n{text}\n{end}{after}"


def _numbers(tally: Tally) -> list[str]:
    return [f"{n:,}" for n in (tally.schedules, tally.states, *(tally.ends[e] for e in _COLUMNS))]
