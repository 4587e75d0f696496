"""Each message of README's table has its cause: the cause prints it, and no message of another."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from unittest.mock import patch

import pytest

from firmware import requests, sleep
from firmware.backlog import Backlog
from firmware.board import clock, security
from firmware.board.kept import KEPT
from firmware.coap import dtls, dtls_failure, failure
from firmware.coap.connect import connect
from firmware.device import Device
from firmware.errors import CoapError, FirstbootError, NoResponse
from firmware.observed import Observed
from firmware.provisioning import recovery
from firmware.provisioning.rejection import credentials_rejected
from firmware.session import Session
from firmware.thingsboard import attributes, device_api
from host_tests.firmware import at_work
from host_tests.firmware.secure_world import CA, Secured
from host_tests.firmware.test_application import Start, crash
from host_tests.firmware.test_improv import Desk, wifi
from host_tests.firmware.test_power_up import stale_attempt
from host_tests.firmware.test_story import Played
from host_tests.firmware.test_stream import body_of_another_size, failed
from host_tests.firmware.world import (
    ACK,
    ADDRESS,
    BAD_REQUEST,
    CONTENT,
    CONTINUE,
    CREATED,
    INTERNAL_SERVER_ERROR,
    NAME,
    NOT_FOUND,
    UNAUTHORIZED,
    Reply,
    Stub,
    World,
    decode,
    encode,
    example,
    os_error,
)
from host_tests.test_readme import rows
from host_tests.update_causes import CAUSES as UPDATE_CAUSES

DEVICE = "sensor-a1b2c3d4e5f6"
RST = 3
BLOCK1, BLOCK2 = 27, 23
PHRASES = sorted({phrase for row in rows() for phrase in row})


def said(world: World, tries: int | None = 1) -> str:
    """What a board prints until it waits for the next try so many times."""
    world.power_up(tries)
    return "\n".join(world.texts())


def configured(tries: int = 1, **changes) -> str:
    return said(World(example(**changes)), tries)


def joined(status: int, kind: str = "esp32", heard=(), **wifi) -> str:
    world = World(example(**wifi), kind)
    world.network.joins = [[(2_000, status)]]
    world.network.heard = heard
    return said(world)


def wedged(how: str, tries: int = 1, until: str = "reset") -> str:
    world = World()
    network = world.network
    network.wedged, network.wedged_until = OSError(how), until
    cure, powered_on = network.cure, []

    def cure_later(by):
        if powered_on:
            cure(by)
        powered_on.append(by)

    network.cure = cure_later
    return said(world, tries)


def served(*script, tries: int = 1, **changes) -> str:
    world = World(example(**changes))
    world.server.script = list(script)
    return said(world, tries)


def behaving(tries: int = 1, config: dict | None = None, **server) -> str:
    world = World(config or True)
    for name, value in server.items():
        setattr(world.server, name, value)
    return said(world, tries)


def answering(make: Callable, config: dict | None = None) -> str:
    """A server that sends what `make` makes of a request, in place of a response."""
    return behaving(
        config=config,
        on_datagram=lambda datagram, source: [(10, bytes(make(decode(memoryview(datagram)))))],
    )


def onboarding(tries: int = 1, **changes) -> str:
    """A board whose access point nobody comes to."""
    with Played(**changes) as played:
        return said(played.world, tries)


def improv(ssid: bytes, password: bytes) -> str:
    desk = Desk()
    desk.type(wifi(ssid, password))
    return "\n".join(desk.lines)


def around(**changes) -> str:
    world = World()
    for name, value in changes.items():
        setattr(world, name, value)
    return said(world)


def provisioned(config=None) -> World:
    """A World whose board was provisioned; then config.json changed."""
    world = World()
    world.power_up()
    if config is not None:
        world.put("/config.json", config)
    world.lines = []
    return world


def secured(tries: int = 1, files: dict | None = None, lie: int = 0, **changes) -> str:
    world = World(example(server="coaps://" + NAME, ca=CA, **changes))
    secure = Secured(world)
    secure.time.lie = lie
    for path, content in (files or {}).items():
        if content is None:
            del world.flash.files[path]
        else:
            world.put(path, content)
    try:
        return said(world, tries)
    finally:
        secure.close()


def handshake(error: Exception, **seen) -> str:
    """What is said of a handshake that ended so."""
    known = {"timed_out": False, "heard": False, "server_hello": False, "alert": 40, "error": None}
    return str(dtls_failure.explain(error, NAME, Stub(**{**known, **seen})))


def session_that_ends() -> str:
    session = dtls.DTLS.__new__(dtls.DTLS)
    session._tls = Stub(recv=lambda size: b"")
    return error_of(session._read, 100)


def error_of(function: Callable, *arguments, **options) -> str:
    with pytest.raises(FirstbootError) as raised:
        function(*arguments, **options)
    return str(raised.value)


def strange(number: int, tries: int) -> str:
    world = World()
    world.raised = [TypeError("of a stack")] * number
    with patch("firmware.retry.sys", Stub(print_exception=lambda error: None, modules=sys.modules)):
        return said(world, tries)


def flash_of(broken: tuple = (), files: dict | None = None, is_provisioned: bool = False) -> str:
    """A board whose flash fails at some operations, with files that somebody put there."""
    world = World()
    if is_provisioned:
        world.power_up()
        world.lines = []
    for path, content in (files or {}).items():
        world.put(path, content)
    world.flash.broken = broken
    return said(world)


def checked(code: int) -> str:
    return error_of(device_api.check, Stub(code=code, option=lambda number: None))


def steps_of(steps) -> None:
    """Drive a generator of steps to its end."""
    for _ in steps:
        pass


def a_call(is_answered=True):
    def ask(*what):
        if not is_answered:
            silence = NoResponse("no reply")
            silence.acknowledged = True
            raise silence
        return Stub(payload=b"no JSON")
        yield

    session = Stub(trouble=None, is_answered=True, is_linked=lambda: True, ask=ask)
    return requests.call_rpc(session, "getTime", None, 1000)


def refused_twice():
    session = Session.__new__(Session)
    session.disconnect = lambda: None
    session.is_new = True
    return session.link().renew(session)


def unobserved():
    """What a server does that gives a response without Observe."""

    def answered(steps):
        return Stub(code=CONTENT, payload=b"{}")
        yield

    board = World().new_board()
    observed = Observed(300_000, board)
    observed.observe_attributes(lambda values: None)
    for watch in observed._watches:
        watch.is_due = lambda now: True
        watch.observation = Stub(register=lambda client: None, token=None)
    return observed.work(Stub(path=str, client=None, answered=answered))


def kept_asleep() -> str:
    world = World()
    device = Device(at_work.credentials(), board=world.new_board())
    device.session.backlog.put_attributes({"a": 1})
    world.flash.broken = ("write",)
    sleep.deep(device.session, 1000)
    return " ".join(world.lines)


def kept_telemetry(broken: tuple, content: bytes | None = None) -> str:
    world = World()
    if content:
        world.put("/telemetry.json", content)
    world.flash.broken = broken
    backlog = Backlog(world.new_board(), 1000, "newest", True)
    backlog.put({"n": 1}, None)
    backlog.keep()
    return "\n".join(world.texts())


def dropped_telemetry() -> str:
    world = World()
    backlog = Backlog(world.new_board(), 10, "newest", False)
    for number in range(3):
        backlog.put({"n": number}, None)
    backlog.next(1024)
    backlog.sent()
    return "\n".join(world.texts())


def refused_telemetry() -> str:
    world = World()
    backlog = Backlog(world.new_board(), 100, "newest", False)
    backlog.put({"n": None}, None)
    for _ in range(2):
        backlog.next(1024)
        list(backlog.refused(()))
    return "\n".join(world.texts())


def ending(days: int) -> str:
    world = World()
    board = world.new_board()
    board.set_clock(clock.BUILT)
    security._say_ends(board, {"`ca`": clock.BUILT + days * 86_400})
    return "\n".join(world.texts())


def time_by(silent: bool) -> str:
    world = World()
    secure = Secured(world)
    secure.close()
    secure.time.silent = silent
    board = world.new_board()
    board.set_clock(clock.BUILT + 86_400)
    clock.set_clock(board, ["pool.ntp.org"])
    return "\n".join(world.texts())


def full_of_tokens() -> str:
    return str(recovery.too_many([{"deviceName": DEVICE, "server": "coap://a:5683"}]))


def copied() -> str:
    world = World()
    world.put("/attempt.json", {"tokens": [{"token": "the certificate's"}]})
    return error_of(recovery.check_certificate, world.new_board(), "the certificate's")


def rejected() -> str:
    world = provisioned()
    world.server.devices[DEVICE] = "changed-by-an-operator"
    return error_of(credentials_rejected, world.board)


def started(**options) -> str:
    return "\n".join(Start(**options).texts)


def too_short() -> str:
    from firmware import application

    lines = []
    ends = {
        "machine": Stub(reset=lambda: None),
        "time": Stub(sleep=lambda seconds: None),
    }
    system = Stub(print_exception=lambda error: None, stdout=Stub(write=lines.append))
    begin = patch.object(application, "begin", side_effect=MemoryError())
    with begin, patch.object(application, "sys", system), patch.dict("sys.modules", ends):
        application.start()
    return "\n".join(lines)


def not_whole() -> str:
    from firmware import application_failure

    lines = []
    indicator = Stub(say=lambda *more: lines.extend(more))
    modules = {
        "machine": Stub(reset=lambda: None),
        "time": Stub(sleep=lambda seconds: None),
        "firmware.board.indicator": Stub(Indicator=lambda: indicator),
    }
    with patch.dict("sys.modules", modules):
        application_failure.restart()
    return "\n".join(lines)


def unreachable() -> str:
    with patch("firmware.coap.connect.resolve", side_effect=OSError(-2)):
        return error_of(connect, "coap://" + NAME)


def late(timeout: int = 247_000) -> str:
    return str(failure.too_late(timeout, Stub(got_ack=False)))


def unconfirmed() -> str:
    exchange = Stub(
        was_reset=False, transmissions=1, got_ack=False, ignored=0, request=b"\x50", ignored_for=""
    )
    return str(failure.explain(exchange))


def block(number: int, more: bool, size: int = 16) -> tuple[int, bytes]:
    return BLOCK2, bytes([number << 4 | more << 3 | (size // 16).bit_length() - 1])


def junk(message) -> bytes:
    return b"\x00"


def another_block(message) -> bytes:
    token = bytes(message.token)
    return encode(ACK, CONTINUE, message.message_id, token, [(BLOCK1, b"\x5e")])


def reset(message) -> bytes:
    return encode(RST, 0, message.message_id, b"", [])


LONG = {"provisioning__credentialsType": "X509_CERTIFICATE", "provisioning__hash": "c" * 1500}
WRONG = {"`…` is missing", "… belongs there"}
SILENT = {"no answer yet; sent again", "no answer to 5 datagrams"}
THE_SERVER_S = "the server's certificate …"

# Each cause, and all that is printed for it of what the table has.
CAUSES: dict[str, tuple[set[str], Callable[[], str]]] = {
    "no config.json": ({"there is no /config.json"}, lambda: said(World(None))),
    "cut JSON": ({"config.json is no JSON:"}, lambda: said(World(b'{"wifi": '))),
    "a list": ({"config.json is JSON, but no object"}, lambda: said(World(b"[1]"))),
    "a key less": (WRONG, lambda: configured(server=...)),
    "a wrong type": ({"… belongs there"}, lambda: configured(watchdog="no")),
    "a misspelt key": ({"is not known; did you mean"}, lambda: configured(wachdog=8)),
    "another key": ({"that is not known"}, lambda: configured(something=8)),
    "a pin of the console, later": (
        {"config.json should be corrected", "`…` is a pin that"},
        lambda: said(provisioned(example(led=1))),
    ),
    "a pin of the console": ({"`…` is a pin that"}, lambda: configured(led=1)),
    "a pin for two": (
        {"`onboarding_pin` and `led` are the same pin"},
        lambda: configured(led=4, onboarding_pin=4, onboarding=True, onboarding_password=""),
    ),
    "a pin for nothing": (
        {"`onboarding_pin` opens nothing while"},
        lambda: configured(onboarding_pin=4),
    ),
    "a pin that is none for a button": (
        {"`onboarding_pin` is no pin for a button"},
        lambda: onboarding(onboarding_pin=99),
    ),
    "nobody who gives a Wi-Fi": (
        {"and its access point is closed", "the access point is closed again"},
        lambda: onboarding(wifi=...),
    ),
    "a password that is too short, by Improv": (
        {"Improv: wrong or missing"},
        lambda: improv(b"Home", b"short"),
    ),
    "a secret for whatever server": (
        {"who names the server would be told it", "`…` is missing"},
        lambda: configured(server=..., onboarding=True, onboarding_password=""),
    ),
    "two names for a network": (
        {"are both there; one names the network"},
        lambda: configured(wifi__ssid_hex="486f6d65"),
    ),
    "{ID}": ({"has `{ID}` in it"}, lambda: configured(provisioning__deviceName="a-{ID}")),
    "multicast": ({"`server`: …"}, lambda: configured(server="coap://224.0.1.187")),
    "a token of dots": ({"cannot stand in a path"}, lambda: configured(provisioning__token="..")),
    "nothing for MQTT_BASIC": (
        WRONG | {"for MQTT_BASIC"},
        lambda: configured(provisioning__credentialsType="MQTT_BASIC"),
    ),
    "nothing for X509_CERTIFICATE": (
        WRONG | {"for X509_CERTIFICATE"},
        lambda: configured(provisioning__credentialsType="X509_CERTIFICATE"),
    ),
    "64 letters": ({"then all have to be hex digits"}, lambda: configured(wifi__password="x" * 64)),
    "a letter in two escapes": (
        {r"config.json has a letter written as two \u escapes"},
        lambda: configured(provisioning__deviceName="\U0001f600"),
    ),
    "no network": ({'no network "…" in range'}, lambda: joined(201)),
    "no network, Pico W": ({'no network "…" in range'}, lambda: joined(-2, "rp2")),
    "another security": ({"is in range, but not with a security"}, lambda: joined(211)),
    "open, a password": (
        {"is an open network and takes no password"},
        lambda: joined(201, heard=[("Home", 0, -50)]),
    ),
    "no password": (
        {"wants a password"},
        lambda: joined(210, heard=[("Home", 3, -50)], wifi__password=""),
    ),
    "weak": ({"is too weak here"}, lambda: joined(212)),
    "let go": ({"let the board go"}, lambda: joined(200)),
    "a wrong password": ({"did not take the password"}, lambda: joined(202)),
    "a wrong password, Pico W": ({"did not take the password"}, lambda: joined(-3, "rp2")),
    "no DHCP": ({"but it gives no address"}, lambda: joined(2, "rp2")),
    "joining for ever": ({'not joined "…" in … s'}, lambda: joined(1001)),
    "a password that is none": (
        {"the radio cannot use the password"},
        lambda: wedged("Wifi Invalid Password"),
    ),
    "a radio that raises": ({"the radio could not join"}, lambda: wedged("Wifi Internal Error")),
    "no memory to join": ({"no memory is left to join"}, lambda: wedged("WiFi Out of Memory")),
    "a radio for a reset": (
        {"the radio could not join", "the radio does not come back; the board resets"},
        lambda: wedged("Wifi Internal Error", tries=9),
    ),
    "an unknown name": ({"was not found"}, lambda: around(names={})),
    "no route": ({"this board could not send"}, lambda: around(unreachable=(ADDRESS,))),
    "no socket": (
        {"this board could not open a UDP socket"},
        lambda: around(unroutable=(ADDRESS,)),
    ),
    "an unknown name, for connect": ({"cannot be reached"}, unreachable),
    "silence": (SILENT, lambda: behaving(deaf=True)),
    "silence that stays": (
        SILENT | {'nothing came through "…"; joining it anew'},
        lambda: behaving(deaf=True, tries=2),
    ),
    "silence after what wants no answer": ({"no answer to a non-confirmable request"}, unconfirmed),
    "junk": (SILENT | {"ignored, the last:"}, lambda: answering(junk)),
    "late": ({"had not ended its response after"}, late),
    "an empty ACK alone": (
        {"acknowledged the request but did not answer it"},
        lambda: served(Reply(CREATED, separate=500_000)),
    ),
    "a Reset": ({"answered with a Reset"}, lambda: answering(reset)),
    "a wrong secret": ({"answered NOT_FOUND"}, lambda: behaving(secret="another")),
    "a name that is taken": (
        {"answered FAILURE"},
        lambda: behaving(devices={DEVICE: "of-another-1234"}),
    ),
    "a name that may be ours": (
        {"answered FAILURE", "or it did so before, and this board never got the reply"},
        lambda: behaving(
            devices={DEVICE: "of-another-1234"}, config=example(access_token="server")
        ),
    ),
    "4.00": ({"answered 4.00 with no reason"}, lambda: served(Reply(BAD_REQUEST))),
    "PROTOBUF": ({"does not take JSON from this device"}, lambda: checked(BAD_REQUEST)),
    "a token that is known no more": (
        {"takes the board's credentials no more"},
        lambda: checked(UNAUTHORIZED),
    ),
    "a new token that is not known": (
        {"to credentials that it has just given"},
        lambda: error_of(steps_of, refused_twice()),
    ),
    "a device that is busy": ({"could not work on the request"}, lambda: checked(0xA3)),
    "MQTT_BASIC at work": (
        {"credentials are for MQTT"},
        lambda: error_of(device_api.api_path, {"credentialsType": "MQTT_BASIC"}, "telemetry"),
    ),
    "a reply of a rule chain": ({"reply to … is no JSON"}, lambda: error_of(steps_of, a_call())),
    "a rule chain without one": ({"had no reply to"}, lambda: error_of(steps_of, a_call(False))),
    "attributes that are none": (
        {"sent attributes that are no JSON"},
        lambda: error_of(attributes.SharedAttributes().on_registration, Stub(payload=b"no"), 0),
    ),
    "no observing": ({"does not let … be observed"}, lambda: error_of(steps_of, unobserved())),
    "telemetry that cannot be kept": (
        {"telemetry not saved", "cannot be saved"},
        lambda: kept_telemetry(("write",)),
    ),
    "telemetry that there is no room for": ({"telemetry dropped"}, dropped_telemetry),
    "telemetry that is none to ThingsBoard": ({"answers 4.00 to it"}, refused_telemetry),
    "attributes that cannot be kept": ({"not kept", "cannot be saved"}, kept_asleep),
    "telemetry of somebody else": (
        {"cannot be read: what it kept is lost", "cannot be read"},
        lambda: kept_telemetry((), b"no"),
    ),
    "a changed token": ({"takes the credentials of"}, rejected),
    "5.00": (
        {"answered 5.00", "could not work on the request"},
        lambda: served(Reply(INTERNAL_SERVER_ERROR)),
    ),
    "no ThingsBoard": ({"is no provisioning response"}, lambda: served(Reply(CREATED, b"hello"))),
    "2.31 for all": ({"2.31 after the last block"}, lambda: served(Reply(CONTINUE))),
    "2.31 for another": (
        {"for another block"},
        lambda: answering(another_block, example(**LONG)),
    ),
    "an end in the middle": (
        {"in the middle of a block-wise response"},
        lambda: served(Reply(CREATED, b"x" * 16, [block(0, True)]), Reply(NOT_FOUND)),
    ),
    "a block that jumps": (
        {"a block that does not continue the response"},
        lambda: served(
            Reply(CREATED, b"x" * 16, [block(0, True)]), Reply(CREATED, b"x", [block(5, False)])
        ),
    ),
    "a body of another size": (
        {"bytes that was to have"},
        lambda: str(failed(CoapError, body_of_another_size())[0]),
    ),
    "a body of 5000": (
        {"a body over the limit of"},
        lambda: served(Reply(CREATED, b"x" * 16, [block(0, True), (28, b"\x13\x88")])),
    ),
    "ca without coaps": ({"is for coaps, but"}, lambda: configured(ca="ca.pem")),
    "a file less": (
        {"names a file that is not on the board"},
        lambda: secured(files={CA: None}),
    ),
    "a file of nothing": (
        {"names a file that holds no …"},
        lambda: secured(files={CA: b"-----BEGIN NOTHING-----\n-----END NOTHING-----\n"}),
    ),
    "no DTLS": ({"coaps needs DTLS"}, lambda: error_of(dtls.make_context, [])),
    "another CA": ({THE_SERVER_S}, lambda: handshake(ValueError("not correctly signed"))),
    "expired": ({THE_SERVER_S}, lambda: handshake(ValueError("has expired"))),
    "no cipher": ({"no cipher in common"}, lambda: handshake(os_error(-0x7780), heard=True)),
    "another client certificate": (
        {"it wants another client certificate"},
        lambda: handshake(os_error(-0x7780), heard=True, server_hello=True),
    ),
    "nobody": (
        {"did not answer the DTLS handshake"},
        lambda: handshake(os_error(1), timed_out=True),
    ),
    "half a handshake": (
        {"began the DTLS handshake and did not end it"},
        lambda: handshake(os_error(1), timed_out=True, heard=True),
    ),
    "no memory": (
        {"out of memory for the DTLS handshake"},
        lambda: handshake(os_error(-0x7F00), heard=True),
    ),
    "another error of mbedTLS": (
        {"the DTLS handshake failed"},
        lambda: handshake(os_error(-0x7200), heard=True),
    ),
    "a session that ends": ({"the DTLS session"}, session_that_ends),
    "a certificate that ends": ({"ends on … UTC"}, lambda: ending(20)),
    "one that has": ({"ended on"}, lambda: ending(-1)),
    "time": ({"clock set to"}, lambda: time_by(silent=False)),
    "no time": ({"clock left at"}, lambda: time_by(silent=True)),
    "what coaps is told to risk": (
        {"anybody can answer in the server's place", "a lost reply would need an operator"},
        lambda: secured(verify=False, access_token="server"),
    ),
    "unreadable": ({"cannot be read"}, lambda: flash_of(broken=("read",))),
    "full": ({"cannot be saved"}, lambda: flash_of(broken=("write",))),
    "not removable": (
        {"cannot be removed"},
        lambda: flash_of(("remove",), {"/attempt.json": stale_attempt(), KEPT: b""}, True),
    ),
    "not renamable": (
        {"cannot be renamed"},
        lambda: flash_of(broken=("rename",), files={"/credentials.json": b"{}"}),
    ),
    "no microCoAPy": (
        {'`codec` is "microcoapy", which is not on the board'},
        lambda: configured(codec="microcoapy"),
    ),
    "another's file": (
        {"it is now /credentials.json.bad1"},
        lambda: flash_of(files={"/credentials.json": b"{}"}),
    ),
    "another server": (
        {'is "…" in config.json, but the board is provisioned with'},
        lambda: said(provisioned(example(server="coap://elsewhere.example.com"))),
    ),
    "nine names": ({"/attempt.json is full of tokens"}, full_of_tokens),
    "a copied flash": ({"this flash was copied from another board"}, copied),
    "broken later": (
        {"config.json is not used", "config.json is no JSON:"},
        lambda: said(provisioned(b"{")),
    ),
    "no app.py": ({"there is no app.py on the board"}, lambda: started(files=())),
    "a crash": ({"app.py raised"}, lambda: started(run=crash(ValueError("x")))),
    "a mark": (
        {"app.py begins with a byte order mark", "app.py raised"},
        lambda: started(run=crash(ValueError("x")), content=b"\xef\xbb\xbf"),
    ),
    "UTF-16": (
        {"app.py is in UTF-16", "app.py raised"},
        lambda: started(run=crash(ValueError("x")), content=b"\xff\xfea\0"),
    ),
    "a strange exception": ({"an unexpected"}, lambda: strange(1, 1)),
    "one that stays": (
        {"an unexpected", "this does not pass; the board resets"},
        lambda: strange(6, 9),
    ),
    **UPDATE_CAUSES,
    "an update without its code": (
        {"and firmware/… is not on the board"},
        lambda: flash_of(files={"/firmware": b"", "/config.json": example(update={})}),
    ),
    "no memory to say so": ({"the memory is too short"}, too_short),
    "half a firmware": ({"the firmware is not whole"}, not_whole),
    "coaps before, coap now": (
        {"is for coaps, and there is no"},
        lambda: error_of(connect, "coaps://" + NAME),
    ),
    "coap before, coaps now": (
        {
            "all it sends is in the clear",
            'is "…" in config.json, but the board is provisioned with',
        },
        lambda: said(provisioned(example(server="coaps://" + NAME, ca="ca.pem"))),
    ),
}


def shown_in(text: str) -> set[str]:
    """The phrases of README's table that are in a text."""
    return {phrase for phrase in PHRASES if re.search(re.escape(phrase).replace("…", ".+"), text)}


def test_every_message_has_a_cause():
    caused = set().union(*(phrases for phrases, _ in CAUSES.values()))
    assert caused == set(PHRASES)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_has_its_messages_and_no_other(cause):
    phrases, happen = CAUSES[cause]
    text = happen()
    assert shown_in(text) == phrases, text
