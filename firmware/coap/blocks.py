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
# Bytes; RFC 7252 section 5.3.1: 32 bits against spoofed responses.
_TOKEN = const(4)


class Blocks:
    """A firmware.coap.stream.download that goes block by block, other requests in between.

    `is_done`: whether the last response was that of the whole, or refused it. `offset`: how many
    bytes there are. `size`: how many there will be, None when that is not known.
    """

    is_begun = is_done = False
    size = None
    _limit = MOST

    def __init__(self, client, path, offset=0, etag=None, options=(), block_size=1024, limit=MOST):
        check_offset(offset)
        self.offset = offset
        self.client = client
        self.etag = etag
        if limit != MOST:
            self._limit = limit
        # A transport's largest_block is of requests: each has room to receive 1024 bytes.
        self._szx = exponent(block_size, offset)
        self._prepared = request_options(client.name, path, None, options)
        self._token = client.random(_TOKEN)

    def next(self, timeout):
        """The steps of the next block; they return the response, whose payload it is."""
        client = self.client
        is_first = not self.is_begun
        offset = self.offset
        options = [(_BLOCK2, uint_bytes(offset >> self._szx | self._szx))]
        if is_first:
            # RFC 7959 section 4: it asks for the size.
            options.append((_SIZE2, b""))
        begin(client, timeout)
        # As Client.ask, whose generator would hold the options while it waits.
        options = merge(self._prepared, options)
        timeout = client.start(GET, self._token, options, b"", is_first)
        options = None
        while timeout:
            timeout = client.advance((yield timeout))
        # Kept no longer there: with its datagram it takes 1.2 KB.
        response, client.exchange.response = client.exchange.response, None
        if is_first:
            if response.code != _CONTENT:
                response.payload = bytes(response.payload)
                self.is_done = True
                return response
            if self.etag is None:
                self.etag = bytes(elective(response, _ETAG, 8))
        # Without the option all of it is in the message.
        is_whole = is_first and not offset and response.option(_BLOCK2) is None
        block2 = 0 if is_whole else check_block(response, _CONTENT, offset, self.etag)
        if is_first:
            self.is_begun = True
            self.size = uint(elective(response, _SIZE2, 4)) or self.size
            check_size(self.size or 0, self._limit)
        offset += len(response.payload)
        check_size(offset, self._limit)
        self.offset = offset
        if block2 & _MORE:
            self._szx = block2 & 7
            self._token = self._token[:-1] + bytes((self._token[-1] + 1 & 0xFF,))
        elif self.size in (None, offset):
            self.is_done = True
        else:
            from .misfit import misfit

            raise misfit("a body of %d bytes that was to have %d" % (offset, self.size))
        return response
