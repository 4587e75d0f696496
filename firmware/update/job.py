"""A board's updates over the air: what ThingsBoard assigns is taken, and told. No driver.

assigned ── `spread` ──► DOWNLOADING ──► DOWNLOADED ──► VERIFIED ──► UPDATING ──► it starts anew, on
trial ── confirmed ──► UPDATED; else, from anywhere, FAILED: not again until another is assigned
"""

import gc
from time import ticks_add, ticks_diff

from micropython import const

from firmware.coap.message import POST
from firmware.retry import backoff, give_back
from firmware.thingsboard.ota import KINDS, assigned, state_of
from firmware.thingsboard.telemetry import encoded
from firmware.update.errors import UpdateError
from firmware.update.slots import State

# How often a package is begun again that may pass then.
_MOST_TRIES = const(3)
_STATES = ("DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING")
_STEPS = (
    "update.download update.install update.manifest update.signature update.checksum"
    " update.murmur3 coap.stream coap.blockwise"
)


class Update:
    """See firmware.device.Device. `settings`: `update` of config.json.

    `package`: what is to be taken, None for nothing.
    """

    package = _download = None
    _is_hurried = False
    _tries = 0

    def __init__(self, session, settings):
        self._session = session
        self._settings = settings
        self._state = State(session.board.storage)
        session.observe().follow_attributes(self.on_attributes)

    def on_attributes(self, values):
        """Take all shared attributes, of which some may have changed."""
        package = self._chosen(values)
        if package and self.package and package.identity == self.package.identity:
            return
        self._end()
        if package:
            self.package = package
            drawn = self._session.board.random(2)
            # Boards that are assigned a package together must not ask for it together.
            wait = self._settings["spread"] * 1000 * (drawn[0] << 8 | drawn[1]) >> 16
            self._begin_in(wait)
            self._say("is assigned; it begins within %d s" % (wait // 1000 + 1))

    def hurry(self):
        """Do at once what may wait: the board is about to sleep deep."""
        self._is_hurried = True
        trial = self._session.board.trial
        if trial:
            trial.before_sleep()

    def is_due(self):
        """Return whether there is a step to do now."""
        state = self._state
        trial = self._session.board.trial
        if state.on_trial and trial and trial.is_over:
            # There is something to tell, and another package may be taken.
            self._state = state = State(self._session.board.storage)
            self.on_attributes(self._session.observed.shared or {})
        if state.untold:
            return True
        return self.package is not None and (
            self._is_hurried or ticks_diff(self._not_before, self._session.board.ticks()) <= 0
        )

    def step(self):
        """The steps of what is due: a state that is told, or a block. Raises FirstbootError."""
        if not self.is_due():
            return
        if self._state.untold:
            yield from self._tell_outcome()
            return
        try:
            yield from self._advance()
        except UpdateError as error:
            self._fail(error)

    def _chosen(self, values):
        """Return the package to take, software first; None for one that runs or has failed."""
        state = self._state
        for kind in KINDS:
            package = assigned(values, kind)
            if package:
                words = package.title, package.version, package.checksum
                running = state.package()
                if (
                    state.on_trial
                    or state.has_failed(*words)
                    or (running and _words(running) == words)
                ):
                    return None
                return package
        return None

    def _advance(self):
        package = self.package
        if not self._download:
            gc.collect()
            # Only now, since it is needed for minutes in years.
            from firmware.update.download import Download

            self._download = Download(self._session, package, self._settings)
        download = self._download
        told = self._told()
        if not told:
            yield from self._tell(package, told)
        elif not download.is_whole:
            yield from download.step()
        elif told == 1:
            yield from self._tell(package, told)
        elif not download.is_verified:
            download.verify()
        elif told < len(_STATES):
            yield from self._tell(package, told)
        else:
            download.switch()
            self._restart()

    def _told(self):
        """Return how many of the states of this package have been told."""
        progress = self._state.progress
        if not progress or progress[:-1] != self.package.identity:
            return 0
        return progress[-1]

    def _tell(self, package, number):
        """The steps that tell a state of a package, by its number."""
        self._say(_STATES[number])
        yield from self._send(state_of(package.kind, _STATES[number]))
        self._state.keep(package.identity + [number + 1])

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
            self._download = None
            self._begin_in(backoff(self._tries, board.random))
            return
        if not self._told():
            # What there was no room for was not begun.
            self._state.keep(package.identity + [len(_STATES)])
        self._state.refuse(package.title, package.version, package.checksum, why)
        self._end()

    def _begin_in(self, ms):
        self._not_before = ticks_add(self._session.board.ticks(), ms)

    def _end(self):
        """Give back what a download took."""
        self._tries = 0
        self.package = None
        if self._download:
            self._download.close()
            self._download = None
            give_back(_STEPS)

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
