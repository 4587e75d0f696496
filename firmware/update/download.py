"""A package comes block by block, and its files go into a slot: what all of that needs."""

from time import ticks_diff

from micropython import const

from firmware.errors import CoapError

_CONTENT = const(0x45)
# ms that each has; ThingsBoard repeats a message for the last time after 41 s.
_EACH_BLOCK = const(60_000)
# ms from a block to the next; after 300 s without one ThingsBoard forgets what it serves.
_LONGEST_PAUSE = const(240_000)

# After so many bytes what came is there for good. A cut costs so much at most.
_FLUSH = const(16_384)


def block(job):
    """The steps of a Job's next block. Raises FirstbootError, UpdateError for a bad package.

    Of the Job there are: `blocks`, a firmware.coap.blocks.Blocks, None where they begin, and
    `block_at`, when the last one was asked for, in ticks; `by_chunks`: whether they are asked for
    by ThingsBoard's own parameters; `doubtful_since`: since when ThingsBoard has served another
    package, in ticks.
    """
    session = job.session
    now = session.board.ticks()
    session.is_answered = False
    # What fails begins anew, since it is not put back.
    blocks, job.blocks = job.blocks, None
    try:
        if not job.by_chunks:
            is_old = blocks and ticks_diff(now, job.block_at) > _LONGEST_PAUSE
            if not blocks or is_old or blocks.client is not session.client:
                blocks, response = yield from _transfer().begin(job, _EACH_BLOCK, check_size)
            if blocks:
                response = yield from blocks.next(_EACH_BLOCK)
            if response.code != _CONTENT:
                _transfer().refused(job, response)
            elif not job.offset:
                check_size(job, blocks, response)
        if job.by_chunks:
            response = yield from _transfer().chunk(job, _EACH_BLOCK)
        data = response.payload
        try:
            job.writer.write(data)
        except (OSError, ValueError) as error:
            from firmware.update.errors import flash_fails

            raise flash_fails(error)
        job.offset += len(data)
        if job.checksum:
            job.checksum.update(data)
        job.blocks = blocks
        job.block_at = now
        job.failures = job.doubts = 0
        job.doubtful_since = None
    except CoapError as error:
        # There may be chunks, from the next step on.
        _transfer().missed(job, error, blocks and not blocks.is_begun and job.offset)
        return
    session.heard(response)


def check_size(job, blocks, response):
    """Check by the first response that ThingsBoard serves what it has assigned."""
    size = blocks.size
    if size is None and blocks.is_done:
        size = blocks.offset
    assigned = job.package["size"]
    if size not in (None, assigned):
        _transfer().is_another(size, assigned)
    blocks.size = assigned


def _transfer():
    # Named in no function that lasts: it is given back while that runs.
    from firmware.update import transfer

    return transfer


class Writer:
    """Where the next bytes of a bundle go once its manifest is there: one file after another.

    `out`: the file that is open; `left`: how many bytes of it are still to come. `again`: how many
    bytes come that are there. `at`: where the manifest goes on. `is_full`: see
    firmware.update.intake.
    """

    out = None
    left = again = at = _unsaved = 0
    is_full = False

    def __init__(self, storage, place):
        self.storage = storage
        self.place = place

    def write(self, data):
        """Take the next bytes of the bundle.

        Raises UpdateError, and OSError and ValueError: the flash fails, or what was checked on it
        is damaged.
        """
        data = memoryview(data)
        again = min(len(data), self.again)
        self.again -= again
        data = data[again:]
        while len(data):
            if not self.left:
                # Only now, since a file has many blocks.
                from firmware.update.files import begin_next

                begin_next(self)
            part = data[: self.left]
            self.left -= len(part)
            if self.out:
                self.out.write(part)
                self._unsaved += len(part)
                if not self.left:
                    self.close()
                elif self._unsaved >= _FLUSH:
                    self.out.flush()
                    self._unsaved = 0
            data = data[len(part) :]

    def close(self):
        """Close the file that is open."""
        out, self.out = self.out, None
        self._unsaved = 0
        if out:
            out.close()
