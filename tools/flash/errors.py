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


class FlashingError(Exception):
    """Why a board cannot be used. `what` happened; `fix`: what to do next; `exit_code`."""

    def __init__(self, what: str, fix: str, exit_code: int = FAILED):
        super().__init__(f"{what}. {fix}")
        self.what = what
        self.fix = fix
        self.exit_code = exit_code


class LostError(FlashingError):
    """The board went away in the middle."""


class BusyError(FlashingError):
    """Another program has the port open."""


class RunsError(FlashingError):
    """The board runs a program, which is not to be stopped."""
