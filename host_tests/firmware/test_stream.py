"""firmware.coap.stream: bodies that never are in memory as a whole, in virtual time."""

import gc
import io
import sys

from firmware.coap.client import Client
from firmware.coap.message import ACK, POST, decode, uint, uint_bytes
from firmware.coap.misfit import Changed
from firmware.coap.stream import download, upload
from firmware.errors import CoapError, NetworkError, NoResponse
from host_tests.firmware.coap_helpers import NON, empty, make_client, mute, reply, separate
from host_tests.firmware.helpers import Clock, raises, skip

ETAG, BLOCK2, BLOCK1, SIZE2, SIZE1 = 4, 23, 27, 28, 60
CONTENT, VALID, CHANGED, CONTINUE = 0x45, 0x43, 0x44, 0x5F
NOT_FOUND, INCOMPLETE, TOO_LARGE = 0x84, 0x88, 0x8D


def text(size):
    """Return a body in which no two blocks are the same."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


def block(number, more, szx):
    return uint_bytes(number << 4 | more << 3 | szx)


class Server:
    """A server that gives a body in blocks, and takes one.

    `szx`: of its largest blocks; `tag`: its ETag; `delay`: ms to an answer; `gives`: the code and
    the options of an answer in place of its own, by the number of the request.
    """

    def __init__(self, body, szx=6, tag=b"1", size2=True, delay=1):
        self.body = body
        self.szx = szx
        self.tag = tag
        self.size2 = size2
        self.delay = delay
        self.gives = {}
        self.requests = []
        self.taken = bytearray()

    def __call__(self, datagram):
        request = decode(memoryview(datagram))
        if not request.code:
            return ()
        number = len(self.requests)
        self.requests.append(request)
        if number in self.gives:
            code, options, payload = self.gives[number]
        elif request.code == POST:
            code, options, payload = self.take(request)
        else:
            code, options, payload = self.give(request)
        return [(self.delay, reply(datagram, code, options, payload))]

    def give(self, request):
        asked = uint(request.option(BLOCK2) or b"\x06")
        szx = min(asked & 7, self.szx)
        start = (asked >> 4) << (asked & 7) + 4
        size = 16 << szx
        more = start + size < len(self.body)
        options = [(ETAG, self.tag)] if self.tag else []
        options.append((BLOCK2, block(start >> szx + 4, more, szx)))
        if self.size2 and request.option(SIZE2) is not None:
            options.append((SIZE2, uint_bytes(len(self.body))))
        return CONTENT, options, self.body[start : start + size]

    def take(self, request):
        block1 = uint(request.option(BLOCK1))
        szx = block1 & 7
        if szx > self.szx and not block1 >> 4:
            return TOO_LARGE, [(BLOCK1, block(0, 0, self.szx))], b""
        self.taken = self.taken[: (block1 >> 4) << szx + 4] + bytes(request.payload)
        code = CONTINUE if block1 & 8 else CHANGED
        return code, [(BLOCK1, uint_bytes(block1))], b""

    def blocks(self, option=BLOCK2):
        values = [uint(request.option(option)) for request in self.requests]
        return [(value >> 4, value >> 3 & 1, value & 7) for value in values]


def get(server, **how):
    """Download; return the response and what was written."""
    client, transport = make_client(server)
    written = []
    steps = download(client, "/a", lambda data: written.append(bytes(data)), **how)
    return client.drive(steps), b"".join(written)


def failed(error, server, **how):
    """Download with an error; return it, and what was written before it."""
    client, transport = make_client(server, random=bytes)
    written = []
    steps = download(client, "/a", lambda data: written.append(bytes(data)), **how)
    return raises(error, client.drive, steps), b"".join(written)


def test_download():
    for size in (0, 1, 1023, 1024, 1025, 2048, 5000):
        server = Server(text(size))
        response, written = get(server)
        assert written == text(size) and response.size == size
        assert response.code == CONTENT and response.payload == b""
        assert bytes(response.option(ETAG)) == b"1"
        # Which only the first message has.
        assert uint(response.option(SIZE2)) == size
        assert [request for request in server.requests if request.payload] == []
        assert len(server.requests) == max(1, (size + 1023) // 1024)
        assert server.blocks() == [(number, 0, 6) for number in range(len(server.requests))]
        # The size is asked for once.
        sizes = [request.option(SIZE2) for request in server.requests]
        assert sizes == [b""] + [None] * (len(sizes) - 1)


def test_message_ids_and_tokens_of_a_download():
    server = Server(text(3000))
    get(server)
    ids = [request.message_id for request in server.requests]
    assert ids == [0x1234, 0x1235, 0x1236]
    tokens = [bytes(request.token) for request in server.requests]
    assert tokens == [bytes((1, 2, 3, last)) for last in (4, 5, 6)]


def test_download_to_a_file():
    file = io.BytesIO()
    client, _ = make_client(Server(text(3000)))
    client.drive(download(client, "/a", file.write))
    assert file.getvalue() == text(3000)


def test_a_body_in_one_message_without_the_option():
    for size in (0, 5, 1100):
        server = Server(b"")
        server.gives[0] = (CONTENT, (), text(size))
        response, written = get(server)
        assert written == text(size) and response.size == size


def test_smaller_blocks():
    server = Server(text(1000), szx=4)
    assert get(server)[1] == text(1000)
    assert server.blocks() == [(0, 0, 6)] + [(number, 0, 4) for number in (1, 2, 3)]
    server = Server(text(1000))
    assert get(server, block_size=300)[1] == text(1000)
    assert server.blocks() == [(number, 0, 4) for number in range(4)]


def test_what_a_request_may_carry_does_not_bound_a_response():
    client, transport = make_client(Server(text(1000)))
    transport.largest_block = 512
    client.drive(download(client, "/a", bytes))
    assert uint(decode(memoryview(transport.sent[0][1])).option(BLOCK2)) == 6


def test_the_size_and_the_first_message_before_anything_is_written():
    seen = []
    server = Server(text(3000))
    get(server, on_begin=lambda response, size: seen.append((bytes(response.option(ETAG)), size)))
    server.size2 = False
    get(server, on_begin=lambda response, size: seen.append((response.code, size)))
    assert seen == [(b"1", 3000), (CONTENT, None)]

    def refuse(response, size):
        raise ValueError("no room")

    error, written = failed(ValueError, server, on_begin=refuse)
    assert written == b"" and error.args[0] == "no room"


def test_a_download_that_goes_on():
    body = text(5000)
    for offset in (16, 1024, 1040, 2048, 4992):
        server = Server(body)
        response, written = get(server, offset=offset, etag=b"1")
        assert written == body[offset:] and response.size == 5000
    server = Server(body)
    get(server, offset=1536)
    assert server.blocks()[0] == (3, 0, 5)
    server = Server(body, szx=2)
    assert get(server, offset=2048)[1] == body[2048:]
    assert server.blocks()[:2] == [(2, 0, 6), (33, 0, 2)]
    assert "16 bytes" in str(failed(ValueError, server, offset=1000)[0])


def test_a_download_that_does_not_go_on_with_another_resource():
    for tag, etag in ((b"2", b"1"), (b"", b"1"), (b"2", b"")):
        error, written = failed(Changed, Server(text(5000), tag=tag), offset=2048, etag=etag)
        assert "changed" in error.what and error.fix and written == b""
    assert get(Server(text(5000), tag=b""), offset=2048, etag=b"")[1] == text(5000)[2048:]


def test_a_resource_that_changes():
    server = Server(text(5000))
    server.gives[2] = (CONTENT, [(ETAG, b"2"), (BLOCK2, block(2, 1, 6))], bytes(1024))
    error, written = failed(Changed, server)
    assert written == text(2048)


def test_options_of_a_wrong_length_are_ignored():
    server = Server(text(2000), tag=b"123456789", size2=False)
    server.gives[0] = (
        CONTENT,
        [(ETAG, b"987654321"), (BLOCK2, block(0, 1, 6)), (SIZE2, b"\0\0\0\0\x01")],
        text(1024),
    )
    assert get(server)[1] == text(2000)


def test_other_responses_are_not_written():
    server = Server(b"")
    for code, options in ((NOT_FOUND, ()), (VALID, ((ETAG, b"1"),))):
        server.requests.clear()
        server.gives[0] = (code, options, b"why")
        response, written = get(server)
        assert (response.code, response.payload, written) == (code, b"why", b"")
        assert isinstance(response.payload, bytes)
    server = Server(text(5000))
    server.gives[1] = (NOT_FOUND, (), b"gone")
    error, written = failed(CoapError, server)
    assert "4.04 in the middle" in error.what and written == text(1024)


def test_blocks_that_do_not_continue():
    for number, more, szx, size in (
        (1, 1, 6, 1024),
        (3, 1, 6, 1024),
        (2, 1, 6, 1023),
        (2, 0, 6, 1025),
        (2, 1, 7, 1024),
    ):
        server = Server(text(5000))
        server.gives[2] = (CONTENT, [(ETAG, b"1"), (BLOCK2, block(number, more, szx))], bytes(size))
        error, written = failed(CoapError, server)
        assert "does not continue" in error.what and written == text(2048)
    server = Server(text(5000))
    server.gives[0] = (CONTENT, (), text(100))
    assert "2.05 in the middle" in failed(CoapError, server, offset=1024)[0].what


def body_of_another_size():
    """Return a Server of 2000 bytes that says 4096."""
    server = Server(text(2000))
    options = [(BLOCK2, block(0, 1, 6)), (SIZE2, b"\x10\x00")]
    server.gives[0] = (CONTENT, [(ETAG, b"1")] + options, text(1024))
    return server


def test_a_body_of_another_size_than_was_said():
    error, written = failed(CoapError, body_of_another_size())
    assert "a body of 2000 bytes that was to have 4096" in error.what


def test_the_limit_of_a_download():
    for size2 in (True, False):
        server = Server(text(5000), size2=size2)
        error, written = failed(CoapError, server, limit=4999)
        assert "over the limit" in error.what
        assert written == (b"" if size2 else text(4096))
    assert get(Server(text(5000)), limit=5000)[0].size == 5000


def test_a_long_download_goes_on_as_long_as_it_moves():
    """Each block may take 247 s, and the whole as long as its blocks."""
    server = Server(text(20 * 1024), delay=1)

    def slow(datagram):
        request = decode(memoryview(datagram))
        code, options, payload = server.give(request)
        acknowledged = (5, empty(ACK, request.message_id))
        answer = separate(datagram, code, 7, payload, type=NON, options=options)
        return [acknowledged, (60_000, answer)]

    clock = Clock((1 << 30) - 300_000)
    client, _ = make_client(slow, clock)
    written = []
    response = client.drive(download(client, "/a", lambda data: written.append(len(data))))
    assert response.size == 20 * 1024 and clock.slept == 20 * 60_000
    error = raises(NoResponse, client.drive, download(client, "/a", bytes, timeout=59_999))
    assert error.acknowledged


def test_a_download_that_falls_silent_goes_on_later():
    body = text(5000)
    server = Server(body)
    client, transport = make_client(server, random=bytes)
    written = []

    def write(data):
        written.append(bytes(data))
        if len(written) == 2:
            transport._server = mute

    raises(NoResponse, client.drive, download(client, "/a", write))
    transport._server = server
    done = len(b"".join(written))
    assert done == 2048
    client.drive(download(client, "/a", write, offset=done, etag=b"1"))
    assert b"".join(written) == body


def test_a_download_that_cannot_be_sent():
    client, _ = make_client(mute, fail=(0,))
    raises(NetworkError, client.drive, download(client, "/a", bytes))


def test_confirmable_blocks_are_acknowledged():
    server = Server(text(2000))

    def bare(datagram):
        request = decode(memoryview(datagram))
        if not request.code:
            return ()
        code, options, payload = server.give(request)
        message_id = 0x7000 + uint(request.option(BLOCK2)) // 16
        return [(1, separate(datagram, code, message_id, payload, options=options))]

    client, transport = make_client(bare)
    assert client.drive(download(client, "/a", bytes)).size == 2000
    sent = [datagram for _, datagram in transport.sent]
    assert sent[1] == empty(ACK, 0x7000) and sent[3] == empty(ACK, 0x7001)


def test_upload():
    for size in (0, 1, 1024, 1025, 5000):
        server = Server(b"")
        if size <= 1024:
            server.gives[0] = (CHANGED, (), b"ok")
        client, _ = make_client(server)
        body = text(size)
        asked = []

        def read(offset, size, body=body, asked=asked):
            asked.append((offset, size))
            return body[offset : offset + size]

        response = client.drive(upload(client, POST, "/a", read, size, 42))
        assert response.code == CHANGED
        assert max(each for _, each in asked) <= 1024
        request = server.requests[0]
        assert bytes(request.option(12)) == b"\x2a"
        if size <= 1024:
            assert request.option(BLOCK1) is None and request.payload == body
        else:
            assert server.taken == body
            assert uint(request.option(SIZE1)) == size


def test_upload_of_a_file_in_smaller_blocks():
    server = Server(b"", szx=4)
    client, _ = make_client(server)
    client.drive(upload(client, POST, "/a", io.BytesIO(text(2000)), 2000))
    assert server.taken == text(2000)
    assert server.blocks(BLOCK1)[:3] == [(0, 1, 6), (0, 1, 4), (1, 1, 4)]


def test_an_upload_that_goes_on():
    server = Server(b"")
    server.taken += text(2304)
    client, _ = make_client(server)
    body = io.BytesIO(text(5000))
    client.drive(upload(client, POST, "/a", body, 5000, offset=2304))
    assert server.taken == text(5000)
    assert server.blocks(BLOCK1)[0] == (9, 1, 4)
    server = Server(b"")
    server.gives[0] = (INCOMPLETE, (), b"")
    client, _ = make_client(server)
    assert client.drive(upload(client, POST, "/a", body, 5000, offset=2048)).code == INCOMPLETE
    raises(ValueError, client.drive, upload(client, POST, "/a", body, 5000, offset=100))


def test_a_long_upload_goes_on_as_long_as_it_moves():
    clock = Clock()
    server = Server(b"", szx=2, delay=1900)
    client, _ = make_client(server, clock)
    client.drive(upload(client, POST, "/a", lambda offset, size: bytes(size), 200 * 64))
    assert clock.slept == 201 * 1900 and len(server.taken) == 200 * 64


def test_confirmable_responses_to_an_upload_are_acknowledged():
    server = Server(b"")

    def bare(datagram):
        request = decode(memoryview(datagram))
        if not request.code:
            return ()
        code, options, payload = server.take(request)
        number = uint(request.option(BLOCK1)) >> 4
        return [(1, separate(datagram, code, 0x7000 + number, options=options))]

    client, transport = make_client(bare)
    client.drive(upload(client, POST, "/a", io.BytesIO(text(2000)), 2000))
    sent = [datagram for _, datagram in transport.sent]
    assert sent[1] == empty(ACK, 0x7000) and sent[3] == empty(ACK, 0x7001)


def test_a_body_that_is_shorter_than_was_said():
    client, transport = make_client(Server(b""))
    steps = upload(client, POST, "/a", io.BytesIO(text(1500)), 2000)
    assert "2000 bytes" in str(raises(ValueError, client.drive, steps))


class Endless:
    """A transport to a server of a body of any size, which holds none of it."""

    largest_block = 1024

    def __init__(self, size):
        self._blocks = size // 1024
        self._block = bytes(1024)

    def send(self, datagram):
        number = uint(decode(memoryview(datagram)).option(BLOCK2)) >> 4
        options = [(BLOCK2, block(number, number + 1 < self._blocks, 6))]
        self._reply = reply(datagram, CONTENT, options, self._block)

    def receive(self, size, timeout):
        return self._reply


def held_by_a_download_of(size):
    """Return the most bytes that are in use when a block is written."""
    client = Client(Endless(size), ticks=Clock().ticks_ms)
    most = [0]
    blocks = [0]

    def write(data):
        blocks[0] += 1
        if blocks[0] & 63 == 2:
            gc.collect()
            most[0] = max(most[0], gc.mem_alloc())

    gc.collect()
    before = gc.mem_alloc()
    assert client.drive(download(client, "/a", write)).size == size
    return most[0] - before


def test_a_megabyte_takes_no_more_heap_than_four_kilobytes():
    if sys.implementation.name != "micropython":
        skip("gc.mem_alloc is MicroPython's")
    held_by_a_download_of(4096)
    small, large = held_by_a_download_of(4096), held_by_a_download_of(1 << 20)
    assert large <= small + 64, (small, large)
