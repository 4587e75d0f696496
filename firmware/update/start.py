"""Starts the place that is to run. main.py calls it on a board that has /slots.json.

It is always the root's, which no update replaces. What is on trial has a start less before it
runs; what escapes from a slot, its firmware or its application, brings the place before it back.
"""

import sys

_SECRETS = "credentialsValue password provisionDeviceKey provisionDeviceSecret token"


def start():
    """Run the application of the place that is to run, with that place's firmware if it has one."""
    own = _native_modules()
    from firmware.board.indicator import Indicator
    from firmware.board.storage import Storage
    from firmware.update.slots import State

    state = State(Storage())
    was_running = state.running
    place = choose(state)
    if place != was_running:
        Indicator().say("update: %(title)s %(version)s failed: %(why)s" % state.failed)
    if place:
        _run_slot(state, place, own)
    else:
        _forget(own)
        _run_root()


def choose(state):
    """Return the place that runs in this start, after what that changes has been saved.

    `state`: a firmware.update.slots.State. What is on trial and cannot be counted down has failed.
    """
    try:
        if not state.is_there():
            state.fail("its files are gone")
        elif state.on_trial and state.starts:
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


def reason(error, read):
    """Return an exception in words, with no secret in them. `read`: Storage.read."""
    import json

    words = "%s: %s" % (type(error).__name__, error)
    for path in ("/credentials.json", "/config.json"):
        try:
            words = _hide(json.loads(read(path) or b"{}"), words)
        except Exception:
            # No one can have read a secret in it.
            pass
    return words


def _hide(found, words):
    """Return words without the secrets in a JSON value."""
    if isinstance(found, dict):
        for key, value in found.items():
            if isinstance(value, str):
                if value and key in _SECRETS:
                    words = words.replace(value, "…")
            else:
                words = _hide(value, words)
    elif isinstance(found, list):
        for value in found:
            words = _hide(value, words)
    return words


def _run_slot(state, place, own):
    """Run a slot's application. `own`: the modules that the application may import its own of."""
    import machine

    trial = None
    try:
        if state.on_trial:
            from firmware.update.trial import Trial

            trial = Trial(state)
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
    except Exception as error:
        sys.print_exception(error)
        if trial:
            trial.free_memory()
        why = reason(error, state.storage.read)
    if trial and not trial.is_over:
        trial.fail(why)
    try:
        state.fail(why)
        machine.reset()
    except Exception:
        # Without room to note it on flash, the root runs in this start.
        sys.path[:] = [each for each in sys.path if not each.startswith(place)]
        _forget_firmware()
        _run_root()


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
