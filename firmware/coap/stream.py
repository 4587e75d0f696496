"""Bodies that never are in memory as a whole, RFC 7959: 1 MB takes no more heap than 1 KB. Pure.

with open("update.bin", "wb") as file:
    response = client.drive(download(client, "/fw", file.write))

With firmware.coap.aio it is `await client.drive(…)`. What broke off goes on at an `offset`.
"""

from micropython import const

from .block import begin, check_block, check_offset, check_size, elective, exponent
from .merge import merge
from .message import GET, uint, uint_bytes
from .options import request_options

_ETAG = const(4)
_BLOCK2 = const(23)
_SIZE2 = const(28)
_CONTENT = const(0x45)
_MORE = const(8)
# A block's number has 20 bits, and the smallest block 16 bytes.
_MOST = const(1 << 24)
_EACH_BLOCK = const(247_000)
# Bytes; RFC 7252 section 5.3.1: 32 bits against spoofed responses.
_TOKEN = const(4)


def download(
    client,
    path,
    write,
    offset=0,
    etag=None,
    on_begin=None,
    options=(),
    block_size=1024,
    limit=_MOST,
    timeout=_EACH_BLOCK,
):
    """The steps of a GET with a Client; they return the response.

    `write(data)`: is given the body block by block, as a memoryview that is good until it returns.
    The response has the options of its first message, no payload, and `size`: how many bytes there
    are, those before `offset` too. A response other than 2.05 is returned as it is, and nothing is
    written.

    `on_begin(response, size)`: called before the first `write`, with the first message and, when
    the server tells it, the size of the whole, else None; it may raise. To go on with a download:
    `offset`, how many bytes of it there are, and `etag`, the first response's ETag option, b"" for
    none. `block_size`: the most that is asked for in a message. `limit`: the most bytes of the
    whole. `timeout`: of each message, in ms: the whole may take as long as it has blocks. The
    other arguments are Client.steps's, and so is what it raises; firmware.coap.misfit.Changed
    when the resource is another than that with `etag`, or becomes another: begin anew.
    """
    blocks = Blocks(client, path, write, offset, etag, on_begin, options, block_size, limit)
    while True:
        response = yield from blocks.next(timeout)
        if blocks.is_done:
            return response


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
        limit=_MOST,
    ):
        check_offset(offset)
        self.offset = offset
        self._client = client
        self._write = write
        self.etag = etag
        self._on_begin = on_begin
        self._limit = limit
        self._szx = exponent(min(block_size, client.transport.largest_block), offset)
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


def upload(
    client,
    code,
    path,
    body,
    size,
    content_format=None,
    offset=0,
    options=(),
    timeout=_EACH_BLOCK,
):
    """The steps of a request with a body of `size` bytes; they return the response.

    `body`: a file, or `body(offset, size)`, which returns so many bytes of it. To go on with an
    upload: `offset`, how many bytes the server has; servers forget what is unfinished after some
    time, and then answer 4.08. `timeout`: of each message, in ms. The other arguments are
    Client.steps's, and so is what it raises.
    """
    check_offset(offset)
    # Only now, since hardly anybody needs both.
    from .blockwise import Source, run_alone

    source = Source(client, body, size, offset)
    prepared = request_options(client.name, path, content_format, options)
    return (yield from run_alone(client, code, prepared, source, timeout=timeout))
