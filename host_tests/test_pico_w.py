"""The firmware on the real image of a Pico W: 32 bits, lwIP, littlefs, the radio's driver.

Each test goes on from one board that has joined its network and is about to ask ThingsBoard.
"""

from __future__ import annotations

import json
import random
import re
import struct
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

import pytest

from host_tests.pico_w import probes
from host_tests.pico_w.desk import Desk, blank
from host_tests.pico_w.lane import in_full, on_pico_w, why_not
from host_tests.pico_w.world import APP, ID, NAME, SERVER, World, new_files
from host_tests.virtual_bench import NO_MICROPYTHON, UP, Bench
from tools.fake_thingsboard.certificates import Issued, issue, new_ca
from tools.fake_thingsboard.codec import ACK, CON, NON, RST, decode
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.flash import content
from tools.measure import pico_w
from tools.pico_w.image import find_image
from tools.pico_w.loopback import Loopback
from tools.pico_w.machine import Machine
from tools.pico_w.network import steady

if why_not():
    pytest.skip(why_not(), allow_module_level=True)

APPLICATION = "app.py: free"
STAMP = re.compile(r"\[ *\d+\.\d{3}\] ")
PORT = 5683


def provision(world: World) -> None:
    """Let the board become provisioned, and see that both ends agree."""
    world.until(APPLICATION)
    world.check()


def silent(guest, server, datagram) -> None:
    """In ThingsBoard's place: nobody."""


def losing(*lost: tuple[str, int]):
    """A fate: these datagrams get lost, such as ("up", 0)."""
    return lambda way, number, datagram: (
        [] if (way, number) in lost else steady(way, number, datagram)
    )


# Power-ups


@on_pico_w
def test_a_first_power_up(world):
    provision(world)
    assert [STAMP.sub("", line) for line in world.console.splitlines()[:6]] == [
        f"firstboot 1.0.0 on micropython 1.26.1, id {ID.hex()}",
        'Wi-Fi: joining "home"',
        'Wi-Fi: joined "home" as 10.0.0.2',
        f'provisioning: asking coap://{SERVER} for "{NAME}"',
        f'provisioned: "{NAME}" has its ACCESS_TOKEN, saved in /credentials.json',
        "application: running app.py",
    ]
    assert len(world.network.up) == len(world.network.down) == 1
    assert world.network.asked_names == [SERVER]


@on_pico_w
def test_a_second_power_up_sends_nothing(world):
    provision(world)
    files = world.machine.files
    world.power_up(files)
    world.until(APPLICATION)
    assert f'provisioned: "{NAME}", found in /credentials.json' in world.console
    assert "Wi-Fi" not in world.console
    assert len(world.network.up) == 1
    assert world.machine.files == files and not world.machine.flash_chip.operations


@in_full
@on_pico_w
def test_a_soft_reset_of_a_provisioned_board(world):
    provision(world)
    world.restart()
    world.until(APPLICATION)
    assert "found in /credentials.json" in world.console and len(world.network.up) == 1


@in_full
@on_pico_w
def test_a_hard_reset_of_a_provisioned_board(world):
    provision(world)
    world.interrupt()
    world.console = ""
    world.type(b"import machine; machine.reset()\r\n")
    world.until(APPLICATION)
    assert "found in /credentials.json" in world.console and len(world.network.up) == 1
    world.interrupt()
    assert world.run("import machine; print(machine.reset_cause())") == "3\n"


@in_full
@on_pico_w
def test_a_watchdog_resets_a_board_that_hangs(world):
    app = b"import time\n\ndef run(credentials):\n    print('hangs')\n    time.sleep(99)\n"
    world.restart(new_files(app=app, watchdog=8))
    world.until("hangs")
    world.check()
    world.console = ""
    world.until("hangs")
    assert "found in /credentials.json" in world.console
    assert len(world.network.up) == 1


# Strategies and refusals


@in_full
@on_pico_w
def test_a_device_that_was_added_before(world):
    world.thingsboard.strategy = "preprovisioned"
    world.thingsboard.add_device(NAME)
    provision(world)


@in_full
@on_pico_w
def test_a_token_that_the_server_chooses(world):
    world.restart(new_files(access_token="server"))
    provision(world)


def wrong_secret(board):
    board.secret = "another secret of the profile"


def disabled(board):
    board.provisioning_enabled = False


def name_taken(board):
    board.add_device(NAME)


def not_added(board):
    board.strategy = "preprovisioned"


def provisioned_before(board):
    board.strategy = "preprovisioned"
    board.add_device(NAME)
    board.set_attributes(NAME, "server", {"provisionState": "provisioned"})


def no_more_devices(board):
    board.max_devices = 0


def out_of_order(board):
    board.fail_next(10)


REFUSALS = {
    "wrong secret": (wrong_secret, "answered NOT_FOUND"),
    "name taken": (name_taken, "answered FAILURE"),
    "disabled": (disabled, "answered NOT_FOUND"),
    "not added": (not_added, "answered FAILURE"),
    "provisioned before": (provisioned_before, "answered FAILURE"),
    "no more devices": (no_more_devices, "answered FAILURE"),
    "5.00": (out_of_order, "answered 5.00"),
}


@pytest.mark.parametrize(
    "refusal",
    ["wrong secret", *(pytest.param(name, marks=in_full) for name in list(REFUSALS)[1:])],
)
@on_pico_w
def test_refusals(world, refusal):
    change, says = REFUSALS[refusal]
    change(world.thingsboard)
    world.until("next try in")
    assert says in world.console
    assert world.read("/credentials.json") is None


# Names and addresses


@on_pico_w
def test_a_name_that_is_not_known(world):
    world.network.names[SERVER] = []
    world.until("next try in")
    assert f"{SERVER} was not found" in world.console and not world.network.up


@in_full
@on_pico_w
def test_a_server_that_moved_after_a_lost_reply(world):
    world.network.fate = losing(*(("down", number) for number in range(5)))
    world.until("next try in")
    world.network.names[SERVER] = ["10.0.0.9"]
    provision(world)
    assert {server for _, server, _ in world.network.up[:5]} == {("127.0.0.1", PORT)}


@in_full
@on_pico_w
def test_a_nat_that_forgets_after_a_lost_reply(world):
    """ThingsBoard sees another client, answers it FAILURE, and the token turns out to be ours."""
    world.network.fate = losing(("down", 0))
    world.wait(1_500)
    received = world.endpoint.received
    world.endpoint.received = lambda peer, datagram, now: received(
        ("203.0.113.9", peer[1]), datagram, now
    )
    provision(world)
    sent = [decode(data) for _, _, data in world.network.up]
    asked = [message.path[-1] for message in sent if message.type == CON]
    assert asked == ["provision", "provision", "attributes"]


# Datagrams


@in_full
@on_pico_w
def test_a_lost_request(world):
    world.network.fate = losing(("up", 0))
    provision(world)
    assert world.network.up[0][2] == world.network.up[1][2]


@on_pico_w
def test_a_lost_reply(world):
    world.network.fate = losing(("down", 0))
    provision(world)
    assert world.network.up[0][2] == world.network.up[1][2]
    assert world.network.down[0][2] == world.network.down[1][2]


@in_full
@on_pico_w
def test_silence_and_then_the_same_bytes_again(world):
    world.answer = silent
    world.until("next try in")
    assert "no answer to 5 datagrams" in world.console
    world.answer = None
    provision(world)
    assert len({datagram for _, _, datagram in world.network.up}) == 1


@pytest.mark.parametrize("reply", ["separate", pytest.param("bare", marks=in_full)])
@on_pico_w
def test_replies_that_are_acknowledged(world, reply):
    world.endpoint.reply = reply
    provision(world)
    world.wait(100)
    assert not world.endpoint.unacknowledged
    assert [decode(data).type for _, _, data in world.network.up] == [CON, ACK]


@in_full
@on_pico_w
def test_a_separate_reply_that_is_lost_comes_again(world):
    world.endpoint.reply = "separate"
    world.network.fate = losing(("down", 1))
    provision(world)


@in_full
@on_pico_w
def test_repeated_and_late_datagrams(world):
    world.network.fate = lambda way, number, datagram: [(2, datagram), (40, datagram)]
    world.endpoint.reply = "separate"
    provision(world)
    assert len(world.thingsboard.devices) == 1


def junk_for(request: bytes) -> list[bytes]:
    """What is no answer to a request, and must not be taken for one."""
    message = decode(request)
    token, number = message.token, message.message_id
    other = number + 1 & 0xFFFF

    def answer(type=ACK, code=0x41, message_id=number, token=token, rest=b"\xffjunk") -> bytes:
        return struct.pack("!BBH", 0x40 | type << 4 | len(token), code, message_id) + token + rest

    return [
        b"",
        b"\x60",
        bytes([0x69]) + answer()[1:],  # a token of 9 bytes
        b"\xa0" + answer()[1:],  # version 2
        answer(message_id=other),
        answer(token=bytes(8)),
        answer(rest=b"\x91x\xffjunk"),  # an unknown critical option
        answer(rest=b"\xff"),  # a marker and no payload
        answer(rest=b"\xf0"),  # a reserved option delta
        answer(code=0x21),  # a class of codes that there is not
        answer(code=2),  # a request on an ACK
        answer(rest=b"\xff" + bytes(1400)),
        answer(type=RST, code=0, message_id=other, token=b"", rest=b""),
        answer(type=NON, message_id=9, token=b"stale"),
    ]


@on_pico_w
def test_junk_before_the_reply_is_ignored(world):
    def answer(guest, server, datagram):
        world.answer = None
        junk = junk_for(datagram)
        for number, each in enumerate(junk):
            world.machine.after(
                40 * number, lambda each=each: world.network.answer(guest[1], server, each)
            )
        strangers = [("127.0.0.9", PORT), ("127.0.0.1", PORT + 1)]
        world.machine.after(
            40 * len(junk),
            lambda: [world.network.answer(guest[1], each, b"\x60\x41ab") for each in strangers],
        )
        world.machine.after(40 * len(junk) + 40, lambda: world.send(guest, server, datagram))

    world.answer = answer
    provision(world)
    assert len(world.network.up) == 1


@in_full
@on_pico_w
def test_a_reset_is_no_answer(world):
    def answer(guest, server, datagram):
        world.network.answer(guest[1], server, b"\x70\0" + datagram[2:4])

    world.answer = answer
    world.until("next try in")
    assert "answered with a Reset" in world.console


# A person at the console


@on_pico_w
def test_ctrl_c_while_it_waits_for_a_reply(world):
    world.answer = silent
    world.wait(3_000)
    world.interrupt()
    assert "KeyboardInterrupt" in world.console
    assert NAME.encode() in world.read("/attempt.json")


@in_full
@on_pico_w
def test_ctrl_c_while_it_waits_to_ask_again(world):
    world.thingsboard.provisioning_enabled = False
    world.until("next try in")
    world.wait(2_000)
    world.interrupt()
    assert "KeyboardInterrupt" in world.console


@on_pico_w
def test_ctrl_c_while_it_joins(world):
    world.interrupt()
    world.run("import network; network.WLAN(network.STA_IF).disconnect()")
    world.network.guest = "0.0.0.0"
    world.console = ""
    world.type(b"\x04")
    world.until("joining")
    world.wait(1_000)
    world.interrupt()
    assert "KeyboardInterrupt" in world.console and "joined" not in world.console


@in_full
@on_pico_w
def test_ctrl_c_while_it_looks_for_a_name(world):
    world.network.names[SERVER] = None
    world.restart()
    world.until("asking")
    world.wait(1_000)
    world.interrupt()
    assert "KeyboardInterrupt" in world.console and not world.network.up


@in_full
@on_pico_w
def test_ctrl_c_while_it_waits_for_the_time(world):
    world.network.now = None
    world.restart(new_files({"ca.der": new_ca().der}, server=f"coaps://{SERVER}", ca="ca.der"))
    world.until("joined")
    world.wait(2_000)
    world.interrupt()
    assert "KeyboardInterrupt" in world.console and not world.network.up


@in_full
@on_pico_w
def test_ctrl_c_while_it_shakes_hands(world):
    world.answer = silent
    world.restart(new_files({"ca.der": new_ca().der}, server=f"coaps://{SERVER}", ca="ca.der"))
    world.until("asking")
    while not world.network.up:
        world.wait(100)
    world.wait(500)
    world.interrupt()
    assert "KeyboardInterrupt" in world.console and world.read("/credentials.json") is None


@in_full
@on_pico_w
def test_ctrl_c_while_the_application_runs(world):
    app = b"import time\n\ndef run(credentials):\n    print('runs')\n    time.sleep(99)\n"
    world.restart(new_files(app=app))
    world.until("runs")
    world.interrupt()
    assert "KeyboardInterrupt" in world.console
    world.check()


# Power cuts


def recover(world, cut):
    """After a power cut just there: a soft reset, with the flash of the cut."""
    world.restart(world.machine.files)
    provision(world)
    return len(world.network.up)


def recover_from_half(world, operation):
    """The same, with half of the operation done."""
    world.machine.flash_chip.do_half(operation)
    return recover(world, operation)


def recover_from_cold(world, operation):
    """The same, with the power off and on."""
    world.power_up(world.machine.files)
    provision(world)


@on_pico_w
def test_a_power_cut_at_an_operation_of_the_flash(world):
    """At the last of the first file's operations, after the request was sent, and one other."""
    asked = world.at_each_operation(lambda number, operation: number == 10, APPLICATION, recover)
    assert len(asked) == 1


@in_full
@pytest.mark.parametrize("how", ["before", "half", "cold"])
@on_pico_w
def test_a_power_cut_at_every_operation_of_the_flash(world, how):
    action = {"before": recover, "half": recover_from_half, "cold": recover_from_cold}[how]
    cuts = world.at_each_operation(lambda number, operation: True, APPLICATION, action)
    assert len(cuts) == len(world.machine.flash_chip.operations) > 10


@in_full
@on_pico_w
def test_power_cuts_at_random(world):
    chance = random.Random("power cuts")
    moments = [chance.uniform(0, 100) for _ in range(50)]
    assert len(world.at_moments(moments, APPLICATION, recover)) == 50


# The virtual board


@in_full
@pytest.mark.skipif(bool(NO_MICROPYTHON), reason=NO_MICROPYTHON or "-")
@on_pico_w
def test_the_virtual_board_does_as_the_image_does(world, tmp_path):
    peer = probes.Peer()
    peer.start()
    main = f"{UP}\nup()\n{probes.script('127.0.0.1', peer.port)}"
    played = Bench(Path(tmp_path)).play(main, "rp2", timeout=30).lines

    def answer(guest, server, datagram):
        for other, reply in probes.answers(datagram):
            world.network.answer(guest[1], (server[0], server[1] + other), reply)

    world.interrupt()
    world.answer = answer
    world.network.names["nobody.invalid"] = []
    seen = world.run(probes.script("10.0.0.1", PORT), 60_000).splitlines()
    different = [each for each in zip_longest(played, seen) if each[0] != each[1]]
    assert not different, f"(virtual board, image): {different}"


# The tools, at its serial port


@on_pico_w
def test_mpremote_on_a_board(world, tmp_path):
    world.restart(blank())
    with Desk(world, tmp_path) as desk:
        assert "1.26.1" in desk.mpremote("exec", "import os; print(os.uname().release)")


@in_full
@on_pico_w
def test_flash_on_a_new_board(world, tmp_path):
    """Compiled for its word size, through mpremote, with its radio on since before."""
    world.restart(blank())
    app = Path(tmp_path, "app.py")
    app.write_bytes(APP)
    with Desk(world, tmp_path) as desk:
        said = desk.verb("flash", "--config", str(desk.config), "--app", str(app))
        assert "provisioned" in said and "MicroPython 1.26.1" in said
        saved = json.loads(world.read("/credentials.json"))
        (device,) = world.thingsboard.devices.values()
        assert saved["credentialsValue"] == device.token and saved["server"] == desk.uri
        put = content.firmware()
        assert all(path.endswith(".mpy") for path in put if path.startswith("/firmware/"))
        assert all(world.read(path) == file for path, file in put.items())


@in_full
@on_pico_w
def test_doctor_on_a_board(world, tmp_path):
    with Desk(world, tmp_path) as desk:
        said = desk.verb("doctor", "--config", str(desk.config))
        assert "firstboot 1.0.0 is on the board, as it is here" in said, said
        assert "the board is not provisioned" in said, said
        assert 'hears "RP2040PY-GUEST" at -87 dBm, which is weak. Move' in said, said
        assert "the board reaches" in said, said


@in_full
@on_pico_w
def test_reset_on_a_provisioned_board(world, tmp_path):
    provision(world)
    with Desk(world, tmp_path) as desk:
        said = desk.verb("reset", "--credentials")
    assert "the credentials are forgotten" in said and f'still has "{NAME}"' in said
    assert world.read("/credentials.json") is None and world.read("/config.json")


@in_full
@on_pico_w
def test_mip_install_on_a_board(world, tmp_path):
    Path(tmp_path, "thing.py").write_text("answer = 42\n")
    package = Path(tmp_path, "package.json")
    package.write_text(json.dumps({"urls": [["thing.py", "thing.py"]], "version": "1"}))
    with Desk(world, tmp_path) as desk:
        desk.mpremote("mip", "install", str(package))
        assert desk.mpremote("exec", "import thing; print(thing.answer)").strip() == "42"
    assert world.read("/lib/thing.py") == b"answer = 42\n"


# coaps


def with_relay(world: World, issued: Issued, ca: Issued, **changes):
    """Give the board a server on coaps, behind OpenSSL on loopback. In an ExitStack."""
    stack = ExitStack()
    server = stack.enter_context(FakeThingsBoard(world.thingsboard))
    upstream = server.host, server.port
    relay = DTLSRelay(upstream, issued.chain_pem, issued.key_pem, on_session=server.open_session)
    stack.enter_context(relay)
    loopback = Loopback(world.network)
    stack.callback(loopback.close)

    def pump() -> None:
        loopback.wait()
        world.machine.after(1, pump)

    pump()
    uri = f"coaps://{SERVER}:{relay.port}"
    world.restart(new_files({"ca.der": ca.der}, server=uri, ca="ca.der", **changes))
    return stack


BAD_CERTIFICATES = {
    "another CA": (lambda ca: issue([SERVER], new_ca("another CA")), "was not issued by the CA in"),
    "another name": (lambda ca: issue(["other.example.com"], ca), f"is not for {SERVER}"),
    "expired": (lambda ca: issue([SERVER], ca, valid_from_days=-9, valid_for_days=2), "expired"),
    "not yet valid": (lambda ca: issue([SERVER], ca, valid_from_days=9), "is not valid yet"),
}


@in_full
@on_pico_w
def test_coaps(world):
    ca = new_ca()
    with with_relay(world, issue([SERVER], ca), ca):
        provision(world)


@in_full
@pytest.mark.parametrize("bad", BAD_CERTIFICATES)
@on_pico_w
def test_coaps_with_a_bad_certificate(world, bad):
    make, says = BAD_CERTIFICATES[bad]
    ca = new_ca()
    with with_relay(world, make(ca), ca):
        world.until("next try in")
    assert "the server's certificate" in world.console and says in world.console
    assert not world.thingsboard.devices and world.read("/credentials.json") is None


# What else


@on_pico_w
def test_a_second_board_has_an_id_of_its_own(world):
    other = Machine(world.image, None, bytes(range(8)), world.network)
    said = bytearray()
    other.on_console = said.extend
    other.console.type(b"import machine; machine.unique_id().hex()\r\n")
    for _ in range(100):
        other.run()
        if said.endswith(b"'\r\n>>> "):
            break
    assert b"'0001020304050607'" in said


@in_full
def test_the_recorded_figures_are_those_of_today():
    measured = pico_w.measure(find_image(), None, lambda what: None)
    assert not pico_w.stale(measured)
