"""What a board does before its REPL: boot.py and main.py run in the namespace that the REPL has."""

import os
import sys

import micropython
import power_on
import supervisor

_CTRL_C = 3
_NOTHING = -1


def run(files, namespace):
    """Run `files` in `namespace`, emptied first, and let the REPL that follows begin."""
    namespace.clear()
    namespace["__name__"] = "__main__"
    supervisor.tell("ready")
    power_on.run(_execute, "", namespace, files)
    print(supervisor.REPL_FOLLOWS, end="")
    os.putenv("MICROPYINSPECT", "1")


def _execute(path, namespace):
    with open(path) as file:
        compiled = compile(file.read(), path, "exec")
    # From here on, as shared/runtime/pyexec.c has it.
    micropython.kbd_intr(_CTRL_C)
    try:
        exec(compiled, namespace)
    finally:
        micropython.kbd_intr(_NOTHING)


def _soft_reset():
    supervisor.tell("reset", cause="soft", **power_on.what_outlives_it())


# The REPL ends for a soft reset.
sys.atexit(_soft_reset)
# What is pressed before there is a file to interrupt is not an interrupt.
micropython.kbd_intr(_NOTHING)
