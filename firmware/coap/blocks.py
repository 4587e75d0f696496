"""A body that comes down block by block, RFC 7959, and is never in memory as a whole. Pure."""

from micropython import const

from .block import begin, check_block, check_offset, check_size, elective, exponent
from .message import GET, uint, uint_bytes
from .options import merge, request_options

# Bytes of the whole: a block's number has 20 bits, and the smallest block 16 bytes.
MOST = const(1 << 24)

_ETAG = const(4)
_BLOCK2 = const(23)
_SIZE2 = const(28)
_CONTENT = const(0x45)
_MORE = const(8)
_EACH_BLOCK = const(247_000)
# Bytes; RFC 7252 section 5.3.1: 32 bits against spoofed responses.
_TOKEN = const(4)


class Blocks:
    """A firmware.coap.stream.download that goes block by block, other requests in between.

    `is_done`: whether the last response was that of the whole, or refused it. `offset`: how many
    bytes there are. `size`: how many there will be, None when the server has not said it.
    """

    is_done = False
    size = _first = None

    def __init__(
        self,
        client,
        path,
        write,
        offset=0,
        etag=None,
        on_begin=None,
        options=(),
        block_size=1024,
        limit=MOST,
    ):
        check_offset(offset)
        self.offset = offset
        self._client = client
        self._write = write
        self.etag = etag
        self._on_begin = on_begin
        self._limit = limit
        # A transport's largest_block is of requests: each has room to receive 1024 bytes.
        self._szx = exponent(block_size, offset)
        self._prepared = request_options(client.name, path, None, options)
        self._token = client.random(_TOKEN)

    def next(self, timeout=_EACH_BLOCK):
        """The steps of the next block; they return the response, whose payload is written."""
        client = self._client
        first = self._first
        offset = self.offset
        begin(client, timeout)
        response = yield from client.ask(GET, self._token, self._options(), b"", first is None)
        if first is None:
            if response.code != _CONTENT:
                response.payload = bytes(response.payload)
                self.is_done = True
                return response
            if self.etag is None:
                self.etag = bytes(elective(response, _ETAG, 8))
        # Without the option all of it is in the message.
        is_whole = first is None and not offset and response.option(_BLOCK2) is None
        block2 = 0 if is_whole else check_block(response, _CONTENT, offset, self.etag)
        if first is None:
            self._first = [(number, bytes(value)) for number, value in response.options]
            self.size = uint(elective(response, _SIZE2, 4)) or None
            check_size(self.size or 0, self._limit)
            # Not kept: it can be of a module that is not needed any more.
            on_begin, self._on_begin = self._on_begin, None
            if on_begin:
                on_begin(response, self.size)
        offset += len(response.payload)
        check_size(offset, self._limit)
        self._write(response.payload)
        self.offset = offset
        response.payload = b""
        if block2 & _MORE:
            self._szx = block2 & 7
            self._token = self._token[:-1] + bytes((self._token[-1] + 1 & 0xFF,))
            return response
        if self.size not in (None, offset):
            from .misfit import misfit

            raise misfit("a body of %d bytes that was to have %d" % (offset, self.size))
        self.is_done = True
        response.options = self._first
        response.size = offset
        return response

    def _options(self):
        blocks = [(_BLOCK2, uint_bytes(self.offset >> self._szx | self._szx))]
        if self._first is None:
            # RFC 7959 section 4: it asks for the size.
            blocks.append((_SIZE2, b""))
        return merge(self._prepared, blocks)
