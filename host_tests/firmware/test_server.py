"""firmware.onboarding.server: slow, endless and parallel connections take nobody's place."""

from errno import EAGAIN, ECONNRESET

from firmware.onboarding import server
from firmware.onboarding.http import head
from host_tests.firmware.helpers import Clock, Random
from host_tests.firmware.world import os_error

# As a board's, which wrap.
server.ticks_diff = Clock().ticks_diff

GET = b"GET / HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n"
ANSWER = [head(200), b"x" * 3000, b"end"]


class Peer:
    """A phone's end of a connection. `room`: how many bytes it takes at a time."""

    def __init__(self, sends=b"", room=1 << 20, error=None):
        self.sends = sends
        self.room = room
        self.error = error
        self.is_closed = self.has_ended = False
        self.got = b""

    def setblocking(self, is_blocking):
        assert not is_blocking

    def recv(self, size):
        if self.error:
            raise os_error(self.error)
        if not self.sends:
            if self.has_ended:
                return b""
            raise os_error(EAGAIN)
        received, self.sends = self.sends[:size], self.sends[size:]
        return received

    def send(self, data):
        if not self.room:
            raise os_error(EAGAIN)
        sent = bytes(data[: self.room])
        self.room -= len(sent)
        self.got += sent
        return len(sent)

    def close(self):
        assert not self.is_closed
        self.is_closed = True


class Listener:
    def __init__(self):
        self.waiting = []
        self.address = "192.168.4.2"
        self.is_closed = False

    def accept(self):
        if not self.waiting:
            raise os_error(EAGAIN)
        return self.waiting.pop(0), (self.address, 50000)

    def close(self):
        self.is_closed = True


class Desk:
    """A server with its listener and clock; `asked`: the paths that were asked for."""

    def __init__(self):
        self.clock = Clock((1 << 30) - 3000)
        self.listener = Listener()
        self.asked = []
        self.server = server.Server(self.listener, self.answer, self.clock.ticks_ms, "192.168.4.")

    def answer(self, request):
        self.asked.append(request.path)
        return ANSWER

    def comes(self, *peers):
        self.listener.waiting += peers
        self.server.work()
        return peers[0]

    def passes(self, ms):
        self.clock.sleep_ms(ms)
        self.server.work()


def test_who_is_in_another_network_is_not_answered():
    desk = Desk()
    for address in ("192.168.1.7", "10.0.0.9", "192.168.40.2"):
        desk.listener.address = address
        stranger = desk.comes(Peer(GET))
        assert stranger.is_closed and stranger.got == b""
    assert desk.asked == []


def test_a_request_is_answered_and_the_connection_closed():
    desk = Desk()
    peer = desk.comes(Peer(GET))
    assert peer.got == b"".join(ANSWER)
    assert peer.is_closed
    assert desk.asked == ["/"]


def test_an_answer_goes_out_as_there_is_room():
    desk = Desk()
    peer = desk.comes(Peer(GET, room=0))
    while not peer.is_closed:
        peer.room += 100
        desk.passes(10)
    assert peer.got == b"".join(ANSWER)


def test_malformed_requests_are_refused():
    desk = Desk()
    peer = desk.comes(Peer(b"\x16\x03\x01 \r\n\r\n"))
    assert peer.got.startswith(b"HTTP/1.1 400 ")
    assert peer.is_closed and not desk.asked


def test_a_slow_request_ends_after_ten_seconds():
    for peer in (Peer(b"GET"), Peer(GET, room=10)):
        desk = Desk()
        desk.comes(peer)
        for _ in range(10):
            assert not peer.is_closed
            peer.sends += b"x" if not desk.asked else b""
            desk.passes(1000)
        desk.passes(100)
        assert peer.is_closed


def test_four_at_once_and_slow_ones_make_room():
    desk = Desk()
    slow = [Peer(b"GET /") for _ in range(4)]
    desk.comes(*slow)
    newcomer = desk.comes(Peer(GET))
    # Nobody is slow yet.
    assert newcomer.is_closed and not newcomer.got
    desk.passes(2100)
    newcomer = desk.comes(Peer(GET))
    assert newcomer.got and newcomer.is_closed
    assert [peer.is_closed for peer in slow] == [True, False, False, False]


def test_who_is_being_answered_keeps_its_place():
    desk = Desk()
    desk.comes(*[Peer(GET, room=10) for _ in range(4)])
    desk.passes(3000)
    newcomer = desk.comes(Peer(GET))
    assert newcomer.is_closed and not newcomer.got


def test_an_endless_sender_is_cut_off_and_holds_up_nobody():
    desk = Desk()
    endless = Peer(b"GET / HTTP/1.1\r\n" + b"x" * 100_000)
    other = Peer(GET)
    desk.comes(endless, other)
    assert endless.is_closed and endless.got.startswith(b"HTTP/1.1 431 ")
    assert other.is_closed and other.got


def test_one_that_floods_a_body_is_cut_off():
    desk = Desk()
    flood = desk.comes(Peer(b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n" + b"x" * 100_000))
    assert flood.is_closed and flood.got.startswith(b"HTTP/1.1 413 ")


def test_whoever_is_not_answered_for_a_fault_of_ours_does_not_wait():
    desk = Desk()

    def broken(request):
        raise ValueError("a bug")

    def breaks_off(request):
        yield head(200)
        raise ValueError("a bug")

    for answer in (broken, breaks_off):
        desk.server._answer = answer
        other = Peer()
        peer = desk.comes(Peer(GET), other)
        assert peer.is_closed and not other.is_closed


def test_connections_that_break():
    for peer in (Peer(error=ECONNRESET), Peer(GET[:10])):
        desk = Desk()
        peer.has_ended = True
        desk.comes(peer)
        assert peer.is_closed


def test_closing_ends_all():
    desk = Desk()
    peer = desk.comes(Peer(GET, room=0))
    desk.server.close()
    assert peer.is_closed and desk.listener.is_closed


def test_a_thousand_connections_by_chance_leave_nothing_behind():
    random = Random(3)
    desk = Desk()
    peers = []
    for _ in range(1000):
        sends = bytearray(GET)
        if random.below(3) == 0:
            sends = random.bytes(random.below(200))
        elif random.below(3) == 0:
            sends = sends[: random.below(len(sends))]
        peer = Peer(bytes(sends), random.below(5000), ECONNRESET if random.below(9) == 0 else None)
        peer.has_ended = random.below(4) == 0
        peers.append(peer)
        desk.listener.waiting.append(peer)
        desk.passes(random.below(500))
        assert sum(not each.is_closed for each in peers) <= 4 + len(desk.listener.waiting)
    desk.passes(11_000)
    desk.passes(11_000)
    assert all(peer.is_closed for peer in peers)
