"""What is done between one try and the next: waits with jitter, memory given back."""

import sys

from micropython import const

from firmware.errors import FirstbootError

_FIRST_BACKOFF = const(4_000)
_LONGEST_BACKOFF = const(900_000)
_LEAST_BACKOFF = const(1_000)

# One text, since a tuple of texts costs a board four times the memory.
_STEPS = (
    "board.config board.config_doubts board.config_mistakes board.hostname board.json_mistakes"
    " board.near board.strict_json board.wifi board.wifi_failure board.wifi_scan"
    " coap.blockwise coap.echo coap.failure coap.uri coap.uri_doubts"
    " thingsboard.provisioning thingsboard.refusals"
    " provisioning.attempt provisioning.record provisioning.recovery provisioning.rejection"
    " provisioning.provisioned link"
)


def backoff(failures, random):
    """Return how long to wait in ms: truncated exponential backoff with full jitter.

    `failures`: how many came before this one. `random`: os.urandom.
    """
    ceiling = min(_LONGEST_BACKOFF, _FIRST_BACKOFF << min(failures, 8))
    drawn = random(2)
    return max(_LEAST_BACKOFF, ceiling * (drawn[0] << 8 | drawn[1]) >> 16)


def spread(wait, random):
    """Return a wait in ms with up to half of it more. `random`: os.urandom.

    Boards that were refused together must not come back together.
    """
    drawn = random(2)
    return wait + (wait // 2 * (drawn[0] << 8 | drawn[1]) >> 16)


def unexpected(error):
    """Show the traceback of an exception of whatever class; return it as a FirstbootError."""
    sys.print_exception(error)
    return FirstbootError(
        "an unexpected %s: %s" % (type(error).__name__, error),
        "Its traceback stands above. Look at files of yours with the name of a module, and put the"
        " firmware on the board again.",
    )


def bug(error):
    """Show an exception of the application's own; return the reply to ThingsBoard."""
    sys.print_exception(error)
    return {"error": "%s: %s" % (type(error).__name__, error)}


def give_back(steps=_STEPS):
    """Free the modules of the steps that are done, by their names in the firmware.

    A module is in sys.modules, and in its package's names; out of both, its memory is free.
    """
    for step in steps.split():
        module = "firmware." + step
        package, _, name = module.rpartition(".")
        if sys.modules.pop(module, None):
            delattr(sys.modules[package], name)


def give_back_room(room):
    """Free all modules of a room of the firmware, such as "onboarding"."""
    for name in list(sys.modules):
        if name.startswith("firmware.%s." % room):
            del sys.modules[name]
    if sys.modules.pop("firmware." + room, None):
        delattr(sys.modules["firmware"], room)
