"""What the figures that miss their goals are made of, measured part by part."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

from rich.table import Table

from tools.measure import modules
from tools.measure.bench import ARCHITECTURES, Bench, compile_to, has_valgrind
from tools.measure.budgets import shown
from tools.measure.figures import FIGURES, PROGRAM_SIZES, Figure, PowerUps
from tools.measure.responder import Responder

Parts = dict[str, float]

_HEADER_BYTES = 4
_TEXT, _BYTES, _TUPLE = 5, 6, 10
_WITH_NO_VALUE = range(5)
_START = "MicroPython before anything is loaded"
_FREE = "the rest: a datagram, and free pieces that are too small"
_WHOLE = "not taken apart"
_BESIDE = (
    ("heap_refusal", "heap_pico_w", "a power-up that succeeds", "the probe, and what is said"),
    ("frozen_refusal", "frozen_pico_w", "a power-up that succeeds", "the probe, and what is said"),
    ("frozen_pico_w", "frozen_exchange", "one exchange", "all else of a power-up"),
)
_COMPILED = "from .mpy"
_COMPILING = "compiling"


def measure(
    bench: Bench,
    responder: Responder,
    ours: dict[str, float],
    figures: tuple[Figure, ...] = FIGURES,
) -> dict[str, Parts]:
    """The parts of each of the firmware's figures over its goal, by key; they add up to it."""
    missed = [each.key for each in figures if each.goal and ours.get(each.key, 0) > each.goal]
    found: dict[str, Parts] = {}
    if "heap_exchange" in missed:
        found["heap_exchange"] = _live(bench, "live_exchange", responder.port)
    for key, kind in (("heap_power_up_mpy", "esp32"), ("heap_pico_w", "rp2")):
        if key in missed:
            new_flash = PowerUps(bench, responder, "mpy", kind).new_flash()
            found[key] = _live(bench, "live_power_up", new_flash, PROGRAM_SIZES[kind])
    for key, parts in found.items():
        parts[_FREE] = ours[key] - sum(parts.values())
    for key in ("heap_power_up_py", "start_py_ms"):
        if key in missed:
            compiled = ours[key.replace("py", "mpy")]
            found[key] = {_COMPILED: compiled, _COMPILING: ours[key] - compiled}
    if "time_ratio" in missed and has_valgrind():
        found["time_ratio"] = _of_time(bench, ours["time_ratio"])
    if "garbage" in missed:
        bare = bench.run("garbage", "bare", responder.port)["bytes"]
        found["garbage"] = {
            "the bare script's, a datagram above all": bare,
            "the request's steps, which asyncio can drive too; its message, its response": ours[
                "garbage"
            ]
            - bare,
        }
    if "mpy_coap" in missed:
        loaded = modules.loaded_with("firmware.coap.connect", bench.source)
        found["mpy_coap"] = _of_mpy(bench.source, loaded)
    if "mpy_power_up" in missed:
        loaded = PowerUps(bench, responder, "mpy").loaded()
        found["mpy_power_up"] = _of_mpy(bench.source, loaded)
    for key in missed:
        found.setdefault(key, _beside(key, ours))
    return found


def table(measured: dict[str, Parts]) -> Table:
    """A row a part, under the figure that it is part of."""
    result = Table(
        title="what the figures over their goals are made of",
        title_justify="left",
        show_header=False,
    )
    result.add_column("")
    result.add_column("", justify="right", no_wrap=True)
    for figure in FIGURES:
        for number, (part, value) in enumerate(measured.get(figure.key, {}).items()):
            if not number:
                result.add_section()
                result.add_row(figure.label, "", style="bold")
            result.add_row(f"  {part}", shown(value, figure))
    return result


def _beside(key: str, ours: dict[str, float]) -> Parts:
    """A figure as what another has, and what it has more; alone when there is no other."""
    for longer, shorter, both, more in _BESIDE:
        if key == longer and 0 < ours.get(shorter, 0) < ours[longer]:
            return {both: ours[shorter], more: ours[longer] - ours[shorter]}
    if key == "update_heap":
        datagram = ours["update_datagram"]
        rest = "the file that is open, the package, the steps of its requests"
        return {"the datagram of a block": datagram, rest: ours[key] - datagram}
    if key == "device_beyond" and ours["device_heap_all"] > ours["device_heap"]:
        more = ours["device_heap_all"] - ours["device_heap"]
        parts = {"attributes and calls": more, "a Device that only reports": ours[key] - more}
        if min(parts.values()) > 0:
            return parts
    return {_WHOLE: ours[key]}


def _of_time(bench: Bench, ratio: float) -> Parts:
    """The bare script's time, and what comes on top in the proportion of its instructions."""
    functions = ("encode_request", "decode_response", "exchange", "answer", "poll")
    encode, decode, exchange, answer, poll = bench.instructions("parts", functions)
    parts = {
        "encode, by its instructions": encode,
        "decode, by its instructions": decode,
        "the client and the exchange, by theirs": exchange - answer - encode - decode,
        "poll, by its instructions": poll,
    }
    each = (ratio - 1) / sum(parts.values())
    return {"the bare script": 1, **{part: each * count for part, count in parts.items()}}


def _live(bench: Bench, script: str, *arguments: object) -> Parts:
    """What is on the heap when the response is waited for."""
    lines = bench.output(script, *arguments)
    found = json.loads(lines[-1])
    before, after = modules.names_in(lines)
    names = after - before
    loaded = sum(modules.heap_of(bench, found["loaded"]))
    parts = {_START: found["start"]} if "start" in found else {}
    return {
        **parts,
        "modules": loaded,
        "names, which are never given back": names,
        "objects": found["live"] - names - loaded,
    }


def _of_mpy(source: Path, files: list[Path]) -> Parts:
    """The parts of the .mpy files of these, for the architecture that needs more."""
    largest: Parts = {}
    for architecture in ARCHITECTURES:
        parts: Counter[str] = Counter()
        with tempfile.TemporaryDirectory(prefix="firstboot-measure-") as folder:
            whole, without_lines = Path(folder, "whole"), Path(folder, "without")
            compile_to(source, files, whole, f"-march={architecture}")
            compile_to(source, files, without_lines, f"-march={architecture}", "-O3")
            for path in whole.rglob("*.mpy"):
                content = path.read_bytes()
                names, texts = tables_of(content)
                smaller = (without_lines / path.relative_to(whole)).stat().st_size
                parts["names"] += names
                parts["texts"] += texts
                parts["line numbers"] += len(content) - smaller
                parts["bytecode"] += smaller - names - texts
        if sum(parts.values()) > sum(largest.values()):
            largest = dict(parts)
    return largest


def tables_of(mpy: bytes) -> tuple[int, int]:
    """The bytes of names and of texts in an .mpy file (MicroPython's py/persistentcode.c)."""
    position = _HEADER_BYTES
    counts = []
    for _ in range(2):
        count, position = _number(mpy, position)
        counts.append(count)
    begin = position
    for _ in range(counts[0]):
        length, position = _number(mpy, position)
        if not length & 1:  # else it is a name that MicroPython knows, by its number
            position += (length >> 1) + 1
    names_end = position
    for _ in range(counts[1]):
        position = _after_object(mpy, position)
    return names_end - begin, position - names_end


def _after_object(mpy: bytes, position: int) -> int:
    kind = mpy[position]
    position += 1
    if kind in _WITH_NO_VALUE:
        return position
    length, position = _number(mpy, position)
    if kind == _TUPLE:
        for _ in range(length):
            position = _after_object(mpy, position)
        return position
    return position + length + (kind in (_TEXT, _BYTES))


def _number(mpy: bytes, position: int) -> tuple[int, int]:
    value = 0
    while True:
        byte = mpy[position]
        position += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, position
