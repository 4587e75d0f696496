"""firmware.coap.connect: a server that is named by its URI."""

import firmware.coap.connect as connect_module
from firmware.coap.connect import connect
from firmware.coap.message import decode
from firmware.errors import CoapError, NetworkError
from host_tests.firmware.coap_helpers import Transport, reply
from host_tests.firmware.helpers import Clock, raises

CONTENT = 0x45


def content(datagram):
    """A server that answers everything at once."""
    return [(1, reply(datagram, CONTENT, payload=b"ok"))]


def options_of(transport):
    """Return the options of what was sent first."""
    message = decode(memoryview(transport.sent[0][1]))
    return [(number, bytes(value)) for number, value in message.options]


class _Network:
    """Stands in for firmware.coap.udp in firmware.coap.connect."""

    def __init__(self, addresses, reachable):
        self.opened = []
        self._addresses = addresses
        self._reachable = reachable

    def resolve(self, host, port):
        self.asked = (host, port)
        if self._addresses is None:
            raise OSError(-2)
        return self._addresses

    def UDP(self, address, port):
        if address not in self._reachable:
            raise OSError(101)
        self.opened.append((address, port))
        return Transport(Clock(), content)


def connected(uri, addresses, reachable, **options):
    network = _Network(addresses, reachable)
    real = connect_module.resolve, connect_module.UDP
    connect_module.resolve, connect_module.UDP = network.resolve, network.UDP
    try:
        return connect(uri, random=bytes, ticks=Clock().ticks_ms, **options), network
    finally:
        connect_module.resolve, connect_module.UDP = real


def test_connect():
    client, network = connected("coap://TB.example", ["192.0.2.1", "::1"], ["192.0.2.1", "::1"])
    assert network.asked[1] == 5683
    assert network.opened == [("192.0.2.1", 5683)]
    client.get("/")
    assert options_of(client.transport) == [(3, b"tb.example")]


def test_connect_to_an_address_sends_no_uri_host():
    for uri, address in (("coap://192.0.2.1:7", "192.0.2.1"), ("coap://[::1]:7", "::1")):
        client, network = connected(uri, [address], [address])
        assert network.opened == [(address, 7)]
        client.get("/")
        assert options_of(client.transport) == []


def test_connect_passes_its_options():
    client, _ = connected("coap://h", ["192.0.2.1"], ["192.0.2.1"], limit=1)
    assert "limit of 1 bytes" in raises(CoapError, client.get, "/").what


def test_connect_to_what_is_no_uri():
    raises(ValueError, connect, "http://h")


def test_connect_to_a_name_that_is_not_found():
    for addresses in (None, []):
        error = raises(NetworkError, connected, "coap://h.example", addresses, [])
        assert "h.example" in error.what
        assert error.fix


def test_connect_tries_the_next_address():
    _, network = connected("coap://h", ["2001:db8::1", "192.0.2.1"], ["192.0.2.1"])
    assert network.opened == [("192.0.2.1", 5683)]


def test_connect_with_a_session_for_coaps():
    opened = []

    def secure(transport, host):
        opened.append((transport, host))
        return transport

    client, network = connected("coaps://TB.example", ["192.0.2.1"], ["192.0.2.1"], secure=secure)
    assert network.opened == [("192.0.2.1", 5684)]
    assert opened == [(client.transport, "TB.example")]
    connected("coap://h", ["192.0.2.1"], ["192.0.2.1"], secure=secure)
    assert len(opened) == 1


def test_coaps_never_falls_back_to_coap():
    error = raises(CoapError, connected, "coaps://h", ["192.0.2.1"], ["192.0.2.1"])
    assert "secure" in error.what and "config.json" in error.fix


def test_connect_closes_the_transport_of_a_session_that_failed():
    seen = []
    for error in (CoapError("not trusted"), MemoryError()):

        def secure(transport, host, error=error):
            seen.append(transport)
            raise error

        raised = raises(
            type(error), connected, "coaps://h", ["192.0.2.1"], ["192.0.2.1"], secure=secure
        )
        assert raised is error
        assert seen.pop().closed


def test_connect_says_that_no_address_can_be_used():
    error = raises(NetworkError, connected, "coap://h", ["2001:db8::1"], [])
    assert "not found" not in error.what
