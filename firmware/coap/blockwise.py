"""Block-wise transfer, RFC 7959: a body up with Block1, a body down with Block2. No socket.

A body that fits one message stays one message, with no Block option.
"""

from micropython import const

from .block import begin, check_block, check_size, elective, exponent
from .message import uint, uint_bytes
from .options import merge

_ETAG = const(4)
_OBSERVE = const(6)
_BLOCK2 = const(23)
_BLOCK1 = const(27)
_SIZE2 = const(28)
_SIZE1 = const(60)
_FETCH = const(5)
_SUCCESS = const(2)
_CONTINUE = const(0x5F)
_REQUEST_ENTITY_TOO_LARGE = const(0x8D)
_MORE = const(8)  # in a Block option


def run(client, code, token, options, payload, response):
    """The steps of a transfer with a Client, see `transfer`; they return its response.

    The token of a message is that of the one before it, and 1. Where the response is not to be
    acknowledged, a 2.31 is not either: a server never repeats what was acknowledged, and to resume
    a transfer takes all of its responses.
    """
    steps = transfer(options, payload, client.limit, client.transport.largest_block, response)
    # What a FETCH asks for stands in its payload (RFC 8132 section 2): each message says it.
    repeated = payload if code == _FETCH and len(payload) <= client.transport.largest_block else b""
    try:
        options, payload = next(steps)
        while True:
            is_first = response is None
            if not is_first:
                token = token[:-1] + bytes((token[-1] + 1 & 0xFF,))
            response = yield from client.ask(code, token, options, payload or repeated, is_first)
            options, payload = steps.send(response)
    except StopIteration as end:
        return end.value


def run_alone(client, code, options, payload, response=None, timeout=247_000):
    """The steps of a transfer that is none of Client.steps; they return its response."""
    begin(client, timeout)
    return run(client, code, client.random(8), options, payload, response)


def transfer(options, payload, limit, largest_block, response=None):
    """Yield (options, payload) of each message, be sent its response; return the last response.

    That one has the whole body as its payload, and the options of its first block. `options`:
    (number, value) in ascending order. `payload`: bytes, or a Source.
    `limit`: the most bytes that either body may have. `largest_block`: the most that a request may
    carry. `response`: the first message's, when it was sent before. Raises CoapError for a body
    over the limit and for blocks that do not fit together.
    """
    sent = 0
    if hasattr(payload, "part"):
        sent = payload.offset
        part = payload.part
    else:
        check_size(len(payload), limit)
        view = memoryview(payload)

        def part(start, end):
            return view[start:end]

    szx = exponent(largest_block, sent)
    while True:
        end = sent + (16 << szx)
        more = end < len(payload)
        if not response:
            block1 = [(_BLOCK1, uint_bytes(sent >> szx | more << 3 | szx))] if sent or more else []
            if more and not sent:
                # RFC 7959 section 4. Without it ThingsBoard makes room for the most it ever takes.
                block1.append((_SIZE1, uint_bytes(len(payload))))
            response = yield merge(options, block1), part(sent, end)
        block1 = response.option(_BLOCK1)
        named = szx if block1 is None else uint(block1)
        wanted = min(named & 7, szx)
        code = response.code
        if code == _CONTINUE and not more:
            from .misfit import misfit

            raise misfit("2.31 after the last block")
        if more and (code == _CONTINUE or (code >> 5 == _SUCCESS and block1 is not None)):
            # Its number is the request's, or counts blocks of the size that the server wants.
            number = named >> 4
            if block1 is None or sent not in (number << szx + 4, number << wanted + 4):
                from .misfit import misfit

                raise misfit("%s for another block", code)
            sent = end
        elif code != _REQUEST_ENTITY_TOO_LARGE or sent or wanted == szx:
            break
        szx = wanted
        response = None
    block2 = response.option(_BLOCK2)
    if block2 is None:
        check_size(len(response.payload), limit)
        response.payload = bytes(response.payload)
        return response
    check_size(uint(elective(response, _SIZE2, 4)), limit)
    etag = bytes(elective(response, _ETAG, 8))
    # Copies: they are not to keep the datagram.
    first = [(number, bytes(value)) for number, value in response.options]
    # Only the first message registers (RFC 7959 section 3.4).
    options = [option for option in options if option[0] != _OBSERVE]
    body = bytearray()
    while True:
        block2 = check_block(response, code, len(body), etag)
        check_size(len(body) + len(response.payload), limit)
        body.extend(response.payload)
        if not block2 & _MORE:
            response.payload = bytes(body)
            response.options = first
            return response
        # The next number of the same size, and no `more`, whose bit carries over.
        response = yield merge(options, ((_BLOCK2, uint_bytes(block2 + 8)),)), b""


class Source:
    """A body that is read part by part, see firmware.coap.stream.upload."""

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
