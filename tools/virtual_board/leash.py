"""Run MicroPython so that it dies with the process that started it.

leash.py PARENT_PID PACKAGE_FOLDER COMMAND [ARGUMENT…]
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Be killed when the process `parent` is, even by SIGKILL. Linux; elsewhere it does nothing."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started this board is gone")


def main(parent: str, package_folder: str, *command: str) -> None:
    die_with(int(parent))
    if not package_folder:
        os.execv(command[0], command)
    sys.path.append(package_folder)
    from micropython_unix import run_main

    sys.exit(run_main(list(command)))


if __name__ == "__main__":
    main(*sys.argv[1:])
