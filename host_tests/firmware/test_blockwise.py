"""firmware.coap.blockwise: RFC 7959."""

from firmware.coap.blockwise import transfer as steps
from firmware.coap.message import ACK, CON, GET, POST, decode, encode, uint
from firmware.coap.misfit import Changed
from firmware.errors import CoapError
from host_tests.firmware.coap_helpers import make_client
from host_tests.firmware.helpers import raises

ETAG, BLOCK2, BLOCK1, SIZE2, SIZE1 = 4, 23, 27, 28, 60
CREATED, CHANGED, CONTENT, CONTINUE = 0x41, 0x44, 0x45, 0x5F
NOT_FOUND, INCOMPLETE, ENTITY_TOO_LARGE, SERVER_ERROR = 0x84, 0x88, 0x8D, 0xA0
TOKEN = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def text(size):
    """Return a body in which no two blocks are the same."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


def block(number, more, szx):
    """Return the value of a Block option (RFC 7959 section 2.2)."""
    value = number << 4 | more << 3 | szx
    size = 0 if not value else 1 if value < 256 else 2
    return bytes((value >> 8, value & 0xFF))[2 - size :]


def block_of(message, number):
    """Return (num, more, szx) of a Block option, or None."""
    value = message.option(number)
    if value is None:
        return None
    value = uint(value)
    return value >> 4, value >> 3 & 1, value & 7


class Transfer:
    """A block-wise transfer that is run step by step.

    `request`: the (options, payload) to be sent next; `response`: the last one, once `finished`.
    """

    def __init__(self, code, *arguments):
        self.finished = False
        self.response = None
        self._code = code
        self._steps = steps(*arguments)
        self.go_on(None)

    def go_on(self, response):
        try:
            self.request = self._steps.send(response)
        except StopIteration as end:
            self.finished = True
            self.response = end.value
        except CoapError:
            self.finished = True
            raise

    def encoded(self):
        return encode(CON, self._code, 1, TOKEN, *self.request)


def sent(transfer):
    """Return the transfer's next request, decoded."""
    return decode(memoryview(transfer.encoded()))


def answer(transfer, code, options=(), payload=b""):
    """Answer the last request."""
    datagram = encode(ACK, code, 1, TOKEN, options, payload)
    transfer.go_on(decode(memoryview(bytes(datagram))))


def check_refused(word, transfer, code, options=(), payload=b""):
    """The answer raises CoapError with this word, and nothing more is to be sent."""
    error = raises(CoapError, answer, transfer, code, options, payload)
    assert type(error) is (Changed if word == CHANGED_MEANWHILE else CoapError)
    assert word in error.what, error.what
    assert error.fix
    assert transfer.finished
    assert transfer.response is None


def upload(size, largest_block=1024):
    return Transfer(POST, [(11, b"a"), (12, b"\x32")], text(size), 4096, largest_block)


def download(limit=4096):
    return Transfer(GET, [(11, b"a"), (15, b"q")], b"", limit, 1024)


def test_1024_bytes_are_one_message():
    for size in (0, 1, 1024):
        transfer = upload(size)
        request = sent(transfer)
        assert request.option(BLOCK1) is None
        assert request.option(BLOCK2) is None
        assert request.payload == text(size)
        answer(transfer, CREATED, payload=b"ok")
        assert transfer.finished
        assert transfer.response.payload == b"ok"


def check_upload(size, expected):
    transfer = upload(size)
    body = b""
    for number, (more, length) in enumerate(expected):
        request = sent(transfer)
        assert block_of(request, BLOCK1) == (number, more, 6)
        assert request.code == POST
        assert request.option(11) == b"a"
        assert request.option(12) == b"\x32"
        assert len(request.payload) == length
        body += bytes(request.payload)
        assert not transfer.finished
        value = block(number, more, 6)
        answer(transfer, CONTINUE if more else CREATED, [(BLOCK1, value)], b"" if more else b"ok")
    assert body == text(size)
    assert transfer.finished
    assert transfer.response.code == CREATED
    assert transfer.response.payload == b"ok"


def test_1025_bytes_are_two_blocks():
    check_upload(1025, ((1, 1024), (0, 1)))


def test_1500_bytes_are_two_blocks():
    check_upload(1500, ((1, 1024), (0, 476)))


def test_2048_bytes_are_two_blocks():
    check_upload(2048, ((1, 1024), (0, 1024)))


def test_4096_bytes_are_four_blocks():
    check_upload(4096, ((1, 1024), (1, 1024), (1, 1024), (0, 1024)))


def test_block1_option_bytes():
    transfer = upload(1500)
    assert bytes(sent(transfer).option(BLOCK1)) == b"\x0e"  # 0, more, 1024
    answer(transfer, CONTINUE, [(BLOCK1, b"\x0e")])
    assert bytes(sent(transfer).option(BLOCK1)) == b"\x16"  # 1, last, 1024


def test_size1_is_in_the_first_block_alone():
    transfer = upload(1500)
    request = sent(transfer)
    assert bytes(request.option(SIZE1)) == b"\x05\xdc"
    assert [number for number, _ in request.options] == [11, 12, BLOCK1, SIZE1]
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 6))])
    assert sent(transfer).option(SIZE1) is None
    assert sent(upload(1024)).option(SIZE1) is None


def test_size1_is_there_again_when_a_transfer_starts_again():
    for size, more in ((1500, 1), (600, 0)):
        transfer = upload(size)
        sent(transfer)
        answer(transfer, ENTITY_TOO_LARGE, [(BLOCK1, block(0, more, 5))])
        assert uint(sent(transfer).option(SIZE1)) == size
        answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 5))])
        assert sent(transfer).option(SIZE1) is None


def test_size1_in_the_first_block_as_the_server_asks_for_smaller_ones():
    transfer = upload(1500)
    assert uint(sent(transfer).option(SIZE1)) == 1500
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 4))])
    assert sent(transfer).option(SIZE1) is None


def test_blocks_are_as_large_as_the_transport_takes():
    for largest_block, szx in ((4096, 6), (1024, 6), (1023, 5), (512, 5), (64, 2), (16, 0)):
        transfer = upload(1500, largest_block)
        request = sent(transfer)
        assert block_of(request, BLOCK1) == (0, 1, szx)
        assert request.payload == text(16 << szx)


def test_body_as_large_as_a_block_is_one_message():
    assert sent(upload(512, 512)).option(BLOCK1) is None
    assert block_of(sent(upload(513, 512)), BLOCK1) == (0, 1, 5)


def test_server_that_asks_for_more_than_the_transport_takes_is_not_followed():
    transfer = upload(1500, 512)
    sent(transfer)
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 6))])
    assert block_of(sent(transfer), BLOCK1) == (1, 1, 5)


def test_continue_that_names_no_block():
    transfer = upload(1500)
    sent(transfer)
    check_refused("2.31 for another block", transfer, CONTINUE)


def test_continue_that_names_another_block():
    for number, szx in ((1, 6), (2, 6), (0xFFFFF, 6), (1, 4), (5, 5)):
        transfer = upload(4096)
        sent(transfer)
        value = (number << 4 | 8 | szx).to_bytes(3, "big")
        check_refused("2.31 for another block", transfer, CONTINUE, [(BLOCK1, value)])
    for number, szx in ((0, 6), (2, 6), (2, 5), (3, 4)):
        transfer = upload(4096)
        sent(transfer)
        answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 6))])
        sent(transfer)
        named = [(BLOCK1, block(number, 1, szx))]
        if szx == 5:
            # Block 1 of 1024 bytes is where block 2 of 512 is.
            answer(transfer, CONTINUE, named)
            assert block_of(sent(transfer), BLOCK1) == (4, 1, 5)
        else:
            check_refused("2.31 for another block", transfer, CONTINUE, named)


def test_success_in_the_middle_that_names_another_block():
    transfer = upload(3000)
    sent(transfer)
    check_refused("2.04 for another block", transfer, CHANGED, [(BLOCK1, block(1, 0, 6))])


def test_server_asks_for_smaller_blocks():
    transfer = upload(1500)
    body = bytes(sent(transfer).payload)
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 4))])
    for number, more in ((4, 1), (5, 0)):
        request = sent(transfer)
        assert block_of(request, BLOCK1) == (number, more, 4)
        assert number * 256 == len(body)
        body += bytes(request.payload)
        answer(transfer, CONTINUE if more else CREATED, [(BLOCK1, block(number, more, 4))])
    assert body == text(1500)
    assert transfer.finished


def test_server_asks_for_smaller_blocks_twice():
    transfer = upload(3000)
    body = bytes(sent(transfer).payload)
    szx = 5
    while not transfer.finished:
        number, _, _ = block_of(sent(transfer), BLOCK1)
        answer(transfer, CONTINUE, [(BLOCK1, block(number, 1, szx))])
        request = sent(transfer)
        number, more, used = block_of(request, BLOCK1)
        assert used == szx
        assert number * (16 << szx) == len(body)
        body += bytes(request.payload)
        if not more:
            answer(transfer, CHANGED)
        szx = max(0, szx - 2)
    assert body == text(3000)


def test_server_that_asks_for_larger_blocks_is_not_followed():
    transfer = upload(1500)
    sent(transfer)
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 4))])
    sent(transfer)
    answer(transfer, CONTINUE, [(BLOCK1, block(4, 1, 6))])
    assert block_of(sent(transfer), BLOCK1) == (5, 0, 4)


def test_reserved_block_size_is_not_followed():
    transfer = upload(1500)
    sent(transfer)
    answer(transfer, CONTINUE, [(BLOCK1, b"\x0f")])
    assert block_of(sent(transfer), BLOCK1) == (1, 0, 6)


def test_too_large_with_a_smaller_size_starts_again():
    transfer = upload(1500)
    sent(transfer)
    answer(transfer, ENTITY_TOO_LARGE, [(BLOCK1, block(0, 1, 5))])
    assert not transfer.finished
    request = sent(transfer)
    assert block_of(request, BLOCK1) == (0, 1, 5)
    assert request.payload == text(512)


def test_too_large_with_a_smaller_size_splits_a_single_message():
    transfer = upload(600)
    assert sent(transfer).option(BLOCK1) is None
    answer(transfer, ENTITY_TOO_LARGE, [(BLOCK1, block(0, 0, 5))])
    assert block_of(sent(transfer), BLOCK1) == (0, 1, 5)
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 5))])
    request = sent(transfer)
    assert block_of(request, BLOCK1) == (1, 0, 5)
    assert request.payload == text(600)[512:]


def test_too_large_with_no_smaller_size_is_the_response():
    for options in ((), [(BLOCK1, block(0, 1, 6))], [(BLOCK1, b"\x0f")]):
        transfer = upload(1500)
        sent(transfer)
        answer(transfer, ENTITY_TOO_LARGE, options, b"no")
        assert transfer.finished
        assert transfer.response.code == ENTITY_TOO_LARGE
        assert transfer.response.payload == b"no"


def test_too_large_for_ever_ends():
    transfer = upload(1500)
    for szx in (5, 4, 3, 2, 1, 0):
        sent(transfer)
        answer(transfer, ENTITY_TOO_LARGE, [(BLOCK1, block(0, 1, szx))])
        assert not transfer.finished
    assert block_of(sent(transfer), BLOCK1) == (0, 1, 0)
    answer(transfer, ENTITY_TOO_LARGE, [(BLOCK1, block(0, 1, 0))])
    assert transfer.finished


def test_too_large_in_the_middle_is_the_response():
    transfer = upload(3000)
    sent(transfer)
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 6))])
    sent(transfer)
    answer(transfer, ENTITY_TOO_LARGE, [(BLOCK1, block(1, 1, 5))])
    assert transfer.finished
    assert transfer.response.code == ENTITY_TOO_LARGE


def test_error_in_the_middle_of_the_request_is_the_response():
    for code in (INCOMPLETE, NOT_FOUND, SERVER_ERROR):
        transfer = upload(1500)
        sent(transfer)
        answer(transfer, code, [(BLOCK1, block(0, 1, 6))], b"why")
        assert transfer.finished
        assert transfer.response.code == code
        assert transfer.response.payload == b"why"


def test_success_with_no_block1_option_before_the_last_block_is_the_response():
    transfer = upload(1500)
    sent(transfer)
    answer(transfer, CREATED, payload=b"enough")
    assert transfer.finished
    assert transfer.response.payload == b"enough"


def test_server_that_answers_each_block_by_itself():
    # RFC 7959 figure 6.
    transfer = upload(3000)
    for number, more in ((0, 1), (1, 1), (2, 0)):
        assert not transfer.finished
        assert block_of(sent(transfer), BLOCK1) == (number, more, 6)
        answer(transfer, CHANGED, [(BLOCK1, block(number, 0, 6))])
    assert transfer.finished


def test_continue_after_the_last_block():
    transfer = upload(10)
    sent(transfer)
    check_refused("after the last block", transfer, CONTINUE)
    transfer = upload(1500)
    sent(transfer)
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 6))])
    sent(transfer)
    check_refused("after the last block", transfer, CONTINUE)


def check_download(size, szx):
    transfer = download()
    assert sent(transfer).option(BLOCK2) is None
    body = text(size)
    step = 16 << szx
    number = 0
    while not transfer.finished:
        more = (number + 1) * step < size
        part = body[number * step : (number + 1) * step]
        answer(transfer, CONTENT, [(ETAG, b"e"), (BLOCK2, block(number, more, szx))], part)
        if more:
            number += 1
            request = sent(transfer)
            assert request.code == GET
            assert block_of(request, BLOCK2) == (number, 0, szx)
            assert request.option(11) == b"a"
            assert request.option(15) == b"q"
            assert request.payload == b""
    assert transfer.response.code == CONTENT
    assert transfer.response.payload == body
    return number + 1


def test_response_body_is_put_together():
    assert check_download(1500, 6) == 2
    assert check_download(4096, 6) == 4
    assert check_download(2048, 6) == 2
    assert check_download(700, 4) == 3
    assert check_download(4096, 0) == 256
    assert check_download(5, 6) == 1
    assert check_download(0, 6) == 1


def test_last_block_may_be_empty():
    transfer = download()
    answer(transfer, CONTENT, [(BLOCK2, block(0, 1, 0))], text(16))
    answer(transfer, CONTENT, [(BLOCK2, block(1, 0, 0))])
    assert transfer.response.payload == text(16)


def test_server_may_turn_to_smaller_blocks():
    transfer = download()
    body = text(1500)
    answer(transfer, CONTENT, [(BLOCK2, block(0, 1, 6))], body[:1024])
    answer(transfer, CONTENT, [(BLOCK2, block(4, 1, 4))], body[1024:1280])
    assert block_of(sent(transfer), BLOCK2) == (5, 0, 4)
    answer(transfer, CONTENT, [(BLOCK2, block(5, 0, 4))], body[1280:])
    assert transfer.response.payload == body


DOES_NOT_CONTINUE = "does not continue"
CHANGED_MEANWHILE = "the resource changed"


def check_does_not_continue(code, options, payload, word=DOES_NOT_CONTINUE):
    """Refused as the second block, after the first 16 bytes with ETag "e"."""
    transfer = download()
    answer(transfer, CONTENT, [(ETAG, b"e"), (BLOCK2, block(0, 1, 0))], text(16))
    check_refused(word, transfer, code, options, payload)


def test_blocks_that_do_not_fit_together():
    etag = (ETAG, b"e")
    for number, more, szx, size in (
        (0, 1, 0, 16),  # the first one again
        (2, 1, 0, 16),  # one is missing
        (1, 1, 0, 15),  # too short
        (1, 1, 0, 17),  # too long
        (1, 0, 0, 17),  # the last one too long
        (1, 1, 1, 32),  # another place in the body
        (0, 0, 7, 16),  # a reserved size
    ):
        options = [etag, (BLOCK2, block(number, more, szx))]
        check_does_not_continue(CONTENT, options, bytes(size))


def test_etag_that_changes():
    for options in ([(ETAG, b"f")], [(ETAG, b"")], []):
        options = options + [(BLOCK2, block(1, 0, 0))]
        check_does_not_continue(CONTENT, options, b"x", CHANGED_MEANWHILE)


def test_etag_of_a_wrong_length_is_ignored():
    transfer = download()
    options = [(ETAG, b"123456789"), (BLOCK2, block(0, 1, 0))]
    answer(transfer, CONTENT, options, text(16))
    answer(transfer, CONTENT, [(ETAG, b""), (BLOCK2, block(1, 1, 0))], text(16))
    answer(transfer, CONTENT, [(ETAG, b"987654321"), (BLOCK2, block(2, 0, 0))], b"x")
    assert transfer.response.payload == text(16) * 2 + b"x"


def test_etag_of_the_greatest_length_counts():
    transfer = download()
    answer(transfer, CONTENT, [(ETAG, b"12345678"), (BLOCK2, block(0, 1, 0))], text(16))
    options = [(ETAG, b"12345679"), (BLOCK2, block(1, 0, 0))]
    check_refused(CHANGED_MEANWHILE, transfer, CONTENT, options, b"x")


def test_size2_of_a_wrong_length_is_ignored():
    transfer = download()
    options = [(BLOCK2, block(0, 0, 0)), (SIZE2, b"\x01\x00\x00\x00\x00")]
    answer(transfer, CONTENT, options, b"x")
    assert transfer.response.payload == b"x"


def test_of_an_option_that_comes_twice_the_first_counts():
    """RFC 7252 section 5.4.5: the others are as good as unknown, and elective."""
    transfer = download(limit=32)
    options = [(ETAG, b"e"), (ETAG, b"f"), (BLOCK2, block(0, 1, 0)), (SIZE2, b"\x20")]
    answer(transfer, CONTENT, options + [(SIZE2, b"\x21")], text(16))
    options = [(ETAG, b"e"), (ETAG, b"g"), (BLOCK2, block(1, 1, 0))]
    answer(transfer, CONTENT, options, text(16))
    options = [(ETAG, b"f"), (ETAG, b"e"), (BLOCK2, block(2, 0, 0))]
    check_refused(CHANGED_MEANWHILE, transfer, CONTENT, options)


def test_etag_that_appears():
    transfer = download()
    answer(transfer, CONTENT, [(BLOCK2, block(0, 1, 0))], text(16))
    options = [(ETAG, b"e"), (BLOCK2, block(1, 0, 0))]
    check_refused(CHANGED_MEANWHILE, transfer, CONTENT, options, b"x")


def test_response_that_begins_in_the_middle():
    first = [(BLOCK2, block(1, 1, 0))]
    check_refused(DOES_NOT_CONTINUE, download(), CONTENT, first, text(16))


def test_response_of_a_reserved_size():
    check_refused(DOES_NOT_CONTINUE, download(), CONTENT, [(BLOCK2, b"\x07")], text(16))


def test_first_block_of_a_wrong_length():
    for more, size in ((1, 15), (0, 17)):
        first = [(BLOCK2, block(0, more, 0))]
        check_refused(DOES_NOT_CONTINUE, download(), CONTENT, first, text(size))


def test_error_in_the_middle_of_the_response_says_its_code():
    transfer = download()
    answer(transfer, CONTENT, [(BLOCK2, block(0, 1, 0))], text(16))
    check_refused("4.04 in the middle", transfer, NOT_FOUND, [], b"gone")


def test_error_with_a_block2_option_in_the_middle():
    options = [(ETAG, b"e"), (BLOCK2, block(1, 0, 0))]
    check_does_not_continue(SERVER_ERROR, options, b"oops", "5.00 in the middle")


def test_too_large_in_the_middle_of_the_response_does_not_start_again():
    options = [(BLOCK1, block(0, 0, 2))]
    check_does_not_continue(ENTITY_TOO_LARGE, options, b"", "4.13 in the middle")


def test_error_may_come_in_blocks():
    transfer = download()
    answer(transfer, NOT_FOUND, [(BLOCK2, block(0, 1, 0))], text(16))
    answer(transfer, NOT_FOUND, [(BLOCK2, block(1, 0, 0))], b"x")
    assert transfer.response.code == NOT_FOUND
    assert transfer.response.payload == text(16) + b"x"


def test_limit_is_reached_but_not_passed():
    transfer = download(limit=32)
    answer(transfer, CONTENT, [(BLOCK2, block(0, 1, 0))], text(16))
    answer(transfer, CONTENT, [(BLOCK2, block(1, 0, 0))], bytes(16))
    assert len(transfer.response.payload) == 32


OVER_32 = "over the limit of 32 bytes"


def test_over_the_limit_in_blocks():
    transfer = download(limit=32)
    answer(transfer, CONTENT, [(BLOCK2, block(0, 1, 0))], text(16))
    answer(transfer, CONTENT, [(BLOCK2, block(1, 1, 0))], text(16))
    check_refused(OVER_32, transfer, CONTENT, [(BLOCK2, block(2, 0, 0))], b"x")


def test_over_the_limit_in_one_message():
    check_refused(OVER_32, download(limit=32), CONTENT, (), bytes(33))
    answer(download(limit=32), CONTENT, (), bytes(32))


def test_over_the_limit_as_announced():
    first = (BLOCK2, block(0, 1, 0))
    for size2 in (b"\x21", b"\xff\xff\xff\xff"):
        check_refused(OVER_32, download(32), CONTENT, [first, (SIZE2, size2)], text(16))
    answer(download(32), CONTENT, [first, (SIZE2, b"\x20")], text(16))


def test_up_and_down_in_blocks():
    transfer = upload(1500)
    sent(transfer)
    answer(transfer, CONTINUE, [(BLOCK1, block(0, 1, 6))])
    sent(transfer)
    both = [(BLOCK2, block(0, 1, 5)), (BLOCK1, block(1, 0, 6))]
    answer(transfer, CHANGED, both, text(900)[:512])
    request = sent(transfer)
    assert block_of(request, BLOCK2) == (1, 0, 5)
    assert request.option(BLOCK1) is None
    assert request.code == POST
    assert request.payload == b""
    answer(transfer, CHANGED, [(BLOCK2, block(1, 0, 5))], text(900)[512:])
    assert transfer.finished
    assert transfer.response.payload == text(900)


def test_payload_is_a_copy():
    datagram = bytearray(encode(ACK, CONTENT, 1, TOKEN, (), b"payload"))
    transfer = download()
    transfer.go_on(decode(memoryview(datagram)))
    datagram[-7:] = b"changed"
    assert transfer.response.payload == b"payload"
    assert isinstance(transfer.response.payload, bytes)


class BlockServer:
    """A server that wants a body in blocks, and gives it back in blocks of 64 bytes."""

    def __init__(self):
        self.requests = []
        self.body = b""

    def __call__(self, datagram):
        request = decode(memoryview(datagram))
        self.requests.append(request)
        up = block_of(request, BLOCK1)
        down = block_of(request, BLOCK2) or (0, 0, 2)
        options = []
        payload = b""
        code = CONTINUE
        if up:
            assert up[0] * (16 << up[2]) == len(self.body)
            self.body += bytes(request.payload)
        if not up or not up[1]:
            code = CHANGED
            start = down[0] * 64
            payload = self.body[start : start + 64]
            options.append((BLOCK2, block(down[0], start + 64 < len(self.body), 2)))
        if up:
            options.append((BLOCK1, block(*up)))
        return [(1, bytes(encode(ACK, code, request.message_id, request.token, options, payload)))]


def test_message_id_and_token_count_up_with_the_blocks():
    server = BlockServer()
    client, _ = make_client(server)
    token = b"\x01\x02\x03\x04\x05\x06\x07\xfe"
    response = client.request(POST, "/a", text(1100), message_id=0xFFFE, token=token)
    assert response.payload == text(1100) == server.body
    ids = [request.message_id for request in server.requests]
    assert len(ids) == 2 + 17
    assert ids == [0xFFFE, 0xFFFF] + list(range(17))
    tokens = [bytes(request.token) for request in server.requests]
    assert tokens == [token[:7] + bytes((0xFE + number & 0xFF,)) for number in range(19)]


def test_resumed_body_repeats_its_datagrams():
    runs = []
    for _ in range(2):
        client, transport = make_client(BlockServer())
        client.request(POST, "/a", text(1500), message_id=77, token=TOKEN)
        runs.append([datagram for _, datagram in transport.sent])
    assert runs[0] == runs[1]


def test_next_request_goes_on_from_the_last_block():
    server = BlockServer()
    client, _ = make_client(server)
    client.request(POST, "/a", text(1500), message_id=100)
    blocks = len(server.requests)
    client.get("/a")
    assert server.requests[blocks].message_id == 100 + blocks


class PowerCut(Exception):
    pass


class ConfirmingServer:
    """A server that gives a body back in confirmable blocks, and answers duplicates as Californium.

    What is acknowledged or reset never comes again; what is not is sent again after 2.7, 8.2, 19.2
    and 41 s. `cut_at`: the datagram to or from it, counted from 0, at which the power goes, this
    one lost or not. `saved`: whether the board has saved the body.
    """

    def __init__(self, is_bare, cut_at, is_lost):
        self.is_bare = is_bare
        self.cut_at = cut_at
        self.is_lost = is_lost
        self.datagrams = 0
        self.done = []  # Message IDs of ours that were acknowledged or reset
        self.remembered = {}
        self.body = b""
        self.saved = False

    def count(self):
        """Count a datagram; return whether it is lost."""
        self.datagrams += 1
        if self.datagrams - 1 != self.cut_at:
            return False
        self.has_no_power = True
        return self.is_lost

    def __call__(self, datagram):
        if self.count():
            raise PowerCut()
        message = decode(memoryview(datagram))
        if not message.code:
            assert self.saved, "acknowledged or reset before it was saved"
            self.done.append(message.message_id)
            return ()
        known = message.message_id in self.remembered
        if not known:
            self.remembered[message.message_id] = self._answer(message)
        response = self.remembered[message.message_id]
        ack = (1, bytes((0x60, 0)) + datagram[2:4])
        if known and (response[2] << 8 | response[3]) in self.done:
            return [ack]
        again = [(delay, response) for delay in (2, 2700, 8200, 19200, 41000)]
        return again if self.is_bare and not known else [ack] + again

    def _answer(self, message):
        up = block_of(message, BLOCK1)
        down = block_of(message, BLOCK2) or (0, 0, 5)
        options = []
        payload = b""
        code = CONTINUE
        if up:
            self.body = self.body[: up[0] << up[2] + 4] + bytes(message.payload)
        if not up or not up[1]:
            code = CHANGED
            start = down[0] * 512
            payload = self.body[start : start + 512]
            options.append((BLOCK2, block(down[0], start + 512 < len(self.body), 5)))
        if up:
            options.append((BLOCK1, block(*up)))
        number = 0x5000 + len(self.remembered)
        return bytes(encode(CON, code, number, message.token, options, payload))


def power_up(server):
    """Resume the transfer as a board does; return whether the power stayed."""
    server.has_no_power = False
    client, transport = make_client(server)
    # What was not acknowledged before the cut comes again, the last of it first.
    unacknowledged = sorted(server.remembered.values(), key=lambda datagram: datagram[2:4])
    transport._arrivals = [(1, 0, datagram) for datagram in reversed(unacknowledged)]
    receive = transport.receive

    def counted(size, timeout):
        datagram = receive(size, timeout)
        if datagram is not None and server.count():
            raise PowerCut()
        if server.has_no_power:
            raise PowerCut()
        return datagram

    transport.receive = counted
    try:
        response = client.request(
            POST, "/a", text(1500), message_id=7, token=TOKEN, acknowledge=False
        )
        assert response.payload == text(1500)
        server.saved = True
        client.acknowledge()
    except PowerCut:
        return False
    return not server.has_no_power


def test_body_survives_a_power_cut_at_every_datagram():
    """Whichever was the last: the same transfer, resumed, ends with the same body."""
    for is_bare in (True, False):
        for is_lost in (True, False):
            cut_at = 0
            while True:
                server = ConfirmingServer(is_bare, cut_at, is_lost)
                if power_up(server):
                    break
                assert server.saved or power_up(server)
                cut_at += 1
            assert cut_at >= 2 * 2 + 2 * 2 + 4
