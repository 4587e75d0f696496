"""A board's updates over the air: what ThingsBoard assigns is taken, and told. No driver.

assigned ── `spread` ──► DOWNLOADING ──► DOWNLOADED ──► VERIFIED ──► UPDATING ──► it starts anew, on
trial ── confirmed ──► UPDATED; else, from anywhere, FAILED: not again until another is assigned

What is needed for one step only is in a module of its own, which gives itself back as it ends.
While a package comes there are this, and firmware.update.writer: what each block needs.
"""

from time import ticks_add, ticks_diff

from micropython import const

from firmware.errors import CoapError, Silence
from firmware.update.errors import UpdateError

# How many states are told until all of a package is there, and until it is switched to.
_DOWNLOADED = const(2)
_ALL = const(4)
_CONTENT = const(0x45)
_BLOCK2 = const(23)
# ms that each has; ThingsBoard repeats a message for the last time after 41 s.
_EACH_BLOCK = const(60_000)
# ms from a block to the next; after 300 s without one ThingsBoard forgets what it serves.
_LONGEST_PAUSE = const(240_000)


class Job:
    """See firmware.update.watch. `package`: what is to be taken, None for nothing.

    `is_untold`: whether ThingsBoard is to be told how an update has ended. `told`: how many of the
    states of the package it has been told, `tries`: how often it was begun in vain. `download`:
    what comes of it; `is_there`: that all of it has come, by a `checksum`; `place`: where it is
    when it is checked. `is_hurried`: whether what might wait is done now.
    """

    package = download = checksum = place = None
    is_untold = is_there = False
    told = tries = 0

    def __init__(self, session, settings, is_hurried):
        self.session = session
        self.settings = settings
        self.is_hurried = is_hurried

    def look(self, values):
        """Look at all shared attributes and at /slots.json, of which something may be new."""
        from firmware.update.states import look

        look(self, values)

    def is_done(self):
        """Return whether there is nothing to do any more."""
        return not (self.is_untold or self.package)

    def is_due(self):
        """Return whether there is a step to do now."""
        if self.is_untold:
            return True
        return self.package is not None and (
            self.is_hurried or ticks_diff(self._not_before, self.session.board.ticks()) <= 0
        )

    def step(self):
        """The steps of what is due: a state that is told, or a block. Raises FirstbootError."""
        try:
            yield from self._next()
        except UpdateError as error:
            from firmware.update.states import fail

            fail(self, error)

    def begin(self, writer, offset, checksum):
        """Begin with the bytes of the package from there on, see Download."""
        self.download = Download(self.session, self.package, writer, offset, checksum)

    def begin_in(self, ms):
        """Do nothing for the package until then."""
        self._not_before = ticks_add(self.session.board.ticks(), ms)

    def end(self):
        """There is nothing to take any more: give back what a download took."""
        self.tries = 0
        self.package = None
        self.close()

    def close(self):
        """Give back what a download took; another one goes on where it was."""
        if self.download:
            self.download.close()
        self.download = self.checksum = self.place = None
        self.is_there = False

    def say(self, text):
        """Say something of the package."""
        self.session.board.indicator.say("update: %(title)s %(version)s: " % self.package + text)

    def _next(self):
        """Return the steps of what comes next."""
        if self.is_untold:
            from firmware.update.states import tell_outcome

            return tell_outcome(self)
        download = self.download
        if not (download or self.is_there):
            from firmware.update.installing import begin

            begin(self)
            return ()
        told = self.told
        if not told or (not download and (told < _DOWNLOADED or (self.place and told < _ALL))):
            from firmware.update.states import tell

            return tell(self)
        if download and not download.is_whole:
            return download.step()
        from firmware.update.installing import complete

        complete(self)
        return ()


class Download:
    """A Package that goes to flash.

    `writer`: a firmware.update.install.Installation's. `checksum`: of the bytes before `offset`,
    None for none. `size`, `offset`: how many bytes there will be, and are. `by_chunks`: whether
    they are asked for by ThingsBoard's own parameters.
    """

    by_chunks = False
    doubtful_since = _blocks = None

    def __init__(self, session, package, writer, offset, checksum):
        self.session = session
        self.size = package["size"]
        self.kind = package["kind"]
        self.writer = writer
        self.offset = offset
        self.checksum = checksum

    @property
    def is_whole(self):
        """Whether all bytes are there."""
        return self.offset == self.size

    def step(self):
        """The steps of one block. Raises FirstbootError, and UpdateError for a bad package."""
        return self.session.answered(self._chunk() if self.by_chunks else self._block())

    def check_size(self, response, size):
        """Check that ThingsBoard serves what it has assigned. Raises FirstbootError.

        `response`: the first one. `size`: what it says of the whole, or None.
        """
        if size is None and response.option(_BLOCK2) is None:
            size = len(response.payload)
        if size not in (None, self.size):
            from firmware.update.transfer import doubt

            doubt(self, "ThingsBoard serves a package of %d bytes, and has assigned another" % size)

    def write(self, data):
        """Take the next bytes."""
        self.writer.write(data)
        self.offset += len(data)
        if self.checksum:
            self.checksum.update(data)

    def close(self):
        """Close the file that is open."""
        self.writer.close()

    def _block(self):
        """The steps of one block; they return the response."""
        client = self.session.client
        now = self.session.board.ticks()
        # What fails begins anew, since it is not put back.
        blocks, self._blocks = self._blocks, None
        is_old = blocks and ticks_diff(now, self._block_at) > _LONGEST_PAUSE
        try:
            if not blocks or is_old or client is not self._client:
                blocks, response = yield from self._begin()
                if not blocks:
                    return (yield from self._refused(response))
            response = yield from blocks.next(_EACH_BLOCK)
            if response.code != _CONTENT:
                return (yield from self._refused(response))
            if blocks.is_done and not self.is_whole:
                from firmware.coap.misfit import misfit

                raise misfit("a package that ends after %d bytes" % self.offset)
        except Silence:
            raise
        except CoapError:
            self.by_chunks = True
            raise
        self._blocks = blocks
        self._client = client
        self._block_at = now
        return response

    def _begin(self):
        from firmware.update.transfer import begin

        return begin(self, _EACH_BLOCK)

    def _refused(self, response):
        """The steps after a response that is no block; they return the one that counts."""
        from firmware.update.transfer import refused

        response = refused(self, response)
        return response if response else (yield from self._chunk())

    def _chunk(self):
        from firmware.update.transfer import chunk

        return chunk(self, _EACH_BLOCK)
