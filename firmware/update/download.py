"""The download of one package, block by block, straight to flash. No driver.

A download that goes on, also in another session, begins with the first 16 bytes: ThingsBoard serves
a later block only to whom it has served the first one. Imported only while there is a download.
"""

from time import ticks_diff

from micropython import const

from firmware.coap.blockwise import misfit
from firmware.coap.failure import code_name
from firmware.coap.message import GET
from firmware.coap.stream import Blocks
from firmware.errors import CoapError, FirstbootError, Silence
from firmware.thingsboard.ota import package_path
from firmware.update.checksum import checksum
from firmware.update.errors import UpdateError, passing
from firmware.update.install import Installation

_CONTENT = const(0x45)
_UNAUTHORIZED = const(0x81)
_NOT_FOUND = const(0x84)
# 4.00, 4.02, 4.08 and 4.13.
_NO_BLOCKS = (0x80, 0x82, 0x88, 0x8D)
_BLOCK2 = const(23)
_BLOCK = const(1024)
_SMALLEST_BLOCK = const(16)
# ms that each has; ThingsBoard repeats a message for the last time after 41 s.
_EACH_BLOCK = const(60_000)
# ms from a block to the next; after 300 s without one ThingsBoard forgets what it serves.
_LONGEST_PAUSE = const(240_000)
# ms for which ThingsBoard may serve another package than it says it has assigned.
_LONGEST_DOUBT = const(600_000)


class Download:
    """A Package that goes to flash; see firmware.update.install.

    `offset`: how many bytes there are. Raises UpdateError when it cannot be taken, or there is no
    room for it.
    """

    is_verified = False
    _blocks = None
    _by_chunks = False
    _doubtful_since = None

    def __init__(self, session, package, settings):
        if package.url:
            raise UpdateError(
                "the package is not in ThingsBoard, but at a URL", "Upload the bundle itself."
            )
        self._session = session
        self._package = package
        self._installation = installation = Installation(session.board, settings)
        installation.begin(package.title, package.version, package.size, package.checksum)
        self.offset = installation.offset
        taken = checksum(package.algorithm)
        if taken and self.offset and not installation.replay(taken.update):
            taken = None
        if not taken:
            session.board.indicator.say(
                "update: %s is not checked, but the bundle's own SHA-256" % package.algorithm
            )
        self._checksum = taken

    @property
    def is_whole(self):
        """Whether all bytes are there."""
        return self.offset == self._package.size

    def step(self):
        """The steps of one block. Raises FirstbootError, and UpdateError for a bad package."""
        return self._session.answered(self._chunk() if self._by_chunks else self._block())

    def verify(self):
        """Check all that is there. Raises UpdateError when it is not what was assigned."""
        package = self._package
        taken = self._checksum
        if taken and taken.digest().hex() != package.checksum.lower():
            self._installation.discard()
            raise passing(
                "the bytes do not have the %s %s" % (package.algorithm, package.checksum),
                "Upload the bundle again if this stays.",
            )
        self._installation.finish()
        self.is_verified = True

    def close(self):
        """Close the file that is open."""
        self._installation.close()

    def switch(self):
        """Let it run from the next start on."""
        self._installation.switch()

    def _block(self):
        """The steps of one block; they return the response."""
        client = self._session.client
        now = self._session.board.ticks()
        # What fails begins anew, since it is not put back.
        blocks, self._blocks = self._blocks, None
        is_old = blocks and ticks_diff(now, self._block_at) > _LONGEST_PAUSE
        try:
            if not blocks or is_old or client is not self._client:
                path = package_path(self._session.credentials, self._package.kind)
                on_begin = self._check_size
                etag = None
                if self.offset:
                    first = Blocks(client, path, _drop, 0, None, on_begin, (), _SMALLEST_BLOCK)
                    response = yield from first.next(_EACH_BLOCK)
                    if response.code != _CONTENT:
                        return (yield from self._refused(response))
                    on_begin, etag = None, first.etag
                blocks = Blocks(client, path, self._write, self.offset, etag, on_begin)
            response = yield from blocks.next(_EACH_BLOCK)
            if response.code != _CONTENT:
                return (yield from self._refused(response))
            if blocks.is_done and not self.is_whole:
                raise misfit("a package that ends after %d bytes" % self.offset)
        except Silence:
            raise
        except CoapError:
            self._by_chunks = True
            raise
        self._blocks = blocks
        self._client = client
        self._block_at = now
        return response

    def _chunk(self):
        """The steps of one block by ThingsBoard's own parameters; they return the response."""
        client = self._session.client
        size = min(_BLOCK, client.transport.largest_block)
        path = package_path(self._session.credentials, self._package.kind)
        path += "?size=%d&chunk=%d" % (size, self.offset // size)
        response = yield from client.steps(GET, path, timeout=_EACH_BLOCK)
        if response.code != _CONTENT:
            return (yield from self._refused(response))
        if len(response.payload) != min(size, self._package.size - self.offset):
            raise misfit("a chunk of %d bytes" % len(response.payload))
        self._write(response.payload)
        return response

    def _refused(self, response):
        """The steps after a response that is no block; they return the one that counts."""
        code = response.code
        if (
            code == _UNAUTHORIZED
            and self._session.credentials["credentialsType"] == "X509_CERTIFICATE"
        ):
            raise UpdateError(
                "ThingsBoard gives packages to access tokens alone, and this board has a"
                " certificate (its issue 13097)",
                "Give the board an ACCESS_TOKEN, or update it by cable.",
            )
        if code == _NOT_FOUND:
            self._doubt("ThingsBoard has no package for this device, though it has assigned one")
        if code in _NO_BLOCKS:
            if self._by_chunks:
                raise UpdateError(
                    "ThingsBoard answered %s when it was asked for the package" % code_name(code),
                    "See ThingsBoard's log.",
                )
            self._by_chunks = True
            return (yield from self._chunk())
        return response

    def _write(self, data):
        self._installation.write(data)
        self.offset += len(data)
        if self._checksum:
            self._checksum.update(data)

    def _check_size(self, response, size):
        if size is None and response.option(_BLOCK2) is None:
            size = len(response.payload)
        if size not in (None, self._package.size):
            self._doubt("ThingsBoard serves a package of %d bytes, and has assigned another" % size)

    def _doubt(self, what):
        """Ask what is assigned; what stays doubtful is an error."""
        session = self._session
        now = session.board.ticks()
        if self._doubtful_since is None:
            self._doubtful_since = now
        if ticks_diff(now, self._doubtful_since) > _LONGEST_DOUBT:
            raise UpdateError(what, "Assign it again.")
        session.observed.doubt()
        raise FirstbootError(what, "Nothing to do at first: the board asks again.")


def _drop(data):
    pass
