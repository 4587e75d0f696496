"""A board's updates over the air: what ThingsBoard assigns is taken, and told. No driver.

assigned ── `spread` ──► DOWNLOADING ──► DOWNLOADED ──► VERIFIED ──► UPDATING ──► it starts anew, on
trial ── confirmed ──► UPDATED; else, from anywhere, FAILED: not again until another is assigned

What is needed for one step only is in a module of its own, which gives itself back as it ends.
While a package comes there are this, and firmware.update.download: what each block needs.
"""

from time import ticks_diff

from firmware.errors import FirstbootError


class Job:
    """See firmware.update.watch. `package`: what is to be taken, None for nothing.

    `is_untold`: whether ThingsBoard is to be told how an update has ended. `told`: how many of the
    states of the package it has been told, `tries`: how often it was begun in vain, `doubts`: in
    how many starts there was none as it was assigned. `not_before`: when it may go on, in ticks;
    `is_hurried`: whether what might wait is done now, `failures`: but after that many steps.

    While it comes: `writer`: where its bytes go, see firmware.update.install; `checksum`: of
    those before `offset`, None for none; `blocks`: how they come, see firmware.update.download.
    `arrived`: the slot that all of its manifest is in, which is judged then; `is_admitted`: it was.
    In the end `place`: the slot that all of it is in; `is_verified`: whether that was checked.
    """

    def __init__(self, session, settings, is_hurried):
        self.session = session
        self.settings = settings
        self.is_hurried = is_hurried
        self.package = self.writer = None
        self.is_untold = False
        self.told = self.tries = self.doubts = self.failures = 0
        self.close()

    def look(self, values):
        """Look at all shared attributes and at /slots.json, of which something may be new."""
        from firmware.update.states import look

        look(self, values)

    def is_due(self):
        """Return whether there is a step to do now."""
        if self.is_untold:
            return True
        return self.package is not None and (
            (self.is_hurried and not self.failures)
            or ticks_diff(self.not_before, self.session.board.ticks()) <= 0
        )

    def step(self):
        """The steps of what is due: a state that is told, or a block. Raises FirstbootError."""
        # No name for the writer, which what is done may give back while this still runs.
        is_coming = self.writer and not self.writer.is_full and self.offset < self.package["size"]
        if is_coming and self.told and not self.is_untold:
            from firmware.update.download import block

            return block(self)
        try:
            return _next_step(self)(self)
        except (OSError, ValueError, FirstbootError) as error:
            raise _of_package(error)

    def failed(self, error):
        """Take a FirstbootError of a step; raise it again when it is not of the package."""
        # Only an UpdateError has it, whose module is not loaded for all others.
        if not hasattr(error, "may_pass"):
            raise error
        from firmware.update.states import fail

        fail(self, error)

    def flush(self):
        """Let what came be there for good."""
        out = self.writer and self.writer.out
        if out:
            try:
                out.flush()
            except OSError:
                # As in close.
                pass

    def close(self):
        """Give back what a package took that comes; another one goes on where it was."""
        if self.writer:
            try:
                self.writer.close()
            except OSError:
                # The flash is full: what it could not write comes again.
                pass
        self.writer = self.checksum = self.arrived = self.place = None
        self.blocks = self.doubtful_since = None
        self.is_admitted = self.is_verified = self.by_chunks = False

    def say(self, text):
        """Say something of the package."""
        text = "update: %(title)s %(version)s: " % self.package + text
        # Whatever a title has in it.
        self.session.board.indicator.say(*text.split("\n"))


# What these load may be given back while what they return runs.
def _next_step(job):
    from firmware.update.installing import next_step

    return next_step(job)


def _of_package(error):
    from firmware.update.states import of_package

    return of_package(error)
