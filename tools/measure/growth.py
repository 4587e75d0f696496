"""How heap and time grow with what is asked of the firmware."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from tools.measure.bench import Bench

SIZES = (64, 256, 512, 1024, 2048, 4096)
EXCHANGES = (1, 10, 100, 1000)
KINDS = {
    "block2": ("a response body in blocks of 512, bytes", SIZES),
    "config": ("config.json with a certificate, bytes of it", SIZES),
    "exchanges": ("exchanges in a row", EXCHANGES),
}
COLUMNS = {
    "allocated": "allocated each time, bytes",
    "us": "median time, µs",
    "level": "more at the end, bytes",
}


def measure(bench: Bench, step: Callable = lambda what: None) -> dict[str, dict[int, dict]]:
    """For each kind and size: what was allocated, how long it took, how much more stayed."""
    step("growth")
    return {
        kind: {size: bench.run("grow", kind, size) for size in sizes}
        for kind, (_, sizes) in KINDS.items()
    }


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
