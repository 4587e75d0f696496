"""The virtual board's datagram sockets behave as each board's do."""

from __future__ import annotations

import socket
import threading

import pytest

from host_tests.virtual_bench import UP, Bench, both_kinds, needs_micropython

pytestmark = needs_micropython
HOME = {"ssid": "home", "password": "correct horse"}

PAIR = (
    UP
    + """
up()
here, there = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
here.bind(("127.0.0.1", {port}))
there.connect(("127.0.0.1", {port}))
buffer = bytearray(20)
"""
)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def pair():
    """A main.py with a socket `here`, and one `there` that is connected to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return PAIR.format(port=probe.getsockname()[1])


@pytest.mark.parametrize(("kind", "type"), [("esp32", 2), ("rp2", 1)])
def test_addresses_are_tuples(bench, pair, kind, type):
    main = (
        pair
        + """
there.write(b"hello")
data, address = here.recvfrom(20)
print(data, address[0], address[1] > 1024)
here.sendto(b"answer", address)
print(there.recv(20))
print(socket.getaddrinfo("127.0.0.1", 5683, 0, socket.SOCK_DGRAM)[0][:2], end=" ")
print(socket.getaddrinfo("127.0.0.1", 5683, 0, socket.SOCK_DGRAM)[0][-1])
print(here.makefile("rwb", 0) is here)
"""
    )
    assert bench.play(main, kind).lines == [
        "b'hello' 127.0.0.1 True",
        "b'answer'",
        f"(2, {type}) ('127.0.0.1', 5683)",
        "True",
    ]


@pytest.mark.parametrize(("kind", "timed_out"), [("esp32", 116), ("rp2", 110)])
def test_time_outs(bench, pair, kind, timed_out):
    main = (
        pair
        + """
here.settimeout(0.05)
began = time.ticks_ms()
print(error_of(here.recv, 20), error_of(here.readinto, buffer), error_of(here.recvfrom, 20))
print(140 < time.ticks_diff(time.ticks_ms(), began) < 500)
here.setblocking(False)
print(error_of(here.recv, 20), here.readinto(buffer))
"""
    )
    assert bench.play(main, kind).lines == [
        f"{timed_out} {timed_out} {timed_out}",
        "True",
        "11 None",
    ]


@pytest.mark.parametrize(("kind", "unreachable"), [("esp32", 118), ("rp2", 113)])
def test_without_wifi_nothing_is_sent(bench, kind, unreachable):
    main = (
        UP
        + """
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(error_of(sock.sendto, b"x", ("127.0.0.1", 9)))
sock.connect(("127.0.0.1", 9))
print(error_of(sock.write, b"x"), error_of(sock.send, b"x"))
up()
print(error_of(sock.write, b"x"), error_of(sock.sendto, b"x", ("127.0.0.1", 9)))
"""
    )
    lines = [str(unreachable), f"{unreachable} {unreachable}", "1 1"]
    assert bench.play(main, kind).lines == lines


def test_without_wifi_an_esp32_finds_no_name(bench):
    main = UP + 'print(error_of(socket.getaddrinfo, "localhost", 9))'
    assert bench.play(main, "esp32").lines == ["-202"]


def test_without_wifi_a_pico_w_looks_for_a_name_for_ever(bench):
    """As the image does: host_tests/test_pico_w.py."""
    main = UP + 'print("looks")\nprint(error_of(socket.getaddrinfo, "localhost", 9))'
    assert bench.play(main, "rp2", timeout=1).lines == ["looks"]


def test_without_wifi_nothing_is_received(bench):
    """A datagram that comes while the network is away is lost; one that comes later is not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        main = (
            UP
            + f"""
up()
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("127.0.0.1", {server.getsockname()[1]}))
sock.write(b"to whom")
while wlan.isconnected():
    time.sleep_ms(5)
print("away")
time.sleep_ms(150)
while not wlan.isconnected():
    time.sleep_ms(5)
print("back")
sock.settimeout(1)
print(sock.recv(20))
"""
        )
        bench.put(main)

        def send_when(line):
            if line in ("away", "back"):
                server.sendto(line.encode(), peer[1])

        network = {**HOME, "drops": [[300, 500]]}
        board = bench.board(on_line=send_when, networks=[network], scan_ms=50)
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(board.power_up(8)))
        thread.start()
        server.settimeout(5)
        peer = server.recvfrom(20)
        thread.join()
    assert outcomes[0].lines == ["away", "back", "b'back'"]


@pytest.mark.parametrize(
    ("kind", "queue", "kept"), [("esp32", None, 6), ("rp2", None, 4), ("rp2", 1, 1)]
)
def test_queue_drops_the_newest(bench, pair, kind, queue, kept):
    main = (
        pair
        + """
for number in range(9):
    there.write(b"%d" % number)
here.settimeout(0.05)
got = []
while not isinstance(error_of(lambda: got.append(here.recv(20))), int):
    pass
print(b" ".join(got).decode())
there.write(b"again")
print(here.recv(20))
"""
    )
    expected = " ".join(str(number) for number in range(kept))
    outcome = bench.play(main, kind, datagram_queue=queue)
    assert outcome.lines == [expected, "b'again'"]


@pytest.mark.parametrize(
    ("kind", "lines"),
    [("esp32", ["b'' b'' b'' 1", "b'two' 11"]), ("rp2", ["b'' b'two' 11 0", "11 11"])],
)
def test_what_follows_an_empty_datagram(bench, pair, kind, lines):
    """An ESP32 has nothing else until the socket is connected again."""
    main = (
        pair
        + """
there.setblocking(False)
there.write(b"who")
peer = here.recvfrom(20)[1]
here.sendto(b"", peer)
here.sendto(b"two", peer)
poll = select.poll()
poll.register(there, select.POLLIN)
list(poll.ipoll(1000))
data, address = there.recvfrom(20)
print(data, error_of(there.recv, 20), error_of(there.recv, 20), len(list(poll.ipoll(10))))
there.connect(address)
print(error_of(there.recv, 20), error_of(there.recv, 20))
"""
    )
    assert bench.play(main, kind).lines == lines


@pytest.mark.parametrize(("kind", "address"), [("esp32", "None"), ("rp2", "('FD00::1', 5683)")])
def test_an_ipv6_literal(bench, kind, address):
    main = UP + "print(socket.getaddrinfo('fd00::1', 5683, 0, socket.SOCK_DGRAM)[0][-1])"
    assert bench.play(main, kind).lines == [address]


@pytest.mark.parametrize(("kind", "seen"), [("esp32", "10 23"), ("rp2", "3 12")])
def test_too_many_sockets(bench, kind, seen):
    main = (
        UP
        + """
opened = []
try:
    while True:
        opened.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
except OSError as error:
    print(len(opened), error.errno)
"""
    )
    assert bench.play(main, kind).lines == [seen]


@pytest.mark.parametrize(("kind", "taken"), [("esp32", 112), ("rp2", 98)])
def test_a_port_is_had_once_and_at_once_again(bench, kind, taken):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    main = (
        UP
        + f"""
first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
first.bind({address})
print(error_of(second.bind, {address}))
first.close()
print(error_of(second.bind, {address}))
"""
    )
    assert bench.play(main, kind).lines == [str(taken), "None"]


def test_recv_fails_while_the_scenario_says_so(bench, pair):
    main = (
        pair
        + """
there.write(b"late")
poll = select.poll()
poll.register(here, select.POLLIN)
here.setblocking(False)
print(len(list(poll.ipoll(1000))), error_of(here.recv, 20))
time.sleep_ms(500)
print(len(list(poll.ipoll(1000))), error_of(here.recv, 20))
"""
    )
    outcome = bench.play(main, recv_fails=[[0, 400, 5]])
    assert outcome.lines == ["1 5", "1 b'late'"]


@both_kinds
def test_nobody_there_is_silence(bench, pair, kind):
    """A connected UDP socket never raises ECONNREFUSED."""
    main = (
        pair
        + """
here.close()
there.setblocking(False)
for _ in range(4):
    print(there.write(b"x"), there.readinto(buffer), end=" ")
    time.sleep_ms(5)
poll = select.poll()
poll.register(there, select.POLLIN)
print(list(poll.ipoll(50)))
"""
    )
    assert bench.play(main, kind).lines == ["1 None " * 4 + "[]"]


def test_poll_and_readinto(bench, pair):
    main = (
        pair
        + """
here.setblocking(False)
poll = select.poll()
poll.register(here, select.POLLIN)
began = time.ticks_ms()
print(list(poll.ipoll(100)), 90 < time.ticks_diff(time.ticks_ms(), began) < 300)
for data in (b"", b"abc", b"x" * 30):
    there.write(data)
for _ in range(2):
    for sock, event in poll.ipoll(1000):
        print(sock is here, event == select.POLLIN, here.readinto(buffer))
print(bytes(buffer))
print(here.readinto(buffer))
"""
    )
    assert bench.play(main, "rp2").lines == [
        "[] True",
        "True True 0",
        "True True 20",
        repr(b"abc" + b"x" * 17),
        "None",
    ]


def test_asyncio_waits_for_a_socket(bench, pair):
    main = (
        pair
        + """
import asyncio
async def main():
    stream = asyncio.StreamReader(here)
    here.setblocking(False)
    async def later():
        await asyncio.sleep_ms(20)
        there.write(b"line\\n")
    asyncio.create_task(later())
    print(await asyncio.wait_for(stream.read(20), 2))
asyncio.run(main())
"""
    )
    assert bench.play(main).lines == ["b'line\\n'"]
