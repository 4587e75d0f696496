"""The DHCP servers of the virtual boards' access points answer as the boards' do."""

from __future__ import annotations

import socket

import pytest

from host_tests.phone import Phone
from tools.virtual_board.dhcp import SERVERS, Esp32, PicoW
from tools.virtual_board.ports import Ports

FIRST = {"rp2": "192.168.4.16", "esp32": "192.168.4.2"}
both_kinds = pytest.mark.parametrize("kind", sorted(SERVERS))


class Board:
    """One whose access point is up."""

    def __init__(self, kind):
        self.ports = Ports(kind)
        self.switch(True)

    def switch(self, is_active):
        self.ports.follow({"event": "access point", "active": is_active})


@pytest.fixture
def board(kind):
    board = Board(kind)
    yield board
    board.ports.end_life()


@both_kinds
def test_a_phone_gets_an_address_and_the_board_for_all_else(board, kind):
    for had in ("192.168.1.77", "10.0.0.4", FIRST[kind]):
        lease = Phone(lambda: board).join(had)
        assert lease == (FIRST[kind], "192.168.4.1", "192.168.4.1")


@both_kinds
def test_it_is_there_as_long_as_the_access_point(board, kind):
    port = board.ports.known["udp 67"]
    board.switch(True)
    board.switch(False)
    with (
        pytest.raises((TimeoutError, ConnectionError)),
        socket.socket(type=socket.SOCK_DGRAM) as asking,
    ):
        asking.settimeout(0.1)
        asking.connect(("127.0.0.1", port))
        asking.send(b"x" * 300)
        asking.recv(1)
    board.switch(True)
    assert board.ports.known["udp 67"] == port
    assert Phone(lambda: board).join().address == FIRST[kind]


def message(kind, number, asked=None):
    from scapy.layers.dhcp import BOOTP, DHCP

    options = [("message-type", kind)]
    if asked:
        options.append(("requested_addr", asked))
    return bytes(BOOTP(chaddr=bytes([2, 0, 0, 0, 0, number])) / DHCP(options=[*options, "end"]))


def address(answer):
    return answer and ".".join(map(str, answer[16:20]))


def test_a_pico_w_has_eight_and_says_nothing_to_what_it_refuses():
    leases = PicoW()
    for number in range(8):
        given = f"192.168.4.{16 + number}"
        assert address(leases.answer(message("discover", number))) == given
        assert address(leases.answer(message("request", number, given))) == given
    assert leases.answer(message("discover", 8)) is None
    for asked in (None, "192.168.4.16", "192.168.4.24", "192.168.4.15", "192.168.1.16"):
        assert leases.answer(message("request", 8, asked)) is None
    assert leases.answer(message("release", 1)) is None
    assert leases.answer(b"noise") is None


def test_an_esp32_refuses_with_a_nak_and_takes_back_what_is_released():
    leases = Esp32()
    assert address(leases.answer(message("discover", 1))) == "192.168.4.2"
    assert address(leases.answer(message("discover", 2))) == "192.168.4.3"
    refusal = leases.answer(message("request", 2, "192.168.1.77"))
    assert refusal[240:243] == bytes([53, 1, 6]) and address(refusal) == "0.0.0.0"
    assert leases.answer(message("release", 1)) is None
    assert address(leases.answer(message("discover", 3))) == "192.168.4.2"
    assert leases.answer(b"noise" * 100) is None
