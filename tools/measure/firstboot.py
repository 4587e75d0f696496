"""Measure the firmware: every figure, or those that a budget can hold."""

from __future__ import annotations

from collections.abc import Callable

from tools.measure import figures
from tools.measure.bench import Bench, has_valgrind
from tools.measure.responder import Responder


def measure(
    bench: Bench,
    responder: Responder,
    tested_only: bool = False,
    step: Callable = lambda what: None,
) -> dict[str, float]:
    """The figures by their keys; those that need valgrind are missing when there is none."""
    found: dict[str, float] = {}
    step("sizes")
    found.update(figures.sizes(bench))
    step("one exchange")
    one = figures.exchange(bench, responder, "firstboot")
    found.update(one)
    step("a late reply")
    found["garbage_wait"] = bench.run("waiting")["bytes"]
    for compiled, name in ((True, "mpy"), (False, "py")):
        step(f"first power-up from .{name}")
        ups = figures.PowerUps(bench, responder, compiled)
        found[f"heap_power_up_{name}"] = ups.heap()
        if compiled:
            step("a Device")
            found.update(ups.device())
            step("an update over the air")
            found.update(ups.update())
            step("onboarding")
            found.update(ups.onboarding())
        if not tested_only:
            found[f"start_{name}_ms"] = ups.start_ms()
    first = ups.first()
    found["datagrams"] = first["datagrams"]
    found["flash_saves"] = len(first["saves"])
    found["flash_programs"] = first["programs"]
    found["flash_programs_least"] = ups.least_programs(first["saves"])
    if has_valgrind():
        step("instructions")
        found.update(figures.codec(bench, "codec_firstboot"))
    return found
