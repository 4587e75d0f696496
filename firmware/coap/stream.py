"""Bodies that never are in memory as a whole, RFC 7959: 1 MB takes no more heap than 1 KB. Pure.

with open("update.bin", "wb") as file:
    response = client.drive(download(client, "/fw", file.write))

With firmware.coap.aio it is `await client.drive(…)`. What broke off goes on at an `offset`.
"""

from micropython import const

from .block import check_offset
from .blocks import MOST, Blocks
from .options import request_options

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
    limit=MOST,
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
    blocks = Blocks(client, path, offset, etag, options, block_size, limit)
    first = None
    while True:
        response = yield from blocks.next(timeout)
        if not blocks.is_begun:
            return response
        if first is None:
            first = [(number, bytes(value)) for number, value in response.options]
            if on_begin:
                on_begin(response, blocks.size)
        write(response.payload)
        response.payload = b""
        if blocks.is_done:
            response.options = first
            response.size = blocks.offset
            return response


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
