"""python -m host_tests.explorer: explore, print the table, or repeat one schedule."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from host_tests.explorer import report, update_report, updates
from host_tests.explorer.at_work import report as at_work
from host_tests.explorer.at_work import schedules
from host_tests.explorer.repeat import repeat
from host_tests.explorer.scene import Setting
from host_tests.explorer.search import Broken
from host_tests.explorer.town import People
from host_tests.explorer.walk import Lost, find_story
from host_tests.explorer.walk import repeat as repeat_story
from host_tests.explorer.whole_life import life as whole_life
from host_tests.explorer.whole_life.plan import draw


def main() -> int:
    """Exit 0 when nothing is lost, 1 when an invariant is broken."""
    parser = argparse.ArgumentParser(prog="python -m host_tests.explorer", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="go further; takes many minutes")
    parser.add_argument("--seed", default=report.SEED)
    parser.add_argument("--readme", type=Path, help="put the table between this file's marks")
    parser.add_argument("--at-work", action="store_true", help="explore a device at work instead")
    parser.add_argument("--updates", action="store_true", help="explore updates instead")
    parser.add_argument("--one-in", type=int, metavar="N", help="of updates: one of N schedules")
    parser.add_argument(
        "--processes", type=int, default=2, help="of updates (default: %(default)s)"
    )
    parser.add_argument(
        "--life", type=int, metavar="SEED", help="live a whole life, and print what happened"
    )
    parser.add_argument("--lives", type=int, metavar="N", help="so many, from that seed on")
    parser.add_argument("--setting", help="as a failure prints it: repeat it")
    parser.add_argument("--people", help="as a failure prints it: repeat what people did there")
    parser.add_argument("--story", help="what they did")
    parser.add_argument("--repeat", nargs="*", metavar="STEP", help="the schedule to repeat")
    options = parser.parse_args()
    if options.lives and options.life is None:
        parser.error("--lives needs --life, the first seed")
    try:
        if options.life is not None:
            for seed in range(options.life, options.life + (options.lives or 1)):
                life = whole_life.live(draw(str(seed)))
                print("\n".join([f"seed {seed}: {life}"] if options.lives else life.trace))
            return 0
        if options.people:
            people = People(*options.people.split("/"))
            story = find_story(options.story)
            print("\n".join(repeat_story(people, options.seed, story, options.repeat or ())))
            return 0
        if options.repeat:
            setting = Setting(*options.setting.split("/"))
            print("\n".join(repeat(setting, options.seed, options.repeat)))
            return 0
        if options.updates:
            one_in = update_report.DEEP if options.deep else update_report.DEFAULT
            if options.one_in:
                one_in = dict.fromkeys(one_in, options.one_in)
            for line in update_report.explore_all(one_in, options.processes):
                print(line, flush=True)
            return 0
        if options.at_work:
            reach = schedules.DEEP if options.deep else schedules.Reach()
            lived = at_work.explore_all(reach, options.seed)
            print(at_work.table(lived))
            if options.readme:
                readme = options.readme.read_text("utf-8")
                options.readme.write_text(at_work.in_readme(readme, lived), "utf-8")
            return 0
        depth = report.DEEP if options.deep else report.DEFAULT
        tallies = report.explore_all(depth, options.seed)
        reach = report.FAR_REACH if options.deep else report.REACH
        people = {}
        for setting in report.PEOPLE:
            people[setting] = report.explore_people(setting, reach, options.seed)
            print(
                f"{setting}: {sum(sum(c.values()) for c in people[setting].values()):,} schedules"
            )
    except (Broken, Lost, schedules.Broken, updates.Lost, whole_life.Broken) as broken:
        print(broken, file=sys.stderr)
        return 1
    print(report.table(tallies))
    print(report.table_of_people(people))
    if options.readme:
        options.readme.write_text(
            report.in_readme(options.readme.read_text("utf-8"), tallies, people), "utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
