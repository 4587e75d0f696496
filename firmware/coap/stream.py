"""Bodies that never are in memory as a whole, RFC 7959: 1 MB takes no more heap than 1 KB. Pure.

with open("update.bin", "wb") as file:
    response = client.drive(download(client, "/fw", file.write))

With firmware.coap.aio it is `await client.drive(…)`. What broke off goes on at an `offset`.
"""

from micropython import const

from .blockwise import begin, check_block, check_size, elective, exponent, misfit, run_alone
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
    other arguments are Client.steps's, and so is what it raises; firmware.coap.blockwise.Changed
    when the resource is another than that with `etag`, or becomes another: begin anew.
    """
    _check_offset(offset)
    szx = exponent(min(block_size, client.transport.largest_block), offset)
    begin(client, timeout)
    prepared = request_options(client.name, path, None, options)
    token = client.random(8)
    first = size = None
    while True:
        blocks = [(_BLOCK2, uint_bytes(offset >> szx | szx))]
        if first is None:
            # RFC 7959 section 4: it asks for the size.
            blocks.append((_SIZE2, b""))
        client.began = client.ticks()
        message = merge(prepared, blocks)
        response = yield from client.ask(GET, token, message, b"", first is None)
        client.acknowledge()
        if first is None:
            if response.code != _CONTENT:
                response.payload = bytes(response.payload)
                return response
            if etag is None:
                etag = bytes(elective(response, _ETAG, 8))
        # Without the option all of it is in the message.
        is_whole = first is None and not offset and response.option(_BLOCK2) is None
        block2 = 0 if is_whole else check_block(response, _CONTENT, offset, etag)
        if first is None:
            first = [(number, bytes(value)) for number, value in response.options]
            size = uint(elective(response, _SIZE2, 4)) or None
            check_size(size or 0, limit)
            if on_begin:
                on_begin(response, size)
        check_size(offset + len(response.payload), limit)
        write(response.payload)
        offset += len(response.payload)
        if not block2 & _MORE:
            if size not in (None, offset):
                raise misfit("a body of %d bytes that was to have %d" % (offset, size))
            response.options = first
            response.payload = b""
            response.size = offset
            return response
        szx = block2 & 7
        token = token[:-1] + bytes((token[-1] + 1 & 0xFF,))


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
    _check_offset(offset)
    source = Source(client, body, size, offset)
    prepared = request_options(client.name, path, content_format, options)
    return (yield from run_alone(client, code, prepared, source, timeout=timeout))


class Source:
    """A body that is read part by part, for firmware.coap.blockwise."""

    def __init__(self, client, body, size, offset):
        self.offset = offset
        self._client = client
        self._body = body
        self._size = size

    def __len__(self):
        return self._size

    def part(self, start, end):
        """Return the bytes from start to end, or to the end of the body."""
        # Each block has its time: the whole may take as long as it has blocks.
        self._client.began = self._client.ticks()
        size = min(end, self._size) - start
        if hasattr(self._body, "seek"):
            self._body.seek(start)
            part = self._body.read(size)
        else:
            part = self._body(start, size)
        if len(part) != size:
            raise ValueError("a body that has not the %d bytes it was to have" % self._size)
        return part


def _check_offset(offset):
    if offset & 15:
        raise ValueError("a body goes on at a multiple of 16 bytes, the smallest block's size")
