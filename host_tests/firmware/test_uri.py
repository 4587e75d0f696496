"""firmware.coap.uri: RFC 7252 section 6."""

from firmware.coap.connect import connect
from firmware.coap.uri import doubt, origin, parse
from host_tests.firmware.helpers import raises

# (text, secure, host, port, Uri-Host)
SERVERS = (
    ("coap://example.com", False, "example.com", 5683, "example.com"),
    ("coap://example.com/", False, "example.com", 5683, "example.com"),
    ("coap://example.com:61616", False, "example.com", 61616, "example.com"),
    ("coap://example.com:61616/", False, "example.com", 61616, "example.com"),
    ("coap://h:1", False, "h", 1, "h"),
    ("coap://h:65535", False, "h", 65535, "h"),
    ("coap://h:", False, "h", 5683, "h"),
    ("coaps://example.com", True, "example.com", 5684, "example.com"),
    ("coaps://example.com:5683", True, "example.com", 5683, "example.com"),
    ("COAP://Example.COM", False, "Example.COM", 5683, "example.com"),
    ("CoAPs://h", True, "h", 5684, "h"),
    ("coap://192.0.2.1", False, "192.0.2.1", 5683, None),
    ("coap://192.0.2.1:7", False, "192.0.2.1", 7, None),
    ("coap://[2001:db8::1]", False, "2001:db8::1", 5683, None),
    ("coap://[::1]:7", False, "::1", 7, None),
    ("coaps://[::1]/", True, "::1", 5684, None),
    ("coap://localhost", False, "localhost", 5683, "localhost"),
    ("coap://192.0.2", False, "192.0.2", 5683, "192.0.2"),
    ("coap://1.2.3.4.5", False, "1.2.3.4.5", 5683, "1.2.3.4.5"),
    ("coap://192.0.2.256", False, "192.0.2.256", 5683, "192.0.2.256"),
)

MISTAKES = (
    "",
    "example.com",
    "coap",
    "coap:example.com",
    "coap:/example.com",
    "http://example.com",
    "coap+tcp://example.com",
    " coap://example.com",
    "mqtt://example.com:1883",
    "coap://",
    "coap:///",
    "coap://:5683",
    "coap://example.com/api/v1",
    "coap://example.com//",
    "coap://example.com?a=b",
    "coap://example.com#a",
    "coap://user@example.com",
    "coap://example.com ",
    "coap://exam ple.com",
    "coap://h:0",
    "coap://h:65536",
    "coap://h:-1",
    "coap://h:+1",
    "coap://h:1x",
    "coap://h:1.0",
    "coap://[::1]:0",
    "coap://::1",
    "coap://2001:db8::1",
    "coap://[::1",
    "coap://[::1]5683",
    "coap://[]",
    "coap://[]:5683",
    "coap://[192.0.2.1]",
    "coap://[example.com]",
)


def test_all_spellings_of_a_server_have_one_origin():
    for expected, spellings in (
        ("coap://example.com:5683", ("coap://example.com", "COAP://Example.COM:5683/")),
        ("coaps://example.com:5684", ("coaps://example.com", "CoAPs://EXAMPLE.com:5684")),
        ("coap://[2001:db8::a]:5683", ("coap://[2001:db8::a]", "coap://[2001:DB8::A]:5683/")),
        ("coaps://192.0.2.1:7", ("coaps://192.0.2.1:7", "COAPS://192.0.2.1:7/")),
    ):
        for uri in (expected,) + spellings:
            assert origin(uri) == expected, uri
    for uri in MISTAKES:
        assert origin(uri) == uri


def test_a_name_of_64_bytes_can_be_no_label():
    assert not doubt("coap://" + "n" * 63) and doubt("coap://" + "n" * 64)


def test_servers():
    for text, secure, host, port, name in SERVERS:
        assert parse(text) == (host, port, name, secure), text


def test_mistakes():
    for text in MISTAKES:
        assert "coap://host:port" in str(raises(ValueError, parse, text)), text


# Well written, and yet no server's: (host, what the doubt says).
DOUBTFUL = (
    ("224.0.1.187", "multicast"),
    ("239.255.255.255", "multicast"),
    ("255.255.255.255", "broadcast"),
    ("0224.0.0.1", "multicast"),
    ("[ff02::fd]", "multicast"),
    ("[FF05::FD]", "multicast"),
    ("[::ffff:224.0.1.187]", "multicast"),
    ("a..b", "between two dots"),
    (".", "between two dots"),
    ("..", "between two dots"),
    (".a", "between two dots"),
    ("a.b..", "between two dots"),
    ("a" * 64, "63"),
    ("a." + "b" * 64 + ".c", "63"),
    ("\u00fc" * 32, "63"),
    (".".join(["a" * 63] * 4) + ".", "255"),
)
GOOD = (
    "223.255.255.255",
    "1.2.3.4",
    "a",
    "a.b.",
    "a" * 63,
    "b." + "a" * 63,
    ".".join(["a" * 63] * 4),
    "[::1]",
    "[f::1]",
    "[::ff02:1]",
    "[::ffff:192.0.2.1]",
    "[::a.b]",
    "ff02",
    "224.example",
    "224.0.0.256",
)


def test_hosts_that_no_server_has():
    for host, word in DOUBTFUL:
        for uri in ("coap://%s", "coaps://%s:7/"):
            assert word in doubt(uri % host), host
    for host in GOOD:
        assert doubt("coap://" + host) is None, host
    for uri in MISTAKES:
        assert doubt(uri) is None, uri


def test_connect_refuses_a_host_that_no_server_has():
    for host, word in DOUBTFUL:
        assert word in str(raises(ValueError, connect, "coap://" + host)), host


def test_digits_are_ascii():
    for text in ("coap://h:\u00b2", "coap://h:\u0663"):
        raises(ValueError, parse, text)
    for host in ("192.0.2.\u00b2", "192.0.2.\u0663"):
        assert parse("coap://" + host)[2] == host


def test_an_address_has_no_uri_host():
    for host in ("0.0.0.0", "255.255.255.255", "10.0.0.1", "[::]", "[fe80::1]", "[::ffff:1.2.3.4]"):
        assert parse("coap://" + host)[2] is None, host
    for host in ("a", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", "1.2.3.x", "1.2.3.256", "1..2.3"):
        assert parse("coap://" + host)[2] == host, host
