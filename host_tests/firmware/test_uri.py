"""firmware.coap.uri: RFC 7252 section 6."""

from firmware.coap.uri import parse
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

# (text, what the error says)
MISTAKES = (
    ("", "coap://"),
    ("example.com", "coap://"),
    ("coap", "coap://"),
    ("coap:example.com", "coap://"),
    ("coap:/example.com", "coap://"),
    ("http://example.com", "coap://"),
    ("coap+tcp://example.com", "coap://"),
    (" coap://example.com", "coap://"),
    ("mqtt://example.com:1883", "coap://"),
    ("coap://", "no host"),
    ("coap:///", "no host"),
    ("coap://:5683", "no host"),
    ("coap://example.com/api/v1", "more than"),
    ("coap://example.com//", "more than"),
    ("coap://example.com?a=b", "more than"),
    ("coap://example.com#a", "more than"),
    ("coap://user@example.com", "more than"),
    ("coap://example.com ", "more than"),
    ("coap://exam ple.com", "more than"),
    ("coap://h:0", "port"),
    ("coap://h:65536", "port"),
    ("coap://h:-1", "port"),
    ("coap://h:+1", "port"),
    ("coap://h:1x", "port"),
    ("coap://h:1.0", "port"),
    ("coap://[::1]:0", "port"),
    ("coap://::1", "IPv6"),
    ("coap://2001:db8::1", "IPv6"),
    ("coap://[::1", "IPv6"),
    ("coap://[::1]5683", "IPv6"),
    ("coap://[]", "IPv6"),
    ("coap://[]:5683", "IPv6"),
    ("coap://[192.0.2.1]", "IPv6"),
    ("coap://[example.com]", "IPv6"),
)


def test_servers():
    for text, secure, host, port, name in SERVERS:
        assert parse(text) == (host, port, name, secure), text


def test_mistakes():
    for text, why in MISTAKES:
        error = raises(ValueError, parse, text)
        assert why in str(error), (text, str(error))


def test_digits_are_ascii():
    for text in ("coap://h:\u00b2", "coap://h:\u0663"):
        assert "port" in str(raises(ValueError, parse, text))
    for host in ("192.0.2.\u00b2", "192.0.2.\u0663"):
        assert parse("coap://" + host)[2] == host


def test_an_address_has_no_uri_host():
    for host in ("0.0.0.0", "255.255.255.255", "10.0.0.1", "[::]", "[fe80::1]", "[::ffff:1.2.3.4]"):
        assert parse("coap://" + host)[2] is None, host
    for host in ("a", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", "1.2.3.x", "1.2.3.256", "1..2.3"):
        assert parse("coap://" + host)[2] == host, host
