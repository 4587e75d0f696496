"""What a board does before its REPL: boot.py and main.py run in the namespace that the REPL has."""

import micropython
import power_on
import supervisor

_CTRL_C = 3
_NOTHING = -1


def run(files, namespace):
    """Run `files` in `namespace`, emptied first, and let the REPL that follows begin."""
    namespace.clear()
    namespace["__name__"] = "__main__"
    power_on.run(_execute, "", namespace, files)
    print(supervisor.REPL_FOLLOWS, end="")


def _execute(path, namespace):
    micropython.kbd_intr(_CTRL_C)
    try:
        execfile(path, namespace)
    finally:
        micropython.kbd_intr(_NOTHING)


# What is pressed before there is a file to interrupt is not an interrupt.
micropython.kbd_intr(_NOTHING)
