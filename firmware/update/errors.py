"""What goes wrong with an update."""

from firmware.errors import FirstbootError


class UpdateError(FirstbootError):
    """A bundle is not taken, or it cannot be written now.

    `may_pass`: whether the same bundle may be taken at another try, from its first byte on;
    `is_doubtful`: whether ThingsBoard may yet serve what it has assigned; `is_outage`: whether it
    cannot serve now. Else only another one is taken.
    """

    may_pass = is_outage = False


def passing(what, fix):
    """Return an UpdateError that another try may not have."""
    error = UpdateError(what, fix)
    error.may_pass = True
    return error


def doubtful(what):
    """Return the UpdateError of what ThingsBoard serves, when it is not what it has assigned."""
    error = UpdateError(what, "Upload it again under another version, and assign that.")
    error.is_doubtful = True
    return error


def outage(trouble):
    """Return the UpdateError of a FirstbootError that passes when ThingsBoard can serve again."""
    error = UpdateError(trouble.what, trouble.fix)
    error.retry_after = trouble.retry_after
    error.is_outage = True
    return error


def flash_fails(error):
    """Return the UpdateError of an OSError."""
    return passing("the update cannot be written: %s" % error, "Free space on the flash.")
