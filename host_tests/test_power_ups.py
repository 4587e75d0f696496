"""Whole power-ups: boot.py, main.py and firmware/ as they are, on the virtual board."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from host_tests.power_up_bench import (
    BOARDS,
    KEY,
    LANES,
    PASSWORD,
    SECRET,
    PowerUps,
    config_for,
)
from host_tests.processes import started
from host_tests.virtual_bench import needs_micropython
from tools.fake_thingsboard.messages import BAD_REQUEST, Reply
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.virtual_board.flash import PROJECT, put_on_flash, read_file

lanes = pytest.mark.parametrize("lane", LANES)
boards = pytest.mark.parametrize("lane", BOARDS)
one_lane = pytest.mark.parametrize("lane", BOARDS[:1])
pico_w = pytest.mark.parametrize("lane", BOARDS[1:])
strategies = pytest.mark.parametrize("strategy", ["create", "preprovisioned"])
REFUSED, TIME_RAN_OUT, BAD_CONFIGURATION = 3, 4, 5
ID = {"esp32": "24dcc399a4e8", "rp2": "e66038b713845a2e"}


@pytest.fixture
def silent():
    """A UDP port where somebody listens and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        yield listener


def uri_of(listener: socket.socket) -> str:
    return f"coap://127.0.0.1:{listener.getsockname()[1]}"


def texts(outcome) -> list[str]:
    """The console without its times, and without its last lines about app.py."""
    lines = [re.sub(r"^\[ *\d+\.\d{3}\] ", "", line) for line in outcome.lines]
    return [line for line in lines if not line.startswith("firstboot ")]


def has(outcome, *parts: str) -> None:
    """Each of `parts` is on the console, in this order."""
    console = "\n".join(texts(outcome))
    at = 0
    for part in parts:
        assert part in console[at:], f"{part!r} is not on the console:\n{console}"
        at = console.index(part, at) + len(part)


# First and second


@lanes
@strategies
def test_first_power_up_provisions_and_the_second_sends_nothing(ups, strategy):
    name = f"sensor-{ID[ups.kind]}"
    ups.thingsboard.strategy = strategy
    if strategy == "preprovisioned":
        ups.thingsboard.add_device(name)
    ups.put()
    first = ups.provision(id=ID[ups.kind])
    has(
        first,
        'Wi-Fi: joining "home"\nWi-Fi: joined "home" as 127.0.0.1',
        f'provisioning: asking {ups.server.uri} for "{name}"',
        f'provisioned: "{name}" has its ACCESS_TOKEN, saved in /credentials.json',
        "application: there is no app.py on the board",
        "mpremote cp app.py :app.py",
    )
    assert len(ups.server.received) == 1
    saved = ups.read("/credentials.json")
    assert json.loads(saved)["deviceName"] == name

    second = ups.power_up(id=ID[ups.kind])
    assert second.exit_code == 0
    has(second, f'provisioned: "{name}", found in /credentials.json', "application: there is no")
    assert not any("Wi-Fi:" in line for line in second.lines)
    assert len(ups.server.received) == 1
    assert ups.read("/credentials.json") == saved


@lanes
def test_the_first_line_says_what_board_it_is(ups):
    ups.put()
    line = ups.provision(id=ID[ups.kind]).lines[0]
    name = "cpython" if ups.runtime == "cpython" else "micropython"
    expected = rf"\[ +0\.\d{{3}}\] firstboot 1\.\d+\.\d+ on {name} \d\.\d+\.\d+, id {ID[ups.kind]}"
    assert re.fullmatch(expected, line)


@one_lane
def test_nothing_starts_an_access_point(ups):
    ups.put()
    assert not [e for e in ups.provision().events if e["event"] == "access point"]


@boards
def test_the_led_is_on_once_provisioned_and_then_the_application_s(ups):
    pin = "LED" if ups.kind == "rp2" else 2
    ups.put(led=pin)
    events = [e for e in ups.provision().events if e["event"] == "pin"]
    assert {event["pin"] for event in events} == {pin}
    assert [event["value"] for event in events[-2:]] == [1, 0]


@one_lane
def test_app_py_is_called_with_the_credentials(ups):
    ups.put(app="def run(credentials):\n    print('app', credentials['deviceName'])\n")
    outcome = ups.power_up(stay=True)
    has(outcome, "provisioned:", "application: running app.py", "app sensor-")
    assert outcome.ended == "main.py ended"


@lanes
@pytest.mark.parametrize("credentials_type", ["MQTT_BASIC", "X509_CERTIFICATE"])
def test_other_credentials_are_saved_as_the_reply_says(ups, credentials_type):
    given = {
        "MQTT_BASIC": {"clientId": "c-1", "username": "Jürgen Ω", "password": "pass word"},
        "X509_CERTIFICATE": {"hash": "certificate" * 5},
    }
    fields = {"credentialsType": credentials_type, **given[credentials_type]}
    ups.put(provisioning=fields)
    has(ups.provision(), f"has its {credentials_type}, saved")
    assert json.loads(ups.read("/credentials.json"))["credentialsType"] == credentials_type


@boards
@pytest.mark.parametrize(
    "given", [{"access_token": "server"}, {"provisioning": {"token": "t" * 20}}]
)
def test_the_token_is_the_server_s_or_the_given_one(ups, given):
    ups.put(**given)
    ups.provision()
    token = json.loads(ups.read("/credentials.json"))["credentialsValue"]
    assert (token == "t" * 20) == ("provisioning" in given)
    assert (b'"token"' in ups.server.received[0].data) == ("provisioning" in given)


@lanes
def test_a_name_with_letters_beyond_ascii(ups):
    name = "Fühler-Ω-温度-🌡-{id}"
    ups.put(provisioning={"deviceName": name})
    name = name.format(id=ID[ups.kind])
    has(ups.provision(id=ID[ups.kind]), f'for "{name}"')
    assert list(ups.thingsboard.devices) == [name]
    assert name.encode() in ups.server.received[0].data or ups.runtime == "cpython"


@lanes
def test_a_name_in_json_s_escapes(ups):
    """One escape is a letter. Two are one letter on CPython and none on MicroPython."""
    config = config_for(ups.server.uri, provisioning={"deviceName": "Fühler"})
    ups.put(json.dumps(config).encode())
    has(ups.provision(), 'for "Fühler"')
    assert list(ups.thingsboard.devices) == ["Fühler"]


@lanes
def test_a_name_in_json_s_double_escapes(ups):
    config = config_for(ups.server.uri, provisioning={"deviceName": "Fühler-🌡"})
    ups.put(json.dumps(config).encode())
    outcome = ups.power_up()
    assert outcome.exit_code == BAD_CONFIGURATION
    has(
        outcome,
        r"config.json: config.json has a letter written as two \u escapes",
        "Write the letter itself, in UTF-8.",
    )


@boards
def test_fields_of_the_greatest_length(ups):
    """A name of 255 characters; a key, secret, SSID and password as long as they may be."""
    ups.thingsboard.key, ups.thingsboard.secret = "k" * 255, "s" * 255
    fields = {
        "deviceName": "Ü" * 255,
        "provisionDeviceKey": ups.thingsboard.key,
        "provisionDeviceSecret": ups.thingsboard.secret,
        "token": "t" * 64,
    }
    ups.put(wifi={"ssid": "n" * 32, "password": "f" * 64}, provisioning=fields)
    ups.provision()


@lanes
def test_a_certificate_goes_in_blocks_both_ways(ups):
    certificate = "MIIB" + "certificate+" * 150
    ups.put(provisioning={"credentialsType": "X509_CERTIFICATE", "hash": certificate})
    ups.provision()
    assert json.loads(ups.read("/credentials.json"))["credentialsValue"] == certificate
    sizes = [len(datagram.data) for datagram in ups.server.received]
    # Two blocks of the request and one more request for the rest of the response.
    assert len(sizes) == 3 and max(sizes) > 1024


@boards
def test_a_certificate_over_the_limit_is_trouble_that_is_told(ups):
    ups.put(provisioning={"credentialsType": "X509_CERTIFICATE", "hash": "certificate+" * 400})
    outcome = ups.power_up(cut_at="next try in")
    has(outcome, "failed: a body over the limit of 4096 bytes\n", "next try in")
    assert not ups.server.received


@lanes
def test_forget_secret_leaves_a_config_that_can_be_read(ups):
    ups.put(forget_secret=True, provisioning={"deviceName": "Fühler-🌡"})
    ups.provision()
    assert "is not used" not in "\n".join(ups.power_up().lines)


@boards
def test_forget_secret(ups):
    ups.put(forget_secret=True)
    ups.provision()
    config = json.loads(ups.read("/config.json"))
    expected = config_for(ups.server.uri, forget_secret=True)
    del expected["provisioning"]["provisionDeviceSecret"]
    assert config == expected
    has(ups.power_up(), "provisioned:", "application: there is no app.py")
    assert len(ups.server.received) == 1


@one_lane
def test_a_config_that_changed_is_reported_and_not_acted_on(ups):
    ups.put(
        boot="""
        import json
        with open("config.json") as file:
            config = json.load(file)
        config["server"] = "coap://192.0.2.1"
        saved = False
        try:
            open("credentials.json").close()
            saved = True
        except OSError:
            pass
        if saved:
            with open("config.json", "w") as file:
                json.dump(config, file)
        """
    )
    ups.provision()
    second = ups.power_up()
    assert second.exit_code == 0
    has(second, 'server is "coap://192.0.2.1" in config.json, but the board is provisioned with')
    assert len(ups.server.received) == 1


# Wi-Fi

WRONG_PASSWORD = {"networks": [{"ssid": "home", "password": "another one"}]}


@boards
def test_wrong_wifi_password(ups):
    ups.put(speed=30)
    outcome = ups.power_up(cut_at="next try in", **WRONG_PASSWORD)
    has(
        outcome,
        'failed: "home" did not take the password\n  Check `wifi.password`.',
        "next try in",
    )
    assert not ups.server.received


@one_lane
def test_wrong_wifi_password_that_an_esp32_does_not_notice(ups):
    ups.put(speed=30)
    outcome = ups.power_up(
        cut_at="next try in", wrong_password_shows_connecting=True, **WRONG_PASSWORD
    )
    has(outcome, 'failed: not joined "home" in 30 s (status 1001)\n  Check `wifi.password`')


@boards
def test_a_right_password_that_is_refused_at_first(ups):
    ups.put(speed=30)
    outcome = ups.provision(first_join_refused=True)
    assert "failed:" not in "\n".join(outcome.lines)


@boards
def test_network_absent_then_present(ups):
    ups.put(speed=30)
    network = {"ssid": "home", "password": PASSWORD, "appears_after_ms": 2500}
    has(
        ups.provision(networks=[network]),
        'failed: no network "home" in range\n  Check `wifi.ssid`',
        "next try in",
        'Wi-Fi: joining "home"\nWi-Fi: joined "home"',
        "provisioned:",
    )


@boards
def test_no_address_by_dhcp(ups):
    ups.put(speed=30)
    network = {"ssid": "home", "password": PASSWORD, "dhcp": False}
    outcome = ups.power_up(cut_at="next try in", networks=[network])
    has(outcome, 'failed: joined "home", but it gives no address\n  Check the network\'s DHCP')


@boards
def test_an_association_that_survived_is_used(ups):
    ups.put()
    outcome = ups.provision(associated="home", reset_cause="soft")
    assert "Wi-Fi: joining" not in "\n".join(outcome.lines)


@boards
def test_a_join_that_goes_on_through_a_soft_reset_is_ended(ups):
    ups.put()
    outcome = ups.provision(joining=["home", "another password"], reset_cause="soft")
    assert "failed:" not in "\n".join(outcome.lines)


@one_lane
def test_an_open_network(ups):
    ups.put(wifi={"password": "", "country": "DE", "hostname": "probe-1"})
    ups.provision()


# The server


@lanes
@pytest.mark.parametrize(
    "how",
    [{"delay": 0.3, "separate_after": 0.1}, {"reply": "separate"}, {"reply": "bare"}],
    ids=["slow", "separate", "bare"],
)
def test_a_reply_that_wants_an_acknowledgement(tmp_path, lane, how):
    with FakeThingsBoard(ThingsBoard(KEY, SECRET), **how) as server:
        ups = PowerUps(tmp_path / "flash", *lane, server)
        ups.put()
        ups.provision()
        server.wait_until(lambda: len(server.received) == 2, 5)
    # The request, and the acknowledgement: an empty ACK, 0x60 and code 0.
    assert [datagram.data[:2] for datagram in server.received][1:] == [b"\x60\x00"]


@boards
def test_a_queue_of_one_datagram(tmp_path, lane):
    """The empty ACK fills it, the reply after it is lost and comes again."""
    thingsboard = ThingsBoard(KEY, SECRET)
    with FakeThingsBoard(thingsboard, reply="separate", ack_timeout=0.2) as server:
        ups = PowerUps(tmp_path / "flash", *lane, server)
        ups.put()
        ups.provision(datagram_queue=1)


@lanes
def test_ticks_that_wrap_within_the_exchange(tmp_path, lane):
    thingsboard = ThingsBoard(KEY, SECRET)
    with FakeThingsBoard(thingsboard, delay=0.6, separate_after=0.1) as server:
        ups = PowerUps(tmp_path / "flash", *lane, server)
        ups.put()
        outcome = ups.provision(ticks_start=(1 << 30) - 450)
        server.wait_until(lambda: len(server.received) == 2, 5)
    assert len(server.received) == 2  # the request once, and the acknowledgement
    shown = [float(line[1:9]) for line in outcome.lines if line.startswith("[")]
    assert shown == sorted(shown)
    assert shown[0] < 0.3 and 0.6 < shown[-1] < 3


@pytest.fixture
def empty_before_each(monkeypatch):
    """Before each of a server's datagrams comes one of 0 bytes."""
    send = FakeThingsBoard._send

    def twice(self, peer, datagram):
        send(self, peer, b"")
        send(self, peer, datagram)

    monkeypatch.setattr(FakeThingsBoard, "_send", twice)


# Says so when the board looks at its socket as often as no wait of this kind needs.
_HURRIES = """
import firmware.coap.udp as udp

looks = []
receive = udp.UDP.receive

def counted(self, size, timeout):
    looks.append(timeout)
    if len(looks) == 60:
        print("a busy loop")
    return receive(self, size, timeout)

udp.UDP.receive = counted
"""


@lanes
@pytest.mark.parametrize("reply", ["piggybacked", "separate", "bare"])
def test_an_empty_datagram_leaves_the_board_its_ears(ups, empty_before_each, reply):
    """On an ESP32 nothing else would ever come, and poll would be ready for ever."""
    ups.server.reply = reply
    ups.put(boot=_HURRIES)
    outcome = ups.provision()
    requests = [datagram for datagram in ups.server.received if datagram.data[1]]
    assert len(requests) == 1
    assert "a busy loop" not in outcome.lines


@one_lane
@pytest.mark.parametrize("number", [11, 5], ids=["ready and nothing there", "recv raises"])
def test_a_socket_that_is_ready_and_fails_is_not_asked_without_a_pause(ups, number):
    ups.put(boot=_HURRIES)
    outcome = ups.provision(recv_fails=[[0, 500, number]])
    assert len(ups.server.received) == 1
    assert "a busy loop" not in outcome.lines


@one_lane
def test_server_over_ipv6_is_out_of_an_esp32_s_reach(ups):
    ups.put(config_for("coap://[2001:db8::1]"))
    has(
        ups.power_up(cut_at="next try in"),
        "failed: this board could not open a UDP socket to 2001:db8::1: this board's MicroPython"
        " has no IPv6",
    )


@pico_w
def test_server_over_ipv6_is_out_of_a_pico_w_s_reach(ups):
    """As of the image's, in a network that has no IPv6: host_tests/test_pico_w.py."""
    ups.put(config_for("coap://[2001:db8::1]"))
    has(
        ups.power_up(cut_at="next try in"),
        "failed: this board could not send: [Errno 113] EHOSTUNREACH",
    )


@pytest.mark.parametrize("lane", LANES[2:])
def test_server_over_ipv6(tmp_path, lane):
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"this computer has no IPv6 loopback: {error}")
    with FakeThingsBoard(ThingsBoard(KEY, SECRET), host="::1") as server:
        ups = PowerUps(tmp_path / "flash", *lane, server)
        ups.put()
        has(ups.provision(), "asking coap://[::1]:")


@lanes
def test_server_by_name(tmp_path, lane):
    address = socket.getaddrinfo("localhost", 0, type=socket.SOCK_DGRAM)[0][4][0]
    with FakeThingsBoard(ThingsBoard(KEY, SECRET), host=address) as server:
        ups = PowerUps(tmp_path / "flash", *lane, server)
        ups.put(config_for(f"coap://localhost:{server.port}"))
        ups.provision()
    assert b"\x39localhost" in server.received[0].data  # Uri-Host, option 3


@needs_micropython
def test_the_application_collects_garbage_as_boot_py_chose(tmp_path):
    with FakeThingsBoard(ThingsBoard(KEY, SECRET)) as server:
        ups = PowerUps(tmp_path / "flash", "esp32", "micropython", server)
        ups.put(
            app="import gc\ndef run(_): print('collects every', gc.threshold())",
            boot="import gc; gc.threshold(16384)",
        )
        has(ups.power_up(stay=True, cut_at="collects every"), "collects every 16384")


@boards
def test_server_whose_name_is_unknown(ups):
    number = {"esp32": -202, "rp2": -2}[ups.kind]
    ups.put(
        config_for("coap://thingsboard.invalid"),
        boot=f"""
        import socket

        def getaddrinfo(*arguments):
            raise OSError({number})

        socket.getaddrinfo = getaddrinfo
        """,
    )
    has(
        ups.power_up(cut_at="next try in"),
        f"failed: thingsboard.invalid was not found: {number}\n  Check the name in `server`",
    )


@boards
def test_a_server_that_comes_between_two_datagrams(ups, silent):
    """The second one is the same bytes from the same port."""
    port = silent.getsockname()[1]
    first = []

    def appear() -> None:
        first.extend(silent.recvfrom(2048))
        silent.close()
        server.__enter__()

    server = FakeThingsBoard(ThingsBoard(KEY, SECRET), port=port)
    ups.server = server
    ups.put(config_for(uri_of(silent)), speed=20)
    appearing = threading.Thread(target=appear)
    appearing.start()
    try:
        ups.provision()
    finally:
        appearing.join()
        server.__exit__()
    assert (server.received[0].data, server.received[0].peer) == tuple(first)


@boards
def test_a_server_that_comes_after_the_board_gave_up(ups, silent):
    def appear(line: str) -> None:
        if "next try in" in line and silent.fileno() != -1:
            silent.close()
            server.__enter__()

    server = FakeThingsBoard(ThingsBoard(KEY, SECRET), port=silent.getsockname()[1])
    ups.server = server
    ups.put(config_for(uri_of(silent)), speed=80)
    try:
        outcome = ups.power_up(on_line=appear)
    finally:
        server.__exit__()
    assert outcome.exit_code == 0
    ups.assert_saved()
    has(
        outcome,
        *(f"no answer yet; sent again, {number} of 5" for number in (2, 3, 4, 5)),
        "failed: no answer to 5 datagrams\n  Check that the server runs",
        "next try in",
        "provisioning: asking",
        "provisioned:",
    )


@boards
def test_trouble_at_the_server_and_then_none(ups):
    ups.thingsboard.fail_next()
    ups.put(speed=30)
    has(ups.provision(), "failed: ThingsBoard answered 5.00: it could not", "next try in")
    message_ids = [datagram.data[2:4] for datagram in ups.server.received]
    assert len(set(message_ids)) == 2


@boards
def test_trouble_after_which_the_device_is_there_all_the_same(ups):
    """5.00, then FAILURE: the token that was proposed turns out to be this device's."""
    ups.thingsboard.fail_next(executed=True)
    ups.put(speed=30)
    has(ups.provision(), "failed: ThingsBoard answered 5.00", "provisioned:")


@boards
def test_power_cut_while_asking_and_then_the_same_bytes(ups, silent):
    ups.put(config_for(uri_of(silent)))
    sent = []

    def cut_when_sent(line: str) -> None:
        if "provisioning:" in line:
            sent.append(silent.recvfrom(2048))
            ups.board.cut_power()

    for _ in range(2):
        ups.power_up(on_line=cut_when_sent)
    assert sent[0] == sent[1]


# Refusals

NOT_FOUND = (
    "refused: ThingsBoard answered NOT_FOUND: it knows no device profile with this key and secret"
)
FAILURE = "refused: ThingsBoard answered FAILURE: it did not provision this deviceName"
UNREADABLE = "refused: ThingsBoard answered 4.00 with no reason: it cannot read the request"


def wrong_key(ups):
    ups.thingsboard.key = "another-profile-key"
    return {}


def wrong_secret(ups):
    ups.thingsboard.secret = "another-profile-secret"
    return {}


def disabled(ups):
    ups.thingsboard.provisioning_enabled = False
    return {}


def name_exists(ups):
    ups.thingsboard.add_device("sensor-1")
    return {"provisioning": {"deviceName": "sensor-1"}}


def device_absent(ups):
    ups.thingsboard.strategy = "preprovisioned"
    return {}


def quota_reached(ups):
    ups.thingsboard.max_devices = 0
    return {}


def unreadable(ups):
    ups.thingsboard.handle = lambda *arguments: Reply(BAD_REQUEST)
    return {}


@boards
@pytest.mark.parametrize(
    ("arrange", "message", "fix"),
    [
        (wrong_key, NOT_FOUND, "Check provisionDeviceKey and provisionDeviceSecret"),
        (wrong_secret, NOT_FOUND, "Check provisionDeviceKey and provisionDeviceSecret"),
        (disabled, NOT_FOUND, "that its provision strategy is not Disabled."),
        (name_exists, FAILURE, "the device exists (delete it there, or change deviceName)"),
        (device_absent, FAILURE, "or is not in this profile (add it)"),
        (quota_reached, FAILURE, "the tenant's device limit is reached."),
        (unreadable, UNREADABLE, "Check provisionDeviceKey, provisionDeviceSecret and"),
    ],
)
def test_refusal(ups, arrange, message, fix):
    ups.put(**arrange(ups))
    outcome = ups.power_up()
    has(outcome, message + "\n  ", fix, "next try in ")
    assert re.fullmatch("next try in ([67][0-9]|8[0-9]|90) min", texts(outcome)[-1])
    assert outcome.exit_code == REFUSED
    assert ups.read("/credentials.json") is None


@boards
def test_a_failure_that_nothing_can_probe_has_two_readings(ups):
    ups.thingsboard.add_device("sensor-1")
    fields = {"deviceName": "sensor-1", "credentialsType": "MQTT_BASIC", "clientId": "c"}
    ups.put(provisioning=fields)
    outcome = ups.power_up()
    assert outcome.exit_code == REFUSED
    has(
        outcome,
        FAILURE + "; or it did so before, and this board never got the reply",
        "next try in",
    )


@boards
def test_with_stay_a_refused_board_waits(ups):
    ups.thingsboard.provisioning_enabled = False
    ups.put()

    def cut(line: str) -> None:
        if "next try in" in line:
            threading.Timer(0.2, ups.board.cut_power).start()

    outcome = ups.power_up(stay=True, on_line=cut)
    has(outcome, NOT_FOUND, "next try in ")
    assert outcome.ended == "power cut"
    ups.thingsboard.provisioning_enabled = True
    ups.provision()


# config.json


@lanes
def test_every_mistake_in_the_configuration_is_listed(ups):
    config = {
        "wifi": {"ssid": 5, "password": "short", "contry": "DE"},
        "server": "http://example.com",
        "provisioning": {"provisionDeviceKey": "", "provisionDeviceSecret": 12345678901},
        "wachdog": 8,
        "led": True,
    }
    ups.put(config)
    outcome = ups.power_up()
    assert outcome.exit_code == BAD_CONFIGURATION
    console = "\n".join(texts(outcome))
    for expected in (
        "`wifi.ssid` is of type int; the network's name, 1 to 32 bytes",
        "`wifi.password` is a string of 5 characters; a password of 8 to 64 bytes",
        "`wifi.contry` is not known; did you mean `wifi.country`?",
        '`server` is a string of 18 characters; a URI such as "coap://',
        "`provisioning.deviceName` is missing; a string of 1 to 255 characters belongs there",
        "`provisioning.provisionDeviceKey` is a string of 0 characters; ",
        "`provisioning.provisionDeviceSecret` is of type int; ",
        "`wachdog` is not known; did you mean `watchdog`?",
        "`led` is true; a pin's number or name, or null",
    ):
        assert expected in console
    assert "12345678901" not in console and "short" not in console
    assert console.startswith("config.json: ")
    assert texts(outcome)[-2:] == [
        "  Correct config.json and put it on the board again.",
        "next try in 60 s",
    ]
    assert "Wi-Fi:" not in console and not ups.server.received


@one_lane
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"wifi": {', "line 1, column 11: it ends too early"),
        (b'{"wifi": {},}', "line 1, column 13: the comma before this bracket is one too many"),
        (b"\xff\xfe{}", "it is in UTF-16"),
        (b"", "line 1, column 1: it ends too early"),
    ],
)
def test_a_configuration_that_is_no_json(ups, content, complaint):
    ups.put(content)
    outcome = ups.power_up()
    assert outcome.exit_code == BAD_CONFIGURATION
    has(outcome, f"config.json: config.json is no JSON: {complaint}", "Correct that place.")


@lanes
def test_no_configuration(ups):
    put_on_flash(ups.flash, ups.kind, ups.runtime, config=None)
    outcome = ups.power_up()
    assert outcome.exit_code == BAD_CONFIGURATION
    has(
        outcome,
        "config.json: there is no /config.json\n  Write one, then: ",
        "mpremote cp config.json :config.json\n",
        '"provisionDeviceSecret": "..."',
        "next try in 60 s",
    )


@one_lane
def test_a_configuration_that_is_corrected_is_read_within_a_minute(ups):
    good = json.dumps(config_for(ups.server.uri))
    ups.put(b"{}", speed=50, boot=_corrects_config_after_boot(good))
    network = {"ssid": "home", "password": PASSWORD}
    outcome = ups.power_up(stay=True, networks=[network])
    has(outcome, "`server` is missing", "next try in 60 s", "provisioned:")


def _corrects_config_after_boot(config: str) -> str:
    """A boot.py in which the first long sleep puts a correct config.json on the flash."""
    return f"""
    fast = sys.modules["time"]

    class Correcting:
        def __getattr__(self, name):
            return getattr(fast, name)

        def sleep_ms(self, ms):
            with open("config.json", "w") as file:
                file.write({config!r})
            fast.sleep_ms(ms)

    sys.modules["time"] = Correcting()
    """


# What is on the flash


@one_lane
@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("credentials.json", '{"server": "coap://127.0.0.1", "credentialsValue": "tokentoken'),
        ("credentials.json", ""),
        ("credentials.json", '{"somebody": "else\'s", "password": "elses-password"}'),
        ("attempt.json", '{"token": "tokentokentokentoken", "port": "x"}'),
        ("attempt.json", "[]"),
    ],
    ids=["torn", "empty", "foreign", "foreign attempt", "no attempt"],
)
def test_what_the_board_did_not_write_is_set_aside(ups, path, content):
    ups.put(
        speed=30,
        boot=f"""
        import os
        if not [name for name in os.listdir() if name.startswith({path!r})]:
            with open({path!r}, "w") as file:
                file.write({content!r})
        """,
    )
    outcome = ups.provision()
    has(
        outcome,
        f"failed: /{path} is not what this firmware writes; it is now /{path}.bad1",
        "next try in",
        "provisioned:",
    )
    assert ups.read(f"/{path}.bad1") == content.encode()
    assert "tokentoken" not in "\n".join(outcome.lines)
    assert "elses-password" not in "\n".join(outcome.lines)


# Watchdog, resets, Ctrl-C


@pico_w
def test_a_watchdog_is_fed_through_a_long_wait(ups):
    """1.2 s of joining and 1.2 s of waiting for the reply, a watchdog of 1 s."""
    ups.server.delay = 1.2
    network = {"ssid": "home", "password": PASSWORD, "delay_ms": 1200}
    ups.put(watchdog=1)
    events = ups.provision(networks=[network]).events
    assert {"event": "watchdog", "timeout_ms": 1000} in events
    assert not [event for event in events if event["event"] == "reset"]


@boards
def test_a_watchdog_outlives_a_scan(ups):
    """Nothing feeds it in a scan: 1 s is too short for one."""
    away = {"ssid": "away", "password": PASSWORD}
    home = {"ssid": "home", "password": PASSWORD}
    config = config_for(ups.server.uri, watchdog=1)
    ups.put(json.dumps({**config, "wifi": [home, away]}).encode())
    outcome = ups.provision(networks=[{**home, "delay_ms": 10}], scan_ms=1500)
    assert not [event for event in outcome.events if event["event"] == "reset"]


@boards
def test_no_watchdog_unless_asked_for(ups):
    ups.put()
    assert not [e for e in ups.provision().events if e["event"] in ("watchdog", "feed")]


@boards
def test_a_watchdog_longer_than_the_board_s(ups):
    ups.put(watchdog=60)
    ms = 8388 if ups.kind == "rp2" else 60_000
    assert {"event": "watchdog", "timeout_ms": ms} in ups.provision().events


@pico_w
def test_a_reset_while_the_server_s_name_is_looked_up_is_survived(tmp_path, lane):
    address = socket.getaddrinfo("localhost", 0, type=socket.SOCK_DGRAM)[0][4][0]
    with FakeThingsBoard(ThingsBoard(KEY, SECRET), host=address) as server:
        ups = PowerUps(tmp_path / "flash", *lane, server)
        ups.put(
            config_for(f"coap://localhost:{server.port}", watchdog=1),
            boot="""
            import machine, socket, time
            if machine.reset_cause() == machine.PWRON_RESET:
                socket.getaddrinfo = lambda *arguments: time.sleep(60)
            """,
        )
        outcome = ups.provision()
    resets = [event["cause"] for event in outcome.events if event["event"] == "reset"]
    assert resets == ["watchdog"]
    has(outcome, "provisioning:", "provisioning:", "provisioned:")
    assert len(server.received) == 1


RAISES = """
import machine

def run(credentials):
    if machine.reset_cause() == machine.PWRON_RESET:
        raise ValueError("the sensor is gone")
    print("second life")
"""


@boards
def test_app_py_that_raises_restarts_the_board(ups):
    ups.put(app=RAISES, restart_after_crash=1)
    outcome = ups.power_up(stay=True)
    has(
        outcome,
        "application: running app.py",
        "application: app.py raised ValueError",
        "Traceback (most recent call last):",
        "in run",
        "ValueError: the sensor is gone",
        "restart in 1 s; Ctrl-C for the REPL",
        "found in /credentials.json",
        "second life",
    )
    assert [e["cause"] for e in outcome.events if e["event"] == "reset"] == ["hard"]
    assert len(ups.server.received) == 1


@boards
def test_app_py_that_raises_ends_in_the_repl_by_default(ups):
    ups.put(app=RAISES)
    outcome = ups.power_up(stay=True)
    has(outcome, "ValueError: the sensor is gone")
    assert "restart in" not in "\n".join(outcome.lines)
    assert outcome.ended == "main.py ended"


@lanes
@pytest.mark.parametrize(
    ("moment", "scenario"),
    [
        ("Wi-Fi: joining", {"networks": []}),
        ("provisioning: asking", {}),
        ("next try in", {}),
    ],
)
def test_ctrl_c_at_the_console_gives_the_repl(ups, silent, moment, scenario):
    if moment == "next try in":
        ups.thingsboard.provisioning_enabled = False
        ups.put()
    else:
        ups.put(config_for(uri_of(silent)))

    def press(line: str) -> None:
        if moment in line:
            threading.Timer(0.05, ups.board.interrupt).start()

    outcome = ups.power_up(timeout=5, stay=True, on_line=press, **scenario)
    assert outcome.lines[-1].startswith("KeyboardInterrupt")
    assert (outcome.ended, outcome.exit_code) == ("an exception", 1)


@boards
def test_ctrl_c_before_a_restart_gives_the_repl(ups):
    ups.put(app=RAISES, restart_after_crash=60)

    def press(line: str) -> None:
        if "restart in 60 s" in line:
            threading.Timer(0.05, ups.board.interrupt).start()

    outcome = ups.power_up(timeout=5, stay=True, on_line=press)
    assert outcome.lines[-1].startswith("KeyboardInterrupt")
    assert not [event for event in outcome.events if event["event"] == "reset"]


@lanes
def test_ctrl_c_within_app_py_gives_the_repl(ups):
    ups.put(
        app="""
        import time

        def run(credentials):
            print("looping")
            while True:
                time.sleep(0.01)
        """,
        restart_after_crash=1,
    )

    def press(line: str) -> None:
        if "looping" in line:
            threading.Timer(0.05, ups.board.interrupt).start()

    outcome = ups.power_up(timeout=5, stay=True, on_line=press)
    assert outcome.lines[-1].startswith("KeyboardInterrupt")
    assert "app.py raised" not in "\n".join(outcome.lines)


# The command line


def tools(*arguments) -> subprocess.CompletedProcess:
    """A verb, as `python3 -m tools` runs it once it is set up."""
    return subprocess.run(
        [sys.executable, "-c", "from tools.cli import main; main()", *map(str, arguments)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )


@needs_micropython
def test_power_up_s_exit_codes(tmp_path, server, silent):
    names = ("provisioned", "refused", "silent", "bad")
    configs = dict.fromkeys(names, config_for(server.uri))
    configs["refused"] = config_for(server.uri, provisioning={"provisionDeviceKey": "wrong-key"})
    configs["silent"] = config_for(uri_of(silent))
    configs["bad"] = config_for("nowhere")
    codes = {}
    for name, config in configs.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        flash = tmp_path / f"{name}.img"
        limit = ("--timeout", "0.6") if name == "silent" else ()
        shown = tools("power-up", "--config", file, "--flash", flash, "--board", "rp2", *limit)
        codes[name] = shown.returncode
        assert SECRET not in shown.stdout and KEY not in shown.stdout
        assert not re.search(r"^\[.*Traceback", shown.stdout, re.MULTILINE)
    assert codes == {
        "provisioned": 0,
        "refused": REFUSED,
        "silent": TIME_RAN_OUT,
        "bad": BAD_CONFIGURATION,
    }


@needs_micropython
def test_serve_and_power_up_with_a_device_that_is_there_already(tmp_path):
    with started(
        [sys.executable, "-u", "-c", "from tools.cli import main; main()"]
        + ["serve", "--port", "0", "--strategy", "preprovisioned", "--device", "sensor-1"]
        + ["--key", KEY, "--secret", SECRET],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as serve:
        uri = re.search(r"coap://\S+", serve.stdout.readline())[0]
        config = tmp_path / "config.json"
        config.write_text(json.dumps(config_for(uri, provisioning={"deviceName": "sensor-1"})))
        flash = tmp_path / "board.img"
        shown = tools("power-up", "--config", config, "--flash", flash, "--board", "rp2")
        serve.send_signal(signal.SIGINT)
        log = serve.communicate(timeout=5)[0]
    assert shown.returncode == 0, shown.stdout + shown.stderr
    token = json.loads(read_file(flash, "/credentials.json"))["credentialsValue"]
    for secret in (KEY, SECRET, token):
        assert secret not in shown.stdout + log
    assert "POST /api/v1/provision" in log and '"status":"SUCCESS"' in log
