"""Block-wise transfer, RFC 7959: a body up with Block1, a body down with Block2. No socket.

A body that fits one message stays one message, with no Block option.
"""

from micropython import const

from firmware.coap.message import CON, code_name, encode, uint, uint_bytes
from firmware.errors import CoapError

_ETAG = const(4)
_BLOCK2 = const(23)
_BLOCK1 = const(27)
_SIZE2 = const(28)
_SUCCESS = const(2)
_CONTINUE = const(0x5F)
_REQUEST_ENTITY_TOO_LARGE = const(0x8D)
_LARGEST_SZX = const(6)
_FIX = "Check that this is the server you mean, and what stands between it and this device."


class Transfer:
    """One request with its body and its response with its body, block by block.

    While `finished` is False: send `next_request`, give its response to `on_response`.
    `options`: (number, value) in ascending order, all below Block2. `limit`: the most bytes that
    either body may have. Raises CoapError when the request's has more.
    """

    def __init__(self, code, options, payload, limit):
        self.finished = False
        self.response = None
        self._code = code
        self._options = options
        self._payload = memoryview(payload)
        self._limit = limit
        self._sent = 0
        self._szx = _LARGEST_SZX
        self._body = None
        self._block2 = None
        self._check_size(len(payload))

    def next_request(self, message_id, token):
        """Return the next message, encoded."""
        options = self._options
        payload = self._payload
        if self._block2 is not None:
            options = options + [(_BLOCK2, uint_bytes(self._block2))]
            payload = b""
        elif self._sent or len(payload) > 16 << self._szx:
            end = self._sent + (16 << self._szx)
            more = end < len(payload)
            number = self._sent >> 4 + self._szx
            options = options + [(_BLOCK1, uint_bytes(number << 4 | more << 3 | self._szx))]
            payload = payload[self._sent : end]
        return encode(CON, self._code, message_id, token, options, payload)

    def on_response(self, response):
        """Take the response to the last request.

        Raises CoapError for blocks that do not fit together and for a body over the limit. When
        `finished` is then True, `response` has the whole body as its payload.
        """
        self.finished = True
        block2 = response.option(_BLOCK2)
        if self._block2 is None and self._goes_on(response):
            self.finished = False
        elif block2 is None and self._body is None:
            self._check_size(len(response.payload))
            response.payload = bytes(response.payload)
        elif self._append(response, block2):
            self.finished = False
        else:
            response.payload = bytes(self._body)
        if self.finished:
            self.response = response

    def _goes_on(self, response):
        """Handle a response in the middle of Block1; return whether a request follows it."""
        block1 = response.option(_BLOCK1)
        szx = self._szx if block1 is None else min(uint(block1) & 7, self._szx)
        end = self._sent + (16 << self._szx)
        if response.code == _CONTINUE or (response.code >> 5 == _SUCCESS and block1 is not None):
            if end < len(self._payload):
                self._sent = end
                self._szx = szx
                return True
            if response.code == _CONTINUE:
                raise CoapError("2.31 after the last block", _FIX)
        elif response.code == _REQUEST_ENTITY_TOO_LARGE and not self._sent and szx < self._szx:
            self._szx = szx
            return True
        return False

    def _append(self, response, block2):
        """Add one block to the body; return whether more follow."""
        if block2 is None or (self._body is not None and response.code != self._body_code):
            raise CoapError(
                "%s in the middle of a block-wise response" % code_name(response.code), _FIX
            )
        block2 = uint(block2)
        size = 16 << (block2 & 7)
        payload = response.payload
        if self._body is None:
            self._body = bytearray()
            self._body_code = response.code
            self._etag = bytes(response.option(_ETAG) or b"")
            announced = response.option(_SIZE2)
            self._check_size(0 if announced is None else uint(announced))
        more = block2 & 8
        if (
            block2 & 7 == 7
            or (block2 >> 4) * size != len(self._body)
            or len(payload) > size
            or (more and len(payload) != size)
            or (response.option(_ETAG) or b"") != self._etag
        ):
            raise CoapError("a block that does not continue the response", _FIX)
        self._check_size(len(self._body) + len(payload))
        self._body.extend(payload)
        self._block2 = ((block2 >> 4) + 1) << 4 | block2 & 7
        return more

    def _check_size(self, size):
        if size > self._limit:
            raise CoapError(
                "a body over the limit of %d bytes" % self._limit,
                "Check that this is the server you mean, or raise the client's limit.",
            )
