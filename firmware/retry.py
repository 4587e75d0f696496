"""What is done between one try and the next: waits with jitter, and bugs that are shown."""

import sys

from micropython import const

from firmware.errors import FirstbootError
from firmware.memory import drop_half_loaded

_FIRST_BACKOFF = const(4_000)
_LONGEST_BACKOFF = const(900_000)
_LEAST_BACKOFF = const(1_000)


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
    drop_half_loaded()
    sys.print_exception(error)
    fix = (
        "Let your application take less of it."
        if isinstance(error, MemoryError)
        else "Its traceback stands above. Look at files of yours with the name of a module, and put"
        " the firmware on the board again."
    )
    return FirstbootError("an unexpected %s: %s" % (type(error).__name__, error), fix)


def bug(error):
    """Show an exception of the application's own; return the reply to ThingsBoard."""
    try:
        sys.print_exception(error)
        return {"error": "%s: %s" % (type(error).__name__, error)}
    except Exception:  # of an exception that has no text
        return {"error": type(error).__name__}
