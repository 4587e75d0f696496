"""Improv Wi-Fi over serial: packets as the standard has them, a console that stays usable."""

import os

from firmware.errors import FirstbootError
from firmware.onboarding import improv_packets as packets
from firmware.onboarding.console import was_in_packet
from firmware.onboarding.improv import Improv, page_of
from host_tests.firmware.helpers import Clock, raises
from host_tests.firmware.world import Stub

# From the standard: the RPC that asks for the current state, and what it is made of.
ASK_STATE = b"IMPROV\x01\x03\x02\x02\x00\xe5"
READY = b"\nIMPROV\x01\x01\x01\x02\xe2\n"
PROVISIONING = b"\nIMPROV\x01\x01\x01\x03\xe3\n"
PROVISIONED = b"\nIMPROV\x01\x01\x01\x04\xe4\n"
NO_ERROR = b"\nIMPROV\x01\x02\x01\x00\xe1\n"
INVALID = b"\nIMPROV\x01\x02\x01\x01\xe2\n"
UNKNOWN_COMMAND = b"\nIMPROV\x01\x02\x01\x02\xe3\n"
UNABLE_TO_CONNECT = b"\nIMPROV\x01\x02\x01\x03\xe4\n"
UNKNOWN_ERROR = b"\nIMPROV\x01\x02\x01\xff\xe0\n"
URL = "https://thingsboard.cloud"
CTRL_C = b"\x03"


def rpc(command, data=b""):
    """Return the packet of a command."""
    whole = b"IMPROV\x01\x03" + bytes((len(data) + 2, command, len(data))) + data
    return whole + bytes((sum(whole) & 0xFF,))


def wifi(ssid, password):
    """Return the packet that sends Wi-Fi settings."""
    return rpc(1, bytes((len(ssid),)) + ssid + bytes((len(password),)) + password)


def result(command, *texts):
    data = b"".join([bytes((len(text),)) + text for text in texts])
    whole = b"IMPROV\x01\x04" + bytes((len(data) + 2, command, len(data))) + data
    return b"\n" + whole + bytes((sum(whole) & 0xFF, 10))


class Console:
    def __init__(self):
        self.typed = bytearray()
        self.shown = b""

    def read(self):
        if not self.typed:
            return None
        byte = self.typed[0]
        self.typed = self.typed[1:]
        return byte

    def write(self, data):
        self.shown += data


class Candidate:
    state = "idle"
    offered = None

    def offer(self, settings):
        if self.state == "trying":
            raise FirstbootError("other settings are being tried", "Wait some seconds.")
        if settings["password"] == "short":
            return ["password"]
        self.offered = settings
        self.state = "trying"
        return []


class Desk:
    """A board with a console that a client types on."""

    def __init__(self, networks=()):
        self.clock = Clock()
        self.console = Console()
        self.candidate = Candidate()
        self.scans = 0
        self._networks = networks
        self.lines = []
        indicator = Stub(say=lambda *lines: self.lines.extend(lines))
        board = Stub(ticks=self.clock.ticks_ms, chip="ESP32", indicator=indicator)
        name = "sensor-1"
        self.stopped = 0
        self.improv = Improv(
            board, self.candidate, self._scan, name, URL, self._stop, console=self.console
        )

    def _stop(self):
        self.stopped += 1

    def _scan(self):
        self.scans += 1
        self.improv.work()  # as every wait does
        return self._networks

    def type(self, typed):
        """Type, let the board work, and return what it wrote."""
        self.console.typed.extend(typed)
        self.console.shown = b""
        self.improv.work()
        return self.console.shown


def test_the_state_is_told_to_who_asks():
    desk = Desk()
    assert desk.type(b"") == b""
    assert desk.type(ASK_STATE) == NO_ERROR + READY
    desk.candidate.state = "trying"
    assert desk.type(b"") == PROVISIONING


def test_nobody_is_told_who_has_not_asked():
    desk = Desk()
    desk.candidate.state = "trying"
    assert desk.type(b"") == b""
    desk.candidate.state = "joined"
    assert desk.type(b"") == b""


def test_what_the_device_is():
    shown = Desk().type(rpc(3))
    assert shown.startswith(NO_ERROR + b"\nIMPROV\x01\x04")
    texts = shown[len(NO_ERROR) + 12 : -2]
    assert texts.startswith(b"\x09firstboot\x051.0.0\x05ESP32\x08sensor-1\x0bMicroPython")


def test_networks_are_sent_once_and_those_that_cannot_be_given_back_are_not():
    networks = (
        (b"home", -40, 3),
        (b"caf\xc3\xa9 <b>", -50, 0),
        (b"\xff\xfe", -55, 3),
        (b"", -60, 3),
        (b"\0\0\0", -61, 3),
        (b"home", -70, 3),
    )
    desk = Desk(networks)
    assert desk.type(rpc(4)) == (
        NO_ERROR
        + result(4, b"home", b"-40", b"YES")
        + result(4, b"caf\xc3\xa9 <b>", b"-50", b"NO")
        + result(4)
    )
    assert desk.scans == 1


def test_a_scan_that_raises_leaves_it_listening():
    desk = Desk()

    def scan():
        raise OSError(5)

    desk.improv._networks = scan
    raises(OSError, desk.type, rpc(4))
    assert desk.type(ASK_STATE) == NO_ERROR + READY
    desk.improv.close()
    assert desk.type(ASK_STATE) == b""


def test_settings_are_tried_and_what_becomes_of_them_is_told():
    desk = Desk()
    assert desk.type(wifi(b"home", b"correct horse")) == NO_ERROR + PROVISIONING
    assert desk.candidate.offered == {"ssid": "home", "password": "correct horse"}
    assert desk.type(b"") == b""
    for state in ("wrong password", "not in range", "no address"):
        desk.candidate.state = state
        assert desk.type(b"") == UNABLE_TO_CONNECT + READY
        assert desk.type(wifi(b"home", b"")) == NO_ERROR + PROVISIONING
    desk.candidate.state = "joined"
    assert desk.type(b"") == PROVISIONED + result(1, URL.encode())
    for state in ("provisioning", "refused", "provisioned"):
        desk.candidate.state = state
        assert desk.type(b"") == b""
    assert desk.type(ASK_STATE) == NO_ERROR + PROVISIONED + result(2, URL.encode())


def test_one_try_at_a_time():
    desk = Desk()
    desk.type(wifi(b"home", b"first"))
    assert desk.type(wifi(b"home", b"second")) == NO_ERROR + UNKNOWN_ERROR
    assert desk.candidate.offered["password"] == "first"
    assert desk.lines == ["other settings are being tried", "Wait some seconds."]


def test_what_cannot_be_is_not_tried():
    desk = Desk()
    assert desk.type(wifi(b"home", b"short")) == NO_ERROR + UNABLE_TO_CONNECT
    assert desk.lines == ["Improv: wrong or missing: password"]
    desk.candidate.offer = lambda settings: ["server", "provisionDeviceKey"]
    assert desk.type(wifi(b"home", b"password")) == NO_ERROR + UNKNOWN_ERROR
    assert desk.lines[-1] == "Improv: wrong or missing: server, provisionDeviceKey"


def test_a_command_that_is_not_known():
    assert Desk().type(rpc(9)) == NO_ERROR + UNKNOWN_COMMAND


def test_malformed_packets():
    long = b"x" * 33
    for typed in (
        ASK_STATE[:-1] + b"\x00",
        rpc(1, b""),
        rpc(1, b"\x00\x00"),
        rpc(1, b"\x04home"),
        rpc(1, b"\x04home\x05four"),
        rpc(1, b"\x04home\x03four"),
        rpc(1, b"\xff"),
        wifi(long, b"password"),
        wifi(b"home", b"x" * 65),
        wifi(b"\xff\xfe", b"password"),
        wifi(b"home", b"\xff"),
        rpc(1, b"x" * 240),
    ):
        desk = Desk()
        assert desk.type(typed) == INVALID, typed
        assert desk.candidate.offered is None
        assert desk.type(ASK_STATE) == NO_ERROR + READY


def test_the_longest_settings():
    desk = Desk()
    assert desk.type(wifi(b"s" * 32, b"p" * 64)) == NO_ERROR + PROVISIONING
    assert desk.candidate.offered == {"ssid": "s" * 32, "password": "p" * 64}


def test_what_the_board_itself_sends_is_never_answered():
    desk = Desk()
    shown = desk.type(ASK_STATE)
    assert desk.type(shown + result(4) + INVALID) == b""


def test_ctrl_c_is_heard_outside_of_packets_and_the_rest_is_left_to_the_prompt():
    for typed in (CTRL_C, b"\r" + CTRL_C, b"help" + CTRL_C, b"IMPROV" + CTRL_C, ASK_STATE + CTRL_C):
        desk = Desk()
        raises(KeyboardInterrupt, desk.type, typed + CTRL_C + b"\x01")
        assert desk.stopped == 1
        assert bytes(desk.console.typed) == CTRL_C + b"\x01"
        desk.console.typed = bytearray()
        assert desk.type(ASK_STATE) == b""


def test_half_a_packet_does_not_swallow_ctrl_c_for_long():
    desk = Desk()
    desk.type(b"IMPROV\x01\x03\xff")
    assert desk.type(CTRL_C) == b""
    desk.clock.sleep_ms(5100)
    desk.type(b"")
    raises(KeyboardInterrupt, desk.type, CTRL_C)


def test_a_packet_comes_in_pieces():
    desk = Desk()
    for at in range(len(ASK_STATE) - 1):
        assert desk.type(ASK_STATE[at : at + 1]) == b""
        desk.clock.sleep_ms(50)
    assert desk.type(ASK_STATE[-1:]) == NO_ERROR + READY


def test_noise_before_a_packet():
    for noise in (b"I", b"IM", b"IMPRO", b"hello\r\n", b"IMPROV\x02", b"\x00\xff"):
        assert Desk().type(noise + ASK_STATE) == NO_ERROR + READY, noise


def test_a_flood_ends_each_time():
    desk = Desk()
    desk.type(b"x" * 5000)
    assert 0 < len(desk.console.typed) < 5000


def test_whatever_comes_is_survived():
    """Random bytes, and packets with one byte changed: answered with an error or not at all."""
    for _ in range(300):
        desk = Desk()
        packet = bytearray(wifi(b"home", b"correct horse"))
        noise = os.urandom(4)
        packet[noise[0] % len(packet)] = noise[1]
        packet.extend(os.urandom(noise[2] % 40))
        try:
            shown = desk.type(packet)
        except KeyboardInterrupt:
            continue
        assert shown in (b"", INVALID) or desk.candidate.offered or NO_ERROR in shown


def test_a_checksum_lets_no_changed_byte_through():
    good = wifi(b"home", b"correct horse")
    for at in range(9, len(good)):
        for change in (1, 0x80, 0xFF):
            packet = bytearray(good)
            packet[at] ^= change
            desk = Desk()
            desk.type(packet)
            assert desk.candidate.offered is None


def test_ctrl_c_of_a_packet_that_came_before_anybody_listened():
    """An ESP32 keeps what came before it, a Pico W does not; both leave it out."""
    after = ASK_STATE.partition(CTRL_C)[2]
    for typed, is_client in (
        (b"IMPROV\x01" + after + b"\n", True),
        (b"\nIMPROV\x01" + after + b"\n\nIMPROV\x01", True),
        (after, True),
        (b"", False),
        (b"\r\x01", False),
        (b"\r\r\x01", False),
        (b"IMPROV\x01", False),
        (after[:-1] + b"\x00", False),
    ):
        console = Console()
        console.typed.extend(typed)
        assert was_in_packet(console) is is_client, typed
        if not is_client:
            # A prompt gets what tools send next.
            assert bytes(console.typed[-1:]) == typed[-1:] or len(typed) < 2 or typed[:1] != b"\r"


def test_long_texts_are_left_out_of_a_result():
    packet = packets.result(3, ["a" * 200, "b" * 60])
    assert packet[9] == 203 and len(packet) < 260


def test_where_a_server_s_people_find_its_page():
    for server, page in (
        ("coap://coap.thingsboard.cloud", "https://thingsboard.cloud"),
        ("coaps://coap.eu.thingsboard.cloud:5684", "https://eu.thingsboard.cloud"),
        ("coap://192.0.2.1:5690", "http://192.0.2.1:8080"),
        ("coap://[2001:db8::1]:5690", "http://[2001:db8::1]:8080"),
        ("", ""),
    ):
        assert page_of(server) == page
