"""What a block of a body has to be, RFC 7959 section 2. Pure."""

from micropython import const

from .message import CON, uint

_ETAG = const(4)
_BLOCK2 = const(23)
_LARGEST_SZX = const(6)
_MORE = const(8)  # in a Block option


def begin(client, timeout):
    """Begin a transfer with a Client that is none of its `steps`."""
    client.exchange.begin(b"")
    client.type = CON
    client.timeout = timeout
    client.began = client.ticks()


def exponent(size, position=0):
    """Return the SZX of the largest blocks of at most so many bytes of which one begins there."""
    szx = _LARGEST_SZX
    while szx and (16 << szx > size or position & (16 << szx) - 1):
        szx -= 1
    return szx


def check_block(response, code, position, etag):
    """Return the Block2 of a response whose block is to be at a position of the body.

    Raises CoapError for any other, Changed when its ETag is another.
    """
    block2 = response.option(_BLOCK2)
    if block2 is None or response.code != code:
        from .misfit import misfit

        raise misfit("%s in the middle of a block-wise response", response.code)
    if elective(response, _ETAG, 8) != etag:
        from .misfit import changed

        raise changed()
    block2 = uint(block2)
    size = 16 << (block2 & 7)
    length = len(response.payload)
    if (
        block2 & 7 == 7
        or (block2 >> 4) * size != position
        or length > size
        or (block2 & _MORE and length != size)
    ):
        from .misfit import misfit

        raise misfit("a block that does not continue the response")
    return block2


def elective(response, number, longest):
    """Return the value of an option; b"" for none, or one too long to be read (RFC 7252 5.4.3)."""
    value = response.option(number)
    return b"" if value is None or len(value) > longest else value


def check_size(size, limit):
    """Raise CoapError for a body over the limit."""
    if size > limit:
        from .misfit import too_large

        raise too_large(limit)


def check_offset(offset):
    """Raise ValueError for where no block begins."""
    if offset & 15:
        raise ValueError("a body goes on at a multiple of 16 bytes, the smallest block's size")
