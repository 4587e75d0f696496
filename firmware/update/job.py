"""A board's updates over the air: what ThingsBoard assigns is taken, and told. No driver.

assigned ── `spread` ──► DOWNLOADING ──► DOWNLOADED ──► VERIFIED ──► UPDATING ──► it starts anew, on
trial ── confirmed ──► UPDATED; else, from anywhere, FAILED: not again until another is assigned
"""

from time import ticks_add, ticks_diff

from micropython import const

from firmware.coap.message import POST
from firmware.retry import backoff
from firmware.thingsboard.ota import KINDS, assigned, state_of
from firmware.thingsboard.telemetry import encoded
from firmware.update.errors import UpdateError, passing
from firmware.update.slots import State

# How often a package is begun again that may pass then.
_MOST_TRIES = const(3)
_STATES = ("DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING")


class Job:
    """See firmware.update.watch. `package`: what is to be taken, None for nothing.

    `is_hurried`: whether what might wait is done now.
    """

    package = _download = None
    _tries = 0

    def __init__(self, session, settings, is_hurried):
        self._session = session
        self._settings = settings
        self.is_hurried = is_hurried

    def look(self, values):
        """Look at all shared attributes and at /slots.json, of which something may be new."""
        self._state = State(self._session.board.storage)
        package = self._chosen(values)
        if package and self.package and package.mark == self.package.mark:
            return
        self._end()
        if package:
            self.package = package
            drawn = self._session.board.random(2)
            # Boards that are assigned a package together must not ask for it together.
            wait = self._settings["spread"] * 1000 * (drawn[0] << 8 | drawn[1]) >> 16
            self._begin_in(wait)
            self._say("is assigned; it begins within %d s" % (wait // 1000 + 1))

    def is_done(self):
        """Return whether there is nothing to do any more."""
        return not (self._state.untold or self.package)

    def is_due(self):
        """Return whether there is a step to do now."""
        if self._state.untold:
            return True
        return self.package is not None and (
            self.is_hurried or ticks_diff(self._not_before, self._session.board.ticks()) <= 0
        )

    def step(self):
        """The steps of what is due: a state that is told, or a block. Raises FirstbootError."""
        try:
            yield from self._tell_outcome() if self._state.untold else self._advance()
        except UpdateError as error:
            self._fail(error)
        except MemoryError:
            self._fail(
                passing(
                    "there is not enough memory to take the update",
                    "Let the application take less, or freeze the firmware.",
                )
            )

    def _chosen(self, values):
        """Return the package to take, software first; None for one that runs or has failed."""
        state = self._state
        for kind in KINDS:
            package = assigned(values, kind)
            if package:
                words = package.title, package.version, package.checksum
                running = state.package()
                is_running = running and words == _words(running)
                if state.slot() and not (is_running or state.has_failed(*words)):
                    return package
                break
        return None

    def _advance(self):
        """Return the steps of what comes next."""
        package = self.package
        if not self._download:
            from firmware.update.download import Download

            self._download = Download(self._session, package, self._settings)
        download = self._download
        told = self._told()
        if told and not download.is_whole:
            return download.step()
        if told < 2:
            return self._tell(package, told)
        if not download.is_verified:
            download.verify()
        elif told < len(_STATES):
            return self._tell(package, told)
        else:
            download.switch()
            self._restart()
        return ()

    def _told(self):
        """Return how many of the states of this package have been told."""
        progress = self._state.progress
        is_its = progress and progress[:2] == [self.package.kind, self.package.mark]
        return progress[2] if is_its else 0

    def _tell(self, package, number):
        """The steps that tell a state of a package, by its number."""
        self._say(_STATES[number])
        yield from self._send(state_of(package.kind, _STATES[number]))
        self._state.keep([package.kind, package.mark, number + 1])

    def _tell_outcome(self):
        """The steps that tell how an update has ended."""
        state = self._state
        kind = state.progress[0] if state.progress else KINDS[0]
        why = state.failed["why"] if state.untold == "FAILED" else None
        yield from self._send(state_of(kind, state.untold, why, state.package()))
        state.told()

    def _send(self, values):
        return self._session.ask(POST, "telemetry", encoded(values))

    def _fail(self, error):
        """Try it again later, or note that it has failed."""
        package = self.package
        board = self._session.board
        why = ". ".join(str(error).split("\n"))
        self._say(why)
        self._tries += 1
        if error.may_pass and self._tries < _MOST_TRIES:
            self._close()
            self._begin_in(backoff(self._tries, board.random))
            return
        if not self._told():
            # What there was no room for was not begun.
            self._state.keep([package.kind, package.mark, len(_STATES)])
        self._state.refuse(package.title, package.version, package.checksum, why)
        self._end()

    def _begin_in(self, ms):
        self._not_before = ticks_add(self._session.board.ticks(), ms)

    def _end(self):
        """Give back what a download took."""
        self._tries = 0
        self.package = None
        self._close()

    def _close(self):
        if self._download:
            self._download.close()
            self._download = None

    def _restart(self):
        session = self._session
        session.disconnect()
        session.backlog.keep()
        self._say("the board starts anew")
        session.board.reset()

    def _say(self, text):
        package = self.package
        self._session.board.indicator.say(
            "update: %s %s: %s" % (package.title, package.version, text)
        )


def _words(package):
    return package["title"], package["version"], package["checksum"]
