"""What a board does at power-up: boot.py, then main.py, in one namespace."""

import os
import sys

import supervisor
from access_point import access_point
from station import station


class _NoApplication:
    """Takes the place of app.py when a power-up is to end once the board is provisioned."""

    @staticmethod
    def run(credentials):
        pass


def what_outlives_it():
    """What the radio does that a soft reset does not end."""
    return {
        "associated": station.associated,
        "joining": station.joining,
        "access_point": access_point.active,
    }


def run(execute, folder="", namespace=None, names=("boot.py", "main.py")):
    """Run the files of `names` with `execute(path, namespace)` and report how it ended.

    An exception in boot.py skips main.py. SystemExit is a soft reset, as on boards.
    """
    files = os.listdir(folder or "/")
    if "app.py" in files and not supervisor.settings["stay"]:
        sys.modules["app"] = _NoApplication
    namespace = namespace or {"__name__": "__main__"}
    try:
        for name in names:
            if name in files:
                execute(folder + "/" + name if folder else name, namespace)
    except SystemExit:
        supervisor.reset("soft", **what_outlives_it())
    except BaseException as error:
        sys.print_exception(error)
        supervisor.tell("raised")
    else:
        supervisor.tell("ended")
