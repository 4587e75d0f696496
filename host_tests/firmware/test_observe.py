"""firmware.coap.observe: RFC 7641, over a transport in virtual time."""

from firmware.coap.message import ACK, CON, GET, RST, decode, encode, uint_bytes
from firmware.coap.observe import Observation
from host_tests.firmware.coap_helpers import NON, Tokens, empty, make_client, reply, separate
from host_tests.firmware.helpers import Clock

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
