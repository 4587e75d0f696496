"""How heap and time grow with what is asked of the firmware."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from tools.measure.bench import Bench, least_heap
from tools.measure.figures import HIGHEST_HEAP, NO_HEAP

SIZES = (64, 256, 512, 1024, 2048, 4096)
EXCHANGES = (1, 10, 100, 1000)
KINDS = {
    "block2": ("a response body in blocks of 512, bytes", SIZES),
    "config": ("config.json with a certificate, bytes of it", SIZES),
    "exchanges": ("exchanges in a row", EXCHANGES),
}
COLUMNS = {
    "heap": "smallest heap, bytes",
    "allocated": "allocated each time, bytes",
    "us": "median time, µs",
    "level": "more at the end, bytes",
}


def measure(bench: Bench, step: Callable = lambda what: None) -> dict[str, dict[int, dict]]:
    """For each kind and size: the heap that it takes, what it allocates, its time, what stays."""
    found: dict[str, dict[int, dict]] = {}
    for kind, (_, sizes) in KINDS.items():
        found[kind] = {}
        for size in sizes:
            step(f"growth: {KINDS[kind][0]}, {size:,}")
            found[kind][size] = {
                "heap": heap_of(bench, kind, size),
                **bench.run("grow", kind, size),
            }
    return found


def heap_of(bench: Bench, kind: str, size: int) -> int:
    """The smallest heap for one of grow.py's kinds of work."""

    def works(heap: int) -> bool:
        arguments = ("grow", kind, size, "only")
        return bench.succeeds(*arguments, heap=heap, done="done", failed=NO_HEAP)

    return least_heap(works, HIGHEST_HEAP)


def table(grown: dict[str, dict[int, dict]]) -> Table:
    """A row for each kind and size."""
    result = Table(title="growth", title_justify="left", header_style="bold")
    result.add_column("")
    result.add_column("size", justify="right", no_wrap=True)
    for column in COLUMNS.values():
        result.add_column(column, justify="right")
    for kind, found in grown.items():
        for size, figures in found.items():
            label = KINDS[kind][0] if size == next(iter(found)) else ""
            cells = [f"{figures[column]:,}" for column in COLUMNS]
            result.add_row(label, f"{size:,}", *cells)
    return result
