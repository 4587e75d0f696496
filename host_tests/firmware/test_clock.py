"""firmware.board.clock: SNTP against servers of every kind, and the floor, in virtual time."""

from time import gmtime

from firmware.board import clock
from firmware.board.clock import BUILT, doubt, set_clock, shown
from firmware.board.indicator import Indicator
from host_tests.firmware.helpers import Clock

NOW = BUILT + 1_000_000
COLD = 946_684_800  # 2000
LIE = NOW + 400 * 86_400
FROM_1900 = 2_208_988_800
SERVERS = ["a.example", "b.example"]


def reply(request, seconds=NOW, head=0x24, stratum=2, originate=None, size=48):
    """What a server answers: `head` is leap indicator, version and mode."""
    answer = bytearray(48)
    answer[0] = head
    answer[1] = stratum
    answer[24:32] = request[40:48] if originate is None else originate
    answer[40:44] = (seconds + FROM_1900 & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(answer[:size])


class Transport:
    def __init__(self, board, server):
        self._board = board
        self._server = server
        self._replies = []

    def send(self, datagram):
        self._board.sent.append(bytes(datagram))
        self._replies = list(self._server(datagram))

    def receive(self, size, timeout):
        if self._replies:
            return self._replies.pop(0)[:size]
        self._board.clock.sleep_ms(timeout)
        return None

    def close(self):
        self._board.open -= 1


class Board:
    """`servers`: by host, a function from a request to its replies; None: no such name."""

    def __init__(self, now=COLD, **servers):
        self.clock = Clock()
        self.ticks = self.clock.ticks_ms
        self.now = now
        self.servers = {name.replace("_", "."): servers[name] for name in servers}
        self.clock_is_set = False
        self.clock_asked_at = None
        self.clock_is_guessed = False
        self.lines = []
        self.indicator = Indicator(None, self.lines.append, self.ticks)
        self.sent = []
        self.asked = []
        self.open = 0
        self.idled = 0

    def set_clock(self, seconds, is_guess=False):
        self.now = seconds
        self.clock_is_guessed = is_guess

    def resolve(self, host, port):
        assert port == 123
        self.asked.append(host)
        if self.servers.get(host) is None:
            raise OSError(-2)
        return [host]

    def open_transport(self, address, port, local_port):
        assert (port, local_port) == (123, 0)
        self.open += 1
        return Transport(self, self.servers[address])

    def random(self, size):
        return bytes(range(1, size + 1))

    def sleep(self, ms):
        self.clock.sleep_ms(ms)
        self.idled += 1

    def says(self, *words):
        text = " ".join(self.lines)
        return all(word in text for word in words)


def good(request):
    return [reply(request)]


def silent(request):
    return []


def asked(board, servers=SERVERS):
    set_clock(board, servers)
    assert board.open == 0
    return board


def test_a_server_that_answers_sets_the_clock():
    board = asked(Board(a_example=good, b_example=None))
    assert board.now == NOW and board.clock_is_set and not board.clock_is_guessed
    assert board.says("clock set to %s UTC by host 1 of `ntp`" % shown_1970(NOW))


def says(seconds):
    return lambda request: [reply(request, seconds)]


def test_what_two_servers_agree_on_counts():
    names = ["a.example", "b.example", "c.example", "d.example"]
    for lie in (-86_400, 86_400, 400 * 86_400):
        board = asked(
            Board(
                a_example=says(NOW + lie if lie > 0 else BUILT),
                b_example=silent,
                c_example=good,
                d_example=says(NOW + 1),
            ),
            names,
        )
        assert board.now - NOW in (0, 1, 2), lie
        assert board.says("by host 3 of `ntp`")


def test_two_that_agree_are_enough():
    board = asked(Board(a_example=good, b_example=good, c_example=good), SERVERS + ["c.example"])
    assert board.asked == SERVERS


def test_a_token_in_the_place_of_a_host_is_not_shown():
    """Not by a network that answers whatever it is asked, either."""
    for server in (good, silent, None):
        board = Board()
        board.servers = {"Tok.en-1": server}
        asked(board, ["Tok.en-1"])
        assert board.asked[0] == "Tok.en-1" and "Tok" not in "".join(board.lines)


def test_a_lie_ends_when_a_certificate_disagrees():
    """One server alone: it is asked again, and may have been forged only once."""
    board = asked(Board(a_example=says(LIE)), ["a.example"])
    assert board.now > NOW
    board.servers["a.example"] = good
    assert asked(board, ["a.example"]).now > NOW
    doubt(board)
    assert asked(board, ["a.example"]).now == NOW


def test_of_two_that_disagree_the_other_is_next():
    board = asked(Board(a_example=says(LIE), b_example=good))
    assert board.now > NOW
    doubt(board)
    assert asked(board).now == NOW
    assert len(board.lines) == 2


def test_the_request():
    board = asked(Board(a_example=good))
    assert board.sent == [b"\x23" + bytes(39) + bytes(range(1, 9))]


def test_once_a_power_up():
    board = asked(Board(a_example=good))
    asked(board)
    assert len(board.sent) == 1 and len(board.lines) == 1


def test_the_next_server_is_asked_when_one_is_silent_or_unknown():
    for first in (silent, None):
        board = asked(Board(a_example=first, b_example=good))
        assert board.now == NOW and board.clock_is_set, first
        assert board.clock.slept <= 2_100


def test_silence_ends_at_the_deadline_and_the_floor_counts():
    board = asked(Board(a_example=silent, b_example=silent))
    assert 7_000 <= board.clock.slept <= 12_000
    assert board.now == BUILT
    assert board.says("clock set to this firmware's date", "no answer from any host of `ntp`")
    assert board.idled * 50 >= board.clock.slept


def test_many_silent_servers_take_no_longer():
    names = ["%d.example" % number for number in range(20)]
    board = Board()
    board.servers = dict.fromkeys(names, silent)
    assert asked(board, names).clock.slept <= 12_100


def test_answers_that_came_seconds_apart_agree():
    """What they say is compared as of the same moment: silent ones in between take 8 s."""
    names = ["%d.example" % number for number in range(7)]
    board = Board()
    board.servers = dict.fromkeys(names, silent)
    board.servers[names[0]] = says(LIE)
    board.servers[names[1]] = good
    board.servers[names[6]] = says(NOW + 8 + 3)
    assert asked(board, names).now == NOW + 8


def test_a_time_out_is_waited_out_once():
    board = asked(Board(a_example=silent), ["a.example"])
    slept = board.clock.slept
    assert len(board.sent) == 2 and slept <= 4_100
    board.servers["a.example"] = good
    assert asked(board).now == BUILT and board.clock_is_guessed
    assert board.clock.slept == slept and len(board.lines) == 2
    doubt(board)
    assert asked(board).now == NOW


def test_who_did_not_answer_is_asked_again_half_an_hour_later():
    board = asked(Board(a_example=silent))
    board.servers["a.example"] = good
    board.clock.sleep_ms(29 * 60_000)
    assert asked(board).clock_is_guessed
    board.clock.sleep_ms(2 * 60_000)
    assert asked(board).now == NOW and not board.clock_is_guessed
    requests = len(board.sent)
    board.clock.sleep_ms(31 * 60_000)
    assert len(asked(board).sent) == requests


def test_no_servers():
    for servers in (None, []):
        board = asked(Board(a_example=good), servers)
        assert board.now == BUILT and not board.sent
        assert board.says("this firmware's date", "config.json names no `ntp`")


def test_a_clock_that_runs_is_left_alone():
    board = asked(Board(now=NOW, a_example=silent))
    assert board.now == NOW
    assert board.says("clock left at %s UTC: no answer from" % shown_1970(NOW))


def test_what_is_no_answer():
    def wrong(seconds=LIE, **changes):
        return lambda request: [reply(request, seconds, **changes)]

    for server in (
        wrong(originate=bytes(8)),
        wrong(head=0x23),  # a client's mode
        wrong(head=0x25),  # broadcast
        wrong(head=0xE4),  # not synchronised
        wrong(stratum=0),  # kiss-o'-death
        wrong(stratum=16),
        wrong(size=47),
        wrong(seconds=BUILT - 1),
        wrong(seconds=-FROM_1900),
        lambda request: [b"", b"\0", bytes(48)],
    ):
        board = asked(Board(a_example=server, b_example=good))
        assert board.asked == ["a.example", "b.example"]
        assert board.now == NOW


def test_a_server_of_every_stratum_and_with_a_leap_second_announced():
    for changes in ({"stratum": 1}, {"stratum": 15}, {"head": 0x64}, {"head": 0xA4}):
        board = Board(a_example=lambda request, changes=changes: [reply(request, **changes)])
        assert asked(board).now == NOW, changes


def test_a_name_without_an_address():
    board = Board(a_example=good, b_example=good)
    board.resolve = lambda host, port: [host] if host == "b.example" else []
    assert asked(board).now == NOW


def test_the_answer_after_spoofed_ones():
    def server(request):
        return [reply(request, NOW + 99, originate=b"12345678"), reply(request)]

    assert asked(Board(a_example=server)).now == NOW


def test_years_after_2036():
    late = 2_208_988_800  # 2040-01-01
    assert asked(Board(a_example=lambda request: [reply(request, late)])).now == late


def test_the_seconds_in_2036_around_that_at_which_the_32_bits_begin_anew():
    """That one itself would be 0, which says that there is no time."""
    for late in ((1 << 32) - FROM_1900 - 1, (1 << 32) - FROM_1900 + 1):
        assert asked(Board(a_example=lambda request, late=late: [reply(request, late)])).now == late


def test_sending_that_fails():
    def broken(request):
        raise OSError(113)

    assert asked(Board(a_example=broken, b_example=good)).now == NOW


def test_the_floor_is_a_date():
    assert shown_1970(BUILT) == "%04d-%02d-%02d 00:00" % tuple(gmtime(BUILT)[:3])


def test_a_time_is_shown_as_on_an_esp32_whose_time_begins_in_2000():
    expected = shown_1970(BUILT)
    clock.gmtime = lambda seconds: gmtime(seconds + COLD)
    try:
        assert shown(BUILT) == expected
    finally:
        clock.gmtime = gmtime


def shown_1970(seconds):
    """On a computer, whose time begins in 1970."""
    return shown(seconds)
