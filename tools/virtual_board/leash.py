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


def take_interrupts() -> None:
    """SIGUSR1 is Ctrl-C as boards have it: MicroPython raises it between two of its instructions.

    Its own handler for SIGINT raises wherever it stands, which may be inside its heap.
    """
    import ctypes

    import micropython_run

    interrupt = ctypes.CDLL(micropython_run.__file__).mp_sched_keyboard_interrupt
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).signal(signal.SIGUSR1, interrupt)
    signal.siginterrupt(signal.SIGUSR1, True)


def main(parent: str, package_folder: str, *command: str) -> None:
    die_with(int(parent))
    if not package_folder:
        os.execv(command[0], command)
    sys.path.append(package_folder)
    from micropython_unix import run_main

    take_interrupts()
    sys.exit(run_main(list(command)))


if __name__ == "__main__":
    main(*sys.argv[1:])
