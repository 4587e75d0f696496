"""The firmware on the real image of a Pico W: 32 bits, lwIP, littlefs, the radio's driver.

Each test goes on from one board that has joined its network and is about to ask ThingsBoard.
"""

from __future__ import annotations

import json
import random
import re
import signal
import struct
import subprocess
import sys
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

import pytest

from host_tests.pico_w import probes
from host_tests.pico_w.desk import Desk, blank
from host_tests.pico_w.lane import in_full, on_pico_w, why_not
from host_tests.pico_w.world import CTRL_C, CTRL_D, ID, NAME, PROMPT, SERVER, World, new_files
from host_tests.power_up_bench import KEY, SECRET, config_for
from host_tests.virtual_bench import NO_MICROPYTHON, UP, Bench
from tools.fake_thingsboard.certificates import Issued, issue, new_ca
from tools.fake_thingsboard.codec import ACK, CON, NON, RST, decode
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.flash import content
from tools.measure import pico_w, pico_w_figures
from tools.pico_w.image import find_image
from tools.pico_w.loopback import Loopback
from tools.pico_w.machine import Machine
from tools.pico_w.network import steady
from tools.set_up import ROOT

if why_not():
    pytest.skip(why_not(), allow_module_level=True)

APPLICATION = "app.py at"
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


# What a board asks whose first reply was lost, and that ThingsBoard does not know again: the token
# that it proposed turns out to be its own.
PROBED = ["provision", "provision", "attributes"]


def asked(world: World) -> list[str]:
    """The last of the path of each request that the board sent."""
    sent = [decode(data) for _, _, data in world.network.up]
    return [message.path[-1] for message in sent if message.type == CON]


def behind_another_port(world: World) -> None:
    """To ThingsBoard the board is another client from now on."""
    received = world.endpoint.received
    world.endpoint.received = lambda peer, datagram, now: received(
        ("203.0.113.9", peer[1]), datagram, now
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


# Heap, time and flash, beside tools/measure/pico_w.json


@on_pico_w
def test_heap_time_and_flash_operations_are_no_worse_than_recorded(world):
    bench = pico_w.Run(world.image, print)
    free = bench.calibrate()
    assert abs(bench.heap.free(bench.machine) - free) < 1_000  # read as the board reads it
    found = {"free_asking": bench.heap.free(world.machine)}
    world.until("saved in /credentials.json")
    found["free_provisioned"] = bench.heap.free(world.machine)
    times = {"ms_credentials": world.machine.ms}
    world.until(PROMPT)
    _, found["free_application"] = pico_w.started(world.console)
    operations = world.machine.flash_chip.operations
    world.power_up(world.machine.files)
    world.until(PROMPT)
    started = pico_w.started(world.console)
    times["ms_application_again"], found["free_application_again"] = started
    recorded = pico_w_figures.recorded()["firstboot"]
    worse = {key: free for key, free in found.items() if free < recorded[key] * 0.95}
    worse |= {key: ms for key, ms in times.items() if ms > recorded[key] * 1.05}
    if len(operations) > recorded["erases"] + recorded["programs"]:
        worse["operations"] = len(operations)
    assert not worse, f"{worse}: recorded are {recorded}"


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
def test_a_name_that_nobody_answers_for(world):
    world.network.names[SERVER] = None
    world.restart()
    world.until("next try in")
    assert f"{SERVER} was not found" in world.console and not world.network.up


@in_full
@on_pico_w
def test_a_server_over_ipv6(world):
    world.restart(new_files(server="coap://[2001:db8::1]"))
    world.until("next try in")
    assert "failed: this board could not send: [Errno 113] EHOSTUNREACH" in world.console


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
    world.network.fate = losing(("down", 0))
    world.wait(1_500)
    behind_another_port(world)
    provision(world)
    assert asked(world) == PROBED


@in_full
@on_pico_w
def test_a_board_whose_address_changed_after_a_lost_reply(world):
    """What ThingsBoard repeats of its answer to the other address comes to nobody."""
    world.network.fate = losing(("down", 0))
    world.wait(1_500)
    world.leave()
    world.network.guest = "10.0.0.7"
    world.type(CTRL_D)
    provision(world)
    assert '"home" as 10.0.0.7' in world.console
    assert asked(world) == PROBED


@in_full
@on_pico_w
def test_a_stale_duplicate_is_not_the_next_answer(world):
    """FAILURE comes again while the board asks whether its token is known."""
    world.network.fate = losing(("down", 0))
    world.wait(1_500)
    behind_another_port(world)
    world.endpoint.delay = 100
    world.network.fate = lambda way, number, datagram: [(2, datagram), (60, datagram)]
    provision(world)
    assert asked(world) == PROBED


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
def test_a_reply_with_many_options(world):
    """Twelve more, of a number that nobody has to understand (RFC 7252 section 5.4.1)."""

    def answer(guest, server, datagram):
        (reply,) = world.endpoint.received(guest, datagram, world.now)
        options, marker, payload = reply.datagram.partition(b"\xff{")
        more = options + b"\xd0\x33" + b"\0" * 11  # an option delta of 64, eleven of 0
        world.network.answer(guest[1], server, more + marker + payload)

    world.answer = answer
    provision(world)
    assert len(world.network.up) == 1


@in_full
@on_pico_w
def test_a_certificate_goes_in_blocks_both_ways(world):
    certificate = "MIIB" + "certificate+" * 150
    body = {"credentialsType": "X509_CERTIFICATE", "hash": certificate}
    world.restart(new_files(provisioning=body))
    world.until(APPLICATION)
    assert json.loads(world.read("/credentials.json"))["credentialsValue"] == certificate
    sizes = [len(data) for _, _, data in world.network.up]
    assert len(sizes) == 3 and max(sizes) > 1024


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
    world.leave()
    world.network.guest = "0.0.0.0"  # what the board takes for no address
    world.type(CTRL_D)
    world.until("joining")
    world.wait(1_000)
    world.interrupt()
    assert "KeyboardInterrupt" in world.console and "joined" not in world.console


@in_full
@on_pico_w
def test_ctrl_c_while_it_waits_to_join_again(world):
    world.leave()
    world.network.guest = "0.0.0.0"
    world.type(CTRL_D)
    world.until("next try in")
    assert "but it gives no address" in world.console
    world.interrupt()
    assert "KeyboardInterrupt" in world.console and not world.network.up


@in_full
@on_pico_w
def test_ctrl_c_while_it_waits_for_another_config(world):
    world.restart(new_files(watchdog="soon"))
    world.until("next try in")
    world.wait(1_000)
    world.interrupt()
    assert "KeyboardInterrupt" in world.console and not world.network.up


@in_full
@on_pico_w
def test_ctrl_c_while_it_waits_to_restart_after_a_crash(world):
    world.restart(new_files(app=b"1 / 0\n", restart_after_crash=60))
    world.until("Ctrl-C for the REPL")
    world.wait(1_000)
    world.interrupt()
    assert "ZeroDivisionError" in world.console and "KeyboardInterrupt" in world.console
    world.check()


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
    return len(world.network.up)


@on_pico_w
def test_a_power_cut_at_an_operation_of_the_flash(world):
    """At the last of the first file's operations, after the request was sent, and one other."""
    asked = world.at_each_operation(lambda number, operation: number == 10, APPLICATION, recover)
    assert len(asked) == 1


@in_full
@pytest.mark.parametrize("how", ["before", "half"])
@on_pico_w
def test_a_power_cut_at_every_operation_of_the_flash(world, how):
    action = {"before": recover, "half": recover_from_half}[how]
    cuts = world.at_each_operation(lambda number, operation: True, APPLICATION, action)
    assert len(cuts) == len(world.machine.flash_chip.operations) > 10


@in_full
@on_pico_w
def test_power_cuts_and_the_power_back(world):
    """At every fifth operation: each costs a boot with the radio."""
    cuts = world.at_each_operation(
        lambda number, operation: number % 5 == 0, APPLICATION, recover_from_cold
    )
    assert len(cuts) == len(world.machine.flash_chip.operations) // 5 > 2


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


@in_full
@pytest.mark.skipif(bool(NO_MICROPYTHON), reason=NO_MICROPYTHON or "-")
@on_pico_w
def test_the_virtual_board_looks_for_names_as_the_image_does(world, tmp_path):
    name = "HOST = 'silent.invalid'\n"
    bench = Bench(Path(tmp_path))
    bench.put(f"{UP}\nup()\n{name}{probes.NAME_SCRIPT}", "rp2")
    board = bench.board("rp2", silent_until="cycle")
    board.on_line = lambda line: line == "without a network" and board.interrupt()
    played = board.power_up(20).lines

    world.interrupt()
    world.network.names["silent.invalid"] = None
    world.start(name + probes.NAME_SCRIPT)
    world.until("without a network")
    world.wait(20_000)
    world.type(CTRL_C)
    output, errors = world.end(5_000)
    seen = [*output.splitlines(), errors.splitlines()[-1]]
    assert [*played[: played.index("Traceback (most recent call last):")], played[-1]] == seen
    assert seen[-2:] == ["without a network", "KeyboardInterrupt: "]


@in_full
@on_pico_w
def test_a_watchdog_of_no_time_resets_at_once(world):
    """As the virtual board's does: host_tests/test_virtual_board.py."""
    world.interrupt()
    world.console = ""
    world.type(b"import machine; machine.WDT(timeout=0); print('goes' + ' on')\r\n")
    world.until("firstboot")
    assert "goes on" not in world.console
    world.interrupt()
    assert world.run("import machine; print(machine.reset_cause())") == "3\n"


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
    app.write_bytes(pico_w.APP)
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


# The verbs, each with a board of its own


def run_verb(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from tools.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True)


# Versions, addresses, ids, and waits with jitter.
DIFFERENT = r"micropython [\d.]+|(10|127)\.0\.0\.\d(:\d+)?|\b[0-9a-f]{16}\b|in \d+ min"


def power_ups(folder: Path, played_by: list[str], host: str, server: FakeThingsBoard) -> list:
    """The exit code and the console of power-ups, of whatever can come of them."""
    flash, config = folder / "flash", folder / "config.json"
    uri = f"coap://{host}:{server.port}"
    seen = []
    for given, *more in (
        (config_for(uri),),
        (None,),
        (config_for(uri, provisioning={"provisionDeviceSecret": "another"}),),
        (config_for(uri, watchdog="soon"),),
        (config_for(f"coap://{host}:9"), "--timeout", "1.7"),
    ):
        if given:
            flash.unlink(missing_ok=True)
            config.write_text(json.dumps(given))
            more += ["--config", config]
        ended = run_verb("power-up", *played_by, "--flash", flash, "--json", *more)
        outcome = json.loads(ended.stdout)
        text = STAMP.sub("", "\n".join(outcome["lines"]))
        text = re.sub(DIFFERENT, "…", text)
        seen.append((ended.returncode, outcome["ended"], text))
        if given == config_for(uri):
            (device,) = server.thingsboard.devices.values()
            saved = json.loads(run_verb("read", "--flash", flash, "/credentials.json").stdout)
            assert saved["credentialsValue"] == device.token
    return seen


@in_full
@pytest.mark.skipif(bool(NO_MICROPYTHON), reason=NO_MICROPYTHON or "-")
def test_power_up_ends_and_prints_as_on_the_virtual_board(tmp_path):
    seen = []
    for played_by, host in (
        (["--runtime", "pico-w"], "10.0.0.1"),
        (["--runtime", "micropython", "--board", "rp2"], "127.0.0.1"),
    ):
        folder = tmp_path / played_by[1]
        folder.mkdir()
        with FakeThingsBoard(ThingsBoard(KEY, SECRET)) as server:
            seen.append(power_ups(folder, played_by, host, server))
            assert len(server.received) == 2
    assert seen[0] == seen[1]
    assert [code for code, _, _ in seen[0]] == [0, 0, 3, 5, 4]


@in_full
@pytest.mark.parametrize("how", ["coap", "coaps"])
def test_demo(how):
    ended = run_verb("demo", "--pico-w", *(["--coaps"] if how == "coaps" else []))
    said = ended.stdout.decode()
    assert ended.returncode == 0, said + ended.stderr.decode()
    assert "on micropython 1.26.1" in said and f"asking {how}://10.0.0.1:" in said
    assert "at its second none" in said


@in_full
def test_a_board_at_a_serial_port_until_ctrl_c(tmp_path):
    flash, link = tmp_path / "board.img", tmp_path / "port"
    arguments = ["--runtime", "pico-w", "--flash", flash, "--link", link, "--id", "01" * 8]
    command = [sys.executable, "-c", "from tools.cli import main; main()", "board", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as board:
        assert "a new board's flash" in board.stderr.readline()
        assert f"pico-w at {link}" in board.stderr.readline()
        code = (
            "import machine\nwith open('kept', 'w') as file: file.write(machine.unique_id().hex())"
        )
        mpremote = [sys.executable, "-m", "mpremote", "connect", str(link), "exec", code]
        subprocess.run(mpremote, check=True, stdin=subprocess.DEVNULL)
        board.send_signal(signal.SIGINT)
        assert board.wait(20) == 130
    assert run_verb("read", "--flash", flash, "/kept").stdout == b"01" * 8


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
    assert not pico_w_figures.stale(measured)
