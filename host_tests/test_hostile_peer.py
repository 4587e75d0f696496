"""A client and a peer that answers what it likes, in virtual time: every request ends, and well."""

from __future__ import annotations

from typing import NamedTuple
from unittest.mock import patch

from hypothesis import event, given, settings
from hypothesis import strategies as st

from firmware.coap.message import ACK, CON, EMPTY, GET, POST, RST, decode, encode, uint, uint_bytes
from firmware.errors import CoapError
from host_tests.firmware.coap_helpers import NON, RAISED, make_client
from host_tests.firmware.helpers import Clock

ETAG, BLOCK2, BLOCK1, SIZE2, SIZE1, ECHO = 4, 23, 27, 28, 60, 252
CONTENT, CONTINUE, UNAUTHORIZED, INCOMPLETE, TOO_LARGE = 0x45, 0x5F, 0x81, 0x88, 0x8D
LONGEST = 247_000
# As many as the limit has blocks of 16 bytes, up and down, each echoed, each sent five times.
MOST = 2 * 256 * 2 * 5


class Block(NamedTuple):
    """A Block option: `step` blocks from the one of the request, of `szx` or of its size."""

    number: int
    step: int
    more: bool
    szx: int | None


class Answer(NamedTuple):
    """A datagram from the peer, `delay` ms after the request. `message_id` and `token`: how they
    differ from the request's. `cut`: how many bytes of it are missing, `junk`: what follows."""

    delay: int
    type: int
    code: int
    message_id: int
    token: bytes
    options: list
    payload: int
    cut: int
    junk: bytes


CODES = [EMPTY, GET, POST, 0x41, 0x44, CONTENT, CONTINUE, 0x80, UNAUTHORIZED, INCOMPLETE, TOO_LARGE]
blocks = st.builds(
    Block,
    st.sampled_from([BLOCK1, BLOCK2]),
    st.sampled_from([0, 0, 0, 0, 0, 1, -1, 1000]),
    st.booleans(),
    st.sampled_from([None, None, None, 0, 1, 5, 6, 7]),
)
options = st.one_of(
    blocks,
    st.tuples(st.sampled_from([ETAG, 12, SIZE2, SIZE1, ECHO]), st.binary(max_size=9)),
    st.tuples(st.sampled_from([BLOCK1, BLOCK2, 1, 3, 9, 14, 65535]), st.binary(max_size=4)),
    st.just((ECHO, bytes(41))),
)
sound = st.builds(
    Answer,
    st.sampled_from([1, 1, 1, 50, 2500, 92_000]),
    st.sampled_from([ACK, ACK, CON, NON]),
    st.sampled_from([CONTENT, CONTENT, CONTINUE, CONTINUE, *CODES]),
    st.just(0),
    st.just(b""),
    st.lists(options, max_size=3),
    st.sampled_from([0, 1, 15, 16, 16, 512, 1024, 1024, 1100]),
    st.just(0),
    st.just(b""),
)
# A transfer that goes on and on, one block with each request.
endless = st.builds(
    lambda delay, type, code, number, szx: Answer(
        delay, type, code, 0, b"", [Block(number, 0, True, szx)], 16 << (szx or 0), 0, b""
    ),
    st.sampled_from([1, 2500, 50_000, 92_000]),
    st.sampled_from([ACK, CON, NON]),
    st.sampled_from([CONTENT, CONTINUE]),
    st.sampled_from([BLOCK1, BLOCK2]),
    st.sampled_from([None, 0, 0, 6]),
)
echoing = st.builds(
    lambda delay, type: Answer(delay, type, UNAUTHORIZED, 0, b"", [(ECHO, b"v")], 0, 0, b""),
    st.sampled_from([1, 50_000]),
    st.sampled_from([ACK, CON]),
)
broken = st.builds(
    Answer,
    st.integers(0, 100_000),
    st.sampled_from([ACK, CON, NON, RST]),
    st.sampled_from(CODES) | st.integers(0, 255),
    st.sampled_from([0, 0, 0, -1, 1, 4711]),
    st.sampled_from([b"", b"", b"\x01", b"\xff"]) | st.binary(max_size=8),
    st.lists(options, max_size=3),
    st.integers(0, 1300),
    st.sampled_from([0, 0, 1, 5, 2000]),
    st.binary(max_size=4),
)
answers = st.one_of(
    broken, st.binary(max_size=40), st.just(b""), st.just(RAISED), st.just("empty ACK")
)
steps = st.one_of(
    st.lists(st.one_of(sound, answers), max_size=3),
    st.one_of(endless, echoing).map(lambda answer: [answer]),
    endless.map(lambda answer: ["empty ACK", answer]),
)
scripts = st.lists(steps, min_size=1, max_size=6)


class Peer:
    """Answers the client's requests as a script says, the last of its steps for ever."""

    def __init__(self, script, clock):
        self.script = script
        self.clock = clock
        self.requests = 0
        self.last = b"\x48\x01\x12\x34\x01\x02\x03\x04\x05\x06\x07\x08"

    def __call__(self, datagram):
        assert self.clock.slept <= LONGEST and self.requests <= MOST
        if datagram[1]:
            self.last = datagram
            self.requests += 1
        step = self.script[min(self.requests, len(self.script)) - 1] if datagram[1] else ()
        return [self.arrival(answer) for answer in step]

    def arrival(self, answer):
        if not isinstance(answer, Answer):
            if answer == "empty ACK":
                answer = bytes((0x60, 0)) + self.last[2:4]
            return (2, answer)
        request = decode(memoryview(self.last))
        options = sorted(
            (self.option(request, option) for option in answer.options),
            key=lambda option: option[0],
        )
        token = bytes(request.token)
        if answer.token:
            token = token[: -len(answer.token)] + answer.token
        message_id = request.message_id + answer.message_id & 0xFFFF
        datagram = bytes(
            encode(answer.type, answer.code, message_id, token, options, bytes(answer.payload))
        )
        return (answer.delay, datagram[: len(datagram) - answer.cut] + answer.junk)

    def option(self, request, option):
        if not isinstance(option, Block):
            return option
        asked = uint(request.option(option.number) or b"")
        szx = asked & 7 if option.szx is None else option.szx
        number = max(0, (asked >> 4) + option.step)
        return option.number, uint_bytes(number << 4 | option.more << 3 | szx)


@settings(max_examples=150, deadline=None, database=None)
@given(
    script=scripts,
    code=st.sampled_from([GET, POST]),
    size=st.sampled_from([0, 0, 10, 1024, 1025, 4096]),
    largest_block=st.sampled_from([1024, 512]),
    limit=st.sampled_from([4096, 100]),
    acknowledge=st.booleans(),
    fail=st.sets(st.integers(0, 6), max_size=3),
)
def test_every_request_ends(script, code, size, largest_block, limit, acknowledge, fail):
    """In time, with a response of at most the limit or a CoapError with its advice.

    What the caller acknowledges is not acknowledged before.
    """
    clock = Clock()
    peer = Peer(script, clock)
    # It collects garbage, of which Hypothesis has much.
    with patch("firmware.coap.client.gc"):
        client, transport = make_client(peer, clock, fail, limit=limit)
    transport.largest_block = largest_block
    try:
        response = client.request(code, "/a", bytes(size), acknowledge=acknowledge)
    except CoapError as error:
        assert error.what and error.fix
        event(type(error).__name__)
    else:
        assert isinstance(response.payload, bytes) and len(response.payload) <= limit
        event(f"a response after {min(peer.requests, 10)} requests")
    assert clock.slept <= LONGEST
    assert all(len(datagram) <= largest_block + 40 for _, datagram in transport.sent)
    acks = [datagram for _, datagram in transport.sent if datagram[0] >> 4 & 3 == ACK]
    assert acknowledge or not acks
    # And the client is fit for another.
    transport._server = lambda datagram: (
        [(1, bytes((0x60 | datagram[0] & 15, CONTENT)) + datagram[2:12])] if datagram[1] else ()
    )
    transport._arrivals = []
    transport._fail = ()
    assert client.get("/b").code == CONTENT
