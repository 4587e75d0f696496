"""firmware.coap.observe: RFC 7641, over a transport in virtual time."""

from firmware.coap.message import ACK, CON, GET, RST, decode, encode, uint_bytes
from firmware.coap.observe import Observation
from firmware.coap.observe_blocks import deregister
from firmware.errors import CoapError, NoResponse
from host_tests.firmware.coap_helpers import NON, Tokens, empty, make_client, reply, separate
from host_tests.firmware.helpers import Clock, raises

OBSERVE = 6
CONTENT, DELETED, VALID = 0x45, 0x42, 0x43
NOT_FOUND, UNAUTHORIZED = 0x84, 0x81
NUMBERS = 1 << 24
WRAP = 1 << 30


class Bench:
    """A client that observes /a, of a server that answers each request at once.

    `seen`: (Observe, payload) of what was handed over; `takes`: what the handler returns.
    """

    def __init__(self, number=10, clock=None, server=None):
        self.clock = clock or Clock()
        self.number = number
        self.seen = []
        self.takes = None
        self.client, self.transport = make_client(
            server or self.answer, self.clock, random=Tokens()
        )
        self.observation = self.observe("/a")
        self.response = self.client.observe(self.observation)
        self.token = self.observation.token
        self.transport.sent.clear()

    def observe(self, path):
        return Observation(path, self.on_notification, self.clock.ticks_ms, self.clock.ticks_diff)

    def on_notification(self, observation, message):
        self.seen.append((observation.number, bytes(message.payload)))
        return self.takes

    def answer(self, datagram):
        message = decode(memoryview(datagram))
        if not message.code:
            return ()
        options = ()
        if message.option(OBSERVE) == b"" and self.number is not None:
            options = [(OBSERVE, uint_bytes(self.number))]
        return [(1, reply(datagram, CONTENT, options, b"state"))]

    def notify(self, number, payload=b"", code=CONTENT, type=CON, message_id=0x7000, token=None):
        """Let a notification come, and give it to the client; return what was sent meanwhile."""
        options = () if number is None else [(OBSERVE, uint_bytes(number))]
        token = token or self.token
        self.transport.arrive(0, bytes(encode(type, code, message_id, token, options, payload)))
        self.transport.sent.clear()
        self.client.wait(1)
        return [datagram for _, datagram in self.transport.sent]


def acknowledged(message_id=0x7000):
    return [empty(ACK, message_id)]


def reset(message_id=0x7000):
    return [empty(RST, message_id)]


def test_before_a_registration():
    observation = Observation("/a", None, None, None)
    assert observation.token is observation.number is observation.ended is None
    assert observation.partial is None and observation.skipped == 0 and observation.max_age == 60


def test_registration_is_a_get_with_an_empty_observe():
    requests = []

    def server(datagram):
        requests.append(decode(memoryview(datagram)))
        return [(1, reply(datagram, CONTENT, [(OBSERVE, b"\x0a")], b"state"))]

    bench = Bench(server=server)
    (request,) = requests
    assert request.code == GET and request.type == CON
    assert request.options == [(OBSERVE, b""), (11, b"a")]
    assert bytes(request.token) == bench.token
    assert bench.response.code == CONTENT and bench.response.payload == b"state"
    assert bench.observation.number == 10 and bench.observation.skipped == 0
    assert bench.seen == []


def test_a_resource_that_cannot_be_observed():
    bench = Bench(number=None)
    assert bench.response.payload == b"state"
    assert bench.token is None and bench.observation.ended is None
    bench = Bench(server=lambda datagram: [(1, reply(datagram, NOT_FOUND))])
    assert bench.response.code == NOT_FOUND and bench.token is None
    assert bench.client.exchange.listeners == []


def test_confirmable_notifications_are_acknowledged_and_others_are_not():
    bench = Bench()
    assert bench.notify(11, b"x") == acknowledged()
    assert bench.notify(12, b"y", type=NON) == []
    assert bench.notify(13, code=VALID, message_id=0xFFFF) == acknowledged(0xFFFF)
    assert bench.seen == [(11, b"x"), (12, b"y"), (13, b"")]


def test_what_is_newer():
    half = NUMBERS // 2
    for before, after, later, is_newer in (
        (10, 11, 0, True),
        (10, 10, 0, False),
        (10, 9, 0, False),
        (NUMBERS - 1, 0, 0, True),
        (0, NUMBERS - 1, 0, False),
        (0, half - 1, 0, True),
        (0, half, 0, False),
        (half, 0, 0, False),
        (half + 1, 0, 0, True),
        (10, 9, 128_000, False),
        (10, 9, 128_001, True),
        (10, 10, 128_001, True),
    ):
        bench = Bench(before, Clock(WRAP - 64_000))
        bench.clock.sleep_ms(later)
        assert bench.notify(after, b"x") == acknowledged()
        assert bool(bench.seen) is is_newer, (before, after, later)
        assert bench.observation.number == (after if is_newer else before)


def test_freshness_counts_from_the_last_that_was_taken():
    bench = Bench(10)
    bench.clock.sleep_ms(100_000)
    bench.notify(11)
    bench.clock.sleep_ms(100_000)
    bench.notify(10)
    assert bench.seen == [(11, b"")]


def test_duplicates_are_acknowledged_and_handed_over_once():
    bench = Bench()
    for _ in range(3):
        assert bench.notify(11, b"x") == acknowledged()
    assert bench.seen == [(11, b"x")]


def test_reordered_notifications():
    bench = Bench()
    for number, message_id in ((12, 1), (11, 2), (14, 3), (13, 4)):
        assert bench.notify(number, message_id=message_id) == acknowledged(message_id)
    assert [number for number, _ in bench.seen] == [12, 14]


def test_skipped():
    bench = Bench(NUMBERS - 2)
    for number, skipped in ((NUMBERS - 1, 0), (1, 1), (2, 0), (7, 4)):
        bench.notify(number)
        assert bench.observation.skipped == skipped, number
    bench.notify(7)
    assert bench.observation.skipped == 4


def test_what_is_not_taken_is_not_acknowledged_and_comes_again():
    bench = Bench()
    bench.takes = False
    assert bench.notify(12, b"x") == []
    assert (bench.observation.number, bench.observation.skipped) == (10, 0)
    bench.takes = None
    assert bench.notify(12, b"x") == acknowledged()
    assert bench.seen == [(12, b"x")] * 2
    assert bench.observation.skipped == 1


def test_ends():
    for number, code in ((None, CONTENT), (11, NOT_FOUND), (None, DELETED), (11, UNAUTHORIZED)):
        bench = Bench()
        assert bench.notify(number, code=code) == acknowledged()
        assert bench.token and bench.observation.token is None
        assert bench.observation.ended == code
        assert bench.seen == []
        # The server thinks no more of it; a notification that is still on its way is Reset.
        assert bench.notify(12) == reset()
        bench.client.observe(bench.observation)
        assert bench.observation.ended is None and bench.observation.token


def test_another_registration_has_another_token_and_the_earlier_one_is_reset():
    bench = Bench(10)
    bench.number = 3  # a server may count anew
    bench.client.observe(bench.observation)
    assert bench.observation.number == 3 and bench.observation.token != bench.token
    assert bench.notify(11) == reset()
    assert bench.notify(11, type=NON) == []
    assert bench.seen == []
    bench.token = bench.observation.token
    assert bench.notify(4) == acknowledged()
    assert bench.seen == [(4, b"")]
    assert bench.client.exchange.listeners == [bench.observation]


def test_a_notification_in_the_middle_of_a_request():
    bench = Bench()
    token = bench.token

    def server(datagram):
        if not datagram[1]:
            return ()
        notification = encode(CON, CONTENT, 0x7000, token, [(OBSERVE, b"\x0b")], b"x")
        return [(1, bytes(notification)), (2, reply(datagram, CONTENT, payload=b"ok"))]

    bench.transport._server = server
    assert bench.client.get("/b").payload == b"ok"
    assert bench.seen == [(11, b"x")]
    assert [datagram for _, datagram in bench.transport.sent][1:] == acknowledged()


def test_a_notification_before_the_response_to_the_registration_is_the_response():
    def server(datagram):
        if not datagram[1]:
            return ()
        later = [(OBSERVE, b"\x0b")]
        return [
            (1, separate(datagram, CONTENT, 0x7000, b"new", options=later)),
            (2, reply(datagram, CONTENT, [(OBSERVE, b"\x0a")], b"old")),
        ]

    bench = Bench(server=server)
    assert bench.response.payload == b"new" and bench.observation.number == 11
    bench.client.wait(10)
    assert bench.seen == [] and bench.observation.number == 11
    assert bench.notify(12) == acknowledged()


def test_several_observations():
    bench = Bench()
    other = bench.observe("/b")
    bench.client.observe(other)
    assert bench.notify(11, b"a") == acknowledged()
    assert bench.notify(20, b"b", token=other.token) == acknowledged()
    assert bench.notify(12, b"a", code=NOT_FOUND) == acknowledged()
    assert bench.notify(21, b"b", token=other.token) == acknowledged()
    assert bench.seen == [(11, b"a"), (20, b"b"), (21, b"b")]
    assert other.token and not bench.observation.token


def test_a_wait_ends_in_time_whatever_comes():
    bench = Bench(clock=Clock(WRAP - 500))
    for delay in range(0, 2000, 100):
        bench.transport.arrive(delay, b"junk")
    before = bench.clock.slept
    bench.client.wait(1000)
    assert bench.clock.slept - before == 1000


class Blocks:
    """A server of one observed state, in blocks of 16 bytes, each after 10 ms.

    `between(number)`: called before it answers a request for a later block; what it returns comes
    before the answer. `asks`: (has Observe, number of the block) of each request.
    """

    def __init__(self, state, number=10):
        self.state = state
        self.number = number
        self.tag = b"1"
        self.asks = []
        self.answers = True
        self.between = lambda number: ()

    def change(self, state):
        self.state = state
        self.number += 1
        self.tag = b"%d" % self.number

    def options(self, block, observe):
        more = (block + 1) * 16 < len(self.state)
        options = [(4, self.tag)] + ([(OBSERVE, uint_bytes(self.number))] if observe else [])
        return options + [(23, bytes((block << 4 | more << 3,)))]

    def __call__(self, datagram):
        message = decode(memoryview(datagram))
        if not message.code:
            return ()
        assert not message.payload
        observe = message.option(OBSERVE)
        block = message.option(23)
        block = block[0] >> 4 if block else 0
        self.asks.append((observe is not None, block))
        before = [(5, each) for each in self.between(block)] if block else []
        if not self.answers:
            return before
        payload = self.state[block * 16 : block * 16 + 16]
        options = self.options(block, observe == b"")
        return before + [(10, reply(datagram, CONTENT, options, payload))]

    def notification(self, token, type=CON, message_id=0x7000):
        options = self.options(0, True)
        return bytes(encode(type, CONTENT, message_id, token, options, self.state[:16]))


def state(number):
    return (b"state %d " % number * 6)[:40]


def in_blocks(**how):
    """Return a Bench and its Blocks, registered; what was asked is forgotten."""
    server = Blocks(state(0))
    bench = Bench(server=server, **how)
    server.asks.clear()
    return bench, server


def test_a_registration_in_blocks():
    server = Blocks(state(0))
    bench = Bench(server=server)
    assert server.asks == [(True, 0), (False, 1), (False, 2)]
    assert bench.response.payload == state(0)
    assert bytes(bench.response.option(OBSERVE)) == b"\x0a"
    assert bytes(bench.response.option(4)) == b"1"
    assert bench.observation.number == 10
    assert bench.notify(11, b"x") == acknowledged() and bench.seen == [(11, b"x")]


def test_a_notification_in_blocks():
    bench, server = in_blocks()
    server.change(state(1))
    bench.transport.arrive(0, server.notification(bench.token))
    bench.client.wait(100)
    assert bench.transport.sent[0][1] == empty(ACK, 0x7000)
    assert server.asks == [(False, 1), (False, 2)]
    assert bench.seen == [(11, state(1))]
    tokens = [decode(memoryview(datagram)).token for _, datagram in bench.transport.sent[1:]]
    assert bench.token not in tokens and tokens[0] != tokens[1]
    assert bench.client.later == () and bench.observation.partial is None
    assert bench.notify(12, b"x") == acknowledged() and bench.seen[1:] == [(12, b"x")]


def test_a_notification_in_one_block():
    bench, server = in_blocks()
    options = [(OBSERVE, b"\x0b"), (23, b"\x01")]
    bench.transport.arrive(0, bytes(encode(NON, CONTENT, 1, bench.token, options, b"short")))
    # At once: there is nothing to fetch.
    bench.client.get("/b")
    assert bench.seen == [(11, b"short")] and bench.client.later == ()


def test_a_notification_in_blocks_long_after_the_last_request():
    bench, server = in_blocks()
    bench.client.get("/b", timeout=1000)
    bench.clock.sleep_ms(300_000)
    server.change(state(1))
    bench.transport.arrive(0, server.notification(bench.token))
    bench.client.wait(100)
    assert bench.seen == [(11, state(1))]


def test_a_state_that_is_gone_when_it_is_fetched_anew():
    bench, server = in_blocks()
    server.change(state(1))
    bench.transport.arrive(0, server.notification(bench.token))
    server.change(state(2))

    def gone(datagram):
        block = decode(memoryview(datagram)).option(23)
        return server(datagram) if block else [(1, reply(datagram, NOT_FOUND, payload=b"gone"))]

    bench.transport._server = gone
    bench.client.wait(100)
    assert bench.seen == [] and bench.client.later == () and bench.observation.token


def test_a_duplicate_of_a_notification_in_blocks():
    bench, server = in_blocks()
    server.change(state(1))
    for delay in (0, 7, 50):
        bench.transport.arrive(delay, server.notification(bench.token))
    bench.client.wait(100)
    assert bench.seen == [(11, state(1))] and len(server.asks) == 2


def test_confirmable_blocks_are_acknowledged():
    bench, server = in_blocks()
    server.change(state(1))
    bench.transport.arrive(0, server.notification(bench.token))

    def confirmable(datagram):
        answers = []
        for delay, answer in server(datagram):
            # As a confirmable message, with an ID that counts the requests.
            message_id = bytes((0x71, len(server.asks)))
            answers.append((delay, b"\x48" + answer[1:2] + message_id + answer[4:]))
        return answers

    bench.transport._server = confirmable
    bench.client.wait(100)
    sent = [datagram for _, datagram in bench.transport.sent]
    assert bench.seen == [(11, state(1))]
    assert (sent[2], sent[4]) == (empty(ACK, 0x7101), empty(ACK, 0x7102))


def test_a_notification_in_blocks_in_the_middle_of_a_request():
    bench, server = in_blocks()
    server.change(state(1))
    bench.transport.arrive(5, server.notification(bench.token))
    assert bench.client.get("/b").payload == state(1)
    assert bench.seen == []
    bench.client.wait(100)
    assert bench.seen == [(11, state(1))]


def test_a_state_that_changes_while_its_blocks_are_fetched():
    """RFC 7959 section 2.4: another ETag, so the blocks are of two states."""
    bench, server = in_blocks()
    server.change(state(1))
    first = server.notification(bench.token)
    server.change(state(2))
    bench.transport.arrive(0, first)
    bench.client.wait(100)
    assert server.asks == [(False, 1), (False, 0), (False, 1), (False, 2)]
    assert bench.seen == [(11, state(2))]


def check_newer(in_blocks_too):
    """Something newer comes while the blocks of a notification are fetched, and alone counts."""
    bench, server = in_blocks()
    server.change(state(1))
    bench.transport.arrive(0, server.notification(bench.token))

    def between(block):
        server.between = lambda block: ()
        if in_blocks_too:
            server.change(state(2))
            return [server.notification(bench.token, message_id=0x7001)]
        # The rest of the older state is given all the same.
        options = [(OBSERVE, b"\x0c")]
        return [bytes(encode(CON, CONTENT, 0x7001, bench.token, options, state(2)))]

    server.between = between
    bench.client.wait(200)
    assert bench.seen == [(12, state(2))]
    assert bench.client.later == ()


def test_newer_notifications_while_blocks_are_fetched():
    check_newer(True)
    check_newer(False)


def test_silence_while_blocks_are_fetched():
    bench, server = in_blocks()
    server.change(state(1))
    server.answers = False
    bench.transport.arrive(0, server.notification(bench.token))
    raises(NoResponse, bench.client.wait, 100)
    server.answers = True
    assert bench.seen == [] and bench.observation.token
    bench.client.wait(100)
    assert bench.seen == [(11, state(1))]


def test_nothing_is_fetched_for_what_has_ended():
    for how in ("ended", "forgotten"):
        bench, server = in_blocks()
        server.change(state(1))
        bench.transport.arrive(0, server.notification(bench.token))
        gone = bytes(encode(CON, NOT_FOUND, 0x7001, bench.token, ()))
        bench.transport.arrive(1, gone if how == "ended" else b"junk")
        bench.client.get("/b")
        if how == "forgotten":
            bench.observation.forget(bench.client)
        server.asks.clear()
        bench.client.wait(100)
        assert server.asks == [] and bench.seen == [] and bench.client.later == ()


def test_a_notification_over_the_limit():
    bench, server = in_blocks()
    bench.client.limit = 39
    server.change(state(1))
    bench.transport.arrive(0, server.notification(bench.token))
    assert "over the limit" in raises(CoapError, bench.client.wait, 100).what
    bench.client.wait(100)
    assert bench.seen == [] and bench.notify(12, b"x") == acknowledged()


def check_between_blocks(type):
    server = Blocks(state(0))
    bench = Bench(server=server)
    early = []

    def between(block):
        if not early:
            options = [(OBSERVE, b"\x0b")]
            token = bench.observation.token
            early.append(bytes(encode(type, CONTENT, 0x7000, token, options, b"new")))
            return early
        return ()

    server.between = between
    response = bench.client.observe(bench.observation)
    assert response.payload == state(0) and bench.observation.number == 10
    assert bench.seen == []
    sent = [datagram for _, datagram in bench.transport.sent]
    assert empty(ACK, 0x7000) not in sent and empty(RST, 0x7000) not in sent
    if type == CON:  # not acknowledged, it comes again
        bench.transport.arrive(0, early[0])
    bench.client.wait(10)
    assert bench.seen == [(11, b"new")] and bench.client.later == ()


def test_notifications_between_the_blocks_of_a_registration():
    check_between_blocks(CON)
    check_between_blocks(NON)


def test_what_comes_between_blocks_and_is_no_newer():
    server = Blocks(state(0))
    bench = Bench(server=server)
    server.between = lambda block: [
        bytes(
            encode(NON, CONTENT, block, bench.observation.token, [(OBSERVE, b"\x0a")], b"the same")
        )
    ]
    bench.client.observe(bench.observation)
    bench.client.wait(10)
    assert bench.seen == [] and bench.client.later == () and bench.observation.number == 10


def test_an_end_between_the_blocks_of_a_registration():
    server = Blocks(state(0))
    bench = Bench(server=server)
    server.between = lambda block: [
        bytes(encode(CON, NOT_FOUND, 0x7000, bench.observation.token or b"", ()))
    ]
    bench.client.observe(bench.observation)
    assert bench.observation.token is None and bench.observation.ended == NOT_FOUND


def test_a_registration_that_nobody_answers():
    bench = Bench()
    bench.transport._server = lambda datagram: ()
    raises(NoResponse, bench.client.observe, bench.observation)
    assert bench.observation.token is None and bench.client.exchange.listeners == []


def test_freshness():
    bench = Bench(clock=Clock(WRAP - 30_000))
    assert bench.observation.max_age == 60
    bench.clock.sleep_ms(60_000)
    assert bench.observation.is_fresh()
    bench.clock.sleep_ms(1)
    assert not bench.observation.is_fresh()
    options = [(OBSERVE, b"\x0b"), (14, b"\x05")]
    bench.transport.arrive(0, bytes(encode(NON, CONTENT, 1, bench.token, options, b"x")))
    bench.client.wait(1)
    assert bench.observation.max_age == 5 and bench.observation.is_fresh()
    bench.clock.sleep_ms(5001)
    assert not bench.observation.is_fresh()
    bench.notify(12)
    assert bench.observation.max_age == 60


def test_options_of_a_wrong_length_are_as_good_as_none():
    bench = Bench()
    options = [(OBSERVE, b"\x0b"), (14, b"\0\0\0\0\x05")]
    bench.transport.arrive(0, bytes(encode(NON, CONTENT, 1, bench.token, options, b"x")))
    bench.client.wait(1)
    assert bench.seen == [(11, b"x")] and bench.observation.max_age == 60
    too_long = [(OBSERVE, b"\0\0\0\x0c")]
    bench.transport.arrive(0, bytes(encode(NON, CONTENT, 2, bench.token, too_long, b"y")))
    bench.client.wait(1)
    assert bench.observation.ended == CONTENT and len(bench.seen) == 1
    bench = Bench(server=lambda datagram: [(1, reply(datagram, CONTENT, too_long))])
    assert bench.token is None


def test_options_of_an_observation():
    requests = []

    def server(datagram):
        requests.append(decode(memoryview(datagram)).options)
        return [(1, reply(datagram, CONTENT, [(OBSERVE, b"\x0a")]))]

    bench = Bench(server=server)
    accepting = Observation(
        "/a?q", None, bench.clock.ticks_ms, bench.clock.ticks_diff, ((17, b"\x32"),)
    )
    bench.client.observe(accepting)
    assert requests[1] == [(OBSERVE, b""), (11, b"a"), (15, b"q"), (17, b"\x32")]


def test_forgotten_and_deregistered():
    bench = Bench()
    bench.observation.forget(bench.client)
    assert bench.notify(11) == reset() and bench.seen == []
    bench = Bench()
    requests = []

    def server(datagram):
        requests.append(decode(memoryview(datagram)))
        return [(1, reply(datagram, CONTENT))]

    bench.transport._server = server
    bench.client.drive(deregister(bench.observation, bench.client, timeout=1000))
    (request,) = requests
    assert request.options == [(OBSERVE, b"\x01"), (11, b"a")]
    assert bytes(request.token) == bench.token and bench.observation.token is None
    assert bench.notify(11) == reset()


def test_what_a_handler_raises_for_comes_again():
    def fails(observation, message):
        raise MemoryError

    bench = Bench()
    takes, bench.observation.on_notification = bench.observation.on_notification, fails
    raises(MemoryError, bench.notify, 11, b"x")
    assert bench.transport.sent == [] and bench.observation.number == 10
    bench.observation.on_notification = takes
    assert bench.notify(11, b"x") == acknowledged() and bench.seen == [(11, b"x")]
