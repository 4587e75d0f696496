"""The `socket` module of the board that is played, over the unix port's.

Addresses are tuples and errors have the board's numbers. A datagram socket keeps a few received
datagrams and drops newer ones, as lwIP does. Without an address from Wi-Fi nothing is sent and
nothing is received. An ESP32's getaddrinfo finds no IPv6 address, and once a datagram of 0 bytes
was received its recv gives nothing else until the socket is connected again. A Pico W takes IPv6
addresses and reaches none; without an address of its own it looks for a name for ever.

What rom/access_point.py maps, the phone reaches while the access point is up; when that ends,
what was connected raises. A Pico W sends what is for nobody's neighbour through the interface that
came up last: through the access point it is lost, and once that is down there is no way at all.
"""

import io
import select
import socket as host
import time

import error_numbers
import supervisor
from access_point import access_point
from clock import clock
from station import station

_ESP32 = supervisor.settings["kind"] == "esp32"

AF_INET = 2
AF_INET6 = 10
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
SOL_SOCKET = 4095 if _ESP32 else 1
SO_REUSEADDR = 4
SO_BROADCAST = 32
IPPROTO_TCP = 6
IPPROTO_UDP = 17

_NAME_UNKNOWN = -202 if _ESP32 else -2
# How long a Pico W looks for a name that nobody answers for.
_NAME_MS = 6700
_HOST_OPTIONS = {SO_REUSEADDR: host.SO_REUSEADDR, SO_BROADCAST: host.SO_BROADCAST}
# About what ten of lwIP's packet buffers hold; it cannot put together larger ones.
_DATAGRAM_BYTES_MAX = 15000
_STREAM_POLL = 3
_STREAM_CLOSE = 4
_INVALID = -22
# What a Pico W has: its largest datagram to send, its sockets beside those of lwIP's own.
_SENT_BYTES_MAX = 7504
_SOCKETS_MAX = {SOCK_DGRAM: 3, SOCK_STREAM: 5}
_SOCKETS_MAX_ESP32 = 10  # ESP-IDF's LWIP_MAX_SOCKETS, unless a build says otherwise
_open_sockets = {SOCK_DGRAM: [], SOCK_STREAM: []}


def getaddrinfo(name, port, family=0, type=0, proto=0, flags=0):
    is_away = not station.has_address or station.is_silent or station.route != "station"
    if (is_away or access_point.is_mistaken) and not _is_literal(name):
        if not _ESP32:
            _look_in_vain()
        raise OSError(_NAME_UNKNOWN)
    found = []
    try:
        entries = host.getaddrinfo(name or "0.0.0.0", port, family, type or SOCK_STREAM)
    except OSError:
        raise OSError(_NAME_UNKNOWN)
    for entry in entries:
        # Pico W answers SOCK_STREAM whatever is asked for.
        kind = entry[1] if _ESP32 else SOCK_STREAM
        address = _tuple(entry[4])
        if not _ESP32:
            found.append((AF_INET, kind, 0, "", (address[0].upper(), port)))
        elif entry[0] == AF_INET6:
            found.append((AF_INET6, kind, 0, address[0], None))
        else:
            found.append((entry[0], kind, entry[2], "", address))
    return found if _ESP32 else found[:1]


def _look_in_vain():
    while not station.has_address:
        time.sleep_ms(20)
    clock.sleep_ms(_NAME_MS)


def _is_literal(name):
    for family in (AF_INET, AF_INET6):
        try:
            host.inet_pton(family, name)
            return True
        except OSError:
            pass
    return not name


def _is_ipv6(address):
    return ":" in address[0]


def _tuple(packed):
    parts = host.sockaddr(packed)
    return (host.inet_ntop(parts[0], parts[1]), parts[2])


class socket(io.IOBase):
    def __init__(self, family=AF_INET, type=SOCK_STREAM, proto=0, *, accepted=None):
        opened = _open_sockets[type]
        if _ESP32 and sum(map(len, _open_sockets.values())) >= _SOCKETS_MAX_ESP32:
            raise OSError(error_numbers.ENFILE)
        if not _ESP32 and len(opened) >= _SOCKETS_MAX[type]:
            raise OSError(error_numbers.ENOMEM)
        family = family if _ESP32 else AF_INET  # a Pico W's are all the same
        self._host = accepted or host.socket(family, type, proto)
        self._host.setblocking(False)
        self._family = family
        self._type = type
        self._timeout_ms = None
        self._peer = None
        self._is_bound_to_ipv6 = False
        self._is_mapped = False
        self._is_listening = False
        # Connections of the host's that are not accepted.
        self._waiting = []
        # The board's port and the host's, once it is mapped.
        self._ports = None
        self._queue = []
        self._gives_nothing = False
        self._readable = select.poll()
        self._readable.register(self._host, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._host, select.POLLOUT)
        opened.append(self)

    def bind(self, address):
        if not _ESP32 and _is_ipv6(address):
            self._is_bound_to_ipv6 = True
            address = ("", address[1])
        if not access_point.is_mapped(address):
            self._call(self._host.bind, self._packed(address))
            return
        self._is_mapped = True
        protocol = "udp" if self._type == SOCK_DGRAM else "tcp"
        self._host.setsockopt(host.SOL_SOCKET, host.SO_REUSEADDR, 1)
        self._ports = (protocol, address[1], self._call(self._bind_to_host, protocol, address[1]))
        if self._type == SOCK_DGRAM:
            access_point.tell_port(*self._ports)

    def _bind_to_host(self, protocol, port):
        def bind(name, host_port):
            self._host.bind(self._packed((name, host_port)))

        return access_point.bind(bind, protocol, port)

    def connect(self, address):
        self._gives_nothing = False
        if not _ESP32 and _is_ipv6(address):
            if self._type != SOCK_DGRAM:
                raise OSError(error_numbers.EHOSTUNREACH)
            self._peer = address
            return
        self._peer = self._packed(address)
        try:
            self._host.connect(self._peer)
        except OSError as error:
            if error.errno != error_numbers.HOST_EINPROGRESS or self._timeout_ms == 0:
                raise error_numbers.of_board(error)
            self._wait(self._writable)
            # A second connect says how the first went.
            self._call(self._host.connect, self._peer)

    def listen(self, backlog=2):
        self._call(self._host.listen, backlog)
        self._is_listening = True
        if self._ports:
            access_point.tell_port(*self._ports)
        if not _ESP32:
            _open_sockets[SOCK_STREAM].remove(self)  # lwIP has others for those that listen

    def accept(self):
        self._wait(self._readable)
        accepted, address = self._heard(take=True)
        try:
            connection = socket(self._family, self._type, accepted=accepted)
        except OSError:
            accepted.close()
            raise
        connection._peer = address
        connection._is_mapped = self._is_mapped
        if connection._is_phone_s(address):
            access_point.heard()
        return connection, self._seen(address)

    def setblocking(self, value):
        self._timeout_ms = None if value else 0

    def settimeout(self, value):
        self._timeout_ms = None if value is None else int(value * 1000)

    def setsockopt(self, level, option, value):
        if option in _HOST_OPTIONS:
            self._host.setsockopt(host.SOL_SOCKET, _HOST_OPTIONS[option], value)

    def makefile(self, mode="rb", buffering=0):
        return self

    def send(self, data):
        return self._send(self._host.send, data)

    def write(self, data):
        return self._send(self._host.send, data)

    def sendall(self, data):
        data = memoryview(data)
        while data:
            self._wait(self._writable)
            data = data[self.send(data) :]

    def sendto(self, data, address):
        if _ESP32 or not _is_ipv6(address):
            address = self._packed(access_point.on_host(address) if self._is_mapped else address)
        return self._send(self._host.sendto, data, address)

    def recv(self, size):
        return self.recvfrom(size)[0]

    def recvfrom(self, size):
        self._wait(self._readable)
        if self._type != SOCK_DGRAM:
            if self._peer and self._is_phone_s(self._peer):
                self._look_at_access_point()
            return self._call(self._host.recv, size), self._peer and self._seen(self._peer)
        failure = self._failure()
        if failure:
            raise OSError(failure)
        if self._gives_nothing:
            return b"", self._peer and _tuple(self._peer)
        data, address = self._queue.pop(0)
        self._gives_nothing = _ESP32 and not data
        return data[:size], self._seen(address)

    def readinto(self, buffer, size=None):
        """As all of MicroPython's streams: it goes on to the next datagram until it has `size`."""
        size = len(buffer) if size is None else size
        done = 0
        while done < size:
            try:
                data = self.recv(size - done)
            except OSError as error:
                if error.errno != error_numbers.EAGAIN:
                    raise
                return done or None
            if not data:
                break
            buffer[done : done + len(data)] = data
            done += len(data)
        return done

    def read(self, size=_DATAGRAM_BYTES_MAX):
        try:
            return self.recv(size)
        except OSError as error:
            if error.errno != error_numbers.EAGAIN:
                raise
            return None

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.recv(1)
            if not byte:
                break
            line += byte
        return line

    def close(self):
        if self in _open_sockets[self._type]:
            _open_sockets[self._type].remove(self)
        for waiting, _ in self._waiting:
            waiting.close()
        self._host.close()

    def ioctl(self, request, argument):
        """What select.poll and the stream functions of MicroPython ask."""
        if request == _STREAM_POLL:
            ready = 0
            if argument & select.POLLIN and self._is_ready(self._readable):
                ready |= select.POLLIN
            if argument & select.POLLOUT and self._is_ready(self._writable):
                ready |= select.POLLOUT
            return ready
        if request == _STREAM_CLOSE:
            self.close()
            return 0
        return _INVALID

    def _packed(self, address):
        name, port = address
        return self._call(host.getaddrinfo, name or "0.0.0.0", port, self._family, self._type)[0][4]

    def _seen(self, packed):
        """An address of the host's as the board sees it."""
        address = _tuple(packed)
        return access_point.as_seen(address) if self._is_mapped else address

    def _is_phone_s(self, packed):
        """Whether an address of the host's is the phone's to this socket."""
        return self._is_mapped and self._seen(packed)[0] == access_point.PHONE

    def _look_at_access_point(self):
        """Raise when it goes by the access point, and that is down."""
        if not access_point.active:
            is_stream = self._type != SOCK_DGRAM
            raise OSError(error_numbers.ECONNABORTED if is_stream else error_numbers.EHOSTUNREACH)

    def _send(self, send, *arguments):
        to = arguments[1] if len(arguments) > 1 else self._peer
        if to and not isinstance(to, tuple) and self._is_phone_s(to):
            self._look_at_access_point()
            if self._type == SOCK_DGRAM and not access_point.hears:
                return len(arguments[0])
            return self._call(send, *arguments)
        if not station.has_address or station.route is None:
            raise OSError(error_numbers.EHOSTUNREACH)
        if station.is_silent or station.route != "station":
            return len(arguments[0])
        if not _ESP32 and self._type == SOCK_DGRAM:
            if len(arguments[0]) > _SENT_BYTES_MAX:
                raise OSError(error_numbers.ENOMEM)
            if to is None:
                return len(arguments[0])  # to nobody, and nothing says so
            if isinstance(to, tuple):
                raise OSError(
                    error_numbers.EHOSTUNREACH if self._is_bound_to_ipv6 else error_numbers.EINVAL
                )
        try:
            return send(*arguments)
        except OSError as error:
            if error.errno != error_numbers.ECONNREFUSED or self._type != SOCK_DGRAM:
                raise error_numbers.of_board(error)
            return send(*arguments)  # it was an earlier datagram's; boards never say

    def _call(self, function, *arguments):
        try:
            return function(*arguments)
        except OSError as error:
            raise error_numbers.of_board(error)

    def _has(self, poll, timeout_ms=0):
        for _ in poll.ipoll(timeout_ms):
            return True
        return False

    def _is_ready(self, poll, timeout_ms=0):
        if self._is_listening:
            return self._heard(timeout_ms) is not None
        if poll is self._writable or self._type != SOCK_DGRAM:
            return self._has(poll, timeout_ms)
        if not self._queue:
            self._has(poll, timeout_ms)
        self.take_datagrams(keep=_comes_through())
        return bool(self._queue or self._gives_nothing or self._failure())

    def _heard(self, timeout_ms=0, take=False):
        """The connection to accept: (the host's, its address); None for none.

        On a Pico W it waits until one of its sockets is free, as lwIP has it.
        """
        while self._has(self._readable, 0 if self._waiting else timeout_ms):
            self._waiting.append(self._call(self._host.accept))
        if not _ESP32 and len(_open_sockets[SOCK_STREAM]) >= _SOCKETS_MAX[SOCK_STREAM]:
            return None
        for each in self._waiting:
            if access_point.hears if self._is_phone_s(each[1]) else _comes_through():
                if take:
                    self._waiting.remove(each)
                return each
        return None

    def _failure(self):
        """The error number that recv raises now, though the socket is ready; None as a rule."""
        for start, end, number in supervisor.scenario["recv_fails"]:
            if _ESP32 and start <= station.now < end:
                return number
        return None

    def _wait(self, poll):
        """Wait until ready; EAGAIN when not blocking, ETIMEDOUT when the time-out expires."""
        if self._is_ready(poll):
            return
        if self._timeout_ms == 0:
            raise OSError(error_numbers.EAGAIN)
        began = time.ticks_ms()
        while not self._is_ready(poll, 10):
            waited = time.ticks_diff(time.ticks_ms(), began)
            if self._timeout_ms is not None and waited >= self._timeout_ms:
                raise OSError(error_numbers.ETIMEDOUT)

    def take_datagrams(self, keep=True):
        """Take what the host has received; what does not fit into the queue is lost."""
        while self._has(self._readable):
            try:
                datagram = self._host.recvfrom(_DATAGRAM_BYTES_MAX + 1)
            except OSError as error:
                if error.errno != error_numbers.ECONNREFUSED:
                    raise error_numbers.of_board(error)
                continue  # boards do not say what became of an earlier datagram
            fits = len(self._queue) < supervisor.scenario["datagram_queue"]
            is_heard = keep
            if self._is_phone_s(datagram[1]):
                is_heard = access_point.hears
                access_point.heard()
            if is_heard and fits and len(datagram[0]) <= _DATAGRAM_BYTES_MAX:
                self._queue.append(datagram)


def _comes_through():
    return station.has_address and not station.is_silent


def _forget_what_came_before():
    """Wi-Fi came or went: what the host received since the last look was never on the air."""
    for each in _open_sockets[SOCK_DGRAM]:
        each.take_datagrams(keep=False)


station.on_address_change = _forget_what_came_before
