"""CoAP's datagrams inside a DTLS 1.2 session (RFC 7252 section 9), on MicroPython's tls module.

A transport in another one: the Client above it and the UDP below it are those of plain CoAP.
mbedTLS sends a lost flight again after 1, 2, 4 … s, as often as the deadline lets it.
"""

import gc
import sys
from errno import ETIMEDOUT
from io import IOBase
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from ..errors import CoapError, NoResponse

# The first with DTLS and replay protection on every board.
_OLDEST = (1, 26)
_DEADLINE = const(60_000)
_POLL = const(50)
# No board receives a larger datagram than what an Ethernet frame holds.
_LARGEST_DATAGRAM = const(1500)
# ThingsBoard reads 1130 bytes, of which a record has 37 of its own.
_LARGEST_MESSAGE = const(1093)

# DTLS records (RFC 6347 section 4.1).
_ALERT = const(21)
_HANDSHAKE = const(22)
_HEADER = const(13)
_SERVER_HELLO = const(2)


def make_context(authorities, certificate=None, key=None):
    """Return what sessions are made with.

    `authorities`: the certificates, in DER, of which one must have issued the server's; None
    verifies nothing. `certificate` and `key`: this board's, in DER. Raises CoapError when
    this MicroPython has no DTLS, ValueError for what is no certificate or key.
    """
    try:
        tls, protocol = _find_dtls()
    except (ImportError, AttributeError):
        tls = None
    if tls is None or sys.implementation.version[:2] < _OLDEST:
        raise CoapError(
            "coaps needs DTLS, which this %s has not: MicroPython %d.%d or newer has it"
            % ((sys.implementation.name,) + _OLDEST),
            "Install a newer MicroPython on the board. It never falls back to coap.",
        )
    gc.collect()
    context = tls.SSLContext(protocol)
    # With ECDHE, what was recorded stays secret when the server's key becomes known one day.
    context.set_ciphers(
        [name for name in context.get_ciphers() if "-ECDHE-ECDSA-" in name or "-ECDHE-RSA-" in name]
    )
    context.verify_mode = tls.CERT_NONE if authorities is None else tls.CERT_REQUIRED
    for authority in authorities or ():
        context.load_verify_locations(authority)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class DTLS:
    """A session with `host`, over a transport to it, which is this one's from now on.

    `patience`: how long the handshake may take, in ms; by default 60 s.

    Raises CoapError, as NetworkError when this board could not send; then the transport is still
    the caller's.
    """

    # ThingsBoard drops records of over 1130 bytes, which 1024 and a long server name exceed.
    largest_block = 512

    def __init__(self, transport, context, host, idle=None, ticks=ticks_ms, patience=None):
        self._records = Records(transport, idle or _nothing, ticks, patience)
        # What an earlier session left is freed first: this one wants 20 KB in two pieces.
        gc.collect()
        try:
            self._tls = context.wrap_socket(self._records, server_hostname=host)
        except (OSError, ValueError, MemoryError) as error:
            raise _explained(error, host, self._records)
        self._records.connected = True

    def send(self, datagram):
        """Send a datagram. Raises OSError when this board cannot."""
        if len(datagram) > _LARGEST_MESSAGE:
            raise OSError("ThingsBoard reads no request of over 1093 bytes in DTLS")
        self._records.error = None
        self._tls.write(datagram)
        if self._records.error:
            raise self._records.error

    def receive(self, size, timeout):
        """Wait up to `timeout` ms; return a datagram, cut to `size` bytes, or None.

        Raises NoResponse when the session is over: no reply can come any more.
        """
        datagram = self._read(size) or (self._records.wait(timeout) and self._read(size))
        if datagram and len(datagram) == size:
            while self._read(size):
                # The rest of it is no datagram.
                pass
        return datagram or None

    def close(self):
        """Give the memory and the transport back.

        MicroPython offers no way to send a close-notify: the server forgets the session by time.
        """
        self._tls.close()
        self._records.close()

    def _read(self, size):
        try:
            datagram = self._tls.recv(size)
        except OSError as error:
            reason = "broke: %s" % error
        else:
            if datagram != b"":
                return datagram
            reason = "was closed by the server"
        raise NoResponse(
            "the DTLS session %s" % reason,
            "Nothing to do at first: the next try has a session of its own.",
        )


class Records(IOBase):
    """What mbedTLS reads and writes: the transport as a stream, a datagram a call.

    What it saw of the handshake: `heard` anything, a `server_hello`, an `alert` (its number) in
    the clear; it `timed_out`; the last `error` in sending.
    """

    def __init__(self, transport, idle, ticks, patience=None):
        self._transport = transport
        self._idle = idle
        self._ticks = ticks
        self.end = ticks_add(ticks(), _DEADLINE if patience is None else patience)
        self.datagram = None
        self.heard = False
        self.server_hello = False
        self.alert = 0
        self.timed_out = False
        self.connected = False
        self.error = None

    def readinto(self, buffer):
        """Give mbedTLS the next datagram. In the handshake this waits; None: there is none."""
        if not self.connected:
            if ticks_diff(self.end, self._ticks()) <= 0:
                self.timed_out = True
                return -ETIMEDOUT
            self._idle()
            if self.wait(_POLL):
                self.look_at(self.datagram)
        datagram = self.datagram
        if datagram is None:
            return None
        self.datagram = None
        buffer[: len(datagram)] = datagram
        return len(datagram)

    def write(self, record):
        """Send a record. What cannot be sent is as good as lost, unless it is the very first."""
        try:
            self._transport.send(record)
        except OSError as error:
            self.error = error
            if not self.heard:
                return -ETIMEDOUT
        return len(record)

    def ioctl(self, request, argument):
        """Answer what MicroPython asks of a stream."""
        return 0

    def wait(self, timeout):
        """Wait up to `timeout` ms for a datagram; return whether there is one."""
        try:
            # An empty one would look like the end of the stream.
            self.datagram = self._transport.receive(_LARGEST_DATAGRAM, timeout) or None
        except OSError:
            # The network stack's word on an earlier datagram.
            self.datagram = None
        return self.datagram is not None

    def close(self):
        """Give the transport back."""
        self._transport.close()

    def look_at(self, datagram):
        """Note what the server says in the clear, to explain a failure with."""
        self.heard = True
        if len(datagram) > _HEADER and datagram[3:5] == b"\x00\x00":
            if datagram[0] == _HANDSHAKE and datagram[_HEADER] == _SERVER_HELLO:
                self.server_hello = True
            elif datagram[0] == _ALERT:
                self.alert = datagram[-1]


def _find_dtls():
    import tls

    return tls, tls.PROTOCOL_DTLS_CLIENT


def _explained(error, host, records):
    from .dtls_failure import explain

    return explain(error, host, records)


def _nothing():
    pass
