"""Starts the place that is to run. main.py calls it on a board that has /slots.json.

It is always the root's, which no update replaces. What is on trial has a start less before it
runs; what escapes from a slot, its firmware or its application, brings the place before it back.
"""

import sys

_SECRETS = (
    "credentialsValue onboarding_password password provisionDeviceKey provisionDeviceSecret token"
)


def start():
    """Run the application of the place that is to run, with that place's firmware if it has one."""
    own = _native_modules()
    try:
        place, trial = _choose()
    except Exception as error:
        # Without memory or a timer, or a root that is not whole: it says so itself.
        sys.print_exception(error)
        place = ""
    if place:
        _run_slot(place, trial, own)
    else:
        _forget(own)
        _run_root()


def choose(state):
    """Return the place that runs in this start, after what that changes has been saved.

    `state`: a firmware.update.slots.State. What is on trial and cannot be counted down has failed.
    """
    try:
        if not state.is_there():
            state.fail("its files are gone, deleted or for want of room")
        elif state.on_trial and state.found["starts"]:
            state.count_start()
        elif state.on_trial:
            state.fail("it did not prove itself in its starts")
    except Exception as error:
        try:
            state.fail("its start cannot be noted: %s" % error)
        except Exception:
            # It stays noted as the one that runs, and what was before it runs all the same.
            pass
    return state.running


def is_to_be_noted(state):
    """Return whether what runs has been removed, and that it failed is not noted yet.

    `state`: as it is read anew.
    """
    return state.on_trial and not state.is_there()


def reason(error, open=open):
    """Return an exception in words, with no secret in them."""
    import json

    words = "%s: %s" % (type(error).__name__, error)
    for path in ("/credentials.json", "/config.json"):
        try:
            with open(path, "rb") as file:
                words = _hide(json.loads(file.read()), words)
        except Exception:
            # No one can have read a secret in it.
            pass
    return words


def _hide(found, words):
    """Return words without the secrets in a JSON value."""
    if isinstance(found, dict):
        for key, value in found.items():
            if isinstance(value, str):
                if value and key in _SECRETS.split():
                    words = words.replace(value, "…")
            else:
                words = _hide(value, words)
    elif isinstance(found, list):
        for value in found:
            words = _hide(value, words)
    return words


def _choose():
    """Return the place that runs in this start, and its trial or None."""
    state = _state()
    was_running = state.running
    was_there = state.is_there()
    place = choose(state)
    if place != was_running:
        from firmware.board.indicator import Indicator

        Indicator().say("update: %(title)s %(version)s failed: %(why)s" % state.found["failed"])
        if was_there and is_to_be_noted(_state()):
            # On a flash that was full there is room for it from the next mount on.
            import machine

            machine.reset()
    if state.on_trial:
        from firmware.update.trial import Trial

        return place, Trial(state)
    # What is proven needs its memory.
    _forget([name for name in sys.modules if name.startswith("firmware.update")])
    del sys.modules["firmware"].update
    return place, None


def _run_slot(place, trial, own):
    """Run a slot's application. `own`: the modules that the application may import its own of."""
    path = sys.path[:]
    known = list(sys.modules)
    try:
        sys.path[:0] = [place, place + "/lib"]
        if _is_there(place + "/firmware.pack"):
            from firmware.update.pack import mount

            mount(place)
        if _is_there(place + "/firmware"):
            _forget_firmware()
        _forget(own)
        from firmware.application import begin

        begin(place, trial)
        if not trial or trial.is_over:
            return
        why = "app.py ended"
    except KeyboardInterrupt:
        # Who presses Ctrl-C wants the prompt. The trial goes on, and ends as always.
        raise
    except BaseException as error:
        is_soft_reset = isinstance(error, SystemExit) and not error.args
        if is_soft_reset or not (isinstance(error, Exception) or (trial and not trial.is_over)):
            # MicroPython starts anew, which takes a start of what is on trial.
            raise
        why = type(error).__name__
        if trial:
            trial.free_memory()
        try:
            sys.print_exception(error)
            why = reason(error)
        except Exception:
            # Without memory, or its __str__ raises: its class has to do.
            pass
    if trial and not trial.is_over:
        trial.fail(why)
    # From here on with what the root has, and MicroPython's own modules.
    sys.path[:] = path
    _forget_firmware()
    _forget([name for name in sys.modules if name not in known or name in own])
    try:
        _native_modules()
        _state().fail(why)
    except Exception:
        # It cannot be noted; the root runs in this start.
        _run_root()
    import machine

    machine.reset()


def _state():
    from firmware.board.storage import Storage
    from firmware.update.slots import State

    return State(Storage())


def _run_root():
    from firmware.application import start

    start()


def _native_modules():
    from firmware.application import native_modules

    return native_modules()


def _is_there(path):
    import os

    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _forget_firmware():
    """Let firmware be imported from another place."""
    _forget([name for name in sys.modules if (name + ".").startswith("firmware.")])


def _forget(names):
    for name in names:
        del sys.modules[name]
