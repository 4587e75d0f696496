"""What to do when the flash fails, or a file on it is not what was saved. Imported only then."""

from firmware.errors import FirstbootError


def not_done(path, done, why):
    """Return the error of a file that cannot be read, saved and so on. `done`: which of these."""
    return FirstbootError(
        "%s cannot be %s: %s" % (path, done, why),
        "Free space on the flash; flash the board again if this stays.",
    )


def set_aside(storage, path):
    """Rename a file that is not what was saved; return the error that says so."""
    number = 1
    while storage.exists(aside := "%s.bad%d" % (path, number)):
        number += 1
    storage.rename(path, aside)
    return FirstbootError(
        "%s is not what this firmware writes; it is now %s" % (path, aside),
        "Look at that file if you put it there; the board goes on without it.",
    )
