"""What people do, with every cut and every lost datagram before and after it, as a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from host_tests.explorer.life import STUCK, Fault, Outcome, live
from host_tests.explorer.people import NOTHING, STORIES, Act, Story
from host_tests.explorer.run import Violation
from host_tests.explorer.scene import Step
from host_tests.explorer.town import People, Town

# How long a board is off after a cut, in ms, and whether it comes back with its address.
CUTS = {"5s": (5_000, 0), "5min": (300_000, 0), "other": (5_000, 1)}
MUTE, DEAF = "to the board", "to the server"


class Lost(Exception):
    """A broken invariant: what, in which setting, and after what."""

    def __init__(self, violation: Violation, town: Town, story: Story):
        steps = "\n".join(f"  {step.text}" for step in town.schedule)
        console = "\n".join(f"  {line}" for line in violation.lines)
        codes = " ".join(step.code for step in town.schedule)
        super().__init__(
            f"{violation}\nsetting {town.setting}, seed {town.seed}; what happened:\n{steps}\n"
            f"the console of the last power-up:\n{console}\n"
            f"Again: python -m host_tests.explorer --seed {town.seed} --people {town.setting} "
            f'--story "{story.name}" --repeat {codes}'
        )


class Reach(NamedTuple):
    """How far: `faults` in a story, cuts or lost datagrams, these among the first `lost` of each
    power-up; with `pairs`, also each story after each other one, with a fault less."""

    faults: int
    lost: int
    pairs: bool = False

    def __str__(self) -> str:
        pairs = ", and in pairs" if self.pairs else ""
        return (
            f"each thing that people do alone{pairs}, with up to {self.faults} cuts or faults of "
            f"the first {self.lost} datagrams of each power-up"
        )


class Walk:
    """Lives through stories in one setting. Its methods raise Lost."""

    def __init__(self, setting: People, seed: str, reach: Reach):
        self.setting = setting
        self.seed = seed
        self.reach = reach
        self.lives = 0
        self._outcomes: dict[tuple, Outcome] = {}
        self._cuts: dict[int, list[tuple[Town, int]]] = {}
        self._ends: dict[tuple, Counter] = {}

    def tell(self, story: Story) -> Counter:
        """Live through a story with all that can go wrong; return the schedules by their ends."""
        return self._tell(story, self.reach.faults)

    def tell_pairs(self, story: Story) -> Counter:
        """Live through a story after each other one, with a fault less; see `tell`."""
        ends = Counter()
        for other in stories(self.setting):
            if other.acts and story.acts and other.name != story.name:
                both = Story(f"{other.name} + {story.name}", story.kind, other.acts + story.acts)
                ends += self._tell(both, self.reach.faults - 1)
        return ends

    def _tell(self, story: Story, faults: int) -> Counter:
        self.story = story
        town = Town(self.setting, self.seed)
        acts = (NOTHING, *story.acts) if story.acts else ()
        return self._go_on(town, acts, faults)

    def _go_on(self, town: Town, acts: tuple[Act, ...], faults: int) -> Counter:
        """`acts` are still to come; `faults` may still happen."""
        if acts:
            town = town.copy()
            acts[0].do(town)
            town.stepped(Step("do", acts[0].text))
            acts = acts[1:]
        town_key = town.key()
        key = town_key, tuple(act.text for act in acts), faults
        if key in self._ends:
            return self._ends[key]
        ends = Counter()
        outcome = self._live(town, town_key, acts, None, faults > 0)
        ends += self._after(outcome, acts, faults)
        if outcome.end == STUCK:
            ends += self._stay_on(town, acts, None)
        if faults:
            for following, times in self._after_cuts(outcome):
                for end, count in self._go_on(following, acts, faults - 1).items():
                    ends[end] += times * count
            for fault in self._faults(outcome):
                spoilt = self._live(town, town_key, acts, fault, False)
                ends += self._after(spoilt, acts, faults - 1)
                if spoilt.end == STUCK:
                    ends += self._stay_on(town, acts, fault)
        self._ends[key] = ends
        return ends

    def _after(self, outcome: Outcome, acts: tuple[Act, ...], faults: int) -> Counter:
        return self._go_on(outcome.town, acts, faults) if acts else Counter([outcome.end])

    def _live(self, town: Town, town_key, acts, fault: Fault | None, watch: bool) -> Outcome:
        key = town_key, not acts, fault, watch
        if key not in self._outcomes:
            self._outcomes[key] = self.run(town, acts, fault, watch)
        return self._outcomes[key]

    def _stay_on(self, town: Town, acts, fault: Fault | None) -> Counter:
        """People go on while the board waits, if what they do can be done then."""
        if any(act.needs_power_off for act in acts):
            return Counter()
        return Counter([self.run(town, acts, fault, False, stays_on=True).end])

    def run(self, town: Town, acts, fault, watch: bool, stays_on: bool = False) -> Outcome:
        """Power up the board once; see host_tests.explorer.life."""
        self.lives += 1
        town = town.copy()
        if fault:
            town.stepped(Step(f"fault:{fault.code}", _text(fault)))
        if stays_on:
            town.stepped(Step("on", "people act while the board is on"))
        try:
            return live(town, acts, fault, watch, stays_on)
        except Violation as violation:
            raise Lost(violation, town, self.story) from violation

    def _faults(self, outcome: Outcome) -> Iterable[Fault]:
        if outcome.datagrams:
            yield Fault(mutes=MUTE)
            yield Fault(mutes=DEAF)
        for number in range(min(outcome.datagrams, self.reach.lost)):
            yield Fault(number=number, fate="lost")
            if number in outcome.sent and self.setting.transport == "coap":
                yield Fault(number=number, fate="rebound")

    def _after_cuts(self, outcome: Outcome) -> list[tuple[Town, int]]:
        """The towns after a cut at each moment, those that are the same as one."""
        if id(outcome) not in self._cuts:
            found: dict[tuple, list] = {}
            # Over coaps a new session is a new client, whatever its address.
            cuts = [code for code in CUTS if code != "other" or self.setting.transport == "coap"]
            for index in range(len(outcome.moments)):
                for code in cuts:
                    town = after_cut(outcome, index, code)
                    if broken := town.check():
                        raise Lost(Violation(broken, outcome.lines), town, self.story)
                    found.setdefault(town.key(), [town, 0])[1] += 1
            self._cuts[id(outcome)] = [(town, times) for town, times in found.values()]
        return self._cuts[id(outcome)]


def after_cut(outcome: Outcome, index: int, code: str) -> Town:
    """The town after a cut at a moment, with the power back."""
    off, is_other = CUTS[code]
    moment = outcome.moments[index]
    town = outcome.town.copy()
    town.network = moment.network.copy()
    town.network.advance(off)
    town.flashes[town.turn] = moment.files.copy()
    town.places[town.turn] ^= is_other
    back = "another address" if is_other else "the same address"
    text = f"cut {moment.label}; off for {off // 1000} s; back with {back}"
    return town.stepped(Step(f"cut:{index}:{code}", text))


def find_story(name: str) -> Story:
    """The story of this name, or of two, as `Lost` says it. Raises ValueError."""
    found = [story for part in name.split(" + ") for story in STORIES if story.name == part]
    if not found:
        raise ValueError(f"no story {name!r}; there are: {', '.join(s.name for s in STORIES)}")
    acts = tuple(act for story in found for act in story.acts)
    return Story(name, found[-1].kind, acts)


def repeat(setting: People, seed: str, story: Story, codes: Iterable[str]) -> list[str]:
    """Live through a story once more, as `Lost` says; return the console of its last power-up."""
    walk = Walk(setting, seed, Reach(1, 0))
    walk.story = story
    town = Town(setting, seed)
    acts = (NOTHING, *story.acts) if story.acts else ()
    fault, stays_on, is_due = None, False, False
    for code in codes:
        kind, _, what = code.partition(":")
        if kind == "do":
            if is_due:
                town = walk.run(town, acts, fault, False).town
            acts[0].do(town.stepped(Step("do", acts[0].text)))
            acts, fault, is_due = acts[1:], None, True
        elif kind == "cut":
            index, _, off = what.partition(":")
            town = after_cut(walk.run(town, acts, None, True), int(index), off)
            if broken := town.check():
                raise Lost(Violation(broken), town, story)
            is_due = False
        elif kind == "fault":
            fault = Fault.of(what)
        elif kind == "on":
            stays_on = True
        else:
            raise ValueError(f"no step {code!r}")
    return walk.run(town, acts, fault, False, stays_on).lines


def stories(setting: People) -> list[Story]:
    return [story for story in STORIES if story.fits(setting)]


def _text(fault: Fault) -> str:
    if fault.mutes:
        return f"until the first wait all datagrams {fault.mutes} are lost"
    if fault.fate == "rebound":
        return f"from datagram {fault.number} on NAT shows another port"
    return f"datagram {fault.number} is lost"
