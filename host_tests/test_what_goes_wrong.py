"""What goes wrong around a board, in virtual time: it provisions all the same, or says why not."""

from __future__ import annotations

import ast
import json

import pytest

from host_tests.explorer.board import ADDRESSES
from host_tests.explorer.network import SERVER_ADDRESS
from host_tests.explorer.scene import ACCESS_TOKENS, ATTEMPT, CONFIG, CREDENTIALS, NAME
from host_tests.explorer.server import REPLIES
from host_tests.explorer.site import PowerCut, Radio, Site
from tools import shims
from tools.virtual_board.boards import KINDS
from tools.virtual_board.flash import PROJECT

MINUTE = 60_000
EVERY_OPERATION = range(1 << 30)


def _cut_in_wait(number):
    def on_wait(waits):
        if waits == number:
            raise PowerCut

    return on_wait


# The flash


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_flash_is_reported_and_provisioned_from_once_there_is_space(kind):
    site = Site(kind=kind)
    with site.files.open("/filler", "wb") as filler, pytest.raises(OSError):
        while True:
            filler.write(b"x" * 512)

    def on_wait(waits):
        assert site.board.state == "failed"
        assert f"{ATTEMPT} cannot be saved" in site.console
        assert "Free space" in site.console
        assert site.sent == []
        if waits == 3:
            site.files.remove("/filler")

    site.on_wait = on_wait
    site.check(site.power_up())


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_flash_is_reported_and_loses_nothing(kind):
    site = Site(kind=kind)
    site.chip.fails = EVERY_OPERATION

    def on_wait(waits):
        assert f"{ATTEMPT} cannot be saved" in site.console
        assert site.sent == []
        if waits == 4:
            site.chip.fails = ()

    site.on_wait = on_wait
    site.check(site.power_up())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("access_token", ACCESS_TOKENS)
def test_each_write_error_alone_is_got_over(access_token, kind):
    whole = Site(access_token=access_token, kind=kind)
    whole.power_up()
    for operation in range(1, whole.chip.operations + 1):
        site = Site(access_token=access_token, kind=kind)
        site.chip.fails = (operation,)
        credentials = site.power_up()
        if site.saved(ATTEMPT):  # it was the removal that failed, which the next power-up makes up
            assert site.power_up() == credentials
        site.check(credentials)


@pytest.mark.parametrize("access_token", ACCESS_TOKENS)
@pytest.mark.parametrize("minutes", [1, 10])
def test_credentials_that_could_not_be_saved_for_a_while_are_not_lost(access_token, minutes):
    site = Site(access_token=access_token, reply="separate")
    site.on_send = lambda: setattr(site.chip, "fails", EVERY_OPERATION)
    until = minutes * MINUTE

    def on_wait(waits):
        assert site.board.state == "failed", site.console
        assert f"{CREDENTIALS} cannot be saved" in site.console or "no answer" in site.console
        if site.wire.now >= until:
            site.on_send = lambda: None
            site.chip.fails = ()

    site.on_wait = on_wait
    site.check(site.power_up())


@pytest.mark.parametrize("kind", KINDS)
def test_credentials_are_found_on_a_flash_that_takes_no_more_writes(kind):
    site = Site(kind=kind)
    credentials = site.power_up()
    site.files.write(ATTEMPT, b"{}")
    site.chip.fails = EVERY_OPERATION
    sent = len(site.sent)
    assert site.power_up() == credentials
    assert len(site.sent) == sent


# Time and numbers


def test_ticks_wrap_in_the_middle_of_any_wait():
    def schedule(ticks_at_power_up):
        site = Site(reply="separate")
        site.ticks_at_power_up = ticks_at_power_up
        site.wire.fates = dict.fromkeys((0, 1, 2, 3, 4, 5, 8), "lost")
        site.check(site.power_up())
        return site.sent

    usual = schedule(0)
    assert len(usual) > 7
    for seconds in range(usual[-1][0] // 1000 + 2):
        assert schedule(shims.TICKS_PERIOD - seconds * 1000) == usual


@pytest.mark.parametrize("message_id", [0xFFFF, 0xFFFE, 0])
def test_message_ids_wrap(message_id):
    site = Site()
    site.on_wait = _cut_in_wait(1)
    site.wire.fates = dict.fromkeys(range(1, 40), "lost")
    assert site.power_up() is None
    attempt = site.saved(ATTEMPT)
    attempt["message_id"] = message_id
    site.files.write(ATTEMPT, json.dumps(attempt).encode())
    site.wire.fates = {}
    site.on_wait = lambda waits: None
    site.check(site.power_up())


# What certificates are checked against, and nothing else.
READS_THE_CLOCK = {"clock.py", "dtls_failure.py", "hardware.py"}


def test_nothing_but_certificates_needs_the_clock_of_the_board():
    for file in [PROJECT / "main.py", *PROJECT.glob("firmware/**/*.py")]:
        if file.name in READS_THE_CLOCK:
            continue
        names = {
            name
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            for name in ([alias.name for alias in getattr(node, "names", [])] or [_attribute(node)])
            if isinstance(node, (ast.Import, ast.ImportFrom, ast.Attribute))
        }
        assert not names & {"RTC", "localtime", "gmtime", "time_ns", "mktime"}, file


def _attribute(node):
    return getattr(node, "attr", None)


# The network


def test_dns_gives_another_address_between_two_tries():
    site = Site()
    site.server_address = "192.0.2.9"

    def on_wait(waits):
        site.board.names["thingsboard.example.com"] = ["192.0.2.9"]

    site.on_wait = on_wait
    site.check(site.power_up())


def test_dns_gives_another_address_of_the_same_server_while_the_board_is_off():
    site = Site(access_token="server")
    site.wire.fates = dict.fromkeys(range(1, 40), "lost")
    site.on_wait = _cut_in_wait(1)
    assert site.power_up() is None
    site.wire.fates = {}
    site.names = ["192.0.2.9"]
    site.on_wait = lambda waits: None
    site.check(site.power_up())


def test_dns_fails_for_a_while():
    site = Site()
    site.names = []

    def on_wait(waits):
        assert "was not found" in site.console
        if waits == 5:
            site.board.names["thingsboard.example.com"] = [SERVER_ADDRESS]

    site.on_wait = on_wait
    site.check(site.power_up())


def test_dhcp_gives_another_address_on_resume():
    site = Site()
    site.wire.fates = dict.fromkeys(range(1, 40), "lost")
    site.on_wait = _cut_in_wait(1)
    assert site.power_up() is None
    site.wire.fates = {}
    site.address = ADDRESSES[1]
    site.on_wait = lambda waits: None
    site.check(site.power_up())


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize(
    ("access_token", "address_after"),
    [("device", ADDRESSES[0]), ("device", ADDRESSES[1]), ("server", ADDRESSES[0])],
)
def test_wifi_drops_in_the_middle_of_an_exchange(access_token, address_after, reply):
    for drops_after in range(0, 1000, 20):
        site = Site(access_token=access_token, reply=reply)
        site.radio = Radio(site, drops_after, drops_after + 45_000, address_after)
        site.check(site.power_up())


# The server


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_error_whose_request_was_done_all_the_same(count):
    site = Site()
    site.thingsboard.fail_next(count, executed=True)
    site.check(site.power_up())


def test_a_server_that_restarts_forgets_its_replies():
    site = Site()
    site.wire.fates = dict.fromkeys(range(1, 40), "lost")

    def on_wait(waits):
        site.wire.server.restart()
        site.wire.fates = {}

    site.on_wait = on_wait
    site.check(site.power_up())


# The configuration


@pytest.mark.parametrize("access_token", ACCESS_TOKENS)
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("power_cycled", [False, True])
def test_a_secret_that_was_put_right_is_served_at_once(access_token, reply, power_cycled):
    site = Site(access_token=access_token, reply=reply)
    site.configure(access_token=access_token, provisionDeviceSecret="a mistake")

    def on_wait(waits):
        assert site.board.state == "refused"
        assert waits == 1
        site.files.write(CONFIG, site.setting.config)
        if power_cycled:
            raise PowerCut

    site.on_wait = on_wait
    credentials = site.power_up()
    if power_cycled:
        site.on_wait = lambda waits: pytest.fail(site.console)
        credentials = site.power_up()
    site.check(credentials)


def test_another_server_gets_a_new_attempt():
    site = Site()
    site.server_address = "192.0.2.9"
    site.on_wait = _cut_in_wait(2)
    assert site.power_up() is None
    before = site.saved(ATTEMPT)
    site.configure(server="coap://192.0.2.9")
    site.on_wait = _cut_in_wait(1)
    site.wire.fates = dict.fromkeys(range(1, 40), "lost")
    assert site.power_up() is None
    after = site.saved(ATTEMPT)
    assert after["server"] == "coap://192.0.2.9:5683" and after["address"] == "192.0.2.9"
    for drawn in ("message_id", "coap_token"):
        assert before[drawn] != after[drawn]
    assert after["tokens"][:1] == before["tokens"] and len(after["tokens"]) == 2
    site.wire.fates = {}
    site.on_wait = lambda waits: None
    credentials = site.power_up()
    assert credentials["server"] == "coap://192.0.2.9"
    assert credentials["credentialsValue"] == site.thingsboard.devices[NAME].token
