"""What can go wrong with a board on the desk, and the exit codes."""

from __future__ import annotations

(
    PROVISIONED,
    FAILED,
    WRONG_USAGE,
    REFUSED,
    TIME_RAN_OUT,
    BAD_CONFIGURATION,
    NO_MICROPYTHON,
    PROVISIONED_AS_ANOTHER,
    APP_FAILED,
) = range(9)


def sentences(*texts: str) -> str:
    """Texts as one, with full stops between them where they have no mark of their own."""
    joined = ""
    for text in filter(None, texts):
        between = " " if joined.endswith((",", ".", ":", ";", "?")) else ". "
        joined = f"{joined}{between}{text}" if joined else text
    return joined


class FlashingError(Exception):
    """Why a board cannot be used. `what` happened; `fix`: what to do next; `exit_code`."""

    def __init__(self, what: str, fix: str, exit_code: int = FAILED):
        super().__init__(sentences(what, fix))
        self.what = what
        self.fix = fix
        self.exit_code = exit_code


class LostError(FlashingError):
    """The board went away in the middle."""


class BusyError(FlashingError):
    """Another program has the port open."""


class RunsError(FlashingError):
    """The board runs a program, which is not to be stopped."""
