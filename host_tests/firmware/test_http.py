"""firmware.onboarding.http: what phones send is read, and nothing else gets further."""

from firmware.onboarding.http import BadRequest, Reader, form, head
from host_tests.firmware.helpers import Random, raises

GET = (
    b"GET /hotspot-detect.html?x=1 HTTP/1.1\r\n"
    b"Host: Captive.Apple.com:80\r\n"
    b"User-Agent: CaptiveNetworkSupport-465.120.2 wispr\r\n"
    b"Accept-Language: de-DE,de;q=0.9\r\n\r\n"
)
POST = b"POST / HTTP/1.1\r\nHost: 192.168.4.1\r\nContent-Length: 7\r\n\r\na=1&b=2"


def read(*pieces):
    """Feed pieces to a reader; return the Request, or None."""
    reader = Reader()
    request = None
    for piece in pieces:
        assert request is None
        request = reader.feed(piece)
    return request


def status_of(*pieces):
    return raises(BadRequest, read, *pieces).status


def test_a_request_is_read():
    request = read(GET)
    assert (request.method, request.path) == ("GET", "/hotspot-detect.html")
    assert (request.host, request.language) == ("captive.apple.com", "de-de,de;q=0.9")
    assert request.body == b""
    request = read(POST)
    assert (request.method, request.host, request.body) == ("POST", "192.168.4.1", b"a=1&b=2")


def test_a_request_comes_in_any_pieces():
    for whole, body in ((GET, b""), (POST, b"a=1&b=2")):
        request = read(*[whole[place : place + 1] for place in range(len(whole))])
        assert request.body == body
        for place in range(1, len(whole)):
            assert read(whole[:place]) is None
            assert read(whole[:place], whole[place:]).body == body


def test_what_comes_behind_is_not_read():
    assert read(POST + b"GET / HTTP/1.1\r\n").body == b"a=1&b=2"


def test_other_forms_that_are_right():
    assert read(b"GET http://example.com/generate_204 HTTP/1.1\r\n\r\n").path == "/generate_204"
    assert read(b"GET / HTTP/1.0\r\n\r\n").host == ""
    assert read(b"POST / HTTP/1.1\r\ncontent-length:0\r\n\r\n").body == b""


def test_what_is_no_request():
    for sent, status in (
        (b"\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"G-T / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: a\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1e2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 16385\r\n\r\n", 413),
    ):
        assert status_of(sent) == status, sent


def test_a_body_too_long_to_be_kept_is_read_to_its_end():
    """A browser shows an answer only when it could send all."""
    for length in (2049, 16_384):
        reader = Reader()
        assert not reader.feed(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\nx" % length)
        left = length - 1
        while left > 500:
            assert reader.feed(b"x" * 500) is None
            assert len(reader._bytes) == 0
            left -= 500
        assert reader.feed(b"x" * left + b"behind").body is None
    body = b"x" * 2048
    assert read(b"POST / HTTP/1.1\r\nContent-Length: 2048\r\n\r\n" + body).body == body


def test_a_head_without_end_is_bounded():
    reader = Reader()
    kept = 0
    try:
        while True:
            kept += 100
            assert reader.feed(b"x" * 100) is None
    except BadRequest as error:
        assert error.status == 431
    assert kept < 2300
    assert status_of(b"GET / HTTP/1.1\r\nCookie: " + b"x" * 2100 + b"\r\n\r\n") == 431


def test_noise_raises_nothing_else():
    random = Random(7)
    for number in range(3000):
        noise = bytearray(POST if number % 3 else GET)
        for _ in range(random.below(8)):
            noise[random.below(len(noise))] = random.below(256)
        reader = Reader()
        try:
            place = 0
            while place < len(noise):
                step = 1 + random.below(60)
                request = reader.feed(bytes(noise[place : place + step]))
                if request:
                    form(request.body)
                    break
                place += step
        except BadRequest as error:
            assert head(error.status).startswith(b"HTTP/1.1 4") or error.status == 505


def test_fields_of_a_form():
    assert form(b"") == {}
    assert form(b"a=1&b=&c") == {"a": b"1", "b": b"", "c": b""}
    assert form(b"a=1&a=2") == {"a": b"1"}
    assert form(b"ssid=K%C3%BCche+%26+more%3d") == {"ssid": "Küche & more=".encode()}
    assert form(b"a=%00%ff%FF") == {"a": b"\0\xff\xff"}
    assert form(b"a%3d=1&=2&1=3") == {}


def test_what_is_no_form():
    for body in (b"a=%", b"a=%1", b"a=%1x", b"a=%zz", b"a=%+1", b"a=%-1", b"&" * 20):
        assert raises(BadRequest, form, body).status == 400


def test_a_head_ends_the_connection_and_is_kept_nowhere():
    lines = head(302, "Location: http://192.168.4.1/\r\n").split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 302 Found"
    assert lines[-2:] == [b"", b""]
    for expected in (b"Connection: close", b"Cache-Control: no-store"):
        assert expected in lines
