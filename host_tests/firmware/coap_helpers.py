"""What the tests of firmware/coap share: bytes with comments, virtual time, a scripted server."""

import socket
from binascii import unhexlify

import firmware.coap.client as client_module
from firmware.coap.client import Client
from firmware.coap.message import ACK, CON, encode
from host_tests.firmware.helpers import Clock

_clock = Clock()
_LONGEST_TICKS = 1 << 30


def _ticks_diff(end, start):
    # A board makes nonsense of ticks that did not come from ticks_ms or ticks_add.
    assert 0 <= end < _LONGEST_TICKS
    assert 0 <= start < _LONGEST_TICKS
    return _clock.ticks_diff(end, start)


# MicroPython's unix port wraps its ticks at 2**62; boards, and the Clock, at 2**30.
client_module.ticks_add = _clock.ticks_add
client_module.ticks_diff = _ticks_diff

NON = 1
RAISED = object()


def octets(annotated):
    """Return the bytes of hex digits, whatever the blanks; from `#` to the end is a comment."""
    digits = "".join(line.split("#")[0] for line in annotated.split("\n"))
    return unhexlify("".join(digits.split()))


def reply(request, code, options=(), payload=b"", type=ACK, message_id=None, token=None):
    """Return a response to an encoded request: piggybacked unless `type` says otherwise."""
    own_id = request[2] << 8 | request[3]
    own_token = bytes(request[4 : 4 + (request[0] & 0x0F)])
    return bytes(
        encode(
            type,
            code,
            own_id if message_id is None else message_id,
            own_token if token is None else token,
            options,
            payload,
        )
    )


def separate(request, code, message_id, payload=b"", type=CON, options=()):
    """Return a response that stands in a message of its own."""
    return reply(request, code, options, payload, type=type, message_id=message_id)


def empty(type, message_id):
    """Return an Empty message: an ACK, an RST, or as CON a ping."""
    return bytes((0x40 | type << 4, 0, message_id >> 8, message_id & 0xFF))


def start(exchange, request):
    """Start a request, an encoded one, in an exchange."""
    return bytes(exchange.start(request, request[4 : 4 + (request[0] & 0x0F)]))


def play(exchange, request, arrivals=()):
    """Give an exchange a request; run it in virtual time until it is over, or out of timers.

    `arrivals`: (ms, datagram) in order. Returns [(ms, datagram)] of what it sent, and the ms at
    which it was over.
    """
    now = 0
    deadline = None
    sent = [(0, start(exchange, request))]
    arrivals = list(arrivals)
    while exchange.response is None and not exchange.failed:
        if exchange.timer is not None:
            deadline = now + exchange.timer
            exchange.timer = None
        if arrivals and arrivals[0][0] <= deadline:
            now, datagram = arrivals.pop(0)
            answer = exchange.on_datagram(memoryview(datagram))
        else:
            now = deadline
            deadline = None
            answer = exchange.on_timer()
        if answer is not None:
            sent.append((now, bytes(answer)))
    return sent, now


class Transport:
    """A client's transport in virtual time.

    `server`: called with each datagram sent, returns the (ms from now, datagram) that it causes;
    RAISED in place of a datagram is an OSError of the network stack. `sent`: [(ms, datagram)].
    `fail`: the sends, counted from 0, that raise OSError.
    """

    largest_block = 1024

    def __init__(self, clock, server, fail=()):
        self.clock = clock
        self.sent = []
        self.closed = False
        self._server = server
        self._fail = fail
        self._sends = 0
        self._arrivals = []

    def send(self, datagram):
        number = self._sends
        self._sends += 1
        if number in self._fail:
            raise OSError(101)
        datagram = bytes(datagram)
        self.sent.append((self.clock.slept, datagram))
        for delay, answer in self._server(datagram) or ():
            self.arrive(delay, answer)

    def arrive(self, delay, datagram):
        """Let a datagram come so many ms from now."""
        self._arrivals.append((self.clock.slept + delay, self._sends, datagram))

    def receive(self, size, timeout):
        earliest = None
        for arrival in self._arrivals:
            if earliest is None or arrival[:2] < earliest[:2]:
                earliest = arrival
        if earliest is None or earliest[0] > self.clock.slept + timeout:
            self.clock.sleep_ms(timeout)
            return None
        self._arrivals.remove(earliest)
        self.clock.sleep_ms(earliest[0] - self.clock.slept)
        if earliest[2] is RAISED:
            raise OSError(111)
        return earliest[2][:size]

    def close(self):
        self.closed = True


class Random:
    """os.urandom, but always the same: `first` for the first bytes that are asked for."""

    def __init__(self, first=b"\x12\x34"):
        self._first = first

    def __call__(self, size):
        first, self._first = self._first, None
        return first if first else bytes(range(1, size + 1))


def make_client(server, clock=None, fail=(), **options):
    """Return (Client, Transport) in virtual time, with the first Message ID 0x1234."""
    clock = clock or Clock()
    transport = Transport(clock, server, fail)
    options.setdefault("random", Random())
    return Client(transport, ticks=clock.ticks_ms, **options), transport


def mute(datagram):
    """A server that says nothing."""
    return ()


def times(transport):
    """Return when each datagram was sent, in ms."""
    return [when for when, _ in transport.sent]


def bound():
    """Return (a socket on loopback, its port), which MicroPython's sockets cannot tell."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for port in range(20000, 32000, 7):
        try:
            server.bind(socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_DGRAM)[0][-1])
            return server, port
        except OSError:
            pass


class Tokens:
    """os.urandom, whose tokens count."""

    def __init__(self):
        self._drawn = 0

    def __call__(self, size):
        self._drawn += 1
        return bytes(size - 1) + bytes((self._drawn,))
