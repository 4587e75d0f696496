"""The MicroPython side of `micropython_lane`: runs the tests of one module when asked.

Its arguments are the module's name and a folder with the firmware compiled. It reports which tests
it found, then reads the name of a test from each line of standard input and reports what became of
it. A report is a line of JSON after a mark that no test prints.
"""

import gc
import io
import json
import sys

from host_tests.firmware.helpers import Skip

MARK = "\x1e"
# Past so many bytes of garbage, MicroPython looks longer for room than it takes to collect it.
THRESHOLD = 1 << 19


def report(outcome, text="", **more):
    more["outcome"] = outcome
    more["text"] = text
    print(MARK + json.dumps(more))


def traceback_of(error):
    text = io.StringIO()
    sys.print_exception(error, text)
    return text.getvalue()


def run(test):
    gc.collect()
    try:
        test()
    except Skip as reason:
        report("skipped", str(reason))
    except BaseException as error:
        report("failed", traceback_of(error))
    else:
        report("passed")


def main(name):
    try:
        module = __import__(name, None, None, ("*",))
    except BaseException as error:
        report("failed", traceback_of(error))
        return
    report("passed", tests=[test for test in dir(module) if test.startswith("test_")])
    for line in sys.stdin:
        run(getattr(module, line.strip()))


gc.threshold(THRESHOLD)
sys.path.insert(0, sys.argv[2])
main(sys.argv[1])
