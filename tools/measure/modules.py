"""What the firmware is made of: each module's .mpy bytes and the heap that it keeps."""

from __future__ import annotations

import ast
from pathlib import Path

from rich.table import Table

from tools.measure.bench import Bench, firmware_files


def measure(bench: Bench) -> dict[str, dict[str, int]]:
    """The bytes and heap of each module by its name, what is imported before what imports it.

    Interned names count for the module that comes first with them.
    """
    files = {
        ".".join(file.with_suffix("").parts): file
        for file in firmware_files(bench.source)
        if file.parts[0] == "firmware"
    }
    names: list[str] = []
    for name in files:
        _add(name, files, bench.source, names)
    heap = bench.run("modules", *names)["heap"]
    return {
        name: {
            "mpy": (bench.compiled / files[name]).with_suffix(".mpy").stat().st_size,
            "heap": kept,
        }
        for name, kept in zip(names, heap)
    }


def table(modules: dict[str, dict[str, int]]) -> Table:
    """A row a module, and their sum."""
    result = Table(title="modules", title_justify="left", header_style="bold", show_footer=True)
    sums = {key: sum(module[key] for module in modules.values()) for key in ("mpy", "heap")}
    result.add_column("", "together", no_wrap=True)
    result.add_column(".mpy, bytes", f"{sums['mpy']:,}", justify="right")
    result.add_column("heap once imported, bytes", f"{sums['heap']:,}", justify="right")
    for name, module in modules.items():
        result.add_row(name, f"{module['mpy']:,}", f"{module['heap']:,}")
    return result


def _add(name: str, files: dict[str, Path], source: Path, names: list[str]) -> None:
    """Add a module to `names`, after those that it imports as it is imported itself."""
    if name in names:
        return
    for node in ast.parse((source / files[name]).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            imported = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
            for each in imported:
                if each in files:
                    _add(each, files, source, names)
    if name not in names:
        names.append(name)
