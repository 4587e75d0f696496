"""What goes wrong with an update."""

from firmware.errors import FirstbootError


class UpdateError(FirstbootError):
    """A bundle is not taken, or it cannot be written now.

    `may_pass`: whether the same bundle may be taken at another try; else only another one is.
    """

    may_pass = False


def passing(what, fix):
    """Return an UpdateError that another try may not have."""
    error = UpdateError(what, fix)
    error.may_pass = True
    return error


def flash_fails(error):
    """Return the UpdateError of an OSError."""
    return passing("the update cannot be written: %s" % error, "Free space on the flash.")
