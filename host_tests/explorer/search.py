"""Every schedule of cuts up to a number, as a graph: states that are the same are run once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from host_tests.explorer.network import Network
from host_tests.explorer.run import Moment, Outcome, Violation, run
from host_tests.explorer.scene import (
    ANOTHER_BOARD,
    KEY,
    NAME,
    SECRET,
    Setting,
    State,
    Step,
    key_of,
)
from host_tests.explorer.server import Server

OFF_FOR = {"5 s": 5_000, "2 min": 120_000, "5 min": 300_000}
BACK_WITH = {"same": "the same address", "other": "another address"}


@dataclass
class Tally:
    """What was run. `states` are those that differ; `ends`: schedules by how they ended."""

    schedules: int = 0
    states: int = 0
    ends: Counter = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.schedules += other.schedules
        self.states += other.states
        self.ends.update(other.ends)

    def count(self, end: str, schedules: int = 1) -> None:
        self.schedules += schedules
        self.ends[end] += schedules


class Broken(Exception):
    """A broken invariant: what, in which setting, from which seed, after which schedule."""

    def __init__(self, violation: Violation, setting: Setting, seed: str, schedule):
        self.violation = violation
        self.schedule = schedule
        codes = " ".join(step.code for step in schedule)
        steps = "\n".join(f"  {step.text}" for step in schedule)
        console = "\n".join(f"  {line}" for line in violation.lines)
        super().__init__(
            f"{violation}\nsetting {setting}, seed {seed}; the schedule:\n{steps}\n"
            f"the console of the last power-up:\n{console}\n"
            f"Again: python -m host_tests.explorer --seed {seed} --setting {setting} "
            f"--repeat {codes}"
        )


def root(setting: Setting, name: str, image, seed: str, taken: bool = False) -> State:
    """A board that was never powered up, and a ThingsBoard that waits for it.

    `name`: of the image. With `taken`, another board has provisioned the deviceName already.
    """
    server = Server(KEY, SECRET, setting.strategy, setting.reply, seed)
    if setting.strategy == "preprovisioned" or taken:
        server.thingsboard.add_device(NAME)
    if taken:
        server.thingsboard.set_attributes(NAME, "server", {"provisionState": ANOTHER_BOARD})
    code = name.replace(" ", "-") + ("+taken" if taken else "")
    step = Step(code, f"from the image: {name}" + (", the name is taken" if taken else ""))
    return State(image, Network(server), 0, (step,))


class Search:
    """Runs schedules in one setting and counts them in `tally`. Its methods raise Broken."""

    def __init__(self, setting: Setting, seed: str):
        self.setting = setting
        self.seed = seed
        self.tally = Tally()
        self._known: dict[tuple, tuple[str, dict | None]] = {}

    def explore(self, roots: Iterable[State], cuts: int, every_image: int = 1) -> None:
        """Run all schedules of at most `cuts` power cuts from the roots.

        After up to `every_image` cuts, two images that hold the same files count as two states.
        """
        level: dict[tuple, list] = {}
        for state in roots:
            key = state.address, key_of(state.image, state.network, self.setting)
            _count(level, (state.image, key), state, 1)
        for cut in range(cuts + 1):
            level = self._run_level(level, cut == cuts, cut < every_image)

    def run(
        self,
        state: State,
        fates: Mapping[int, str] | None = None,
        watch: bool = True,
        decays: int | None = None,
        on_flash: bool = True,
    ) -> Outcome:
        """Run one power-up; see host_tests.explorer.run."""
        try:
            return run(state, self.setting, self.seed, fates, watch, decays, on_flash)
        except Violation as violation:
            raise Broken(violation, self.setting, self.seed, state.schedule) from violation

    def with_fates(self, state: State, fates: Mapping[int, str], cut: bool) -> Outcome:
        """Run one power-up with fates of datagrams; with `cut`, also every cut of it.

        Without, it has nothing to do with the flash.
        """
        state = state._replace(schedule=(*state.schedule, fates_step(fates)))
        outcome = self.run(state, fates, watch=cut, on_flash=cut)
        self.tally.count(outcome.end)
        if cut:
            self._run_level(self._successors(state, outcome, False), True, False)
        return outcome

    def with_decay(self, state: State, operation: int) -> None:
        """Run one power-up of which a flash operation decays, and the next power-up."""
        state = state._replace(schedule=(*state.schedule, decay_step(operation)))
        outcome = self.run(state, watch=False, decays=operation)
        self.tally.count(outcome.end)
        self.run(state._replace(image=outcome.image, network=outcome.network), watch=False)

    def _run_level(self, level: Mapping, last: bool, every_image: bool) -> dict:
        following: dict[tuple, list] = {}
        for key, (state, schedules) in level.items():
            end, successors = self._run_once(key, state, last, every_image)
            self.tally.count(end, schedules)
            if not last:
                for successor_key, (successor, times) in successors.items():
                    _count(following, successor_key, successor, schedules * times)
        return following

    def _run_once(self, key: tuple, state: State, last: bool, every_image: bool):
        known = self._known.get(key)
        if known is None or (known[1] is None and not last):
            outcome = self.run(state, watch=not last)
            self.tally.states += known is None
            successors = None if last else self._successors(state, outcome, every_image)
            known = self._known[key] = outcome.end, successors
        return known

    def _successors(self, state: State, outcome: Outcome, every_image: bool) -> dict:
        successors: dict[tuple, list] = {}
        later: dict[tuple, Network] = {}
        worlds: dict[int, tuple] = {}
        for index, moment in enumerate(outcome.moments):
            for off in OFF_FOR:
                network = _after(moment.network, off, later)
                key = key_of(moment.image, network, self.setting, worlds)
                for back in BACK_WITH:
                    full = _address(state, back), key
                    if every_image and off == "5 s" and back == "same":
                        full = moment.image, full
                    # Most are the same as one that is there.
                    if full in successors:
                        successors[full][1] += 1
                    else:
                        following = after_cut(state, moment, index, off, back, later)
                        successors[full] = [following, 1]
        return successors


def after_cut(
    state: State, moment: Moment, index: int, off: str, back: str, later: dict | None = None
) -> State:
    """The state after a cut at a moment, with the power back. `later` keeps what it works out."""
    network = _after(moment.network, off, {} if later is None else later)
    step = Step(
        f"cut:{index}:{off.replace(' ', '')}:{back}",
        f"cut {moment.label}; off for {off}; back with {BACK_WITH[back]}",
    )
    return State(moment.image, network, _address(state, back), (*state.schedule, step))


def _address(state: State, back: str) -> int:
    return state.address ^ (back == "other")


def _after(network: Network, off: str, later: dict[tuple, Network]) -> Network:
    """The network when the power is back."""
    if (id(network), off) not in later:
        after = later[id(network), off] = network.copy()
        after.advance(OFF_FOR[off])
    return later[id(network), off]


def fates_step(fates: Mapping[int, str]) -> Step:
    return Step(
        "fates:" + ":".join(f"{number}={fate}" for number, fate in sorted(fates.items())),
        ", ".join(f"datagram {number} is {fate}" for number, fate in sorted(fates.items())),
    )


def decay_step(operation: int) -> Step:
    return Step(f"decay:{operation}", f"flash operation {operation} decays")


def _count(level: dict[tuple, list], key: tuple, state: State, times: int) -> None:
    level.setdefault(key, [state, 0])[1] += times
