"""Every fault that peers of this client stumble over, over real UDP on 127.0.0.1.

A raw UDP socket plays the server and sends exactly the bytes that the test says; the client is a
process of its own, on CPython and on the virtual board's MicroPython.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.virtual_board.interpreter import find_micropython
from tools.virtual_board.scenario import Scenario

ROOT = Path(__file__).resolve().parent.parent
TIME_OUT = 10  # seconds; nothing here comes near it

CON, NON, ACK, RST = range(4)
EMPTY, GET, POST = range(3)
CREATED, CONTENT, CONTINUE, NOT_FOUND = 0x41, 0x45, 0x5F, 0x84
MESSAGE_ID = 0x7777  # the server's own

BOARD = {
    "kind": "rp2",
    "reset_cause": "power",
    "scenario": Scenario(
        id="0123456789abcdef", networks=[{"ssid": "home"}], associated="home", datagram_queue=16
    ),
}


def message(type, code, message_id, token=b"", rest=b""):
    """A message as RFC 7252 section 3 draws it; `rest` is its options and payload as they are."""
    head = bytes((0x40 | type << 4 | len(token), code, message_id >> 8, message_id & 0xFF))
    return head + token + rest


class Request:
    """What the client sent."""

    def __init__(self, datagram: bytes):
        self.datagram = datagram
        self.type = datagram[0] >> 4 & 3
        self.code = datagram[1]
        self.message_id = int.from_bytes(datagram[2:4], "big")
        self.token = datagram[4 : 4 + (datagram[0] & 15)]
        self.rest = datagram[4 + (datagram[0] & 15) :]

    def piggybacked(self, rest=b"", code=CONTENT, **changes) -> bytes:
        return message(
            ACK,
            code,
            changes.get("message_id", self.message_id),
            changes.get("token", self.token),
            rest,
        )

    def separate(self, rest=b"", type=CON, code=CONTENT, message_id=MESSAGE_ID) -> bytes:
        return message(type, code, message_id, self.token, rest)

    @property
    def acknowledged(self) -> bytes:
        return message(ACK, EMPTY, self.message_id)

    @property
    def reset(self) -> bytes:
        return message(RST, EMPTY, self.message_id)


class Peer:
    """The server's socket, with nothing of CoAP in it."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(TIME_OUT)
        self.client = None

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    @property
    def uri(self) -> str:
        return f"coap://127.0.0.1:{self.socket.getsockname()[1]}"

    def receive(self) -> Request:
        datagram, self.client = self.socket.recvfrom(2000)
        return Request(datagram)

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.socket.sendto(datagram, self.client)

    def expect(self, datagram: bytes) -> None:
        assert self.receive().datagram == datagram

    def expect_nothing_more(self) -> None:
        self.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.socket.recv(2000)


class Client:
    """A process of host_tests.fault_client, which lasts for as long as nothing goes wrong."""

    def __init__(self, runtime: str):
        python = find_micropython().command if runtime == "micropython" else sys.executable
        self._process = subprocess.Popen(
            [python, "-m", "host_tests.fault_client"],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "MICROPYPATH": ".frozen",
                "VIRTUAL_BOARD": json.dumps(BOARD),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def start(self, **settings) -> None:
        self._process.stdin.write(json.dumps(settings) + "\n")
        self._process.stdin.flush()

    def results(self, count: int) -> list[dict]:
        """What came of so many requests. Whatever else the client prints is a mistake."""
        timer = threading.Timer(TIME_OUT, self._process.kill)
        timer.start()
        lines = [self._process.stdout.readline() for _ in range(count)]
        timer.cancel()
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError:
            pytest.fail(f"the client said:\n{''.join(lines)}{self.end()}")

    def end(self) -> str:
        """End it; give what else it said."""
        self._process.kill()
        return self._process.communicate()[0]


@pytest.fixture(scope="module", params=["cpython", "micropython"])
def clients(request):
    """Give a client that is alive."""
    if request.param == "micropython" and (why := find_micropython().why):
        pytest.skip(why)
    started = []

    def alive() -> Client:
        if not (started and started[-1].alive):
            started.append(Client(request.param))
        return started[-1]

    yield alive
    if started and started[-1].alive:
        started[-1].end()


@pytest.fixture
def play(clients):
    """`with play(REQUEST, ...) as (outcome, peer)`: a client makes the requests meanwhile.

    Afterwards the outcome has `results`, one a request.
    """

    @contextmanager
    def play(*requests, **transmission):
        requests = requests or [{}]
        transmission = {"ACK_TIMEOUT": 2000, "MAX_RETRANSMIT": 4, **transmission}
        outcome = SimpleNamespace()
        client = clients()
        with Peer() as peer:
            client.start(uri=peer.uri, requests=requests, **transmission)
            try:
                yield outcome, peer
            except BaseException:
                client.end()
                raise
            outcome.results = client.results(len(requests))
            peer.expect_nothing_more()

    return play


def content(payload: str, ignored=0, code="2.05") -> dict:
    return {"code": code, "payload": payload, "ignored": ignored}


# The faults of microCoAPy, CoAPthon3 and aiocoap.


def test_a_lost_datagram(play):
    with play(ACK_TIMEOUT=100) as (outcome, peer):
        first = peer.receive()
        second = peer.receive()
        assert first.datagram == second.datagram
        peer.send(second.piggybacked(b"\xffp"))
    assert outcome.results == [content("p")]


def test_every_datagram_lost(play):
    with play(ACK_TIMEOUT=20, MAX_RETRANSMIT=2) as (outcome, peer):
        sent = [peer.receive().datagram for _ in range(3)]
        port = peer.client[1]
        assert sent == sent[:1] * 3
        assert peer.client[1] == port
    assert outcome.results[0]["error"] == "NoResponse"
    assert outcome.results[0]["what"] == "no answer to 3 datagrams"


def test_a_stale_duplicate(play):
    with play({}, {}, {}) as (outcome, peer):
        stale = peer.receive().piggybacked(b"\xff1")
        peer.send(stale, stale)
        answer = peer.receive().piggybacked(b"\xff2")
        peer.send(stale, answer, answer)
        peer.send(stale, peer.receive().piggybacked(b"\xff3"))
    assert [result["payload"] for result in outcome.results] == ["1", "2", "3"]
    assert sum(result["ignored"] for result in outcome.results) == 4


def test_a_separate_response(play):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(request.acknowledged)
        peer.send(request.separate(b"\xffs"))
        peer.expect(message(ACK, EMPTY, MESSAGE_ID))
    assert outcome.results == [content("s")]


def test_a_separate_non_confirmable_response(play):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(request.acknowledged, request.separate(b"\xffs", NON))
    assert outcome.results == [content("s")]


def test_a_bare_confirmable_response(play):
    with play() as (outcome, peer):
        peer.send(peer.receive().separate(b"\xffs"))
        peer.expect(message(ACK, EMPTY, MESSAGE_ID))
    assert outcome.results == [content("s")]


def test_a_late_acknowledgement(play):
    with play({}, {}) as (outcome, peer):
        request = peer.receive()
        peer.send(request.separate(b"\xffs"))
        peer.expect(message(ACK, EMPTY, MESSAGE_ID))
        peer.send(request.acknowledged)
        peer.send(peer.receive().piggybacked(b"\xffp"))
    assert outcome.results == [content("s"), content("p", ignored=1)]


def test_a_separate_response_again(play):
    with play({}, {}) as (outcome, peer):
        response = peer.receive().separate(b"\xffs")
        peer.send(response)
        peer.expect(message(ACK, EMPTY, MESSAGE_ID))
        request = peer.receive()
        peer.send(response)
        peer.expect(message(ACK, EMPTY, MESSAGE_ID))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("s"), content("p")]


def test_acknowledged_but_never_answered(play):
    with play(ACK_TIMEOUT=20, MAX_RETRANSMIT=1) as (outcome, peer):
        peer.send(peer.receive().acknowledged)
    assert outcome.results[0]["error"] == "NoResponse"
    assert "acknowledged" in outcome.results[0]["what"]


def test_wrong_token(play):
    with play() as (outcome, peer):
        request = peer.receive()
        other = bytes(byte ^ 1 for byte in request.token)
        peer.send(request.piggybacked(b"\xffx", token=other))
        peer.send(request.piggybacked(b"\xffx", token=b""))
        peer.send(message(NON, CONTENT, 1, other, b"\xffx"))
        peer.send(message(CON, CONTENT, 2, other, b"\xffx"))
        peer.expect(message(RST, EMPTY, 2))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=4)]


def test_wrong_message_id(play):
    with play() as (outcome, peer):
        request = peer.receive()
        wrong = request.message_id ^ 0x0100
        peer.send(request.piggybacked(b"\xffx", message_id=wrong))
        peer.send(message(ACK, EMPTY, wrong), message(RST, EMPTY, wrong))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=3)]


def test_another_source_address(play):
    with play() as (outcome, peer), Peer() as stranger:
        request = peer.receive()
        stranger.socket.sendto(request.piggybacked(b"\xffx"), peer.client)
        stranger.socket.sendto(request.reset, peer.client)
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p")]


def test_rst(play):
    with play({}, {}) as (outcome, peer):
        peer.send(peer.receive().reset)
        peer.send(peer.receive().piggybacked(b"\xffp"))
    assert outcome.results[0]["error"] == "CoapError"
    assert "Reset" in outcome.results[0]["what"]
    assert outcome.results[1] == content("p")


def test_a_datagram_under_4_bytes(play):
    with play() as (outcome, peer):
        request = peer.receive()
        answer = request.piggybacked(b"\xffp")
        peer.send(answer[:1], answer[:2], answer[:3])
        peer.send(answer)
    assert outcome.results == [content("p", ignored=3)]


def test_a_datagram_of_0_bytes(play):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(b"", b"", request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=2)]


def test_a_datagram_of_64_kb(play):
    with play() as (outcome, peer):
        request = peer.receive()
        answer = request.piggybacked(b"\xffp")
        peer.send(answer + bytes(65507 - len(answer)), request.piggybacked(b"\xff" + bytes(1200)))
        peer.send(answer)
    assert outcome.results[0]["payload"] == "p"


def test_token_length_over_8(play):
    with play() as (outcome, peer):
        request = peer.receive()
        for first in (0x69, 0x6F, 0x79, 0x5C):
            peer.send(bytes((first,)) + request.piggybacked(b"\xff12345678")[1:])
        peer.send(bytes((0x49, CONTENT, 0, 7)) + request.token + b"9")
        peer.expect(message(RST, EMPTY, 7))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results[0]["payload"] == "p"


def test_over_10_options(play):
    with play() as (outcome, peer):
        options = b"\x82no" + b"\x02no" * 29  # option 8, Location-Path, 30 times
        peer.send(peer.receive().piggybacked(options + b"\xffp"))
    assert outcome.results == [content("p")]


def test_unknown_critical_option(play):
    with play() as (outcome, peer):
        request = peer.receive()
        critical = b"\x91x\xffx"  # option 9
        peer.send(request.piggybacked(critical))
        peer.send(request.separate(critical, NON))
        peer.send(request.separate(critical))
        peer.expect(message(RST, EMPTY, MESSAGE_ID))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=3)]


def test_unknown_elective_option(play):
    with play() as (outcome, peer):
        peer.send(peer.receive().piggybacked(b"\xa1x\xe1\xfe\xdfx\xffp"))  # 10, 65534 - 3
    assert outcome.results == [content("p")]


def test_response_over_1024_bytes(play):
    with play() as (outcome, peer):
        request = peer.receive()
        payload = "0123456789abcdef" * 72
        peer.send(request.piggybacked(b"\xff" + payload[:1139].encode()))
    assert outcome.results == [content(payload[:1139])]


def test_request_over_1024_bytes(play):
    body = "".join(f"{number:07}\n" for number in range(188))[:1500]
    with play({"code": POST, "payload": body}) as (outcome, peer):
        first = peer.receive()
        assert first.rest == b"\xb1a\xd1\x03\x0e\xd2\x14\x05\xdc\xff" + body[:1024].encode()
        peer.send(first.piggybacked(b"\xd1\x0e\x0e", CONTINUE))
        second = peer.receive()
        assert second.rest == b"\xb1a\xd1\x03\x16\xff" + body[1024:].encode()
        assert second.message_id == (first.message_id + 1) % 65536
        peer.send(second.piggybacked(b"\xd1\x0e\x16\xffok", CREATED))
    assert outcome.results == [content("ok", code="2.01")]


def test_block2(play):
    body = "".join(f"{number:07}\n" for number in range(5))
    with play() as (outcome, peer):
        request = peer.receive()
        assert request.rest == b"\xb1a"
        for number, option in enumerate((b"\x08", b"\x18", b"\x20")):
            part = body[number * 16 : number * 16 + 16].encode()
            peer.send(request.piggybacked(b"\x41e\xd1\x06" + option + b"\xff" + part))
            if number < 2:
                request = peer.receive()
                assert request.rest == b"\xb1a\xc1" + bytes((number + 1 << 4,))
    assert outcome.results == [content(body)]


def test_block2_in_separate_responses(play):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(request.acknowledged, request.separate(b"\xd1\x0a\x08\xff" + b"a" * 16))
        peer.expect(message(ACK, EMPTY, MESSAGE_ID))
        request = peer.receive()
        peer.send(request.separate(b"\xd1\x0a\x10\xff" + b"b", message_id=2))
        peer.expect(message(ACK, EMPTY, 2))
    assert outcome.results == [content("a" * 16 + "b")]


def test_a_marker_with_no_payload(play):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(request.piggybacked(b"\xff"), request.separate(b"\xff", NON))
        peer.send(request.separate(b"\xff"))
        peer.expect(message(RST, EMPTY, MESSAGE_ID))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=3)]


# What else comes over a wire.


def test_ack_and_response_queued_together(play):
    with play({}, {}, {}) as (outcome, peer):
        for message_id in (1, 2, 3):
            request = peer.receive()
            peer.send(request.acknowledged, request.separate(b"\xffs", message_id=message_id))
            peer.expect(message(ACK, EMPTY, message_id))
    assert outcome.results == [content("s")] * 3


@pytest.mark.parametrize(
    "rest",
    [b"\xf0", b"\x0f", b"\xd0", b"\xe0\x00", b"\x0d", b"\x01", b"\xdd\x00", b"\xe1\xff\xffx"],
    ids=bytes.hex,
)
def test_a_format_error(play, rest):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(request.piggybacked(rest), request.separate(rest, NON))
        peer.send(request.separate(rest))
        peer.expect(message(RST, EMPTY, MESSAGE_ID))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=3)]


def test_an_empty_message_that_is_not_empty(play):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(request.acknowledged + b"\x00", request.reset + b"\xff")
        peer.send(message(CON, EMPTY, 9) + b"\x00")
        peer.expect(message(RST, EMPTY, 9))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=3)]


def test_another_version(play):
    with play() as (outcome, peer):
        request = peer.receive()
        for version in (0, 2, 3):
            peer.send(bytes((version << 6 | 8,)) + request.separate(b"\xffx")[1:])
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=3)]


def test_a_ping(play):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(message(CON, EMPTY, 0xABCD))
        peer.expect(message(RST, EMPTY, 0xABCD))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=1)]


def test_a_reserved_code_class(play):
    with play() as (outcome, peer):
        request = peer.receive()
        peer.send(request.piggybacked(b"\xffx", code=0x21))
        peer.send(request.separate(b"\xffx", code=0xE0))
        peer.expect(message(RST, EMPTY, MESSAGE_ID))
        peer.send(request.piggybacked(b"\xffp"))
    assert outcome.results == [content("p", ignored=2)]


def test_an_error_response(play):
    with play() as (outcome, peer):
        peer.send(peer.receive().piggybacked(b"\xffwhy", NOT_FOUND))
    assert outcome.results == [content("why", code="4.04")]


def test_nobody_listens(play):
    with play(ACK_TIMEOUT=20, MAX_RETRANSMIT=1) as (outcome, peer):
        peer.receive()
        peer.socket.close()
        peer.socket = Peer().socket
    assert outcome.results[0]["error"] == "NoResponse"
