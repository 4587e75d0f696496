"""python -m host_tests.explorer: explore, print the table, or repeat one schedule."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from host_tests.explorer import report
from host_tests.explorer.repeat import repeat
from host_tests.explorer.scene import Setting
from host_tests.explorer.search import Broken


def main() -> int:
    """Exit 0 when nothing is lost, 1 when an invariant is broken."""
    parser = argparse.ArgumentParser(prog="python -m host_tests.explorer", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="go further; takes many minutes")
    parser.add_argument("--seed", default=report.SEED)
    parser.add_argument("--readme", type=Path, help="put the table between this file's marks")
    parser.add_argument("--setting", help="as a failure prints it: repeat it")
    parser.add_argument("--repeat", nargs="+", metavar="STEP", help="the schedule to repeat")
    options = parser.parse_args()
    try:
        if options.repeat:
            setting = Setting(*options.setting.split("/"))
            print("\n".join(repeat(setting, options.seed, options.repeat)))
            return 0
        depth = report.DEEP if options.deep else report.DEFAULT
        tallies = report.explore_all(depth, options.seed)
    except Broken as broken:
        print(broken, file=sys.stderr)
        return 1
    print(report.table(tallies))
    if options.readme:
        options.readme.write_text(
            report.in_readme(options.readme.read_text("utf-8"), tallies), "utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
