"""Runs one schedule again, from the command line that a failure prints."""

from __future__ import annotations

from collections.abc import Iterable

from host_tests.explorer.images import images
from host_tests.explorer.scene import Setting, State
from host_tests.explorer.search import (
    OFF_FOR,
    Search,
    after_cut,
    decay_step,
    fates_step,
    root,
)


def repeat(setting: Setting, seed: str, codes: Iterable[str]) -> list[str]:
    """Run the schedule; return the console of its last power-up. Raises Broken, ValueError."""
    first, *rest = codes
    name, _, taken = first.partition("+")
    found = {key.replace(" ", "-"): key for key in images(setting)}
    if name not in found:
        raise ValueError(f"no image {name}; there are: {', '.join(found)}")
    state = root(setting, found[name], images(setting)[found[name]], seed, bool(taken))
    search = Search(setting, seed)
    fates, decays = {}, None
    for code in rest:
        kind, *what = code.split(":")
        if kind == "fates":
            fates = {int(n): fate for n, fate in (part.split("=") for part in what)}
            state = _then(state, fates_step(fates))
        elif kind == "decay":
            decays = int(what[0])
            state = _then(state, decay_step(decays))
        elif kind == "cut":
            moments = search.run(state, fates).moments
            off = next(text for text in OFF_FOR if text.replace(" ", "") == what[1])
            state = after_cut(state, moments[int(what[0])], int(what[0]), off, what[2])
            fates = {}
        else:
            raise ValueError(f"no step {code!r}")
    outcome = search.run(state, fates, decays=decays)
    if decays:
        state = state._replace(image=outcome.image, network=outcome.network)
        outcome = search.run(state)
    return outcome.lines


def _then(state: State, step) -> State:
    return state._replace(schedule=(*state.schedule, step))
