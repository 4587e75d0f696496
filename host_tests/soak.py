"""One board alone for years, in virtual time; its figures.

python3 -m host_tests.soak --days 1000 --seed 1
python3 -m host_tests.soak --days 1000 --seed 1 --micropython
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from tools import shims
from tools.set_up import ROOT
from tools.virtual_board.interpreter import find_micropython

_LIVE = "import json; from host_tests.firmware.soak import live; print(json.dumps(live(%d, %d)))"


def main() -> None:
    """Let a board live and print its figures; an AssertionError says what it ended in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=1000, help="how many it lives (1000)")
    parser.add_argument("--seed", type=int, default=1, help="what chance is drawn from (1)")
    parser.add_argument("--micropython", action="store_true", help="on MicroPython")
    options = parser.parse_args()
    began = time.monotonic()
    if options.micropython:
        figures = _on_micropython(options.seed, options.days)
    else:
        shims.install()
        from host_tests.firmware.soak import live

        figures = live(options.seed, options.days)
    heaps = figures.pop("heaps")
    for name in sorted(figures):
        print(f"{name:18} {figures[name]:>9,}")
    if heaps:
        print(f"{'heap, bytes':18} {heaps[0]:>9,} to {max(heaps):,}, at the end {heaps[-1]:,}")
    print(f"{'seconds':18} {time.monotonic() - began:>9.1f}")


def _on_micropython(seed: int, days: int) -> dict:
    command = find_micropython().command
    if command is None:
        sys.exit(f"no MicroPython: {find_micropython().why}")
    done = subprocess.run(
        [command, "-X", "heapsize=64m", "-c", _LIVE % (seed, days)],
        cwd=ROOT,
        env={**os.environ, "MICROPYPATH": ".frozen"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    *shown, last = done.stdout.splitlines() or [""]
    print("\n".join(shown))
    if done.returncode:
        sys.exit(last)
    return json.loads(last)


if __name__ == "__main__":
    main()
