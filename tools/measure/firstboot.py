"""Measure the firmware: every figure, or those that a budget can hold."""

from __future__ import annotations

from collections.abc import Callable

from tools.measure import figures, growth, process
from tools.measure.bench import Bench, has_valgrind
from tools.measure.responder import Responder

_IN_BLOCKS = 2048  # bytes; a certificate with its chain


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
    for form in ("mpy", "py"):
        step(f"first power-up from .{form}")
        ups = figures.PowerUps(bench, responder, form)
        found[f"heap_power_up_{form}"] = ups.heap()
        if form == "mpy":
            step("a Device")
            found.update(ups.device())
            step("an update over the air")
            found.update(ups.update())
            step("onboarding")
            found.update(ups.onboarding())
        if not tested_only:
            found[f"start_{form}_ms"] = ups.start_ms()
    first = ups.first()
    found["datagrams"] = first["datagrams"]
    found["flash_saves"] = len(first["saves"])
    found["flash_programs"] = first["programs"]
    found["flash_programs_least"] = ups.least_programs(first["saves"])
    if not tested_only:
        found.update(_further(bench, responder, step))
        for key, power_up in (("", "power_up_mpy"), ("_refusal", "refusal")):
            heap = found[f"heap_{power_up}"]
            found[f"device_beyond{key}"] = found["device_heap_all"] - heap
    if has_valgrind():
        step("instructions")
        found.update(figures.codec(bench, "codec_firstboot"))
    return found


def frozen(bench: Bench, responder: Responder, step: Callable) -> dict[str, float]:
    """The figures of a MicroPython with the firmware in it."""
    step("frozen")
    ups = figures.PowerUps(bench, responder, "frozen", "rp2")
    return {
        "frozen_exchange": figures.heap_of_exchange(bench, responder, "firstboot"),
        "frozen_pico_w": ups.heap(),
        "frozen_refusal": ups.refusal(),
        "frozen_mistake": ups.mistake(),
        **ups.update_frozen(),
    }


def _further(bench: Bench, responder: Responder, step: Callable) -> dict[str, float]:
    """What takes too long for a test."""
    step("blocks")
    found = {"heap_blocks": growth.heap_of(bench, "block1", _IN_BLOCKS)}
    step("first power-up on a Pico W's flash")
    ups = figures.PowerUps(bench, responder, "mpy", "rp2")
    found["heap_pico_w"] = ups.heap()
    step("a refusal")
    found["heap_refusal"] = ups.refusal()
    step("a mistake")
    found["heap_mistake"] = ups.mistake()
    if bench.has_romfs:
        step("in ROMFS")
        found["romfs_exchange"] = figures.heap_of_exchange_in_romfs(bench, responder)
        in_romfs = figures.PowerUps(bench, responder, "romfs", "rp2")
        found["romfs_pico_w"] = in_romfs.heap()
        found["romfs_refusal"] = in_romfs.refusal()
        found["romfs_mistake"] = in_romfs.mistake()
    if process.HAS_TIMES:
        step("the verb provision")
        found["provision_cpu"] = process.provision(responder)
    found["mpy_power_up"] = figures.mpy_of(bench, ups.loaded())
    step("a Device with asyncio")
    found["device_aio"] = ups.asyncio_heap()
    return found
