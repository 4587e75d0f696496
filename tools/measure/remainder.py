"""What the figures that miss their goals are made of, measured part by part."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

from rich.table import Table

from tools.measure import modules, process
from tools.measure.bench import ARCHITECTURES, STEP, Bench, compile_to, has_valgrind
from tools.measure.budgets import shown
from tools.measure.figures import FIGURES, Figure, PowerUps, heap_table, piece_wanted
from tools.measure.peers import LEAST
from tools.measure.responder import Responder

Parts = dict[str, float]

_HEADER_BYTES = 4
_TEXT, _BYTES, _TUPLE = 5, 6, 10
_WITH_NO_VALUE = range(5)
_START = "MicroPython before anything is loaded"
_MODULES = "modules of {}, {}: code, and what they keep"
_FROZEN_MODULES = "modules of {}, {}: what they keep; the code is in flash"
_NAMES = "names, which are never given back"
_OF_EXCHANGE = "objects: the client, its socket and its steps, the request"
_OF_POWER_UP = "objects: config.json, the attempt, the client, the request, an open file"
_HEAP_TABLE = "MicroPython's table of the heap, 3 bits of each block"
_PIECE = "wanted next, in one piece; a datagram is 1,153"
_FREE = "free, in pieces too small for what is wanted next"
_WHOLE = "not taken apart"
_COMPILED = "from .mpy"
_COMPILING = "compiling"
# The power-ups: what is on flash, of which board, and whether ThingsBoard refuses.
_POWER_UPS = {
    "heap_power_up_mpy": ("mpy", "esp32", False),
    "heap_pico_w": ("mpy", "rp2", False),
    "heap_refusal": ("mpy", "rp2", True),
    "frozen_pico_w": ("frozen", "rp2", False),
    "frozen_refusal": ("frozen", "rp2", True),
}


def measure(
    bench: Bench,
    responder: Responder,
    ours: dict[str, float],
    figures: tuple[Figure, ...] = FIGURES,
    frozen: Bench | None = None,
) -> dict[str, Parts]:
    """The parts of each of the firmware's figures over its goal, by key; they add up to it.

    `frozen`: a MicroPython with the firmware in it, where that was measured.
    """
    missed = [each.key for each in figures if each.goal and ours.get(each.key, 0) > each.goal]
    found: dict[str, Parts] = {}
    for key, there in (("heap_exchange", bench), ("frozen_exchange", frozen)):
        if key in missed and there:
            found[key] = _of_exchange(there, responder, ours[key])
    for key, (form, kind, refuses) in _POWER_UPS.items():
        there = frozen if form == "frozen" else bench
        if key in missed and there:
            responder.refuses = refuses
            try:
                found[key] = _of_power_up(there, PowerUps(there, responder, form, kind), ours[key])
            finally:
                responder.refuses = False
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
    if "provision_cpu" in missed:
        found["provision_cpu"] = process.parts(ours["provision_cpu"])
    for key in missed:
        found.setdefault(key, _beside(key, ours))
    return found


def table(
    measured: dict[str, Parts],
    ours: dict[str, float],
    least: dict[str, float],
    figures: tuple[Figure, ...] = FIGURES,
) -> Table:
    """A row a part, under the figure that it is part of, its goal and the smallest client's."""
    result = Table(
        title="what the figures over their goals are made of",
        title_justify="left",
        header_style="bold",
    )
    result.add_column("")
    result.add_column("firstboot", justify="right", no_wrap=True)
    result.add_column("goal", justify="right", style="dim", no_wrap=True)
    result.add_column(LEAST.replace(", ", ",\n"), justify="right", no_wrap=True)
    for figure in figures:
        if figure.key not in measured:
            continue
        values = (ours[figure.key], figure.goal, least.get(figure.key))
        result.add_section()
        result.add_row(figure.label, *(shown(each, figure) for each in values), style="bold")
        for part, value in measured[figure.key].items():
            result.add_row(f"  {part}", shown(value, figure))
    return result


def _beside(key: str, ours: dict[str, float]) -> Parts:
    """A figure as what another has, and what it has more; alone when there is no other."""
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


def _of_exchange(bench: Bench, responder: Responder, heap: float) -> Parts:
    """A heap in which the response is waited for."""
    lines = bench.output("live_exchange", responder.port)
    found = json.loads(lines[-1])
    before, after = modules.names_in(lines)
    loaded = _by_room(bench, found["loaded"])
    parts = {
        _START: found["start"],
        **loaded,
        _NAMES: after - before,
        _OF_EXCHANGE: found["live"] - sum(loaded.values()) - (after - before),
        _HEAP_TABLE: heap_table(heap, bench.bits),
    }
    once = "once", "firstboot", responder.port
    return _with_free(parts, heap, piece_wanted(bench, *once, heap=int(heap) - STEP))


def _of_power_up(bench: Bench, ups: PowerUps, heap: float) -> Parts:
    """A heap at the moment when most is on it."""
    found = ups.fullest(heap)
    loaded = _by_room(bench, found.loaded)
    parts = {
        **loaded,
        _NAMES: found.names + found.name_tables,
        _OF_POWER_UP: found.live - sum(loaded.values()) - found.names,
        _HEAP_TABLE: found.heap_table,
    }
    return _with_free(parts, heap, found.piece)


def _by_room(bench: Bench, names: list[str]) -> Parts:
    """The bytes of heap that these modules keep, by the room that they are in."""
    rooms: dict[str, list[int]] = {}
    for name, kept in modules.heap_by_name(bench, names).items():
        room = "/".join(name.split(".")[:2] if name.count(".") > 1 else ["firmware"])
        rooms.setdefault(room, []).append(kept)
    label = _FROZEN_MODULES if bench.is_frozen else _MODULES
    return {label.format(room, len(rooms[room])): sum(rooms[room]) for room in sorted(rooms)}


def _with_free(parts: Parts, heap: float, piece: int | None) -> Parts:
    """The parts and what they leave of a heap; `piece`: bytes of one that is wanted in it."""
    free = heap - sum(parts.values())
    if piece and piece < free:
        parts[_PIECE] = piece
        free -= piece
    return {**parts, _FREE: free}


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
