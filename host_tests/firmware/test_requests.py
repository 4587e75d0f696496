"""firmware.coap: every method and option, non-confirmable requests, a time-out for each."""

from firmware.coap import numbers
from firmware.coap.message import ACK, CON, POST, RST, decode, encode
from firmware.coap.options import merge
from firmware.coap.unconfirmed import Unconfirmed
from firmware.errors import NetworkError, NoResponse
from host_tests.firmware.coap_helpers import (
    NON,
    Tokens,
    empty,
    make_client,
    mute,
    reply,
    separate,
    times,
)
from host_tests.firmware.helpers import Clock, raises

CONTENT, CONTINUE, CHANGED = 0x45, 0x5F, 0x44


def content(datagram):
    """A server that answers everything at once."""
    return [(1, reply(datagram, CONTENT, payload=b"ok"))] if datagram[1] else ()


def request_of(transport, number=0):
    """Return a message that was sent, and its options."""
    message = decode(memoryview(transport.sent[number][1]))
    return message, [(number, bytes(value)) for number, value in message.options]


def test_methods():
    for number, method in enumerate(
        (
            numbers.GET,
            numbers.POST,
            numbers.PUT,
            numbers.DELETE,
            numbers.FETCH,
            numbers.PATCH,
            numbers.IPATCH,
        )
    ):
        client, transport = make_client(content)
        assert client.request(method, "/a", b"x", 0).payload == b"ok"
        assert transport.sent[0][1][1] == number + 1


def test_merge():
    for options, more, merged in (
        ([], [], []),
        ([], [(4, b"e"), (1, b"m")], [(1, b"m"), (4, b"e")]),
        ([(11, b"a"), (15, b"q")], [(17, b"")], [(11, b"a"), (15, b"q"), (17, b"")]),
        (
            [(11, b"a"), (15, b"q")],
            [(12, b""), (6, b"")],
            [(6, b""), (11, b"a"), (12, b""), (15, b"q")],
        ),
        ([(15, b"1")], [(15, b"2"), (15, b"3")], [(15, b"1"), (15, b"2"), (15, b"3")]),
        ([(60, b"")], [(258, b"\x02"), (252, b"e")], [(60, b""), (252, b"e"), (258, b"\x02")]),
    ):
        before = list(options)
        assert merge(options, more) == merged
        assert options == before


def test_any_option_in_any_order():
    client, transport = make_client(content, name="h")
    options = (
        (numbers.NO_RESPONSE, b"\x02"),
        (numbers.ACCEPT, b"\x32"),
        (numbers.IF_MATCH, b"tag"),
        (numbers.ETAG, b"e1"),
        (numbers.URI_QUERY, b"r=2"),
        (numbers.ETAG, b"e2"),
    )
    client.request(numbers.PUT, "/a?q=1", b"x", numbers.TEXT, options=options)
    assert request_of(transport)[1] == [
        (1, b"tag"),
        (3, b"h"),
        (4, b"e1"),
        (4, b"e2"),
        (11, b"a"),
        (12, b""),
        (15, b"q=1"),
        (15, b"r=2"),
        (17, b"\x32"),
        (258, b"\x02"),
    ]
    client.get("/a")
    assert request_of(transport, 1)[1] == [(3, b"h"), (11, b"a")]


def test_options_are_the_request_s_own():
    client, transport = make_client(content)
    client.get("/a", options=((numbers.ACCEPT, b"\x32"),))
    client.get("/a")
    client.get("/a", options=((numbers.ACCEPT, b"\x3c"),))
    client.post("/a", b"x", numbers.CBOR, options=((numbers.IF_NONE_MATCH, b""),))
    assert [request_of(transport, number)[1] for number in range(4)] == [
        [(11, b"a"), (17, b"\x32")],
        [(11, b"a")],
        [(11, b"a"), (17, b"\x3c")],
        [(5, b""), (11, b"a"), (12, b"\x3c")],
    ]


def test_what_is_still_valid():
    def server(datagram):
        if decode(memoryview(datagram)).option(numbers.ETAG) == b"e":
            return [(1, reply(datagram, numbers.VALID, [(4, b"e"), (14, b"\x3c")]))]
        return [(1, reply(datagram, CONTENT, [(4, b"e")], b"state"))]

    client, _ = make_client(server)
    tag = bytes(client.get("/a").option(numbers.ETAG))
    response = client.get("/a", options=((numbers.ETAG, tag),))
    assert response.code == numbers.VALID and response.payload == b""
    assert response.option(numbers.MAX_AGE) == b"\x3c"


class BlockServer:
    """A server that takes a body in blocks and gives one of 150 bytes in blocks of 64."""

    BODY = bytes(range(150))

    def __init__(self):
        self.requests = []

    def __call__(self, datagram):
        request = decode(memoryview(datagram))
        if not request.code:
            return ()
        self.requests.append(request)
        up = request.option(27)
        if up is not None and len(up) and up[0] & 8:
            return [(1, reply(datagram, CONTINUE, [(27, bytes(up))]))]
        asked = request.option(23)
        number = asked[0] >> 4 if asked else 0
        more = (number + 1) * 64 < len(self.BODY)
        options = [(23, bytes((number << 4 | more << 3 | 2,)))]
        if up is not None:
            options.append((27, bytes(up)))
        if not number:
            options = [(4, b"e"), (6, b"\x05")] + options
        elif number == 1:
            options = [(4, b"e"), (14, b"\x09")] + options
        else:
            options = [(4, b"e")] + options
        payload = self.BODY[number * 64 : number * 64 + 64]
        return [(1, reply(datagram, CONTENT, options, payload))]

    def options(self, number):
        return [(number, bytes(value)) for number, value in self.requests[number].options]


def test_options_beside_those_of_blocks():
    server = BlockServer()
    client, _ = make_client(server)
    options = ((258, b"\x02"), (17, b"\x2a"), (35, b"coap://b"))
    assert client.request(POST, "/a", bytes(1100), options=options).payload == server.BODY
    first, second, third, fourth = (server.options(number) for number in range(4))
    shared = [(11, b"a"), (17, b"\x2a")]
    rest = [(35, b"coap://b"), (258, b"\x02")]
    assert first == shared + [(27, b"\x0e"), (35, b"coap://b"), (60, b"\x04\x4c"), (258, b"\x02")]
    assert second == shared + [(27, b"\x16")] + rest
    assert third == shared + [(23, b"\x12")] + rest
    assert fourth == shared + [(23, b"\x22")] + rest


def test_blocks_after_the_first_do_not_register():
    server = BlockServer()
    client, _ = make_client(server)
    response = client.get("/a", options=((6, b""), (4, b"f")))
    assert server.options(0) == [(4, b"f"), (6, b""), (11, b"a")]
    assert server.options(1) == [(4, b"f"), (11, b"a"), (23, b"\x12")]
    assert response.payload == server.BODY
    # Its options are those of the first block.
    assert response.options == [(4, b"e"), (6, b"\x05"), (23, b"\x0a")]


def test_each_block_of_a_fetch_says_what_is_fetched():
    server = BlockServer()
    client, _ = make_client(server)
    client.request(numbers.FETCH, "/a", b"what")
    assert [bytes(request.payload) for request in server.requests] == [b"what"] * 3
    server = BlockServer()
    client, _ = make_client(server)
    client.request(numbers.FETCH, "/a", bytes(1024))
    assert [len(request.payload) for request in server.requests] == [1024] * 3
    server = BlockServer()
    client, _ = make_client(server)
    client.request(POST, "/a", b"what")
    assert [bytes(request.payload) for request in server.requests] == [b"what", b"", b""]


def test_echo_among_options():
    requests = []

    def server(datagram):
        message = decode(memoryview(datagram))
        requests.append([(number, bytes(value)) for number, value in message.options])
        if message.option(252) is None:
            return [(1, reply(datagram, 0x81, [(252, b"echo")]))]
        return content(datagram)

    client, _ = make_client(server)
    client.get("/a", options=((258, b"\x02"),))
    assert requests[1] == [(11, b"a"), (252, b"echo"), (258, b"\x02")]


def test_non_confirmable():
    client, transport = make_client(
        lambda datagram: [(700, separate(datagram, CONTENT, 0x7000, b"ok", type=NON))]
    )
    response = client.post("/a", b"x", confirmable=False)
    assert response.payload == b"ok"
    message, _ = request_of(transport)
    assert message.type == NON and message.code == POST
    assert len(transport.sent) == 1
    client.post("/a", b"x")
    assert request_of(transport, 1)[0].type == CON


def test_non_confirmable_is_sent_once():
    clock = Clock()
    client, transport = make_client(mute, clock, random=bytes)
    error = raises(NoResponse, client.get, "/a", confirmable=False)
    assert times(transport) == [0] and clock.slept == 32_000
    assert client.exchange.transmissions == 1
    assert "no answer to a non-confirmable request" in error.what and error.acknowledged is False


def test_confirmable_response_to_a_non_confirmable_request_is_acknowledged():
    client, transport = make_client(
        lambda datagram: [(1, separate(datagram, CONTENT, 0x7000, b"ok"))] if datagram[1] else ()
    )
    client.get("/a", confirmable=False)
    assert transport.sent[1][1] == empty(ACK, 0x7000)


def test_reset_of_a_non_confirmable_request():
    client, _ = make_client(lambda datagram: [(1, empty(RST, 0x1234))])
    error = raises(Exception, client.get, "/a", confirmable=False)
    assert "Reset" in error.what


def test_blocks_of_a_non_confirmable_request():
    server = BlockServer()
    client, _ = make_client(server)
    client.post("/a", bytes(1100), confirmable=False)
    assert [request.type for request in server.requests] == [NON] * 4


def test_time_out():
    for timeout, sent in ((1, [0]), (2000, [0]), (2001, [0, 2000]), (61_999, None)):
        clock = Clock((1 << 30) - 1000)
        client, transport = make_client(mute, clock, random=bytes)
        error = raises(NoResponse, client.get, "/a", timeout=timeout)
        assert clock.slept == timeout
        assert "had not ended its response after %g s" % (timeout / 1000) in error.what
        assert sent is None or times(transport) == sent
    error = raises(NoResponse, client.get, "/a", timeout=100, confirmable=False)
    assert error.acknowledged is False
    client, transport = make_client(mute, random=bytes)
    assert "no answer to 5" in raises(NoResponse, client.get, "/a", timeout=62_001).what


def test_time_out_says_whether_the_request_was_acknowledged():
    client, _ = make_client(lambda datagram: [(1, empty(ACK, 0x1234))])
    assert raises(NoResponse, client.get, "/a", timeout=5000).acknowledged is True


def test_time_out_is_of_the_whole_transfer():
    server = BlockServer()

    def slow(datagram):
        return [(400, answer) for _, answer in server(datagram)]

    clock = Clock()
    client, _ = make_client(slow, clock)
    raises(NoResponse, client.get, "/a", timeout=1000)
    assert clock.slept == 1000
    assert client.get("/a").payload == server.BODY
    assert client.get("/a", timeout=1300).payload == server.BODY


def test_unconfirmed():
    seen = []
    client, transport = make_client(mute, random=Tokens())
    unconfirmed = Unconfirmed(client, lambda message: seen.append(message.code))
    unconfirmed.send(POST, "/a", b"1", numbers.JSON)
    unconfirmed.send(POST, "/a", b"2", numbers.JSON, ((258, b"\x1a"),))
    assert times(transport) == [0, 0]
    first, options = request_of(transport)
    second, more = request_of(transport, 1)
    assert (first.type, first.code, first.payload) == (NON, POST, b"1")
    assert options == [(11, b"a"), (12, b"\x32")] and more == options + [(258, b"\x1a")]
    assert first.token == second.token
    assert second.message_id == first.message_id + 1
    transport._server = content
    transport.arrive(0, separate(transport.sent[0][1], 0x81, 0x7000, type=NON))
    transport.arrive(0, separate(transport.sent[1][1], 0x81, 0x7001))
    # One comes in the middle of a request, and the request gets its own response.
    assert client.get("/b").payload == b"ok"
    client.wait(1)
    assert seen == [0x81, 0x81]
    acknowledgement = empty(ACK, 0x7001)
    assert [each for _, each in transport.sent[2:]].count(acknowledgement) == 1
    assert request_of(transport, 2)[0].message_id == second.message_id + 1
    unconfirmed.end()
    transport.arrive(0, separate(transport.sent[0][1], 0x81, 0x7002))
    client.wait(1)
    assert len(seen) == 2 and transport.sent[-1][1] == empty(RST, 0x7002)


def test_unconfirmed_that_cannot_be_sent():
    client, transport = make_client(mute, fail=(0,))
    unconfirmed = Unconfirmed(client, None)
    raises(NetworkError, unconfirmed.send, POST, "/a", b"x")
    assert "1024 bytes" in str(raises(ValueError, unconfirmed.send, POST, "/a", bytes(1025)))
    assert transport.sent == []
    unconfirmed.send(POST, "/a", bytes(1024))
    assert len(transport.sent) == 1


def test_numbers_are_those_of_the_messages():
    assert numbers.POST == POST and numbers.CONTENT == CONTENT and numbers.CHANGED == CHANGED
    assert bytes(encode(CON, numbers.IPATCH, 1, b"", ((numbers.REQUEST_TAG, b"t"),))) == (
        b"\x40\x07\x00\x01\xe1\x00\x17t"
    )
