"""The fake ThingsBoard over real UDP, asked with datagrams that aiocoap or a test makes."""

import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiocoap import ACK, CON, GET, NON, POST, RST, Message

from tools.fake_thingsboard.link import DOUBLED, LOST
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.script import parse_script
from tools.fake_thingsboard.server import FakeThingsBoard

KEY, SECRET = "u7piawkboq8v32dmcmpp", "jpmwdn8ptlswmf4m29bw"
TOKEN = "A1b2C3d4E5f6G7h8I9j0"
PROVISION = ("api", "v1", "provision")
ATTRIBUTES = ("api", "v1", TOKEN, "attributes")
SUCCESS = f'{{"credentialsValue":"{TOKEN}","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}}'
CERTIFICATE = "MIIB" * 350


def body(**fields):
    request = {"provisionDeviceKey": KEY, "provisionDeviceSecret": SECRET, **fields}
    return json.dumps(request).encode()


class Client:
    """A UDP socket and the messages of one exchange: Message ID 7, token aabb, if not said."""

    def __init__(self, server):
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.connect((server.host, server.port))

    def request(self, code=POST, path=PROVISION, payload=b"", mid=7, mtype=CON, token=b"\xaa\xbb"):
        self.send(Message(code=code, uri_path=path, payload=payload), mid, mtype, token)

    def block(self, number, payload, mid, size_exponent=6):
        size = 16 << size_exponent
        part = payload[number * size : (number + 1) * size]
        more = len(payload) > (number + 1) * size
        block1 = (number, more, size_exponent)
        message = Message(code=POST, uri_path=PROVISION, payload=part, block1=block1)
        self.send(message, mid, CON, b"\xaa\xbb")

    def empty(self, mtype, mid):
        self.send(Message(code=0), mid, mtype, b"")

    def send(self, message, mid, mtype, token):
        message.mid, message.mtype, message.token = mid, mtype, token
        self.socket.send(message.encode())

    def receive(self, timeout=1.0):
        self.socket.settimeout(timeout)
        return Message.decode(self.socket.recv(2048))

    def observe(self, path, mid=7):
        message = Message(code=GET, uri_path=path, observe=0)
        self.send(message, mid, CON, b"\xaa\xbb")
        return self.take()

    def take(self):
        """Receive, and acknowledge what is confirmable."""
        message = self.receive()
        if message.mtype is CON:
            self.empty(ACK, message.mid)
        return message

    def hears_nothing(self, seconds=0.05):
        self.socket.settimeout(seconds)
        with pytest.raises(TimeoutError):
            self.socket.recv(2048)
        return True


@pytest.fixture
def start():
    """Start a server and a client of it; both end with the test."""
    running = []

    def start(thingsboard=None, **options):
        thingsboard = thingsboard or ThingsBoard(KEY, SECRET)
        server = FakeThingsBoard(thingsboard, **options).__enter__()
        client = Client(server)
        running.append((server, client))
        return server, client

    yield start
    for server, client in running:
        client.socket.close()
        server.__exit__()


def assert_success(message, mtype, token=b"\xaa\xbb"):
    assert (message.mtype, message.code, message.token) == (mtype, 0x41, token)
    assert message.payload.decode() == SUCCESS
    assert message.opt.content_format == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_piggybacked_and_its_duplicates(start, host):
    server, client = start(host=host)
    assert server.port and server.uri.endswith(f":{server.port}")
    client.request(payload=body(deviceName="a", token=TOKEN))
    assert_success(client.receive(), ACK)
    client.request(payload=body(deviceName="changed"), token=b"\xcc")
    assert_success(client.receive(), ACK)
    assert list(server.thingsboard.devices) == ["a"]
    client.request(payload=body(deviceName="a", token=TOKEN), mid=8)
    assert json.loads(client.receive().payload)["status"] == "FAILURE"
    assert [len(server.received), len(server.sent)] == [3, 3]
    assert server.received[0].peer[0] == host and server.sent[0].data == server.sent[1].data


@pytest.mark.parametrize("reply", ["separate", "bare"])
def test_confirmable_reply_and_its_duplicates(start, reply):
    server, client = start(reply=reply)
    client.request(payload=body(token=TOKEN))
    if reply == "separate":
        acknowledgement = client.receive()
        assert (acknowledgement.mtype, acknowledgement.code, acknowledgement.mid) == (ACK, 0, 7)
    first = client.receive()
    assert_success(first, CON)
    client.request(payload=body(token=TOKEN))
    acknowledgement, again = client.receive(), client.receive()
    assert (acknowledgement.mtype, acknowledgement.code, acknowledgement.mid) == (ACK, 0, 7)
    assert_success(again, CON)
    assert again.mid == first.mid
    client.empty(ACK, first.mid)
    client.request(payload=body(token=TOKEN))
    assert (client.receive().code, client.hears_nothing()) == (0, True)
    assert len(server.thingsboard.devices) == 1


@pytest.mark.parametrize("settle", [ACK, RST])
def test_a_confirmable_reply_is_retransmitted_until_ack_or_rst(start, settle):
    _, client = start(reply="bare", ack_timeout=0.02)
    client.request(payload=body(token=TOKEN))
    first, second = client.receive(), client.receive()
    assert_success(second, CON)
    assert first.mid == second.mid
    client.empty(settle, first.mid)
    assert client.hears_nothing(0.2)


def test_replies_do_not_wait_for_each_other(start):
    _, client = start(reply="bare")
    client.request(payload=body(deviceName="a", token=TOKEN))
    client.request(GET, ATTRIBUTES, mid=8, token=b"probe")
    assert client.receive().code == 0x41
    assert (client.receive().token, client.hears_nothing()) == (b"probe", True)


@pytest.mark.parametrize(("delay", "separate"), [(0.1, False), (0.3, True)])
def test_a_slow_reply_is_separate(start, delay, separate):
    _, client = start(delay=delay, separate_after=0.15)
    started = time.monotonic()
    client.request(payload=body(token=TOKEN))
    if separate:
        assert client.receive().code == 0
        assert time.monotonic() - started > 0.14
        client.request(payload=body(token=TOKEN))
        assert client.receive().code == 0
    assert_success(client.receive(), CON if separate else ACK)
    assert time.monotonic() - started > delay - 0.01


def test_a_duplicate_of_what_is_not_answered_yet_is_ignored(start):
    server, client = start(delay=0.1)
    client.request(payload=body(token=TOKEN))
    client.request(payload=body(token=TOKEN))
    assert_success(client.receive(), ACK)
    assert client.hears_nothing()
    assert len(server.thingsboard.devices) == 1


def test_a_non_confirmable_request_and_its_duplicate(start):
    server, client = start()
    for _ in range(2):
        client.request(payload=body(token=TOKEN), mtype=NON)
        assert_success(client.receive(), NON)
    assert len(server.thingsboard.devices) == 1


@pytest.mark.parametrize("reply", ["piggybacked", "separate", "bare"])
def test_a_body_in_blocks(start, reply):
    server, client = start(reply=reply)
    payload = body(credentialsType="X509_CERTIFICATE", hash=CERTIFICATE, deviceName="a")
    for _ in range(2):
        client.block(0, payload, mid=7)
        assert (client.receive().code.dotted, len(server.thingsboard.devices)) == ("2.31", 0)
    for _ in range(2):
        client.block(1, payload, mid=8)
        answer = client.receive()
        if reply == "separate" or answer.code == 0:
            answer = client.receive()
        assert (answer.code, answer.opt.block1.block_number) == (0x41, 1)
    assert answer.opt.block2.more and len(answer.payload) == 1024
    assert server.thingsboard.devices["a"].credentials.value == CERTIFICATE
    client.block(1, payload, mid=9)
    while answer.code.dotted != "4.08":
        answer = client.receive()


def test_a_body_in_blocks_without_size1_is_counted(start):
    server, client = start()
    payload = body(credentialsType="X509_CERTIFICATE", hash=CERTIFICATE)
    client.block(0, payload, mid=7)
    client.receive()
    assert server.endpoint.transfers.unsized == 1


def test_of_a_thousand_requests_at_once_none_is_lost(start):
    server, client = start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if granted < 1 << 20:
        pytest.skip(f"this computer gives a socket a buffer of {granted} bytes at the most")
    datagrams = []
    for number in range(1000):
        payload = body(deviceName=f"sensor-{number}", token=f"{number:020d}")
        message = Message(code=POST, uri_path=PROVISION, payload=payload)
        message.mid, message.mtype, message.token = number, CON, b"\xaa"
        datagrams.append(message.encode())
    for datagram in datagrams:
        client.socket.send(datagram)
    until = time.monotonic() + 10
    while len(server.received) < 1000 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(server.received) == len({datagram.data for datagram in server.received}) == 1000


def test_an_observer_is_told_what_an_operator_does(start):
    server, client = start()
    server.thingsboard.add_device("a", TOKEN)
    client.send(Message(code=GET, uri_path=ATTRIBUTES, observe=0), 7, CON, b"seen")
    assert client.receive().opt.observe == 0
    assert client.hears_nothing()
    server.thingsboard.set_attributes("a", "shared", {"v": 1})
    told = client.receive()
    assert (told.opt.observe, told.token, told.payload) == (1, b"seen", b'{"v":1}')


def test_another_port_is_a_new_execution(start):
    server, client = start()
    for other in (client, Client(server)):
        other.request(payload=body())
        other.receive()
        other.socket.close()
    assert len(server.thingsboard.devices) == 2


def test_a_restart_forgets_duplicates_and_keeps_devices(start):
    server, client = start()
    client.request(payload=body(deviceName="a", token=TOKEN))
    assert_success(client.receive(), ACK)
    port = server.port
    server.__exit__()
    server.__enter__()
    assert server.port == port
    client.request(payload=body(deviceName="a", token=TOKEN))
    assert json.loads(client.receive().payload)["status"] == "FAILURE"


def test_the_exchange_lifetime_ends(start):
    server, client = start(exchange_lifetime=0.05)
    client.request(payload=body())
    client.receive()
    time.sleep(0.06)
    client.request(payload=body())
    client.receive()
    assert len(server.thingsboard.devices) == 2


def test_a_port_in_use_is_an_error(start):
    server, _ = start()
    with pytest.raises(OSError):
        FakeThingsBoard(server.thingsboard, port=server.port).__enter__()


@pytest.mark.parametrize(
    "datagram",
    [
        bytes.fromhex("40000007"),  # a ping
        bytes.fromhex("4100000701"),  # "empty", with a token
        bytes.fromhex("40200007"),  # a reserved code class
        bytes.fromhex("49020007") + bytes(9),  # a token of 9 bytes
        bytes.fromhex("40020007f1"),  # a reserved option delta
    ],
)
def test_what_cannot_be_answered_is_reset(start, datagram):
    _, client = start()
    client.socket.send(datagram)
    answer = client.receive()
    assert (answer.mtype, answer.code, answer.mid) == (RST, 0, 7)


def test_nonsense_does_no_harm(start, caplog):
    _, client = start()
    source = random.Random(1)
    nonsense = [b"", source.randbytes(60_000)]
    for _ in range(300):
        header = bytes([0x40 | source.randrange(64), source.randrange(256)])
        nonsense.append(header + source.randbytes(source.randrange(40)))
    for mid, datagram in enumerate(nonsense):
        client.socket.send(datagram)
        client.request(GET, ATTRIBUTES, mid=mid, mtype=NON, token=b"control")
        while client.receive().token != b"control":
            pass
    assert not caplog.records


def test_log_shortens_secrets_and_marks_duplicates(start):
    lines = []
    _, client = start(log=lines.append)
    for _ in range(2):
        client.request(payload=body(deviceName="Gerät", token=TOKEN))
        client.receive()
    client.request(GET, ATTRIBUTES, mid=8)
    client.receive()
    client.request(path=("api", "v1", "\n" + TOKEN, "telemetry"), payload=TOKEN.encode(), mid=9)
    client.receive()
    text = "\n".join(lines)
    assert not any(secret in text for secret in (KEY, SECRET, TOKEN, KEY[:4], SECRET[:4]))
    peer = f"127.0.0.1:{client.socket.getsockname()[1]}"
    provision, reply = lines[0], lines[1]
    assert provision.startswith(f"{peer} > CON POST /api/v1/provision 1")
    assert '"deviceName":"Gerät","token":"…"}' in provision
    assert reply.startswith(f'{peer} < ACK 2.01 103 bytes {{"credentialsValue":"…"')
    assert lines[2] == provision + ", duplicate"
    assert lines[3] == reply + ", to the duplicate"
    assert lines[4] == f"{peer} > CON GET /api/v1/…/attributes 46 bytes"
    assert lines[5] == f"{peer} < CON 4.04 8 bytes"
    assert lines[6].startswith(f"{peer} > CON POST /api/v1/…/telemetry")
    assert lines[6].endswith("(not JSON)") and len(lines) == 8


# What an operator does to a server that runs, and what datagrams come over

RPC = ("api", "v1", TOKEN, "rpc")


@pytest.fixture
def observed(start):
    """A server, and a client that observes the RPC of its device, a."""
    server, client = start()
    server.thingsboard.add_device("a", TOKEN)
    client.observe(RPC)
    return server, client


def test_a_call_gives_what_the_device_replies(observed):
    server, client = observed

    def answer():
        call = client.take()
        assert json.loads(call.payload) == {"id": 0, "method": "add", "params": [1, 2]}
        client.request(path=(*RPC, "0"), payload=b'{"sum": 3}', mid=8)
        client.take()

    with ThreadPoolExecutor() as pool:
        answering = pool.submit(answer)
        assert server.call_rpc("a", "add", [1, 2]) == {"sum": 3}
        answering.result()
        taking = pool.submit(client.take)
        assert server.call_rpc("a", "beep", one_way=True, persistent=True) is None
        assert json.loads(taking.result().payload)["method"] == "beep"
    with pytest.raises(TimeoutError, match="a has not answered add"):
        server.call_rpc("a", "add", timeout=20)
    with pytest.raises(KeyError):
        server.call_rpc("b", "add")


def test_an_operator_acts_from_any_thread_and_it_is_sent_by_itself(start):
    server, client = start()
    server.thingsboard.add_device("a", TOKEN)
    client.observe(ATTRIBUTES)
    server.operator.set_shared("a", {"interval": 5})
    assert client.take().payload == b'{"interval":5}'
    server.operator.delete_shared("a", ["interval"])
    assert client.take().payload == b'{"deleted":["interval"]}'
    assert server.wait_until(lambda: server.operator.observes("a", "attributes"))
    server.restart()
    assert not server.operator.observes("a", "attributes")
    server.operator.set_shared("a", {"interval": 6})
    server.stop(0.1)
    client.request(GET, ATTRIBUTES, mid=9)
    assert client.hears_nothing()
    assert not server.wait_until(lambda: server.operator.observes("a", "attributes"), 0.06)
    client.request(GET, ATTRIBUTES, mid=9)
    assert client.take().payload == b'{"shared":{"interval":6}}'
    server.operator.change_token("a")
    client.request(GET, ATTRIBUTES, mid=10)
    assert client.receive().code == 0x81


def test_a_script_is_followed_and_what_happens_told(start):
    said = []
    server, client = start(tell=said.append)
    server.thingsboard.add_device("a", TOKEN)
    server.follow(parse_script("wait for a attributes\nafter 20 ms set interval 5"), said.append)
    client.observe(ATTRIBUTES)
    assert client.take().payload == b'{"interval":5}'
    client.request(path=("api", "v1", TOKEN, "telemetry"), payload=b'{"t":1}', mid=8)
    client.take()
    assert server.wait_until(lambda: len(said) == 4)
    assert said == [
        "done: wait for a attributes",
        "a: observes its attributes",
        "done: after 20 ms set interval 5",
        'a: telemetry {"t":1}',
    ]


def test_a_link_loses_doubles_and_delays_datagrams_both_ways(start):
    server, client = start()
    server.link.to_server.extend([LOST, DOUBLED, (50,)])
    server.link.to_devices.extend([LOST])
    client.request(payload=body(deviceName="a", token=TOKEN))
    assert client.hears_nothing() and not server.received
    client.request(payload=body(deviceName="a", token=TOKEN))
    # The first reply is lost; it comes again to the second of the two.
    assert_success(client.receive(), ACK)
    assert client.hears_nothing() and len(server.sent) == 2
    began = time.monotonic()
    client.request(GET, ATTRIBUTES, mid=8)
    client.take()
    assert time.monotonic() - began >= 0.05
    server.link.is_cut = True
    client.request(GET, ATTRIBUTES, mid=9)
    assert client.hears_nothing()


def test_a_link_forgets_as_a_nat_does(start):
    server, client = start()
    server.thingsboard.add_device("a", TOKEN)
    client.observe(ATTRIBUTES)
    server.link.forget()
    server.operator.set_shared("a", {"interval": 5})
    assert client.hears_nothing()
    client.observe(ATTRIBUTES, mid=8)
    server.operator.set_shared("a", {"interval": 6})
    assert client.take().payload == b'{"interval":6}'
    old, new = {each.peer for each in server.received}
    assert old != new
