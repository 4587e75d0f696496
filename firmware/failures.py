"""What follows a power-up that failed: it is said, waited out and tried again. Imported then."""

from micropython import const

from firmware.errors import FirstbootError
from firmware.retry import backoff, spread, unexpected

_LONGEST_RETRY = const(3_600_000)
_STRANGE_TO_RESET = const(6)


class Failures:
    """What went wrong since power-up.

    `failed`: how many tries that time may cure. `strange` and `doubtful`: how many of the last
    ones, in a row, raised what nobody expects, or may be another's word.
    """

    failed = strange = doubtful = 0

    def note(self, board, error):
        """Say what was raised; return it as a FirstbootError, and how long to wait in ms."""
        trouble = error
        if isinstance(error, FirstbootError):
            self.strange = 0
        else:
            trouble = unexpected(error)
            self.strange += 1
        # Of what may be another's word only the second in a row counts.
        self.doubtful = self.doubtful + 1 if trouble.is_doubtful else 0
        if self.doubtful == 1:
            trouble.state = "failed"
            trouble.retry_after = 0
        wait = trouble.retry_after
        if trouble.state == "failed":
            wait = min(wait, _LONGEST_RETRY)
            wait = max(backoff(self.failed, board.random), spread(wait, board.random))
            self.failed += 1
        elif trouble.state == "refused":
            wait = spread(wait, board.random)
        board.indicator.show(trouble.state, *str(trouble).split("\n"))
        if self.strange >= _STRANGE_TO_RESET:
            board.indicator.say("this does not pass; the board resets")
            board.reset()
        unit, ms = ("min", 60_000) if wait >= 120_000 else ("s", 1000)
        board.indicator.say("next try in %d %s" % ((wait + ms - 1) // ms, unit))
        return trouble, wait
