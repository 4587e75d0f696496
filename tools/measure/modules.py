"""What the firmware is made of: each module's .mpy bytes and the heap that it keeps."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from rich.table import Table

from tools.measure.bench import Bench, firmware_files

_NAMES = re.compile(r"n_total_bytes=(\d+)")


def measure(bench: Bench) -> dict[str, dict[str, int]]:
    """The bytes and heap of each module by its name, what is imported before what imports it.

    The heap is that without interned names, which modules share.
    """
    files = _files(bench.source)
    names: list[str] = []
    for name in files:
        _add(name, files, bench.source, names)
    heap = heap_of(bench, names)
    return {
        name: {
            "mpy": (bench.compiled / files[name]).with_suffix(".mpy").stat().st_size,
            "heap": kept,
        }
        for name, kept in zip(names, heap)
    }


def loaded_with(name: str, source: Path) -> list[Path]:
    """The files of a module and of those that it imports as it is imported itself."""
    files = _files(source)
    names: list[str] = []
    _add(name, files, source, names)
    return [files[name] for name in names]


def in_order(names: list[str], source: Path) -> list[str]:
    """These modules and those that they import as they are imported, what is imported first."""
    files = _files(source)
    ordered = [name for name in names if name not in files]  # rooms
    for name in names:
        if name in files:
            _add(name, files, source, ordered)
    return ordered


def heap_by_name(bench: Bench, names: list[str]) -> dict[str, int]:
    """The heap that each of these modules keeps, without what it imports and interned names."""
    ordered = in_order(names, bench.source)
    kept = dict(zip(ordered, heap_of(bench, ordered)))
    return {name: kept[name] for name in names}


def heap_of(bench: Bench, names: list[str]) -> list[int]:
    """The heap that each module keeps without interned names; what they import comes first."""
    lines = bench.output("modules", *names)
    kept = json.loads(lines[-1])["heap"]
    totals = names_in(lines)
    return [each - (after - before) for each, before, after in zip(kept, totals, totals[1:])]


def names_in(lines: list[str]) -> list[int]:
    """The bytes that interned names took, each time that MicroPython was asked."""
    return [int(found[1]) for line in lines if (found := _NAMES.search(line))]


def table(modules: dict[str, dict[str, int]]) -> Table:
    """A row a module, and their sum."""
    result = Table(title="modules", title_justify="left", header_style="bold", show_footer=True)
    sums = {key: sum(module[key] for module in modules.values()) for key in ("mpy", "heap")}
    result.add_column("", "together, which no board loads at once")
    result.add_column(".mpy, bytes", f"{sums['mpy']:,}", justify="right", no_wrap=True)
    result.add_column("heap without names, bytes", f"{sums['heap']:,}", justify="right")
    for name, module in modules.items():
        result.add_row(name, f"{module['mpy']:,}", f"{module['heap']:,}")
    return result


def _files(source: Path) -> dict[str, Path]:
    return {".".join(file.with_suffix("").parts): file for file in firmware_files(source)}


def _add(name: str, files: dict[str, Path], source: Path, names: list[str]) -> None:
    """Add a module to `names`, after those that it imports as it is imported itself."""
    if name in names:
        return
    for node in ast.parse((source / files[name]).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            above = name.split(".")[: -node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            for each in (module, *(f"{module}.{each.name}" for each in node.names)):
                if each in files:
                    _add(each, files, source, names)
    if name not in names:
        names.append(name)
