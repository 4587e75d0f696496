"""Start, and hand over to the user's application, /app.py."""

import gc
import sys

import micropython
from micropython import const

# As in firmware.board.kept. mip brings that file first and this one last: broken off in between,
# the two differ.
_VERSION = "1.0.0"
_CTRL_C = const(3)
_NO_CTRL_C = const(-1)
_TYPED = const(1024)  # bytes that can wait to be read
# MicroPython takes a file of the same name in / or /lib for its own module.
NATIVE = "binascii errno hashlib io json machine math os re select socket time"
# Where files of a user's can have such a name: the root, and the slots of firmware.update.
_NOT_NATIVE = ("", "/lib", "/a", "/a/lib", "/b", "/b/lib")


def start():
    """Power up, then run the application. What no other place caught restarts the board."""
    try:
        begin()
    except Exception as error:
        sys.print_exception(error)
        micropython.kbd_intr(_CTRL_C)
        try:
            if not isinstance(error, MemoryError):
                from firmware.application_failure import restart

                restart()
        except MemoryError:
            pass
        # None of this takes memory, as the indicator does.
        import time

        import machine

        sys.stdout.write("the memory is too short; restart in 60 s; Ctrl-C for the REPL\r\n")
        time.sleep(60)
        machine.reset()


def begin(place="", trial=None):
    """Power up, then run the application of a place: "" is the root, else see firmware.update.

    `trial`: that of what runs, or None. What a slot's application raises on trial is raised here.
    """
    own = native_modules()
    while True:
        micropython.kbd_intr(_NO_CTRL_C)
        try:
            board, (credentials, config) = _power_up()
            break
        except KeyboardInterrupt as interrupt:
            # What somebody has looked at has a text.
            if interrupt.args or not _is_client_s():
                raise
    type(board).trial = trial
    if trial:
        board.background.append(trial.look)
    for name in own:
        del sys.modules[name]
    run(board, credentials, config, place)


def run(board, credentials, config, place=""):
    """Run app.py's run(credentials), with asyncio when it is async; show what it raises.

    `config`: what says `restart_after_crash`, or None. `place`: the folder that app.py is in.
    """
    is_there = board.exists(place + "/app.py") or board.exists(place + "/app.mpy")
    if is_there:
        # Who copied another app.py to the root sees that it is not the one.
        board.indicator.show("application", "running app.py" + (place and " of " + place))
        # From now on it is the application's.
        board.indicator.led = None
        is_whole = False
        try:
            import app

            is_whole = True
            result = app.run(credentials)
            if hasattr(result, "send"):
                import asyncio

                asyncio.run(result)
            return
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # asyncio's CancelledError is no Exception; SystemExit asks for a soft reset.
            if isinstance(error, SystemExit):
                raise
            board.indicator.show("application", "app.py raised %s" % type(error).__name__)
            if place and (not is_whole or (board.trial and not board.trial.is_over)):
                raise
            sys.print_exception(error)
    elif place:
        raise ImportError("there is no app.py in %s" % place)
    from firmware.application_failure import explain, restart_after_crash

    explain(board, is_there)
    if is_there and config and config["restart_after_crash"]:
        restart_after_crash(board, config["restart_after_crash"])


def heed_ctrl_c():
    """Let MicroPython look for Ctrl-C again, which main.py has ended; raise one that came since.

    The first packet of Improv's clients has a Ctrl-C in it, and nothing stops the imports until
    there is somebody to answer. Called once: the first wait does it, unless Improv looks by then.
    """
    import select

    from firmware.board.hardware import Board

    Board.background.remove(heed_ctrl_c)
    micropython.kbd_intr(_CTRL_C)
    typed = sys.stdin.buffer
    poll = select.poll()
    poll.register(typed, select.POLLIN)
    for _ in range(_TYPED):
        byte = b""
        for _ in poll.ipoll(0):
            byte = typed.read(1)
        if not byte:
            break
        if byte[0] == _CTRL_C:
            raise KeyboardInterrupt


def _power_up():
    from firmware.board.hardware import Board

    board = Board()
    board.background[:] = [heed_ctrl_c]
    found = _unchanged(board)
    if not found:
        threshold = gc.threshold()
        # Collecting often keeps the heap in one piece while modules are loaded.
        gc.threshold(5120)
        from firmware.power_up import power_up

        found = power_up(board)
        from firmware.memory import give_back

        # The application may want its memory.
        give_back("power_up")
        gc.threshold(threshold)
    if heed_ctrl_c in board.background:
        heed_ctrl_c()
    return board, found


def _unchanged(board):
    from firmware.board.kept import VERSION, unchanged

    if VERSION != _VERSION:
        raise ImportError("modules of firstboot %s and %s" % (VERSION, _VERSION))
    return unchanged(board)


def _is_client_s():
    """Return whether the Ctrl-C that came is Improv's: a browser asks before anybody listens."""
    try:
        from firmware.onboarding.console import was_in_packet
    except ImportError:
        return False
    return was_in_packet()


def native_modules():
    """Import MicroPython's own modules before anything else can be taken for them.

    Returns the names of those that have to go before the application may import its own.
    """
    own = []
    path = sys.path[:]
    sys.path[:] = [place for place in path if place not in _NOT_NATIVE]
    for name in NATIVE.split():
        if name not in sys.modules:
            sys.modules[name] = __import__(name)
            own.append(name)
    sys.path[:] = path
    return own
