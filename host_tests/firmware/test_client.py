"""firmware.coap.client: requests on the clock, over a transport in virtual time."""

import gc
import socket
import sys

import firmware.coap.client as client_module
import firmware.coap.udp as udp_module
from firmware.coap.client import JSON
from firmware.coap.connect import connect
from firmware.coap.dtls import DTLS
from firmware.coap.exchange import Exchange
from firmware.coap.message import ACK, CON, GET, POST, RST, decode, uint
from firmware.coap.udp import UDP
from firmware.errors import CoapError, NetworkError, NoResponse
from host_tests.firmware.coap_helpers import (
    NON,
    RAISED,
    Transport,
    bound,
    empty,
    make_client,
    mute,
    octets,
    reply,
    separate,
    times,
)
from host_tests.firmware.helpers import Clock, raises, skip

CONTENT, CONTINUE, CREATED = 0x45, 0x5F, 0x41
TOO_LARGE = 0x8D
WRAP = 1 << 30


def content(datagram):
    """A server that answers everything at once."""
    return [(1, reply(datagram, CONTENT, payload=b"ok"))] if datagram[1] else ()


def confirmable(message_id):
    """A server that answers with a bare confirmable response."""
    return lambda datagram: (
        [(1, separate(datagram, CONTENT, message_id, b"ok"))] if datagram[1] else ()
    )


def options_of(transport, number=0):
    """Return the options of what was sent."""
    message = decode(memoryview(transport.sent[number][1]))
    return [(number, bytes(value)) for number, value in message.options]


def test_provisioning_request_byte_by_byte():
    client, transport = make_client(content, name="tb.example")
    response = client.post("/api/v1/provision", b'{"a":1}')
    assert response.code == CONTENT
    assert response.payload == b"ok"
    assert transport.sent[0][1] == octets("""
        48                      # version 1, CON, 8 bytes of token
        02                      # 0.02 POST
        12 34                   # Message ID: the first that is random
        01 02 03 04 05 06 07 08 # token: 8 random bytes
        3a                      # option 3, Uri-Host; 10 bytes
        74 62 2e 65 78 61 6d 70 6c 65 # "tb.example"
        83                      # option 3 + 8 = 11, Uri-Path; 3 bytes
        61 70 69                # "api"
        02                      # the same option again; 2 bytes
        76 31                   # "v1"
        09                      # the same option again; 9 bytes
        70 72 6f 76 69 73 69 6f 6e # "provision"
        11 32                   # option 12, Content-Format; 1 byte: 50, JSON
        ff                      # payload marker
        7b 22 61 22 3a 31 7d    # {"a":1}
    """)


def test_provisioning_request_to_an_address_is_32_bytes_and_its_json():
    client, transport = make_client(content)
    client.post("/api/v1/provision", b'{"a":1}')
    assert len(transport.sent[0][1]) == 32 + 7
    assert transport.sent[0][1][:32] == octets("""
        48 02 1234 0102030405060708 # version, type, token length; POST; Message ID; token
        b3 617069                   # Uri-Path "api"
        02 7631                     # Uri-Path "v1"
        09 70726f766973696f6e       # Uri-Path "provision"
        11 32                       # Content-Format 50
        ff                          # payload marker
    """)


def test_get_has_no_content_format_and_no_payload():
    client, transport = make_client(content)
    client.get("/api/v1/T/attributes")
    message = decode(memoryview(transport.sent[0][1]))
    assert message.code == GET
    assert message.type == CON
    assert message.payload == b""
    segments = [(11, b"api"), (11, b"v1"), (11, b"T"), (11, b"attributes")]
    assert options_of(transport) == segments


def test_content_format():
    for content_format, value in ((JSON, b"\x32"), (0, b""), (60, b"\x3c"), (11542, b"\x2d\x16")):
        client, transport = make_client(content)
        client.post("/a", b"x", content_format)
        assert options_of(transport) == [(11, b"a"), (12, value)]
    client, transport = make_client(content)
    client.post("/a", b"x", None)
    assert options_of(transport) == [(11, b"a")]


def test_query():
    client, transport = make_client(content, name="h")
    client.get("/a?clientKeys=b,c&d=&e")
    queries = [(15, b"clientKeys=b,c"), (15, b"d="), (15, b"e")]
    assert options_of(transport) == [(3, b"h"), (11, b"a")] + queries


def test_query_comes_after_content_format():
    client, transport = make_client(content)
    client.request(POST, "/a?b=c?d", b"x", JSON)
    assert options_of(transport) == [(11, b"a"), (12, b"\x32"), (15, b"b=c?d")]


def test_paths_that_no_uri_can_have():
    client, transport = make_client(content, name="h")
    for path in ("/.", "/..", "/a/./b", "/a/../b", "/%2e", "/%2E.", "//", "/a/", "/a//b"):
        assert "a path" in str(raises(ValueError, client.get, path)), path
    for path in ("/" + "a" * 256, "/a?" + "q" * 256, "/a?b&" + "q" * 256, "/" + "\u00fc" * 128):
        assert "a path" in str(raises(ValueError, client.get, path)), path
    assert transport.sent == []


def test_paths_of_unusual_parts():
    for path, options in (
        ("", []),
        ("/", []),
        ("?q", [(15, b"q")]),
        ("a", [(11, b"a")]),
        ("/...", [(11, b"...")]),
        ("/a%2Fb%25?%26=%3f&c", [(11, b"a/b%"), (15, b"&=?"), (15, b"c")]),
        ("/" + "%61" * 255, [(11, b"a" * 255)]),
        ("/.a/b..", [(11, b".a"), (11, b"b..")]),
        ("/" + "a" * 255, [(11, b"a" * 255)]),
        ("/a?&" + "q" * 255, [(11, b"a"), (15, b""), (15, b"q" * 255)]),
    ):
        client, transport = make_client(content)
        client.get(path)
        assert options_of(transport) == options, path


def test_options_of_requests_one_after_another():
    client, transport = make_client(content, name="h")
    requests = (
        ("/a", None, b""),
        ("/a", None, b""),
        ("/a", JSON, b"x"),
        ("/a", 0, b"x"),
        ("/b", 0, b"x"),
        ("/b?c", 0, b"x"),
        ("/b", None, b""),
        ("/", None, b""),
        ("/a", JSON, b"x"),
    )
    for path, content_format, payload in requests:
        client.request(POST, path, payload, content_format)
        alone, seen = make_client(content, name="h")
        alone.request(POST, path, payload, content_format)
        assert options_of(transport, len(transport.sent) - 1) == options_of(seen), path


def test_options_of_a_request_after_one_in_blocks():
    client, transport = make_client(first_of_two_blocks)
    client.post("/a", bytes(1500))
    client.post("/a", b"x")
    assert options_of(transport, -1) == [(11, b"a"), (12, b"\x32")]


def test_path_of_nothing():
    for path in ("", "/"):
        client, transport = make_client(content)
        client.get(path)
        assert options_of(transport) == []


def test_non_ascii_path_and_query_are_utf_8():
    client, transport = make_client(content)
    client.get("/\u00e4?\u20ac=1")
    assert options_of(transport) == [(11, b"\xc3\xa4"), (15, b"\xe2\x82\xac=1")]


def test_message_ids_count_up_and_wrap():
    client, transport = make_client(content, random=lambda size: b"\xff\xfe" * (size // 2))
    for _ in range(4):
        client.get("/")
    ids = [decode(memoryview(datagram)).message_id for _, datagram in transport.sent]
    assert ids == [0xFFFE, 0xFFFF, 0, 1]


def test_message_id_and_token_may_be_given():
    client, transport = make_client(content)
    client.request(GET, "/", message_id=0, token=b"\xaa\xbb")
    client.get("/")
    assert transport.sent[0][1][:6] == b"\x42\x01\x00\x00\xaa\xbb"
    assert transport.sent[1][1][:4] == b"\x48\x01\x00\x01"


def test_each_request_draws_its_token():
    drawn = []

    def random(size):
        drawn.append(size)
        return bytes([len(drawn)] * size)

    client, transport = make_client(content, random=random)
    client.get("/")
    client.get("/")
    tokens = [datagram[4:12] for _, datagram in transport.sent]
    assert tokens[0] != tokens[1]
    assert drawn.count(8) == 2


def refusal(function, *arguments, **keywords):
    """Return what a CoapError says that is of no class of its own."""
    error = raises(CoapError, function, *arguments, **keywords)
    assert type(error) is CoapError
    return error.what


OVER_THE_LIMIT = "a body over the limit of %d bytes"


def silent(start, **options):
    clock = Clock(start)
    client, transport = make_client(mute, clock, random=bytes, **options)
    error = raises(NoResponse, client.get, "/")
    return error, clock.slept, transport


def silent_twice(timeout, **options):
    """What `silent` returns, with two transmissions, `timeout` ms from each other."""

    class Impatient(Exchange):
        ACK_TIMEOUT = timeout
        MAX_RETRANSMIT = 1

    client_module.Exchange = Impatient
    try:
        return silent(0, **options)
    finally:
        client_module.Exchange = Exchange


def test_retransmission_on_the_clock():
    error, slept, transport = silent(0)
    assert times(transport) == [0, 2000, 6000, 14000, 30000]
    assert slept == 62000
    assert error.acknowledged is False
    assert len({datagram for _, datagram in transport.sent}) == 1


def test_ticks_that_wrap_in_every_wait():
    for before in (1, 50, 1999, 2000, 2001, 5000, 10000, 20000, 45000, 61999):
        _, slept, transport = silent(WRAP - before)
        assert times(transport) == [0, 2000, 6000, 14000, 30000], before
        assert slept == 62000, before
        _, slept, _ = silent(WRAP - before, idle=lambda: None)
        assert slept == 62000, before


def test_initial_timeout_is_drawn():
    clock = Clock()
    client, transport = make_client(mute, clock, random=lambda size: b"\xff" * size)
    raises(NoResponse, client.get, "/")
    assert times(transport) == [0, 2999, 8997, 20993, 44985]
    assert clock.slept == 92969


def test_transmission_parameters_are_used():
    _, slept, transport = silent_twice(10)
    assert times(transport) == [0, 10]
    assert slept == 30


def test_empty_ack_and_silence_end_after_93_s():
    clock = Clock(WRAP - 40000)
    client, transport = make_client(lambda _: [(7, empty(ACK, 0x1234))], clock)
    error = raises(NoResponse, client.get, "/")
    assert error.acknowledged is True
    assert clock.slept == 93007
    assert len(transport.sent) == 1


def test_idle_is_called_at_least_every_50_ms():
    clock = Clock(WRAP - 5000)
    called = []
    client, _ = make_client(mute, clock, idle=lambda: called.append(clock.slept))
    raises(NoResponse, client.get, "/")
    called.append(clock.slept)
    assert called[0] == 0
    assert max(after - before for before, after in zip(called, called[1:])) <= 50
    assert len(called) < clock.slept // 40


def test_idle_does_not_make_a_wait_longer():
    for timeout in (1, 49, 51, 2010):
        _, slept, transport = silent_twice(timeout, idle=lambda: None)
        assert times(transport) == [0, timeout]
        assert slept == 3 * timeout


def test_idle_that_takes_long_delays_no_more_than_itself():
    clock = Clock()
    client, transport = make_client(mute, clock, idle=lambda: clock.sleep_ms(300), random=bytes)
    raises(NoResponse, client.get, "/")
    assert all(
        0 <= late <= 1750
        for late in (
            when - due for when, due in zip(times(transport), (0, 2000, 6000, 14000, 30000))
        )
    )


def test_without_idle_a_wait_is_one_wait():
    clock = Clock()
    waits = []

    class Recorder(Transport):
        def receive(self, size, timeout):
            waits.append(timeout)
            return Transport.receive(self, size, timeout)

    client = client_module.Client(Recorder(clock, mute), ticks=clock.ticks_ms, random=bytes)
    raises(NoResponse, client.get, "/")
    assert waits == [2000, 4000, 8000, 16000, 32000]


def test_first_send_that_fails_is_a_network_error():
    clock = Clock()
    client, transport = make_client(content, clock, fail=(0,))
    error = raises(NetworkError, client.get, "/")
    assert "could not send" in error.what
    assert error.fix
    assert clock.slept == 0
    assert transport.sent == []
    assert client.get("/").payload == b"ok"


def test_later_send_that_fails_is_only_counted():
    clock = Clock()
    client, transport = make_client(mute, clock, fail=(1, 2), random=bytes)
    error = raises(NoResponse, client.get, "/")
    assert times(transport) == [0, 14000, 30000]
    assert clock.slept == 62000
    assert client.exchange.ignored == 2
    assert error.acknowledged is False


def test_acknowledgement_that_fails_is_only_counted():
    client, _ = make_client(confirmable(7), fail=(1,))
    assert client.get("/").payload == b"ok"
    assert client.exchange.ignored == 1


def first_of_two_blocks(datagram):
    message = decode(memoryview(datagram))
    if message.option(27) is None:
        return [(1, reply(datagram, CREATED, payload=b"done"))]
    more = message.option(27)[0] & 8
    code = CONTINUE if more else CREATED
    return [(1, reply(datagram, code, [(27, bytes(message.option(27)))]))]


def test_1024_bytes_are_one_message_and_1025_are_two():
    for size, messages in ((1024, 1), (1025, 2)):
        client, transport = make_client(first_of_two_blocks)
        assert client.post("/a", bytes(size)).code == CREATED
        assert len(transport.sent) == messages
        assert (27 in [number for number, _ in options_of(transport)]) is (messages == 2)


def test_transport_says_how_much_one_message_carries():
    for largest_block in (1024, 512):
        for size, messages in ((largest_block, 1), (largest_block + 1, 2)):
            client, transport = make_client(first_of_two_blocks)
            transport.largest_block = largest_block
            assert client.post("/a", bytes(size)).code == CREATED
            assert len(transport.sent) == messages


def test_every_request_of_a_session_fits_what_thingsboard_reads():
    """1093 bytes of CoAP in a DTLS record; the name and the path are the longest there are."""
    client, transport = make_client(first_of_two_blocks, name="n" * 255)
    transport.largest_block = DTLS.largest_block
    for size in (512, 513, 4096):
        client.post("/api/v1/" + "t" * 255, bytes(size))
    assert max(len(datagram) for _, datagram in transport.sent) <= 1093
    assert UDP.largest_block == 1024


def test_send_error_on_a_later_block_is_as_good_as_lost():
    client, transport = make_client(first_of_two_blocks, fail=(1,), random=bytes)
    assert client.post("/a", bytes(1500)).code == CREATED
    assert times(transport) == [0, 2001]
    assert client.exchange.ignored == 1


def test_receive_that_raises_does_not_end_the_wait():
    def refused_once(datagram):
        return [(5, RAISED), (9, RAISED), (20, reply(datagram, CONTENT, payload=b"ok"))]

    client, transport = make_client(refused_once)
    assert client.get("/").payload == b"ok"
    assert times(transport) == [0]
    assert client.exchange.ignored == 2


def test_ignored_are_counted_by_request():
    def noisy(datagram):
        return [(1, b""), (2, b"\x00"), (3, empty(ACK, 1)), (4, reply(datagram, CONTENT))]

    client, _ = make_client(noisy)
    client.get("/")
    assert client.exchange.ignored == 3
    client.get("/")
    assert client.exchange.ignored == 3


def test_ignored_are_counted_when_nothing_comes():
    client, _ = make_client(lambda _: [(1, b"\x00")])
    raises(NoResponse, client.get, "/")
    assert client.exchange.ignored == 5


def test_reset_is_raised():
    client, transport = make_client(lambda datagram: [(1, empty(RST, 0x1234))])
    assert "Reset" in refusal(client.get, "/")
    assert len(transport.sent) == 1


def test_confirmable_response_is_acknowledged_at_once():
    client, transport = make_client(confirmable(0x7777))
    assert client.get("/").payload == b"ok"
    assert [datagram for _, datagram in transport.sent[1:]] == [empty(ACK, 0x7777)]


def test_other_responses_are_not_acknowledged():
    for type in (ACK, NON):
        client, transport = make_client(
            lambda datagram, type=type: [(1, reply(datagram, CONTENT, type=type))]
        )
        client.get("/")
        client.acknowledge()
        assert len(transport.sent) == 1


def test_acknowledge_false_leaves_it_to_the_caller():
    client, transport = make_client(confirmable(0x7777))
    response = client.request(GET, "/", acknowledge=False)
    assert response.payload == b"ok"
    assert len(transport.sent) == 1
    client.acknowledge()
    assert transport.sent[1][1] == empty(ACK, 0x7777)


def test_acknowledge_false_with_a_refused_response_leaves_it_to_the_caller():
    client, transport = make_client(confirmable(0x7777), limit=1)
    assert refusal(client.request, GET, "/", acknowledge=False) == OVER_THE_LIMIT % 1
    assert len(transport.sent) == 1
    client.acknowledge()
    assert transport.sent[1][1] == empty(ACK, 0x7777)


def in_blocks(count, resent=()):
    """A server that answers in `count` confirmable blocks, each with those that are `resent`."""

    def server(datagram):
        if not datagram[1]:
            return ()
        asked = decode(memoryview(datagram)).option(23)
        number = asked[0] >> 4 if asked else 0
        value = bytes((number << 4 | (number < count - 1) << 3,))
        block = separate(datagram, CONTENT, number, bytes(16), options=[(23, value)])
        return [(1, each) for each in resent] + [(2, block)]

    return server


def test_acknowledge_false_leaves_every_block_to_the_caller():
    client, transport = make_client(in_blocks(3))
    response = client.request(GET, "/", acknowledge=False)
    assert len(response.payload) == 48
    assert [datagram[1] for _, datagram in transport.sent] == [GET, GET, GET]
    client.acknowledge()
    owed = [empty(ACK, 0), empty(ACK, 1), empty(ACK, 2)]
    assert [datagram for _, datagram in transport.sent[3:]] == owed
    client.acknowledge()
    assert len(transport.sent) == 6


def test_acknowledge_true_acknowledges_each_block_as_it_comes():
    client, transport = make_client(in_blocks(2))
    client.get("/")
    assert [datagram[1] for _, datagram in transport.sent] == [GET, 0, GET, 0]


def test_block_that_is_sent_again_is_left_to_the_caller_too():
    """As an unacknowledged block 0 is while the next ones are asked for."""
    resent = []
    client, transport = make_client(in_blocks(3, resent))
    token = b"\x01\x02\x03\x04\x05\x06\x07\xff"
    request = b"\x48\x01\x12\x34" + token
    resent.append(separate(request, CONTENT, 0, bytes(16), options=[(23, b"\x08")]))
    assert client.request(GET, "/", token=token, acknowledge=False).code == CONTENT
    assert [datagram[1] for _, datagram in transport.sent] == [GET, GET, GET]
    client.acknowledge()
    transport._server = lambda datagram: (
        [(1, resent[0]), (2, resent[0]), (3, reply(datagram, CREATED))] if datagram[1] else ()
    )
    client.random = lambda size: b"\x09" * size
    client.get("/")
    assert [datagram for _, datagram in transport.sent[-2:]] == [empty(ACK, 0)] * 2


def test_what_is_held_stays_so_when_another_request_follows():
    client, transport = make_client(confirmable(0x7777))
    client.request(GET, "/", acknowledge=False)
    duplicate = separate(transport.sent[0][1], CONTENT, 0x7777, b"ok")

    def next_server(datagram):
        return [(1, duplicate), (2, separate(datagram, CREATED, 0x8888))] if datagram[1] else ()

    transport._server = next_server
    client.random = lambda size: b"\x09" * size
    assert client.get("/").code == CREATED
    client.acknowledge()
    assert [datagram for _, datagram in transport.sent if not datagram[1]] == [empty(ACK, 0x8888)]


def test_error_in_the_middle_of_a_transfer_acknowledges_nothing():
    first = in_blocks(2)

    def silent(datagram):
        return () if decode(memoryview(datagram)).option(23) else first(datagram)

    def refused(datagram):
        return silent(datagram) or [(1, separate(datagram, 0x84, 2))]

    for server, error in ((silent, NoResponse), (refused, CoapError)):
        client, transport = make_client(server)
        raises(error, client.request, GET, "/", acknowledge=False)
        assert [datagram for _, datagram in transport.sent if not datagram[1]] == []


def test_continue_is_held_too():
    """A server never repeats what was acknowledged, and a resumed transfer begins with it."""

    def server(datagram):
        if not datagram[1]:
            return ()
        block1 = bytes(decode(memoryview(datagram)).option(27))
        code = CONTINUE if block1[0] & 8 else CREATED
        return [(1, separate(datagram, code, block1[0], options=[(27, block1)]))]

    client, transport = make_client(server)
    assert client.request(POST, "/", bytes(1500), acknowledge=False).code == CREATED
    assert [datagram[1] for _, datagram in transport.sent] == [POST, POST]
    client.acknowledge()
    assert [datagram[1] for _, datagram in transport.sent[2:]] == [0, 0]


def test_refused_request_acknowledges_nothing():
    client, transport = make_client(confirmable(0x7777))
    client.request(GET, "/", acknowledge=False)
    sent = len(transport.sent)
    refusal(client.post, "/", bytes(5000))
    assert len(transport.sent) == sent


def test_refused_response_is_acknowledged():
    client, transport = make_client(confirmable(0x7777), limit=1)
    assert refusal(client.get, "/") == OVER_THE_LIMIT % 1
    assert transport.sent[1][1] == empty(ACK, 0x7777)

    def reserved_size(datagram):
        return (
            [(1, separate(datagram, CONTENT, 9, b"x", options=[(23, b"\x07")]))]
            if datagram[1]
            else ()
        )

    client, transport = make_client(reserved_size)
    assert "does not continue" in refusal(client.get, "/")
    assert transport.sent[1][1] == empty(ACK, 9)


def test_continue_to_a_request_in_one_message_is_refused():
    client, transport = make_client(
        lambda datagram: [(1, separate(datagram, CONTINUE, 9))] if datagram[1] else ()
    )
    assert "2.31" in refusal(client.post, "/a", b"x")
    assert transport.sent[1][1] == empty(ACK, 9)


def test_transfer_is_bounded_as_a_whole():
    """A server that gives 16 bytes every 92 s would take 6.5 hours for the limit."""

    def down(datagram):
        number = decode(memoryview(datagram)).option(23)
        number = uint(number) >> 4 if number else 0
        value = (number << 4 | 8).to_bytes(2, "big")
        return slow(datagram, CONTENT, [(23, value)], bytes(16))

    def up(datagram):
        asked = uint(decode(memoryview(datagram)).option(27))
        return slow(datagram, CONTINUE, [(27, (asked & ~7).to_bytes(2, "big"))])

    def slow(datagram, code, options, payload=b""):
        acknowledged = (5, empty(ACK, datagram[2] << 8 | datagram[3]))
        return [acknowledged, (92000, reply(datagram, code, options, payload, type=NON))]

    for server, payload in ((down, b""), (up, bytes(4096))):
        client, transport = make_client(server)
        error = raises(NoResponse, client.post, "/", payload)
        assert "had not ended its response after 247 s" in error.what
        assert error.fix
        assert client.ticks() == client.began + 247_000
        assert len(transport.sent) == 3


def test_server_asks_for_the_smallest_blocks():
    sent = []

    def server(datagram):
        request = decode(memoryview(datagram))
        block1 = request.option(27)
        sent.append((block1 if block1 is None else bytes(block1), bytes(request.payload)))
        if block1 is None:
            # Block1 0/0/16, which is no bytes at all (RFC 7959 section 2.2).
            return [(1, reply(datagram, TOO_LARGE, [(27, b"")]))]
        more = len(block1) and block1[0] & 8
        return [(1, reply(datagram, CONTINUE if more else CREATED, [(27, bytes(block1))]))]

    client, _ = make_client(server)
    assert client.post("/a", bytes(range(20))).code == CREATED
    assert sent[1:] == [(b"\x08", bytes(range(16))), (b"\x10", bytes(range(16, 20)))]


def test_request_over_the_limit_is_not_sent():
    for limit, size in ((1, 2), (1500, 1501)):
        client, transport = make_client(confirmable(0x7777), limit=limit)
        assert refusal(client.post, "/a", bytes(size)) == OVER_THE_LIMIT % limit
        assert transport.sent == []


def test_duplicate_is_acknowledged_again_in_the_next_request():
    client, transport = make_client(confirmable(0x7777))
    client.get("/")
    duplicate = separate(transport.sent[0][1], CONTENT, 0x7777, b"ok")

    def next_server(datagram):
        return [(1, duplicate), (2, reply(datagram, CREATED))] if datagram[1] else ()

    transport._server = next_server
    client.random = lambda size: b"\x09" * size
    assert client.get("/").code == CREATED
    assert transport.sent[-1][1] == empty(ACK, 0x7777)
    assert client.exchange.ignored == 0


def test_answers_of_the_exchange_are_sent():
    def pinging(datagram):
        return [(1, empty(CON, 0x99)), (5, reply(datagram, CONTENT))] if datagram[1] == 1 else ()

    client, transport = make_client(pinging)
    client.get("/")
    assert transport.sent[1] == (1, empty(RST, 0x99))


def test_stale_response_is_not_taken_for_the_next():
    answers = []

    def server(datagram):
        answers.append(reply(datagram, CONTENT, payload=b"%d" % len(answers)))
        return [(1, answers[0]), (2, answers[-1]), (3, answers[-1])]

    drawn = []

    def random(size):
        drawn.append(size)
        return bytes([len(drawn)] * size)

    client, _ = make_client(server, random=random)
    assert [client.get("/").payload for _ in range(3)] == [b"0", b"1", b"2"]


def test_datagram_over_1152_bytes_is_cut_and_ignored():
    def server(datagram):
        return [
            (1, reply(datagram, CONTENT, payload=bytes(60000))),
            (2, reply(datagram, CONTENT, payload=b"ok")),
        ]

    client, _ = make_client(server)
    assert client.get("/").payload == b"ok"
    assert client.exchange.ignored == 1


def test_response_stays_as_it_is_when_the_next_one_comes():
    def server(datagram):
        answers.append(1)
        return [(1, reply(datagram, CONTENT, [(14, bytes(answers))], bytes(answers)))]

    answers = []
    client, _ = make_client(server)
    first = client.get("/")
    client.get("/")
    assert first.payload == b"\x01"
    assert first.option(14) == b"\x01"


class EchoServer:
    """A server that wants each request again, with the value that it gave (RFC 9175).

    `values`: of the Echo option, one for each 4.01. `first`: what answers a request of which code.
    """

    def __init__(self, *values, type=ACK, then=content):
        self.values = list(values)
        self.type = type
        self.then = then

    def __call__(self, datagram):
        if not datagram[1]:
            return ()
        if not self.values:
            return self.then(datagram)
        options = [(252, self.values.pop(0))]
        number = len(self.values)
        message_id = None if self.type == ACK else number
        return [(1, reply(datagram, 0x81, options, type=self.type, message_id=message_id))]


def test_request_is_repeated_with_the_value_that_it_should_echo():
    for value in (b"v", bytes(range(40))):
        client, transport = make_client(EchoServer(value), name="h")
        response = client.request(POST, "/a?q", b"body", JSON)
        assert response.code == CONTENT and response.payload == b"ok"
        first, second = [decode(memoryview(datagram)) for _, datagram in transport.sent]
        assert second.message_id == first.message_id + 1
        assert second.code == POST and second.payload == b"body"
        options = [(3, b"h"), (11, b"a"), (12, b"\x32"), (15, b"q")]
        assert options_of(transport) == options
        assert options_of(transport, 1) == options + [(252, value)]
        assert second.token[:-1] == first.token[:-1] and second.token != first.token
        # The next request is a new one, without.
        client.request(POST, "/a?q", b"body", JSON)
        assert options_of(transport, 2) == options


def test_echo_is_repeated_once():
    client, transport = make_client(EchoServer(b"1", b"2", b"3"))
    assert client.get("/").code == 0x81
    assert len(transport.sent) == 2


def test_unauthorized_without_a_value_to_echo_is_the_response():
    for value in (b"", bytes(41)):
        client, transport = make_client(EchoServer(value))
        assert client.get("/").code == 0x81
        assert len(transport.sent) == 1
    client, transport = make_client(lambda datagram: [(1, reply(datagram, 0x81, [(60, b"x")]))])
    assert client.get("/").code == 0x81
    assert len(transport.sent) == 1
    # In another response the option is for requests to come (RFC 9175 section 2.3).
    client, transport = make_client(lambda datagram: [(1, reply(datagram, 0x80, [(252, b"x")]))])
    assert client.get("/").code == 0x80
    assert len(transport.sent) == 1


def test_of_two_values_the_first_is_echoed():
    def server(datagram):
        options = [(252, b"1"), (252, b"2")]
        is_first = datagram[3] == 0x34
        return [(1, reply(datagram, 0x81, options) if is_first else reply(datagram, CONTENT))]

    client, transport = make_client(server)
    assert client.get("/").code == CONTENT
    assert options_of(transport, 1) == [(252, b"1")]


def test_confirmable_echo_is_acknowledged_as_the_rest_is():
    client, transport = make_client(EchoServer(b"v", type=CON))
    client.get("/")
    assert [datagram[1] for _, datagram in transport.sent] == [GET, 0, GET]
    client, transport = make_client(EchoServer(b"v", type=CON))
    client.request(GET, "/", acknowledge=False)
    assert len(transport.sent) == 2
    client.acknowledge()
    assert transport.sent[2][1] == empty(ACK, 0)


def test_duplicate_of_an_echo_is_no_response_to_the_repetition():
    def server(datagram):
        if datagram[1]:
            echoes.append(reply(datagram, 0x81, [(252, b"v")], type=CON, message_id=7))
            return [(1, echoes[0])] + [(2, reply(datagram, CONTENT))] * (len(echoes) - 1)

    for acknowledge in (True, False):
        echoes = []
        client, transport = make_client(server)
        assert client.request(GET, "/", acknowledge=acknowledge).code == CONTENT
        answers = [bytes(datagram[:2]) for _, datagram in transport.sent if not datagram[1]]
        assert answers == ([b"\x60\x00"] * 2 if acknowledge else [])


def test_a_block_is_repeated_with_the_value_that_it_should_echo():
    client, transport = make_client(EchoServer(b"v", then=first_of_two_blocks))
    assert client.post("/a", bytes(1500)).code == CREATED
    numbers = [[number for number, _ in options_of(transport, sent)] for sent in range(3)]
    assert numbers == [[11, 12, 27, 60], [11, 12, 27, 60, 252], [11, 12, 27]]
    ids = [decode(memoryview(datagram)).message_id for _, datagram in transport.sent]
    assert ids == [0x1234, 0x1235, 0x1236]


def test_resumed_request_repeats_its_echo():
    """The server's duplicates are the same, so the datagrams are."""
    runs = []
    for _ in range(2):
        client, transport = make_client(EchoServer(b"v"))
        client.request(POST, "/a", b"x", message_id=7, token=b"12345678", acknowledge=False)
        runs.append([datagram for _, datagram in transport.sent])
    assert runs[0] == runs[1]


def test_post_then_get_on_one_path():
    client, transport = make_client(content)
    client.request(POST, "/a", b"x")
    client.get("/a")
    client.request(POST, "/a", b"y")
    assert [datagram[1] for _, datagram in transport.sent] == [POST, GET, POST]


def test_close_closes_the_transport():
    client, transport = make_client(mute)
    client.close()
    assert transport.closed


def test_waiting_makes_no_garbage():
    if not hasattr(gc, "mem_alloc"):
        skip("gc.mem_alloc is MicroPython's")
    clock = Clock()
    allocated = []

    class Waiting(Transport):
        def receive(self, size, timeout):
            self.clock.slept += timeout

    def idle():
        # From after the last retransmission until just before the end: 30 s, 600 waits.
        if clock.slept in (31000, 61000):
            allocated.append(gc.mem_alloc())

    transport = Waiting(clock, mute)
    client = client_module.Client(transport, ticks=clock.ticks_ms, random=bytes, idle=idle)
    gc.collect()
    gc.disable()
    try:
        raises(NoResponse, client.get, "/")
    finally:
        gc.enable()
    assert len(allocated) == 2
    assert allocated[1] - allocated[0] <= 128, allocated


def loopback():
    """Return (UDP, a socket that plays its server, the address to answer to)."""
    server, port = bound()
    transport = UDP("127.0.0.1", port)
    transport.send(memoryview(b"hello"))
    datagram, address = server.recvfrom(20)
    assert datagram == b"hello"
    return transport, server, address


class _Socket:
    """Stands in for the socket module in firmware.coap.udp, and for its only socket."""

    AF_INET = 2
    SOCK_DGRAM = 2

    def __init__(self, unreachable=False):
        self.calls = []
        self._unreachable = unreachable

    def getaddrinfo(self, host, port, family, type):
        return [(10 if ":" in host else 2, type, 0, "", (host, port))]

    def socket(self, family, type):
        self.calls.append(("socket", family, type))
        return self

    def connect(self, address):
        self.calls.append(("connect", address))
        if self._unreachable:
            raise OSError(101)

    def bind(self, address):
        self.calls.append(("bind", address))

    def setblocking(self, blocking):
        self.calls.append(("setblocking", blocking))

    def close(self):
        self.calls.append(("close",))


class _Poll:
    """Stands in for the select module in firmware.coap.udp, and for its only poll object."""

    POLLIN = 1

    def poll(self):
        return self

    def __init__(self, fails=False):
        self._fails = fails

    def register(self, socket, events):
        self._socket = socket
        socket.calls.append(("register", events))

    def ipoll(self, timeout):
        if self._fails:
            raise OSError(9)
        return [(self._socket, 1)]


def with_modules(fake, do, *arguments, poll_fails=False):
    """Call a function with the socket and select modules of firmware.coap.udp replaced."""
    real = udp_module.socket, udp_module.select
    udp_module.socket, udp_module.select = fake, _Poll(poll_fails)
    try:
        return do(*arguments)
    finally:
        udp_module.socket, udp_module.select = real


def opened(fake, *arguments, **named):
    return with_modules(fake, UDP, *arguments, **named)


def test_udp_is_bound_connected_and_never_blocks():
    for address, any, family in (("192.0.2.1", "0.0.0.0", 2), ("2001:db8::1", "::", 10)):
        fake = _Socket()
        opened(fake, address, 5683, 20000)
        assert fake.calls == [
            ("socket", family, 2),
            ("bind", (any, 20000)),
            ("connect", (address, 5683)),
            ("setblocking", False),
            ("register", 1),
        ]


def test_udp_takes_any_port_unless_told():
    fake = _Socket()
    opened(fake, "192.0.2.1", 5683)
    assert "bind" not in [call[0] for call in fake.calls]


def test_udp_over_ipv6_is_bound_even_to_any_port():
    fake = _Socket()
    opened(fake, "2001:db8::1", 5683)
    assert ("bind", ("::", 0)) in fake.calls


def test_udp_that_cannot_be_had_is_closed():
    fake = _Socket(unreachable=True)
    raises(OSError, opened, fake, "192.0.2.1", 5683)
    assert fake.calls[-1] == ("close",)


def test_udp_to_an_address_that_the_board_cannot_send_to():
    """An ESP32 finds (10, 1, 0, "fd00::1", None)."""
    for found in ([(10, 1, 0, "fd00::1", None)], []):
        fake = _Socket()
        fake.getaddrinfo = lambda *arguments, found=found: found
        assert "no IPv6" in str(raises(OSError, opened, fake, "fd00::1", 5683))
        assert fake.calls == []
        error = raises(NetworkError, with_modules, fake, connect, "coap://[fd00::1]")
        assert "fd00::1 cannot be reached: this board's MicroPython has no IPv6" in error.what
        error = raises(NetworkError, with_modules, fake, connect, "coap://a.example")
        assert "a.example cannot be reached" in error.what


def test_resolve_leaves_out_what_the_board_cannot_send_to():
    fake = _Socket()
    fake.getaddrinfo = lambda *arguments: [
        (10, 1, 0, "fd00::1", None),
        (2, 1, 0, "a", ("192.0.2.1", 5683)),
    ]
    assert with_modules(fake, udp_module.resolve, "a", 5683) == ["192.0.2.1"]


class _StuckSocket(_Socket):
    """One that is always ready. `recv`: what comes, the last for ever; errors are raised."""

    def __init__(self, *recv):
        _Socket.__init__(self)
        self.recv_calls = 0
        self._recv = list(recv)

    def send(self, datagram):
        pass

    def recv(self, size):
        self.recv_calls += 1
        got = self._recv.pop(0) if len(self._recv) > 1 else self._recv[0]
        if isinstance(got, Exception):
            raise got
        return got


def test_udp_connects_again_after_an_empty_datagram():
    fake = _StuckSocket(b"", b"next")
    transport = opened(fake, "192.0.2.1", 5683)
    connected = ("connect", ("192.0.2.1", 5683))
    assert fake.calls.count(connected) == 1
    assert transport.receive(1153, 1000) == b""
    assert fake.calls.count(connected) == 2
    assert transport.receive(1153, 1000) == b"next"
    assert fake.calls.count(connected) == 2


def test_no_wait_is_a_busy_loop_whatever_a_socket_does():
    """62 s of waiting for a response, on a socket that is always ready."""
    for recv in (b"", OSError(11), OSError(5)):
        for poll_fails in (False, True):
            clock = Clock()
            fake = _StuckSocket(recv)
            transport = opened(fake, "192.0.2.1", 5683, poll_fails=poll_fails)
            real = udp_module.sleep_ms
            udp_module.sleep_ms = clock.sleep_ms
            try:
                client = client_module.Client(transport, ticks=clock.ticks_ms, random=bytes)
                error = raises(NoResponse, client.get, "/")
            finally:
                udp_module.sleep_ms = real
            assert "no answer to 5 datagrams" in error.what
            assert clock.slept == 62000
            assert client.exchange.ignored <= 62000 // 20 + 5


def test_udp_keeps_queued_datagrams_apart():
    transport, server, address = loopback()
    for datagram in (b"one", b"", b"three"):
        server.sendto(datagram, address)
    assert [bytes(transport.receive(1153, 1000)) for _ in range(3)] == [b"one", b"", b"three"]
    assert transport.receive(1153, 0) is None
    transport.close()
    server.close()


def test_udp_cuts_what_does_not_fit():
    transport, server, address = loopback()
    server.sendto(bytes(1200), address)
    server.sendto(b"next", address)
    assert len(transport.receive(1153, 1000)) == 1153
    assert transport.receive(1153, 1000) == b"next"
    transport.close()
    server.close()


def test_udp_takes_nothing_from_another_port():
    transport, server, address = loopback()
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.sendto(b"stranger", address)
    assert transport.receive(1153, 20) is None
    server.sendto(b"server", address)
    assert transport.receive(1153, 1000) == b"server"
    for each in (transport, server, stranger):
        each.close()


def test_waiting_on_a_socket_makes_no_garbage():
    if sys.implementation.name != "micropython":
        skip("gc.mem_alloc is MicroPython's")
    transport = UDP("127.0.0.1", 9)
    gc.collect()
    gc.disable()
    try:
        transport.receive(1153, 0)
        before = gc.mem_alloc()
        for _ in range(200):
            transport.receive(1153, 0)
        allocated = gc.mem_alloc() - before
    finally:
        gc.enable()
        transport.close()
    assert allocated <= 64, allocated
