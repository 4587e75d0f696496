"""firmware.coap.dtls above a tls module that does what a test says, and why handshakes fail."""

from firmware.coap import dtls
from firmware.coap.dtls import DTLS
from firmware.coap.dtls_failure import explain
from firmware.coap.dtls_steps import DTLSInSteps
from firmware.errors import CoapError, DateError, NetworkError, NoResponse
from host_tests.firmware.helpers import Clock, raises
from host_tests.firmware.world import Stub, os_error


class Transport:
    """What comes from the server is `inbox`; `on_send` is called with what goes there."""

    def __init__(self, *inbox):
        self.clock = Clock()
        self.inbox = list(inbox)
        self.sent = []
        self.sizes = []
        self.closed = 0
        self.on_send = lambda datagram: None

    def send(self, datagram):
        self.on_send(datagram)
        self.sent.append(bytes(datagram))

    def receive(self, size, timeout):
        self.sizes.append(size)
        if self.inbox:
            datagram = self.inbox.pop(0)
            if isinstance(datagram, OSError):
                raise datagram
            return datagram
        self.clock.sleep_ms(timeout)
        return None

    def close(self):
        self.closed += 1


class Context:
    """A tls.SSLContext whose handshake sends a hello and ends with the first record b"hello".

    Its records are what they hold, in the clear; one datagram may hold several, with | between.
    """

    def __init__(self, error=None):
        self.error = error

    def wrap_socket(self, stream, server_hostname, do_handshake_on_connect=True):
        self.host = server_hostname
        if not do_handshake_on_connect:
            return SteppedSession(stream, self.error)
        if stream.write(b"client hello") < 0:
            raise OSError(110)
        buffer = bytearray(2000)
        while True:
            size = stream.readinto(buffer)
            if size is not None and size < 0:
                raise OSError(-size)
            if size is not None and bytes(buffer[:size]) == b"hello":
                break
        if self.error:
            raise self.error
        return Session(stream)


class Session:
    def __init__(self, stream):
        self._stream = stream
        self._records = []
        self.closed = False
        self.error = None

    def write(self, datagram):
        if self.error:
            raise self.error
        return self._stream.write(b"<" + bytes(datagram) + b">")

    def recv(self, size):
        if self.error:
            raise self.error
        if not self._records:
            buffer = bytearray(2000)
            count = self._stream.readinto(buffer)
            if count is None:
                return None
            self._records = bytes(buffer[:count]).split(b"|")
        record = self._records.pop(0)
        if record == b"bye":
            return b""
        if record == b"forged":
            return None
        if len(record) > size:
            self._records.insert(0, record[size:])
        return record[:size]

    def close(self):
        self.closed = True


class SteppedSession(Session):
    """A Session whose handshake is made in recv, as mbedTLS's is."""

    def __init__(self, stream, error):
        super().__init__(stream)
        self._error = error
        self._has_said_hello = self._is_open = False

    def recv(self, size):
        if self._is_open:
            return super().recv(size)
        if not self._has_said_hello:
            self._has_said_hello = True
            if self._stream.write(b"client hello") < 0:
                raise OSError(110)
        buffer = bytearray(2000)
        count = self._stream.readinto(buffer)
        if count and bytes(buffer[:count]) == FINISHED:
            self._is_open = True
            if self._error:
                raise self._error
        return None


def open_session(*inbox):
    transport = Transport(b"hello", *inbox)
    return DTLS(transport, Context(), "example.com", ticks=transport.clock.ticks_ms), transport


def fail(error=None, *inbox, on_send=None):
    """Return what is raised for a handshake that fails."""
    transport = Transport(*inbox)
    if on_send:
        transport.on_send = on_send
    return raises(
        Exception, DTLS, transport, Context(error), "h", ticks=transport.clock.ticks_ms
    ), transport


def test_what_thingsboard_would_not_read_is_not_sent():
    session, transport = open_session()
    session.send(bytes(1093))
    sent = len(transport.sent)
    assert "1093 bytes" in str(raises(OSError, session.send, bytes(1094)))
    assert len(transport.sent) == sent


def test_send_and_receive():
    session, transport = open_session(b"one", b"two")
    session.send(b"request")
    assert transport.sent == [b"client hello", b"<request>"]
    assert session.receive(100, 1000) == b"one"
    assert session.receive(100, 1000) == b"two"
    assert transport.clock.slept == 0


def test_a_wait_ends():
    session, transport = open_session()
    assert session.receive(100, 1000) is None
    assert transport.clock.slept == 1000


def test_what_is_no_record_is_nothing():
    session, transport = open_session(b"forged", b"", OSError(111), b"one")
    assert [session.receive(100, 10) for _ in range(4)] == [None, None, None, b"one"]


def test_several_records_in_one_datagram():
    session, transport = open_session(b"one|two|three", b"four")
    assert [session.receive(100, 10) for _ in range(4)] == [b"one", b"two", b"three", b"four"]


def test_a_long_record_is_cut_and_its_rest_is_no_datagram():
    session, transport = open_session(b"abcdefghij", b"next")
    assert session.receive(4, 10) == b"abcd"
    assert session.receive(4, 10) == b"next"


def test_the_server_closes_the_session():
    session, transport = open_session(b"bye")
    error = raises(NoResponse, session.receive, 100, 10)
    assert "was closed by the server" in error.what and not error.acknowledged


def test_a_session_that_breaks():
    session, transport = open_session()
    session._tls.error = OSError(-30592)
    assert "broke" in raises(NoResponse, session.receive, 100, 10).what


def test_send_that_fails_does_not_break_the_session():
    session, transport = open_session(b"one")

    def unreachable(datagram):
        raise OSError(113)

    transport.on_send = unreachable
    assert raises(OSError, session.send, b"a").args[0] == 113
    transport.on_send = lambda datagram: None
    session.send(b"b")
    assert session.receive(100, 10) == b"one"


def test_close_gives_both_back():
    session, transport = open_session()
    session.close()
    assert session._tls.closed and transport.closed == 1


def test_a_failed_handshake_leaves_the_transport_to_the_caller():
    error, transport = fail(ValueError("has expired"), b"hello")
    assert type(error) is DateError and "expired" in error.what and transport.closed == 0


def test_idle_is_called_and_the_deadline_is_60_s():
    idled = []
    transport = Transport()
    raises(
        NoResponse,
        DTLS,
        transport,
        Context(),
        "h",
        lambda: idled.append(1),
        transport.clock.ticks_ms,
    )
    assert 60_000 <= transport.clock.slept <= 60_050
    assert len(idled) * 50 >= 60_000


def test_a_flood_does_not_hold_the_deadline_up():
    transport = Transport()
    transport.receive = lambda size, timeout: transport.clock.sleep_ms(5) or b"noise"
    error = raises(NoResponse, DTLS, transport, Context(), "h", ticks=transport.clock.ticks_ms)
    assert "began the DTLS handshake" in error.what
    assert transport.clock.slept <= 60_100


def test_first_send_that_fails_is_a_network_error():
    def unreachable(datagram):
        raise OSError(113)

    error, _ = fail(None, on_send=unreachable)
    assert isinstance(error, NetworkError) and "could not send" in error.what


def test_silence():
    error, _ = fail()
    assert isinstance(error, NoResponse)
    assert "h did not answer" in error.what and "plain CoAP" in error.what


SERVER_HELLO = b"\x16\xfe\xfd" + bytes(8) + b"\0\x0c" + b"\x02" + bytes(11)
ALERT = b"\x15\xfe\xfd" + bytes(8) + b"\0\x02" + b"\x02\x28"


def test_alerts():
    error, _ = fail(os_error(-0x7780), ALERT, b"hello")
    assert "alert 40" in error.what and "no cipher in common" in error.what
    error, _ = fail(os_error(-0x7780), SERVER_HELLO, ALERT, b"hello")
    assert "alert 40" in error.what and "client certificate" in error.what


def test_out_of_memory():
    for number in (12, -0x7F00, -0x2880, 0x10, -0x4D80 - 0x10, -0x3D00 - 0x6A):
        error, _ = fail(os_error(number), b"hello")
        assert "out of memory" in error.what, number
    error, _ = fail(MemoryError(), b"hello")
    assert type(error) is CoapError and "out of memory" in error.what


def test_anything_else_is_told_with_its_number():
    error, _ = fail(OSError(-0x6E00, "SSL_HANDSHAKE_FAILURE"), b"hello")
    assert "the DTLS handshake failed" in error.what and "28160" in error.what


class Tls:
    """MicroPython's tls, as far as a context needs it."""

    CERT_NONE = 0
    CERT_REQUIRED = 2
    PROTOCOL_DTLS_CLIENT = 3

    def SSLContext(self, protocol):
        return Stub(get_ciphers=list, set_ciphers=lambda names: None)


def test_the_oldest_micropython_that_will_do():
    before = dtls.sys, dtls._find_dtls
    dtls._find_dtls = lambda: (Tls(), Tls.PROTOCOL_DTLS_CLIENT)
    try:
        for version, will_do in (((1, 25, 9), False), ((1, 26, 0), True), ((1, 27, 0), True)):
            dtls.sys = Stub(implementation=Stub(name="micropython", version=version))
            if will_do:
                assert dtls.make_context(None)
            else:
                assert "coaps needs DTLS" in raises(CoapError, dtls.make_context, None).what
    finally:
        dtls.sys, dtls._find_dtls = before


def judged(verdict):
    class Seen:
        timed_out = heard = server_hello = False
        error = None
        alert = 0

    return explain(ValueError(verdict), "example.com", Seen())


def test_verdicts():
    for verdict, words in (
        ("The certificate validity has expired", "has expired (this board's clock says "),
        ("The certificate validity starts in the future", "is not valid yet"),
        ("The certificate Common Name (CN) does not match with the expected CN", "not for example"),
        ("The certificate is not correctly signed by the trusted CA", "not issued by the CA"),
        ("The certificate is signed with an unacceptable hash.", "unacceptable hash"),
    ):
        error = judged("\n%s\n" % verdict)
        assert words in error.what and error.fix, verdict
        assert "\n" not in error.what and "{" not in error.what


def test_what_matters_most_comes_first():
    error = judged("validity has expired\nis not correctly signed by the trusted CA\n")
    assert error.what.find("not issued") < error.what.find("expired")
    assert "somebody else" in error.fix


# ChangeCipherSpec, and the encrypted Finished behind it.
FINISHED = (
    b"\x14\xfe\xfd"
    + bytes(8)
    + b"\0\x01"
    + b"\x01"
    + b"\x16\xfe\xfd\0\x01"
    + bytes(6)
    + b"\0\x02ab"
)


def open_in_steps(*inbox, error=None):
    """Return a session in steps, and its transport, in which no receive waits."""
    transport = Transport(*inbox)
    receive = transport.receive

    def at_once(size, timeout):
        assert timeout == 0
        return receive(size, timeout)

    transport.receive = at_once
    context = Context(error)
    return DTLSInSteps(transport, context, "h", transport.clock.ticks_ms), transport


def test_a_handshake_in_steps():
    session, transport = open_in_steps()
    assert transport.sent == []
    for _ in range(3):
        assert not session.advance()
        transport.clock.sleep_ms(10)
    assert transport.sent == [b"client hello"]
    for datagram, is_over in ((SERVER_HELLO, False), (b"junk", False), (FINISHED, True)):
        transport.inbox.append(datagram)
        assert session.advance() is is_over
    session.send(b"request")
    assert transport.sent[1:] == [b"<request>"]
    transport.inbox.append(b"one")
    assert session.receive(100, 0) == b"one" and session.receive(100, 0) is None
    session.close()
    assert transport.closed == 1


def test_a_handshake_in_steps_that_fails():
    session, transport = open_in_steps(error=ValueError("has expired"))
    transport.inbox.append(FINISHED)
    assert type(raises(CoapError, session.advance)) is DateError and transport.closed == 0
    session, transport = open_in_steps()
    transport.clock.sleep_ms(59_990)
    assert not session.advance()
    transport.clock.sleep_ms(20)
    assert "did not answer" in raises(NoResponse, session.advance).what
    session, transport = open_in_steps()

    def unreachable(datagram):
        raise OSError(113)

    transport.on_send = unreachable
    assert "could not send" in raises(NetworkError, session.advance).what
