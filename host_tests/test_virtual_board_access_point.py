"""The virtual board's access point, beside its station, behaves as each board's does."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest

from host_tests.virtual_bench import UP, Bench, both_kinds, both_runtimes, needs_micropython

HOME = {"ssid": "home", "password": "correct horse"}

OPEN_ACCESS_POINT = (
    UP
    + """
ap = network.WLAN(network.AP_IF)
ap.active(True)
ap.config(ssid="firstboot-1", key="a password")

def listen():
    server = socket.socket()
    server.bind(("0.0.0.0", 80))
    server.listen(2)
    return server

def serve(limit_ms=4000, server=None):
    server = server or listen()
    poll = select.poll()
    poll.register(server, select.POLLIN)
    if not poll.poll(limit_ms):
        print("nobody came")
        return None
    return server.accept()
"""
)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


class Phone:
    """Powers a board up in a thread, so that the test can talk to it meanwhile."""

    def __init__(self, bench, main, kind, **scenario):
        bench.put(main, kind)
        self.board = bench.board(kind, **scenario)
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        self.outcome = self.board.power_up(8)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()

    def connect(self, source="127.0.0.1"):
        at = ("127.0.0.1", self.board.ports.wait_for("tcp", 80, 5))
        return closing(socket.create_connection(at, 5, source_address=(source, 0)))

    @property
    def lines(self):
        self._thread.join()
        return self.outcome.lines


@both_runtimes
@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("esp32", "firstboot-1 ('192.168.4.1', '255.255.255.0', '192.168.4.1', '0.0.0.0') None"),
        ("rp2", "firstboot-1 ('192.168.4.1', '255.255.255.0', '192.168.4.1', '8.8.8.8') 3"),
    ],
)
def test_settings_of_the_access_point(bench, kind, shown, runtime):
    main = OPEN_ACCESS_POINT + (
        "print(ap.config('ssid'), ap.ifconfig(), ap.status())\n"
        "print(ap.isconnected(), ap.status('stations'))\n"
    )
    outcome = bench.play(main, kind, runtime)
    assert outcome.lines == [shown, "False []"]
    told = [event for event in outcome.events if event["event"] == "access point"]
    assert told[-1]["ssid"] == "firstboot-1"
    # An ESP32's stays open until it is told a `security`, whatever its key.
    assert told[-1]["is_open"] is (kind == "esp32")


def test_an_esp32_takes_settings_only_while_it_is_up_and_no_short_password(bench):
    main = """
        import network
        ap = network.WLAN(network.AP_IF)
        def say(**settings):
            try:
                ap.config(**settings)
                print("taken")
            except (OSError, ValueError) as error:
                print(error)
        say(ssid="firstboot-1")
        ap.active(True)
        say(ssid="firstboot-1", key="short", security=ap.SEC_WPA2)
        say(ssid="firstboot-1", key="long enough", authmode=3, hidden=True, max_clients=2)
        say(reconnects=3)
        say(unheard_of=1)
    """
    assert bench.play(main).lines == [
        "Wifi Invalid Mode",
        "Wifi Invalid Password",
        "taken",
        "taken",
        "unknown config param",
    ]


def test_a_pico_w_takes_settings_before_and_knows_fewer(bench):
    main = """
        import network
        ap = network.WLAN(network.AP_IF)
        ap.config(ssid="firstboot-1", password="long enough", security=ap.SEC_OPEN)
        ap.active(True)
        print(ap.config("essid"), ap.config("security"))
        for key in ("authmode", "hidden", "max_clients"):
            try:
                ap.config(**{key: 1})
            except ValueError as error:
                print(error)
    """
    assert bench.play(main, "rp2").lines == ["firstboot-1 0"] + ["unknown config param"] * 3


@needs_micropython
@pytest.mark.parametrize(
    ("kind", "phone"), [("esp32", "(b'\\x02\\x00\\x00\\x00\\x00P', '192.168.4.2')"), ("rp2", None)]
)
def test_a_phone_asks_by_tcp(bench, kind, phone):
    main = OPEN_ACCESS_POINT + (
        "connection, address = serve()\n"
        "print(address[0], ap.isconnected())\n"
        "print(ap.status('stations'))\n"
        "connection.setblocking(False)\n"
        "poll = select.poll()\n"
        "poll.register(connection, select.POLLIN)\n"
        "poll.poll(2000)\n"
        "print(connection.read(100))\n"
        "print(connection.write(b'answer'), connection.read(9))\n"
        "connection.close()\n"
    )
    with Phone(bench, main, kind) as test, test.connect() as phone_s:
        phone_s.sendall(b"question")
        assert phone_s.recv(20) == b"answer"
        assert phone_s.recv(20) == b""
    address = "192.168.4.2" if kind == "esp32" else "192.168.4.16"
    phone = phone or "(b'\\x02\\x00\\x00\\x00\\x00P',)"
    assert test.lines == [f"{address} True", f"[{phone}]", "b'question'", "6 None"]


@needs_micropython
@both_kinds
def test_a_phone_asks_for_a_name(bench, kind):
    main = OPEN_ACCESS_POINT + (
        "names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "names.bind(('0.0.0.0', 53))\n"
        "names.settimeout(3)\n"
        "data, address = names.recvfrom(100)\n"
        "print(data, address[0][:10])\n"
        "names.sendto(b'192.168.4.1', address)\n"
    )
    with Phone(bench, main, kind) as test, socket.socket(type=socket.SOCK_DGRAM) as phone_s:
        phone_s.settimeout(5)
        at = ("127.0.0.1", test.board.ports.wait_for("udp", 53, 5))
        phone_s.sendto(b"name?", at)
        assert phone_s.recvfrom(20) == (b"192.168.4.1", at)
    assert test.lines == ["b'name?' 192.168.4."]


@needs_micropython
@both_kinds
def test_when_the_access_point_closes_the_phone_is_cut_off(bench, kind):
    main = OPEN_ACCESS_POINT + (
        "connection, _ = serve()\n"
        "ap.active(False)\n"
        "print(error_of(connection.write, b'x') == error_of(connection.recv, 1), ap.active())\n"
        "print(network.WLAN(network.AP_IF).status('stations'))\n"
    )
    with Phone(bench, main, kind) as test, test.connect() as phone_s:
        phone_s.sendall(b"question")
        assert test.lines == ["True False", "[]"]


@needs_micropython
def test_nobody_is_heard_through_an_access_point_that_is_down(bench):
    main = OPEN_ACCESS_POINT + "ap.active(False)\nserve(300)\n"
    with Phone(bench, main, "esp32") as test, test.connect():
        pass
    assert test.lines == ["nobody came"]


@needs_micropython
def test_a_stranger_comes_through_the_station_s_network(bench):
    main = OPEN_ACCESS_POINT + "up()\n_, address = serve()\nprint(address[0])\n"
    with Phone(bench, main, "esp32") as test, test.connect("127.0.0.7"):
        pass
    assert test.lines == ["127.0.0.7"]


@needs_micropython
def test_a_phone_that_is_away(bench):
    main = (
        OPEN_ACCESS_POINT
        + "server = listen()\nserve(300, server)\nserve(4000, server)\n"
        + "print(ap.status('stations') != [])\n"
    )
    with Phone(bench, main, "esp32", phone=[[600, 60000]]) as test, test.connect():
        pass
    assert test.lines == ["nobody came", "True"]


@needs_micropython
@both_kinds
def test_a_wi_fi_with_its_addresses_is_taken_for_it(bench, kind):
    """Until the station is off: then the phone is heard, at the port where it was."""
    main = (
        OPEN_ACCESS_POINT
        + "server = listen()\nup()\nprint(wlan.ifconfig()[:2])\nserve(300, server)\n"
        + ("print(error_of(socket.getaddrinfo, 'a.example', 1))\n" if kind == "esp32" else "")
        + "wlan.active(False)\nprint(serve(4000, server)[1][0])\nserver.close()\nlisten()\n"
    )
    home = {**HOME, "address": "192.168.4.20"}
    with Phone(bench, main, kind, networks=[home]) as test, test.connect():
        pass
    named = ["-202"] if kind == "esp32" else []
    phone = "192.168.4.2" if kind == "esp32" else "192.168.4.16"
    settings = "('192.168.4.20', '255.255.255.0')"
    assert test.lines == [settings, "nobody came", *named, phone]
    ports = {each["host_port"] for each in test.outcome.events if each["event"] == "port"}
    assert len(ports) == 1


@needs_micropython
@both_kinds
def test_ports_outlive_a_reset(bench, kind):
    main = (
        OPEN_ACCESS_POINT
        + """
import machine, os
serve(50)
if "again" not in os.listdir("/"):
    open("/again", "w").close()
    machine.reset()
"""
    )
    bench.put(main, kind)
    board = bench.board(kind)
    said = []
    board.ports.say = said.append
    events = board.power_up(8).events
    (page,) = said
    assert page.endswith(f": http://127.0.0.1:{board.ports.known['tcp 80']}/")
    assert len({event["host_port"] for event in events if event["event"] == "port"}) == 1
    assert len([event for event in events if event["event"] == "port"]) == 2


@needs_micropython
@both_kinds
def test_it_outlives_a_soft_reset_and_no_other(bench, kind):
    main = """
        import machine, network, os
        ap = network.WLAN(network.AP_IF)
        print(ap.active())
        resets = len(os.listdir("/"))
        open("/%d" % resets, "w").close()
        ap.active(True)
        if resets < 5:
            (machine.soft_reset if resets < 4 else machine.reset)()
    """
    assert bench.play(main, kind).lines == ["False", "True", "False"]


@needs_micropython
@both_kinds
def test_the_access_point_moves_to_the_channel_of_the_network(bench, kind):
    main = OPEN_ACCESS_POINT + (
        "up()\nprint(ap.config('channel'))\n"
        "server = listen()\nserve(100, server)\n"
        "connection, _ = serve(4000, server)\n"
        "print('comes back')\n"
    )
    with Phone(bench, main, kind, networks=[{**HOME, "channel": 11}]) as test, test.connect():
        pass
    assert test.lines == ["11", "nobody came", "comes back"]


SEND = """
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def send():
    print(error_of(sock.sendto, b"x", ("127.0.0.1", {port})))
"""


@needs_micropython
@pytest.mark.parametrize(
    ("kind", "sent", "came"), [("esp32", ["1", "1"], 2), ("rp2", ["1", "113", "1"], 1)]
)
def test_a_pico_w_sends_through_what_came_up_last(bench, kind, sent, came):
    """Through the access point nothing gets to a server, and once it is down there is no way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        again = "wlan.active(False)\nup()\nsend()\n" if kind == "rp2" else ""
        main = (
            UP
            + SEND.format(port=server.getsockname()[1])
            + "up()\nap = network.WLAN(network.AP_IF)\nap.active(True)\nsend()\n"
            + "ap.active(False)\nsend()\n"
            + again
        )
        assert bench.play(main, kind).lines == sent
        assert [server.recv(9) for _ in range(came)] == [b"x"] * came
        with pytest.raises(TimeoutError):
            server.recv(9)


@needs_micropython
def test_a_pico_w_whose_station_comes_up_last_reaches_both(bench):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        main = OPEN_ACCESS_POINT + SEND.format(port=server.getsockname()[1]) + "up()\nsend()\n"
        assert bench.play(main, "rp2").lines == ["1"]
        assert server.recv(9) == b"x"


@both_runtimes
@both_kinds
def test_what_a_scan_finds(bench, kind, runtime):
    networks = [
        {**HOME, "rssi": -71, "channel": 6},
        {"ssid": "café <script>", "rssi": -40},
        {"ssid_hex": "ff00fe" + "61" * 29, "password": "12345678", "security": 7},
        {"ssid": "nobody sees", "hidden": True, "password": "12345678"},
    ]
    main = """
        import network
        wlan = network.WLAN(network.STA_IF)
        wlan.active(True)
        for name, bssid, channel, rssi, security, _ in wlan.scan():
            print(name, len(bssid), channel, rssi, security)
        wlan.connect(b"\\xff\\0\\xfe" + b"a" * 29, "12345678")
        import time
        time.sleep_ms(200)
        print(wlan.isconnected())
    """
    wpa2 = 3 if kind == "esp32" else 5
    assert bench.play(main, kind, runtime, networks=networks, scan_ms=5).lines == [
        f"b'home' 6 6 -71 {wpa2}",
        "b'caf\\xc3\\xa9 <script>' 6 1 -40 0",
        "b'\\xff\\x00\\xfe" + "a" * 29 + "' 6 1 -50 7",
        f"b'' 6 1 -50 {wpa2}",
        "True",
    ]


@pytest.mark.parametrize(
    ("kind", "scans"),
    [("esp32", ["STA must be active", "0", "1"]), ("rp2", ["[Errno 1] EPERM", "1", "1"])],
)
@needs_micropython
def test_a_scan_beside_a_join_and_without_a_station(bench, kind, scans):
    """An ESP32 that joins finds nothing; a Pico W scans with its access point alone."""
    main = """
        import network
        wlan = network.WLAN(network.STA_IF)
        try:
            wlan.scan()
        except OSError as error:
            print(error)
        network.WLAN(network.AP_IF).active(True)
        if wlan.config("mac")[0] == 0x28:
            print(len(wlan.scan()))
        wlan.active(True)
        if wlan.config("mac")[0] != 0x28:
            wlan.connect("away", "12345678")
            print(len(wlan.scan()))
            wlan.disconnect()
        print(len(wlan.scan()))
    """
    assert bench.play(main, kind, networks=[HOME], scan_ms=20).lines == scans


@both_runtimes
@both_kinds
def test_a_button(bench, kind, runtime):
    main = """
        import machine, time
        button = machine.Pin(14, machine.Pin.IN, machine.Pin.PULL_UP)
        print(button.value(), machine.Pin(15, machine.Pin.IN, machine.Pin.PULL_UP).value())
        while not button.value():
            time.sleep_ms(5)
        print(button.value())
    """
    assert bench.play(main, kind, runtime, pressed={"14": [[0, 300]]}).lines == ["0 1", "1"]


@needs_micropython
def test_a_pico_w_has_a_connection_wait_for_a_free_socket(bench):
    main = OPEN_ACCESS_POINT + (
        "server = socket.socket()\nserver.bind(('', 80))\nserver.listen(8)\n"
        "taken = [socket.socket() for _ in range(5)]\n"
        "server.settimeout(0.2)\nprint(error_of(server.accept))\n"
        "taken.pop().close()\nserver.settimeout(2)\nprint(server.accept()[1][0])\n"
    )
    with Phone(bench, main, "rp2") as test, test.connect():
        pass
    assert test.lines == ["110", "192.168.4.16"]
