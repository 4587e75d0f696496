"""firmware.coap.aio: the asyncio driver, in virtual time and on loopback."""

import asyncio
from time import ticks_ms

import firmware.coap.aio as aio
from firmware.coap.message import ACK, CON, decode, encode
from firmware.coap.observe import Observation
from firmware.coap.udp import UDP
from firmware.errors import NetworkError, NoResponse
from host_tests.firmware.coap_helpers import (
    Tokens,
    Transport,
    bound,
    empty,
    mute,
    reply,
    separate,
)
from host_tests.firmware.helpers import Clock, raises
from host_tests.firmware.virtual_asyncio import Asyncio, start_anew

OBSERVE = 6
CONTENT = 0x45
WRAP = 1 << 30

# As coap_helpers does with the client's.
aio.ticks_add = Clock().ticks_add
aio.ticks_diff = Clock().ticks_diff


def run(scenario, server, **options):
    """Run scenario(client, transport, clock), a coroutine function, in virtual time."""
    clock = Clock(WRAP - 5000)
    real = aio.asyncio
    aio.asyncio = Asyncio(clock)
    transport = Transport(clock, server)
    client = aio.Client(transport, ticks=clock.ticks_ms, random=Tokens(), **options)
    try:
        return asyncio.run(scenario(client, transport, clock))
    finally:
        aio.asyncio = real
        start_anew()


def path_of(datagram):
    """Return the path of an encoded request, whose segments are one letter each."""
    return b"".join(
        bytes(value) for number, value in decode(memoryview(datagram)).options if number == 11
    )


def echo(datagram):
    """A server that answers each request after 100 ms with its path."""
    return [(100, reply(datagram, CONTENT, payload=path_of(datagram)))] if datagram[1] else ()


def test_a_request():
    async def scenario(client, transport, clock):
        response = await client.get("/a")
        assert response.code == CONTENT and response.payload == b"a"
        assert clock.slept == 100
        assert (await client.post("/b", b"x")).payload == b"b"

    run(scenario, echo)


def test_many_requests_at_once_are_one_at_a_time_on_the_wire():
    async def scenario(client, transport, clock):
        outstanding = []

        def server(datagram):
            assert not outstanding, "NSTART is 1"
            outstanding.append(datagram)
            return echo(datagram)

        receive = transport.receive

        def received(size, timeout):
            datagram = receive(size, timeout)
            if datagram is not None:
                outstanding.pop()
            return datagram

        transport._server = server
        transport.receive = received
        paths = "abcdefgh"
        answers = await asyncio.gather(*[client.get("/" + path) for path in paths])
        assert [response.payload.decode() for response in answers] == list(paths)
        assert len(transport.sent) == 8 and clock.slept == 800

    run(scenario, echo)


def test_silence_is_waited_out_on_the_clock_and_other_tasks_go_on():
    async def scenario(client, transport, clock):
        beats = []

        async def beat():
            while True:
                beats.append(clock.slept)
                await aio.asyncio.sleep_ms(1000)

        beating = asyncio.create_task(beat())
        try:
            await client.request(1, "/a", token=b"\0\0")
        except NoResponse as error:
            assert "no answer to 5 datagrams" in error.what
        else:
            raise AssertionError("it was answered")
        beating.cancel()
        assert [when for when, _ in transport.sent] == [0, 2000, 6000, 14000, 30000]
        assert clock.slept == 62000
        assert beats == list(range(0, 62000, 1000)) or beats == list(range(0, 62001, 1000))

    run(scenario, mute)


def test_the_next_request_goes_out_when_one_has_failed():
    async def scenario(client, transport, clock):
        def server(datagram):
            return echo(datagram) if path_of(datagram) == b"b" else ()

        transport._server = server
        failed, answered = await asyncio.gather(
            client.get("/a"), client.get("/b"), return_exceptions=True
        )
        assert isinstance(failed, NoResponse) and answered.payload == b"b"

    run(scenario, mute)


def test_a_request_that_cannot_be_sent():
    async def scenario(client, transport, clock):
        transport._fail = (0,)
        try:
            await client.get("/a")
        except NetworkError:
            pass
        else:
            raise AssertionError("it was sent")
        assert (await client.get("/b")).payload == b"b"

    run(scenario, echo)


def test_a_cancelled_request_leaves_the_wire_to_the_next():
    async def scenario(client, transport, clock):
        def server(datagram):
            if not datagram[1]:
                return ()
            if path_of(datagram) == b"a":
                # Late, and confirmable: it is Reset, as nobody waits for it any more.
                return [(50, empty(ACK, 0x0102)), (200, separate(datagram, CONTENT, 0x7000, b"a"))]
            return [(300, reply(datagram, CONTENT, payload=b"b"))]

        transport._server = server
        first = asyncio.create_task(client.get("/a"))
        await aio.asyncio.sleep_ms(100)
        second = asyncio.create_task(client.get("/b"))
        await aio.asyncio.sleep_ms(20)
        first.cancel()
        try:
            await first
        except asyncio.CancelledError:
            pass
        else:
            raise AssertionError("it was not cancelled")
        assert (await second).payload == b"b"
        assert empty(3, 0x7000) in [datagram for _, datagram in transport.sent]

    run(scenario, mute)


def test_a_cancelled_request_that_waits_for_its_turn_sends_nothing():
    async def scenario(client, transport, clock):
        first = asyncio.create_task(client.get("/a"))
        second = asyncio.create_task(client.get("/b"))
        await aio.asyncio.sleep_ms(10)
        second.cancel()
        assert (await first).payload == b"a"
        await aio.asyncio.sleep_ms(500)
        assert [path_of(datagram) for _, datagram in transport.sent] == [b"a"]
        assert (await client.get("/c")).payload == b"c"

    run(scenario, echo)


def test_observations_beside_requests():
    async def scenario(client, transport, clock):
        seen = []

        def server(datagram):
            if not datagram[1]:
                return ()
            if decode(memoryview(datagram)).option(OBSERVE) is None:
                return echo(datagram)
            return [(1, reply(datagram, CONTENT, [(OBSERVE, b"\x01")], b"state"))]

        def on_notification(observation, message):
            seen.append((clock.slept, observation.path, bytes(message.payload)))

        def notify(observation, delay, number):
            options = [(OBSERVE, bytes((number,)))]
            transport.arrive(
                delay,
                bytes(encode(CON, CONTENT, 0x7000 + number, observation.token, options, b"n")),
            )

        transport._server = server
        observations = []
        for path in "ab":
            observation = Observation(path, on_notification, clock.ticks_ms, clock.ticks_diff)
            response = await client.observe(observation)
            assert response.payload == b"state"
            observations.append(observation)
        began = clock.slept
        notify(observations[0], 50, 2)  # in the middle of a request
        notify(observations[1], 50, 2)
        notify(observations[0], 500, 3)  # while a task waits
        response, _ = await asyncio.gather(client.get("/c"), client.wait(1000))
        assert response.payload == b"c"
        assert [path for _, path, _ in seen] == ["a", "b", "a"]
        assert [when - began for when, _, _ in seen] == [50, 50, 500]
        assert clock.slept - began == 1000

    run(scenario, mute)


def test_a_notification_in_blocks():
    async def scenario(client, transport, clock):
        seen = []

        def server(datagram):
            message = decode(memoryview(datagram))
            if not message.code:
                return ()
            if message.option(OBSERVE) is not None:
                return [(1, reply(datagram, CONTENT, [(OBSERVE, b"\x01")], b"state"))]
            if message.option(23) is None:
                return echo(datagram)
            return [(20, reply(datagram, CONTENT, [(23, b"\x10")], b"rest"))]

        transport._server = server
        observation = Observation(
            "/a",
            lambda observation, message: seen.append(message.payload),
            clock.ticks_ms,
            clock.ticks_diff,
        )
        await client.observe(observation)
        options = [(OBSERVE, b"\x02"), (23, b"\x08")]
        notification = encode(CON, CONTENT, 0x7000, observation.token, options, b"first of them   ")
        transport.arrive(50, bytes(notification))
        response, _ = await asyncio.gather(client.get("/c"), client.wait(500))
        assert response.payload == b"c" and seen == [b"first of them   rest"]

    run(scenario, mute)


def test_idle_is_called_while_it_waits():
    called = []

    async def scenario(client, transport, clock):
        try:
            await client.get("/a")
        except NoResponse:
            pass
        called.append(clock.slept)
        assert max(after - before for before, after in zip(called, called[1:])) <= 50

    clock_of = []

    def idle():
        called.append(clock_of[0].slept)

    async def with_clock(client, transport, clock):
        clock_of.append(clock)
        await scenario(client, transport, clock)

    run(with_clock, mute, idle=idle)


class Handshake:
    """A DTLS session in steps, which takes `steps` of them, or raises in the last."""

    def __init__(self, steps, error=None):
        self.steps = steps
        self.error = error
        self.closed = False

    def over(self, transport, host):
        """What connect's `secure` does."""
        self.transport = transport
        return self

    def advance(self):
        self.steps -= 1
        if self.error and self.steps <= 0:
            raise self.error
        return self.steps <= 0

    def close(self):
        self.transport.close()
        self.closed = True


def test_connecting_in_steps():
    """Other tasks run between them, and what was not opened is closed."""

    async def scenario():
        idled = []
        beats = []

        async def beat():
            while True:
                beats.append(1)
                await asyncio.sleep_ms(1)

        beating = asyncio.create_task(beat())
        session = Handshake(4)
        client = await aio.connect("coaps://127.0.0.1", session.over, idle=lambda: idled.append(1))
        assert client.transport is session and not session.closed
        assert len(beats) >= 4 and len(idled) >= 3
        beating.cancel()
        client.close()
        session = Handshake(2, NoResponse("nobody"))
        try:
            await aio.connect("coaps://127.0.0.1", session.over)
        except NoResponse:
            assert session.closed
        session = Handshake(1000)
        try:
            await asyncio.wait_for(aio.connect("coaps://127.0.0.1", session.over), 0.05)
        except asyncio.TimeoutError:
            pass
        assert session.closed and session.steps > 0

    asyncio.run(scenario())
    start_anew()


class Server:
    """A server on loopback, in a task of its own, that answers each request with its path."""

    def __init__(self, delay=20):
        self.socket, self.port = bound()
        self.socket.setblocking(False)
        self.delay = delay

    async def serve(self):
        while True:
            try:
                datagram, address = self.socket.recvfrom(2000)
            except OSError:
                await asyncio.sleep_ms(5)
                continue
            if datagram[1] and path_of(datagram) != b"z":
                await asyncio.sleep_ms(self.delay)
                self.socket.sendto(reply(datagram, CONTENT, payload=path_of(datagram)), address)


def test_on_loopback():
    async def scenario():
        server = Server()
        serving = asyncio.create_task(server.serve())
        client = aio.Client(UDP("127.0.0.1", server.port), ticks=lambda: ticks_ms() % WRAP)
        answers = await asyncio.gather(*[client.get("/" + path) for path in "abc"])
        assert [response.payload for response in answers] == [b"a", b"b", b"c"]
        try:
            await asyncio.wait_for(client.get("/z"), 0.05)
        except asyncio.TimeoutError:
            pass
        else:
            raise AssertionError("nobody answers that")
        assert (await client.get("/d")).payload == b"d"
        client.close()
        serving.cancel()
        server.socket.close()

    asyncio.run(scenario())
    start_anew()


def test_without_a_loop_nothing_is_sent():
    clock = Clock()
    transport = Transport(clock, mute)
    client = aio.Client(transport, ticks=clock.ticks_ms)
    coroutine = client.get("/a")
    coroutine.close()
    assert transport.sent == []
    raises(AttributeError, lambda: coroutine.payload)
