"""The parts around the emulated Pico W, each by itself: no image is needed for these."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
from pathlib import Path

import pytest
from rp2040py.external.cyw43 import net
from rp2040py.gpio_pin import GPIOPinState
from rp2040py.peripherals.ssi import SSI_DR0, SSI_SSIENR
from rp2040py.rp2040 import RP2040
from typer.testing import CliRunner

from tools.cli import app
from tools.measure import pico_w_figures
from tools.pico_w import image as images
from tools.pico_w.board import Follower, PicoW
from tools.pico_w.flash_chip import FlashChip
from tools.pico_w.flash_file import make_erased
from tools.pico_w.image import ImageError, find_image, version_of
from tools.pico_w.loopback import Loopback
from tools.pico_w.network import Network
from tools.pico_w.random_bits import RandomBits
from tools.virtual_board import lock
from tools.virtual_board.errors import FlashError

BOARD = b"Raspberry Pi Pico W with RP2040"
MAC = bytes([0, 16, 24, 0, 0, 2])
GUEST = bytes([10, 0, 0, 2])


def uf2(text: bytes) -> bytes:
    """A UF2 file with `text` somewhere in its code."""
    code = (bytes(100) + text).ljust(512, b"\0")
    blocks = b""
    for number in range(0, len(code), 256):
        header = struct.pack(
            "<8I", 0x0A324655, 0x9E5D5157, 0, 0x10000000 + number, 256, 0, 2, 0xE48BFF56
        )
        block = header + code[number : number + 256]
        blocks += block.ljust(508, b"\0") + struct.pack("<I", 0x0AB16F30)
    return blocks


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of images, and nothing named."""
    cache = tmp_path / ".cache" / "rp2040py"
    cache.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))  # where rp2040py finds it
    monkeypatch.setattr(images, "CACHE", cache)
    monkeypatch.delenv(images.VARIABLE, raising=False)
    return cache


def put(path: Path, version: str, board: bytes = BOARD) -> Path:
    path.write_bytes(uf2(b"v%s on 2025-09-11 %s" % (version.encode(), board)))
    return path


# The image


def test_an_image_says_its_version(tmp_path):
    assert version_of(put(tmp_path / "any.uf2", "1.29.0")) == "1.29.0"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"not at all", "is no whole UF2 file"),
        (uf2(b"v1.26.1 on 2025-09-11 " + BOARD)[:512], "1 of its 2 blocks are there"),
        (uf2(b"v1.27.0 on 2025-12-09 Raspberry Pi Pico with RP2040"), "no MicroPython for a"),
        (uf2(b"CircuitPython " + BOARD), "no MicroPython for a"),
        (uf2(b"v1.25.0 on 2025-04-15 " + BOARD), "is MicroPython 1.25.0; 1.26.1 or newer"),
    ],
)
def test_what_is_no_image_is_told_and_how_to_get_one(tmp_path, content, says):
    path = tmp_path / "some.uf2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=says) as raised:
        find_image(path)
    assert "https://micropython.org/download/RPI_PICO_W" in str(raised.value)


def test_the_image_is_the_one_named_then_the_one_of_the_environment_then_the_cache(
    cache, tmp_path, monkeypatch
):
    with pytest.raises(ImageError, match="There is no MicroPython image") as raised:
        find_image()
    assert images.VARIABLE in str(raised.value) and "\n" not in str(raised.value)
    newer = put(cache / "RPI_PICO_W-20260824-v1.29.0.uf2", "1.29.0")
    assert find_image() == newer
    put(cache / "RPI_PICO_W-20250415-v1.25.0.uf2", "1.25.0")
    tested = put(cache / "RPI_PICO_W-20250911-v1.26.1.uf2", "1.26.1")
    assert find_image() == tested
    monkeypatch.setenv(images.VARIABLE, str(newer))
    assert find_image() == newer
    assert find_image(tested) == tested


NO_IMAGE = {
    "demo": ["--pico-w"],
    "power-up": ["--runtime", "pico-w", "--config", "config.json", "--flash", "board.img"],
    "board": ["--runtime", "pico-w", "--flash", "board.img", "--link", "port"],
    "measure": ["--pico-w"],
}


@pytest.mark.parametrize("verb", NO_IMAGE)
def test_without_an_image_and_the_internet_a_verb_says_how_to_get_one(
    cache, tmp_path, monkeypatch, verb
):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody is
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text("{}")
    ended = CliRunner().invoke(app, [verb, *NO_IMAGE[verb]])
    assert ended.exit_code == 1
    assert ended.output.splitlines() == [
        "downloading RPI_PICO_W 1.26.1 from micropython.org (once) …",
        f"There is no MicroPython image for a Pico W. {images.HOW}",
    ]
    assert not list(cache.iterdir()) and not Path("board.img").exists()


def test_a_download_that_was_broken_off_is_made_again(cache, monkeypatch):
    whole = uf2(b"v1.26.1 on 2025-09-11 " + BOARD)
    answers = [io.BytesIO(whole), io.BytesIO(whole[:700])]
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: answers.pop())
    with pytest.raises(ImageError, match="no whole UF2 file"):
        find_image(None, str)
    image = find_image(None, str)
    assert image.read_bytes() == whole and find_image() == image


# The network


class Wire:
    """A board's end of a network, and its far side."""

    def __init__(self, **options):
        self.frames: list[bytes] = []
        self.later: list[tuple[float, object]] = []
        self.arrived: list[tuple] = []
        self.network = Network(self, **options)
        self.network.plug_in(
            self.frames.append, lambda ms, do: self.later.append((ms, do)), lambda: 7.0
        )

    def send(self, guest, server, datagram) -> None:
        self.arrived.append((guest, server, datagram))

    def pass_time(self) -> list[float]:
        later, self.later = self.later, []
        for _, action in later:
            action()
        return [ms for ms, _ in later]

    def udp(self, address: bytes, port: int, data: bytes, source: int = 20000) -> None:
        segment = net.pack_udp(GUEST, address, source, port, data)
        self.ip(address, net.IP_PROTO_UDP, segment)

    def ip(self, address: bytes, proto: int, segment: bytes) -> None:
        packet = net.pack_ipv4(GUEST, address, proto, segment)
        frame = net.pack_ethernet(bytes(6), MAC, net.ETHERTYPE_IPV4, packet)
        self.network.handle_outbound_ethernet_frame(frame)

    def heard(self):
        """The packet and the datagram in the only frame that came."""
        (frame,) = self.frames
        eth = net.parse_ethernet(frame)
        assert eth.dst_mac == MAC
        packet = net.parse_ipv4(eth.payload)
        return packet, net.parse_udp(packet.payload)


GATEWAY = bytes([10, 0, 0, 1])


def test_a_datagram_goes_up_and_its_answer_comes_down():
    wire = Wire()
    wire.udp(GATEWAY, 5683, b"request")
    assert wire.arrived == [] and wire.pass_time() == [2]
    assert wire.arrived == [(("10.0.0.2", 20000), ("127.0.0.1", 5683), b"request")]
    wire.network.answer(20000, ("127.0.0.1", 5683), b"reply")
    wire.pass_time()
    packet, udp = wire.heard()
    assert (packet.src_ip, packet.dst_ip) == (GATEWAY, GUEST)
    assert (udp.src_port, udp.dst_port, udp.payload) == (5683, 20000, b"reply")
    assert wire.network.up == [(7.0, ("127.0.0.1", 5683), b"request")]


def test_fates():
    fates = {("up", 0): [], ("up", 1): [(2, b"a"), (50, b"a")], ("down", 0): [(2, b"")]}
    wire = Wire(fate=lambda way, number, datagram: fates[way, number])
    wire.udp(GATEWAY, 5683, b"lost")
    assert wire.pass_time() == []
    wire.udp(GATEWAY, 5683, b"repeated")
    assert wire.pass_time() == [2, 50] and len(wire.arrived) == 2
    wire.network.answer(20000, ("127.0.0.1", 5683), b"emptied")
    wire.pass_time()
    assert wire.heard()[1].payload == b""


@pytest.mark.parametrize("address", [(8, 8, 8, 8), (127, 0, 0, 1), (10, 0, 0, 255), (10, 0, 1, 1)])
def test_nothing_but_loopback_is_reached(address):
    wire = Wire()
    wire.udp(bytes(address), 5683, b"x")
    assert not wire.later and not wire.frames


def test_tcp_is_refused_and_icmp_unanswered():
    wire = Wire()
    segment = net.pack_tcp(GUEST, GATEWAY, 4000, 80, 99, 0, net.TCP_SYN, 1000)
    wire.ip(GATEWAY, net.IP_PROTO_TCP, segment)
    packet, _ = wire.heard()
    reset = net.parse_tcp(packet.payload)
    assert reset.flags & net.TCP_RST and reset.ack == 100 and reset.dst_port == 4000
    wire.ip(GATEWAY, 1, b"\x08\0\0\0echo")
    assert len(wire.frames) == 1


def query(name: bytes, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label for label in name.split(b"."))
    return b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + labels + b"\0" + struct.pack("!HH", kind, 1)


@pytest.mark.parametrize(
    ("name", "kind", "flags", "addresses"),
    [
        (b"thingsboard.example.com", 1, 0x8180, [GATEWAY]),
        (b"two.example.com", 1, 0x8180, [bytes([10, 0, 0, 8]), bytes([10, 0, 0, 9])]),
        (b"two.example.com", 28, 0x8180, []),
        (b"nobody.example.com", 1, 0x8183, []),
    ],
)
def test_names(name, kind, flags, addresses):
    wire = Wire()
    wire.network.names = {
        "two.example.com": ["10.0.0.8", "10.0.0.9"],
        "nobody.example.com": [],
    }
    wire.udp(GATEWAY, 53, query(name, kind))
    answer = wire.heard()[1].payload
    assert answer[:2] == b"\x12\x34"
    assert struct.unpack_from("!HHH", answer, 2) == (flags, 1, len(addresses))
    assert [answer[-16 * n :][12:16] for n in range(len(addresses), 0, -1)] == addresses
    assert wire.network.asked_names == [name.decode()]


def test_a_question_for_a_name_that_nobody_answers():
    wire = Wire()
    wire.network.names["silent.example.com"] = None
    wire.udp(GATEWAY, 53, query(b"silent.example.com"))
    assert not wire.frames and wire.network.asked_names == ["silent.example.com"]


def test_the_time():
    wire = Wire()
    wire.network.now = lambda: 1_800_000_000
    wire.udp(GATEWAY, 123, b"\x23" + bytes(39) + b"sent then")
    answer = wire.heard()[1].payload
    assert len(answer) == 48 and answer[0] & 7 == 4 and answer[24:32] == b"sent the"
    assert struct.unpack_from("!I", answer, 40)[0] - 2_208_988_800 == 1_800_000_000
    wire.network.now = None
    wire.udp(GATEWAY, 123, bytes(48))
    assert len(wire.frames) == 1


def test_addresses_are_resolved_but_not_the_guests_own():
    wire = Wire()
    for last in (1, 9, 2):
        arp = net.pack_arp(net.ARP_OP_REQUEST, MAC, GUEST, bytes(6), bytes([10, 0, 0, last]))
        frame = net.pack_ethernet(b"\xff" * 6, MAC, net.ETHERTYPE_ARP, arp)
        wire.network.handle_outbound_ethernet_frame(frame)
    assert len(wire.frames) == 2


# The NAT


@pytest.fixture
def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        yield server


@pytest.fixture
def nat():
    wire = Wire()
    nat = Loopback(wire.network)
    yield nat, wire
    nat.close()


def test_the_nat_keeps_a_port_both_ways(nat, server):
    nat, wire = nat
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    for text in (b"one", b"two"):
        nat.send(("10.0.0.2", port), server.getsockname(), text)
        data, peer = server.recvfrom(100)
        assert (data, peer) == (text, ("127.0.0.1", port))
    server.sendto(b"answer", peer)
    nat.wait(5)
    assert wire.network.down == [(7.0, server.getsockname(), b"answer")]
    assert wire.pass_time() == [2] and len(wire.frames) == 1


def test_a_nat_that_forgets_takes_another_port_and_lets_nothing_old_in(nat, server):
    nat, wire = nat
    nat.send(("10.0.0.2", 20000), server.getsockname(), b"before")
    _, old = server.recvfrom(100)
    nat.forget()
    nat.send(("10.0.0.2", 20000), server.getsockname(), b"after")
    _, new = server.recvfrom(100)
    assert new != old
    server.sendto(b"late", old)
    server.sendto(b"answer", new)
    nat.wait(5)
    assert [data for _, _, data in wire.network.down] == [b"answer"]


def test_a_port_that_is_taken_is_another_port(nat, server):
    nat, _ = nat
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        nat.send(("10.0.0.2", other.getsockname()[1]), server.getsockname(), b"hi")
        assert server.recvfrom(100)[1][1] != other.getsockname()[1]


# The chips


class Chip:
    """A flash chip on a bare RP2040, spoken to as the boot ROM does."""

    def __init__(self):
        self.rp2040 = RP2040()
        self.chip = FlashChip(b"unique-8")
        self.chip.attach(self.rp2040)
        self.rp2040.ssi.write_uint32(SSI_SSIENR, 1)

    def command(self, *values: int) -> bytes:
        ssi = self.rp2040.ssi
        ssi._on_cs_pin_changed(GPIOPinState.HIGH, GPIOPinState.LOW)
        ssi._on_cs_pin_changed(GPIOPinState.LOW, GPIOPinState.HIGH)
        for value in values:
            ssi.write_uint32(SSI_DR0, value)
        answer = bytes(ssi.read_uint32(SSI_DR0) for _ in values)
        ssi._on_cs_pin_changed(GPIOPinState.HIGH, GPIOPinState.LOW)
        return answer


def test_a_flash_chip_has_an_id_of_its_own():
    assert Chip().command(0x4B, *[0] * 12)[5:] == b"unique-8"
    with pytest.raises(ValueError, match="8 bytes, not 6"):
        FlashChip(bytes(6))


def test_erases_and_programs_are_seen_before_and_after():
    bench = Chip()
    flash = bench.rp2040.flash
    seen = []
    bench.chip.on_operation = lambda each: seen.append(("before", each.kind, flash[0x1000]))
    bench.chip.on_done = lambda each: seen.append(("after", each.kind, flash[0x1000]))
    bench.command(0x02, 0, 0x10, 0, 5)  # not enabled
    assert not bench.chip.operations
    for opcode, data in ((0x02, (5,)), (0x20, ())):
        bench.command(0x06)
        bench.command(opcode, 0, 0x10, 0, *data)
    assert seen == [
        ("before", "program", 255),
        ("after", "program", 5),
        ("before", "erase", 5),
        ("after", "erase", 255),
    ]
    assert [(each.address, each.size) for each in bench.chip.operations] == [
        (0x1000, 1),
        (0x1000, 4096),
    ]


def test_half_an_operation():
    bench = Chip()
    flash = bench.rp2040.flash
    halves = []

    def halve(operation):
        bench.chip.do_half(operation)
        halves.append(bytes(flash[0x1000:0x1004]))

    bench.chip.on_operation = halve
    bench.command(0x06)
    bench.command(0x02, 0, 0x10, 0, 1, 2, 3, 4)
    assert halves == [b"\1\2\xff\xff"]
    flash[0x1FFF] = 0
    bench.command(0x06)
    bench.command(0x20, 0, 0x10, 0)
    assert halves[1] == b"\xff" * 4


def test_random_bits_are_what_they_are_given():
    rp2040 = RP2040()
    bits = iter([1, 0, 1])
    RandomBits(lambda count: next(bits)).attach(rp2040)
    assert [rp2040.read_uint32(0x4006001C) & 1 for _ in range(3)] == [1, 0, 1]


# The console


def outcome_of(text: str, stay: bool = False):
    follower = Follower(lambda line: None, stay, lambda: None)
    follower.feed(text.replace("\n", "\r\n").encode())
    return follower.outcome


ASKED = "[   0.100] provisioning: asking\n"
RUNS = "[   0.200] provisioned: found\n[   0.300] application: running app.py\n"


NO_APP = "[   0.200] provisioned: found\n[   0.300] application: there is no app.py on the board\n"


@pytest.mark.parametrize(
    ("text", "stay", "exit_code", "ended"),
    [
        (ASKED + RUNS + "more\n", False, 0, "app.py would run now"),
        (ASKED + RUNS + "from app.py\n>>> ", True, 0, "main.py ended"),
        (ASKED + NO_APP + "MicroPython v1.26.1 on 2025-09-11\n>>> ", False, 0, "main.py ended"),
        (ASKED + "[   9.000] refused: no\n[   9.000] next try in 60 min\n", False, 3, "no use in"),
        ("[   1.000] config.json: bad\n[   1.000] next try in 60 s\n", False, 5, "no use in"),
        ("Traceback\n>>> ", False, 1, "main.py ended"),
        (ASKED, False, 1, ""),
    ],
)
def test_where_following_a_console_ends(text, stay, exit_code, ended):
    outcome = outcome_of(text, stay)
    assert outcome.exit_code == exit_code
    assert not any(line.startswith("MicroPython") for line in outcome.lines)
    assert outcome.ended.startswith(ended) and bool(outcome.ended) == bool(ended)


def test_a_flash_in_use_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_PATIENCE_S", 0)
    flash = tmp_path / "board.img"
    make_erased(flash)
    board = PicoW(flash, tmp_path / "image.uf2")
    with lock.locked(flash), pytest.raises(FlashError, match="is in another board"):
        board.power_up()


def test_no_image_is_in_the_project():
    root = Path(__file__).parents[1]
    skipped = {".git", ".venv"}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in skipped]
        assert not [name for name in files if name.endswith(".uf2")], folder


# What is measured


def test_readme_has_the_recorded_figures():
    readme = pico_w_figures.README.read_text(encoding="utf-8")
    assert pico_w_figures.with_table(readme) == readme, "python3 -m tools measure --pico-w --record"
    recorded = json.loads(pico_w_figures.RECORDED.read_text(encoding="utf-8"))["firstboot"]
    assert f"is in `app.py` {recorded['ms_application_again']} ms after reset" in readme


def test_a_provisioned_board_is_straight_in_its_application():
    recorded = json.loads(pico_w_figures.RECORDED.read_text(encoding="utf-8"))["firstboot"]
    assert recorded["ms_application_again"] <= 150 and recorded["operations_again"] == 0
