"""What both drivers do with servers that are not ours; runs on CPython and on MicroPython.

`main(server, driver, port, ca)`: the steps of a scenario, driven by the blocking client or with
asyncio; with `ca`, a file, inside of DTLS. It prints what failed and "done" when nothing did.
"""

import sys
from time import ticks_diff, ticks_ms

from firmware.coap import numbers
from firmware.coap.connect import connect
from firmware.coap.links import discover
from firmware.coap.observe import Observation
from firmware.coap.observe_blocks import deregister
from firmware.coap.stream import download, upload
from firmware.coap.whole_uri import decompose
from firmware.errors import CoapError


def text(size):
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


class Seen:
    """An observation and what came for it."""

    def __init__(self, path):
        self.payloads = []
        self.observation = Observation(path, self.note, ticks_ms, ticks_diff)

    def note(self, observation, message):
        self.payloads.append(bytes(message.payload))

    def until(self, client, count):
        """The steps of a wait for so many notifications, 3 s at most."""
        for _ in range(60):
            if len(self.payloads) >= count:
                return
            yield from client.listen(50)


def with_aiocoap(client):
    response = yield from client.steps(numbers.GET, "/hello")
    assert (response.code, response.payload) == (numbers.CONTENT, b"hello")
    for path in ("/hello", "/slow"):
        for confirmable in (True, False):
            response = yield from client.steps(numbers.GET, path, confirmable=confirmable)
            assert response.payload == b"hello", path
    for method in range(1, 8):
        options = ((numbers.ACCEPT, b"\x32"), (numbers.URI_QUERY, b"x=1"))
        response = yield from client.steps(method, "/methods?y", b"z", 0, options=options)
        assert response.payload == b"%d 50 y&x=1 z" % method, response.payload
    _, path = decompose("coap://h/a%2Fb%20c?d%26e=%3F")
    response = yield from client.steps(numbers.GET, path)
    assert response.payload == b"d&e=?", response.payload
    # Blocks.
    response = yield from client.steps(numbers.GET, "/large")
    assert response.payload == text(3000)
    tag = bytes(response.option(numbers.ETAG))
    response = yield from client.steps(numbers.GET, "/large", options=((numbers.ETAG, tag),))
    assert response.code == numbers.VALID
    options = ((numbers.ETAG, b"another"), (numbers.NO_RESPONSE, b""))
    response = yield from client.steps(numbers.GET, "/large", options=options)
    assert response.payload == text(3000)
    response = yield from client.steps(numbers.PUT, "/store", text(4000), numbers.OCTET_STREAM)
    assert response.code == numbers.CHANGED
    body = text(20_000)
    response = yield from upload(
        client, numbers.PUT, "/store", lambda offset, size: body[offset : offset + size], len(body)
    )
    assert response.code == numbers.CHANGED
    written = []
    response = yield from download(client, "/store", lambda data: written.append(bytes(data)))
    assert b"".join(written) == body and response.size == len(body)
    tag = bytes(response.option(numbers.ETAG) or b"")
    written.clear()
    write = lambda data: written.append(bytes(data))  # noqa: E731
    yield from download(client, "/store", write, offset=2048, etag=tag, block_size=512)
    assert b"".join(written) == body[2048:]
    # Links.
    response = yield from discover(client)
    assert ("/counter", {"obs": ""}) in response.links, response.links
    # Observations, two at a time, one of them in blocks.
    counter, big = Seen("/counter"), Seen("/big")
    response = yield from counter.observation.register(client)
    assert response.payload == b"0" and counter.observation.token
    response = yield from big.observation.register(client)
    assert response.payload == b"0" * 2500 and big.observation.token
    for number in (1, 2, 3):
        yield from client.steps(numbers.POST, "/counter")
        yield from counter.until(client, number)
        yield from big.until(client, number)
    assert counter.payloads == [b"1", b"2", b"3"]
    assert big.payloads == [b"1" * 2500, b"2" * 2500, b"3" * 2500]
    assert counter.observation.max_age == 5 and counter.observation.is_fresh()
    yield from deregister(big.observation, client, timeout=3000)
    counter.observation.forget(client)
    yield from client.steps(numbers.POST, "/counter")
    yield from client.listen(100)
    assert len(counter.payloads) == len(big.payloads) == 3
    yield from counter.observation.register(client)
    yield from client.steps(numbers.DELETE, "/counter")
    yield from client.listen(100)
    assert counter.observation.ended == numbers.NOT_FOUND


def with_libcoap(client):
    response = yield from client.steps(numbers.GET, "/")
    assert response.code == numbers.CONTENT and b"libcoap" in response.payload
    response = yield from client.steps(numbers.GET, "/", confirmable=False)
    assert b"libcoap" in response.payload
    response = yield from discover(client)
    links = dict(response.links)
    assert "obs" in links["/time"], links
    time = Seen("/time")
    response = yield from time.observation.register(client)
    assert time.observation.token and response.payload
    # Meanwhile a body in blocks up, and down.
    data = Seen("/example_data")
    body = text(3000)
    response = yield from client.steps(numbers.PUT, "/example_data", body, numbers.OCTET_STREAM)
    assert response.code in (numbers.CHANGED, numbers.CREATED), hex(response.code)
    response = yield from data.observation.register(client)
    assert response.payload == body and data.observation.token
    large = text(20_000)
    response = yield from upload(
        client,
        numbers.PUT,
        "/example_data",
        lambda offset, size: large[offset : offset + size],
        len(large),
        numbers.OCTET_STREAM,
    )
    assert response.code == numbers.CHANGED, hex(response.code)
    written = []
    sizes = []
    response = yield from download(
        client,
        "/example_data",
        lambda data: written.append(bytes(data)),
        on_begin=lambda response, size: sizes.append(size),
    )
    assert b"".join(written) == large and sizes == [len(large)]
    client.limit = 1 << 16
    yield from data.until(client, 1)
    assert data.payloads[-1] == large
    yield from time.until(client, 2)
    assert len(time.payloads) >= 2 and time.payloads[0] != time.payloads[1]
    yield from deregister(time.observation, client, timeout=3000)


def many_at_once(port):
    """Requests and an observation of several tasks on one socket."""
    import asyncio

    from firmware.coap import aio

    async def run():
        client = connect(f"coap://127.0.0.1:{port}", client=aio.Client)
        counter = Seen("/counter")
        await client.observe(counter.observation)
        gets = [client.get(path) for path in ("/slow", "/hello", "/large", "/hello")]
        answers = await asyncio.gather(client.request(numbers.POST, "/counter"), *gets)
        assert [len(each.payload) for each in answers[1:]] == [5, 5, 3000, 5]
        await client.wait(200)
        assert len(counter.payloads) == 1
        client.close()

    asyncio.run(run())


async def in_tasks(scenario, uri, context):
    """Run a scenario; another task sees how long the handshake keeps the loop at a time."""
    import asyncio

    from firmware.coap import aio

    def secure(transport, host):
        from firmware.coap.dtls_steps import DTLSInSteps

        return DTLSInSteps(transport, context, host)

    beats = [ticks_ms()]

    async def beat():
        while True:
            await asyncio.sleep_ms(5)
            beats.append(ticks_ms())

    beating = asyncio.create_task(beat())
    client = await aio.connect(uri, secure)
    beating.cancel()
    # ClientHello, the cookie, the key exchange and Finished: a step each at the least.
    assert not context or len(beats) >= 4, beats
    await client.drive(scenario(client))
    client.close()


def main(server, driver, port, ca=None):
    scenario = {"aiocoap": with_aiocoap, "libcoap": with_libcoap}[server]
    uri = f"coap://127.0.0.1:{port}"
    context = None
    if ca:
        from firmware.coap.dtls import DTLS, make_context

        uri = uri.replace("coap", "coaps")
        with open(ca, "rb") as file:
            context = make_context((file.read(),))
    if driver == "blocking":
        client = connect(uri, lambda transport, host: DTLS(transport, context, host))
        client.drive(scenario(client))
        client.close()
    elif driver == "asyncio":
        import asyncio

        asyncio.run(in_tasks(scenario, uri, context))
    else:
        many_at_once(port)
    print("done")


if sys.implementation.name == "micropython":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
    except CoapError as error:
        print(error.what)
