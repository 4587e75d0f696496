"""firmware.coap.whole_uri and percent: RFC 7252 sections 6.4 and 6.5."""

from firmware.coap import once
from firmware.coap.message import Message, decode
from firmware.coap.numbers import GET, PUT
from firmware.coap.options import request_options
from firmware.coap.percent import quote, unquote
from firmware.coap.uri import origin, parse
from firmware.coap.whole_uri import compose, decompose, location, path_options
from firmware.thingsboard.device_api import api_path
from host_tests.firmware.coap_helpers import make_client, reply
from host_tests.firmware.helpers import raises

HELLO = "\u3053\u3093\u306b\u3061\u306f"

# URI, server, options; the first are RFC 7252's own (section 6, appendix B).
URIS = (
    ("coap://example.com:5683/~sensors/temp.xml", "example.com", ["~sensors", "temp.xml"], []),
    ("coap://EXAMPLE.com/%7Esensors/temp.xml", "example.com", ["~sensors", "temp.xml"], []),
    ("coap://EXAMPLE.com:/%7esensors/temp.xml", "example.com", ["~sensors", "temp.xml"], []),
    ("coap://[2001:db8::2:1]/", None, [], []),
    ("coap://example.net", "example.net", [], []),
    ("coap://example.net/.well-known/core", "example.net", [".well-known", "core"], []),
    (
        "coap://xn--18j4d.example/%E3%81%93%E3%82%93%E3%81%AB%E3%81%A1%E3%81%AF",
        "xn--18j4d.example",
        [HELLO],
        [],
    ),
    ("coap://198.51.100.1:61616//%2F//?%2F%2F&?%26", None, ["", "/", "", ""], ["//", "?&"]),
    ("coap://h/a/b/../c/./d", "h", ["a", "c", "d"], []),
    ("coap://h/../a/..", "h", [""], []),
    ("coap://h/a/b/..", "h", ["a", ""], []),
    ("coap://h/a/b/./.", "h", ["a", "b", ""], []),
    ("coap://h?q=a%20b", "h", [], ["q=a b"]),
    ("coap://h/a?b/../c", "h", ["a"], ["b/../c"]),
    ("coap://h/a%3Fb+c", "h", ["a?b+c"], []),
    ("coaps://ex%61mple.com/a", "example.com", ["a"], []),
)


def options_of(name, path, query):
    options = [(3, name.encode())] if name else []
    options += [(11, segment.encode()) for segment in path]
    return options + [(15, argument.encode()) for argument in query]


def test_decompose():
    for uri, name, path, query in URIS:
        server, rest = decompose(uri)
        assert parse(server)[2] == name, uri
        # A path that is one empty segment is as good as none.
        expected = options_of(None, path if path != [""] else [], query)
        assert path_options(rest) == expected, uri
    assert decompose("coap://198.51.100.1:61616//a")[0] == "coap://198.51.100.1:61616"


def test_what_is_no_uri_of_a_resource():
    for uri in (
        "example.com/a",
        "http://example.com/a",
        "coap:///a",
        "coap://h/a#b",
        "coap://user@h/a",
        "coap://h:0/a",
        "coap://h:x/a",
        "coap://h%2Fa/b",
        "coap://%zz/b",
        "coap://[::1/b",
    ):
        raises(ValueError, decompose, uri)


def test_compose():
    for server, options, uri in (
        ("coap://h", (), "coap://h/"),
        ("coap://192.0.2.1:5683", [(3, b"example.com")], "coap://example.com/"),
        ("coap://192.0.2.1:5684", [(7, b"\x16\x33")], "coap://192.0.2.1/"),
        ("coaps://192.0.2.1", [(3, "\u00e4".encode())], "coaps://%C3%A4/"),
        ("coap://[2001:db8::1]:61616", [(11, b"a")], "coap://[2001:db8::1]:61616/a"),
        (
            "coap://198.51.100.1:61616",
            options_of(None, ["", "/", "", ""], ["//", "?&"]),
            "coap://198.51.100.1:61616//%2F//?//&?%26",
        ),
        (
            "coap://h",
            options_of(None, ["a b", "c%", ":@"], ["d=e;", "#"]),
            "coap://h/a%20b/c%25/:@?d=e;&%23",
        ),
    ):
        assert compose(server, options) == uri


def test_what_is_composed_is_decomposed_to_the_same():
    for uri, name, path, query in URIS:
        options = options_of(name, path, query)
        server, _ = decompose(uri)
        again, rest = decompose(compose(server, options))
        assert origin(again) == origin(server), uri
        if path != [""]:
            assert path_options(rest) == options_of(None, path, query), uri


def test_quote_and_unquote():
    for text, quoted in (
        ("", ""),
        ("aZ09-._~", "aZ09-._~"),
        ("a/b%c?d&e", "a%2Fb%25c%3Fd%26e"),
        (" +#", "%20%2B%23"),
        ("\u00e4", "%C3%A4"),
        (b"\x00\xff", "%00%FF"),
    ):
        assert quote(text) == quoted
        assert unquote(quoted.encode()) == (text if isinstance(text, bytes) else text.encode())
    assert unquote(b"%7e%7E") == b"~~"
    for text in (b"%", b"a%1", b"%zz", b"%+1", b"% 1", b"%%41"):
        raises(ValueError, unquote, text)


def test_a_quoted_segment_is_one_segment():
    for token in ("a/b", "50%", "a?b=c&d", "\u00fc%2F"):
        options = request_options(None, "/api/v1/%s/telemetry" % quote(token), None)
        assert options[2] == (11, token.encode()) and len(options) == 4
        options = request_options(None, "/a?keys=%s" % quote(token), None)
        assert options == [(11, b"a"), (15, b"keys=" + token.encode())]


def test_a_device_s_path_with_any_token():
    for token in ("abc", "a/b", "50%", "a?b"):
        credentials = {"credentialsType": "ACCESS_TOKEN", "credentialsValue": token}
        options = request_options(None, api_path(credentials, "attributes?keys=a"), None)
        path = [(11, b"api"), (11, b"v1"), (11, token.encode()), (11, b"attributes")]
        assert options == path + [(15, b"keys=a")]


def test_percent_in_other_options_is_left_alone():
    options = request_options("h%41", "/%41", 0x25, ((4, b"%zz"),))
    assert options == [(3, b"h%41"), (4, b"%zz"), (11, b"A"), (12, b"%")]


def test_location_of_what_was_created():
    response = Message()
    assert location(response) == "/"
    response.options = [(8, memoryview(b"a/b")), (8, b"1"), (20, b"c=d"), (20, b"&")]
    assert location(response) == "/a%2Fb/1?c=d&%26"


def test_one_request_to_a_uri():
    requests = []

    def server(datagram):
        requests.append(decode(memoryview(datagram)))
        return [(1, reply(datagram, 0x44, payload=b"ok"))]

    client, transport = make_client(server, name="h")
    opened = []

    def connect(*arguments):
        opened.append(arguments)
        return client

    real = once.connect
    once.connect = connect
    try:
        response = once.request(PUT, "coap://h:1/a%2Fb?c", b"x", 0, options=((5, b""),))
        assert response.payload == b"ok" and transport.closed
        assert opened == [("coap://h:1", None)]
        assert requests[0].options == [(3, b"h"), (5, b""), (11, b"a/b"), (12, b""), (15, b"c")]
        for path in ("%2e%2e", "a?" + "b" * 256):
            raises(ValueError, once.request, GET, "coap://h/" + path)
        assert len(opened) == 1
    finally:
        once.connect = real
