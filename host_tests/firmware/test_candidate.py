"""firmware.onboarding.candidate: what a person gave is tried, and saved only once it has joined."""

import json

from firmware.board import config as configuration
from firmware.errors import FirstbootError
from firmware.onboarding.candidate import Candidate
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import KEY, NAME, SECRET, PowerCut, World, example, os_error

PASSWORD = "another password"
UP = {"esp32": 1010, "rp2": 3}
# Of each board the status for what `state` says.
FAILURES = (
    ("esp32", 201, "not in range"),
    ("esp32", 202, "wrong password"),
    ("esp32", 15, "wrong password"),
    ("esp32", 210, "security"),
    ("esp32", 212, "too weak"),
    ("esp32", 1001, "not joined"),
    ("rp2", -2, "not in range"),
    ("rp2", -3, "wrong password"),
    ("rp2", -1, "not joined"),
    ("rp2", 2, "no address"),
)
ALL = {
    "server": "coap://" + NAME,
    "deviceName": "sensor-{id}",
    "provisionDeviceKey": KEY,
    "provisionDeviceSecret": SECRET,
}


def portal(**changes):
    return example(onboarding="portal", onboarding_password="label-1234", **changes)


def bare():
    """Return a config.json that leaves everything to a person."""
    return {"onboarding": True, "onboarding_password": "label-1234"}


def made(config=None, kind="esp32", provisioned=False):
    """Return (world, candidate), which asks for what is missing."""
    world = World(config or portal(wifi=...), kind)
    candidate = Candidate(world.new_board(), provisioned)
    missing = []
    configuration.load(world.board, provisioned, missing)
    candidate.ask(missing)
    return world, candidate


def saved(world):
    return world.get("/config.json")


def test_saved_once_it_has_joined():
    for kind in ("esp32", "rp2"):
        world, candidate = made(kind=kind)
        assert (candidate.state, candidate.lacks_wifi, candidate.asked) == ("idle", True, [])
        before = world.flash.files["/config.json"]
        assert candidate.offer({"ssid": "Home", "password": PASSWORD}) == []
        assert (candidate.state, candidate.ssid) == ("trying", "Home")
        assert world.flash.files["/config.json"] == before
        assert candidate.work() is True
        assert (candidate.state, candidate.text) == ("joined", 'joined "Home"')
        assert not candidate.lacks_wifi
        assert saved(world) == portal(wifi={"ssid": "Home", "password": PASSWORD})
        assert world.network.named("connect") == [("Home", PASSWORD)]
        assert PASSWORD not in "".join(world.lines)


def test_what_never_joined_leaves_config_json_as_it_was():
    for kind, status, state in FAILURES:
        for config in (portal(wifi=...), portal()):
            world, candidate = made(config, kind)
            world.network.joins = [[(2000, status)]]
            before = dict(world.flash.files)
            candidate.offer({"ssid": "Other", "password": PASSWORD})
            assert candidate.work() is False
            assert candidate.state == state, (kind, status, candidate.state)
            assert '"Other"' in candidate.text and PASSWORD not in candidate.text
            assert world.flash.files == before
            assert 15_000 < world.clock.slept < 25_000
            world.network.joins = [[(300, UP[kind])]]
            assert candidate.offer({"ssid": "Other", "password": PASSWORD}) == []
            assert candidate.work() is True
            assert saved(world)["wifi"] == {"ssid": "Other", "password": PASSWORD}


def test_a_wrong_password_for_the_network_that_is_joined_is_not_saved():
    for kind in ("esp32", "rp2"):
        world, candidate = made(portal(), kind)
        from firmware.board import wifi

        wifi.join(configuration.load(world.board), world.board)
        world.network.joins = [[(2000, world.network.STAT_WRONG_PASSWORD)]]
        candidate.offer({"ssid": "Home", "password": PASSWORD})
        assert candidate.work() is False
        assert candidate.state == "wrong password"
        assert saved(world) == portal()
        assert (False,) in world.network.named("active")


def test_any_number_of_wrong_guesses_resets_no_board():
    world, candidate = made()
    world.network.wedged = 1001
    world.network.wedged_until = "reset"
    for _ in range(10):
        candidate.offer({"ssid": "Other", "password": PASSWORD})
        assert not candidate.work()
    assert world.board.resets == 0


def test_what_belongs_to_the_old_network_stays():
    world, candidate = made(portal(wifi={"country": "DE", "hostname": "lamp"}))
    assert candidate.lacks_wifi
    candidate.offer({"ssid": "Home"})
    assert candidate.work()
    assert saved(world)["wifi"] == {"ssid": "Home", "country": "DE", "hostname": "lamp"}
    assert world.network.named("country") == [("DE",)]
    assert world.network.named("connect") == [("Home", None)]


def test_a_list_of_networks_gets_it_in_front():
    networks = [{"ssid": "%d" % number} for number in range(8)]
    for ssid, rest in (("new", networks[:7]), ("3", networks[:3] + networks[4:])):
        world, candidate = made(portal(wifi=networks))
        candidate.offer({"ssid": ssid, "password": PASSWORD})
        assert candidate.work()
        assert saved(world)["wifi"] == [{"ssid": ssid, "password": PASSWORD}] + rest


NAMES = (
    b"plain",
    "Küche".encode(),
    "\U0001f321 dom".encode(),
    b"<script>alert(1)</script>",
    b"' \"\\ %00 &amp;",
    b"\xff" * 32,
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"a\0b",
    b"line\nfeed",
    b"\x1b[2J\x7f",
    "\x9b2J".encode(),
    "\u202egnp".encode(),
    b" ",
)


def test_any_name_is_joined_as_it_is():
    for name in NAMES:
        world, candidate = made()
        assert candidate.offer({"ssid": name, "password": PASSWORD}) == []
        assert candidate.work(), name
        ssid = world.network.named("connect")[0][0]
        assert (ssid.encode() if isinstance(ssid, str) else ssid) == name
        wifi = configuration.load(world.new_board())["wifi"]
        assert wifi["name"] == name
        assert (
            not configuration.load(world.board, True)["wifi"]["ssid_hex"]
            or "ssid" not in (saved(world)["wifi"])
        )


def test_what_does_not_fit_is_named_and_not_tried():
    for settings, wrong in (
        ({}, ["ssid"]),
        ({"ssid": ""}, ["ssid"]),
        ({"password": PASSWORD}, ["ssid"]),
        ({"ssid": "x" * 33}, ["ssid"]),
        ({"ssid": "ü" * 17}, ["ssid"]),
        ({"ssid": b"x" * 33}, ["ssid"]),
        ({"ssid": "Home", "password": "1234567"}, ["password"]),
        ({"ssid": "Home", "password": "x" * 64}, ["password"]),
        ({"ssid": "Home", "password": "x" * 65}, ["password"]),
    ):
        world, candidate = made()
        assert candidate.offer(settings) == wrong, settings
        assert candidate.state == "does not fit"
    world, candidate = made()
    assert candidate.offer({"ssid": "Home", "password": "f" * 64}) == []


def test_all_that_config_json_lacks_is_asked_for():
    world, candidate = made(bare())
    assert candidate.asked == [
        "server",
        "deviceName",
        "provisionDeviceKey",
        "provisionDeviceSecret",
    ]
    home = {"ssid": "Home", "password": PASSWORD}
    assert candidate.offer(home) == candidate.asked
    for changes, wrong in (
        ({"server": "http://x"}, "server"),
        ({"server": "coap://"}, "server"),
        # There is no `ca` to know it by.
        ({"server": "coaps://" + NAME}, "server"),
        ({"deviceName": "  "}, "deviceName"),
        ({"deviceName": "sensor-{ID}"}, "deviceName"),
        ({"provisionDeviceKey": ""}, "provisionDeviceKey"),
        ({"provisionDeviceSecret": None}, "provisionDeviceSecret"),
    ):
        settings = dict(ALL)
        settings.update(home)
        settings.update(changes)
        assert candidate.offer(settings) == [wrong], changes
    settings = dict(ALL)
    settings.update(home)
    assert candidate.offer(settings) == []
    assert candidate.work()
    expected = bare()
    expected["wifi"] = home
    expected["server"] = ALL["server"]
    expected["provisioning"] = {key: ALL[key] for key in ALL if key != "server"}
    assert saved(world) == expected
    assert configuration.load(world.new_board())["endpoint"][0] == NAME


def test_what_was_not_asked_for_is_not_taken():
    """Else a secret in config.json would go to a server that somebody names."""
    world, candidate = made()
    settings = {"ssid": "Home", "server": "coap://evil.example", "verify": False}
    assert candidate.offer(settings) == []
    assert candidate.work()
    assert saved(world) == portal(wifi={"ssid": "Home"})
    candidate.tell("refused", "ThingsBoard refused")
    assert not candidate.asked
    assert candidate.offer({"server": "coap://evil.example"}) == ["ssid"]


def test_what_thingsboard_refused_can_be_corrected_all_of_it_at_once():
    world, candidate = made(bare())
    settings = dict(ALL)
    settings.update(ssid="Home", provisionDeviceSecret="wrong-secret-1234")
    candidate.offer(settings)
    assert candidate.work()
    candidate.tell("refused", "ThingsBoard refused")
    assert sorted(candidate.asked) == sorted(ALL)
    assert sorted(candidate.offer({"server": "coap://other.example"})) == sorted(
        key for key in ALL if key != "server"
    )
    assert candidate.offer(dict(ALL)) == []
    assert candidate.work()
    assert saved(world)["provisioning"]["provisionDeviceSecret"] == SECRET
    assert saved(world)["wifi"] == {"ssid": "Home"}


def test_what_a_person_gave_can_stay_or_be_corrected_but_nothing_else():
    """A server that is misspelt answers nothing; the token of config.json goes nowhere else."""
    world, candidate = made(portal(wifi=..., provisioning__provisionDeviceSecret=...))
    assert candidate.lacks_server
    home = {"ssid": "Home", "password": PASSWORD}
    assert candidate.offer(dict(home, provisionDeviceSecret="a wrong secret")) == []
    assert candidate.work()
    for state in ("no answer", "refused"):
        candidate.ask([])
        candidate.tell(state, "text")
        assert candidate.asked == ["provisionDeviceSecret"] and not candidate.lacks_server
        assert candidate.offer({"server": "coap://evil.example"}) == ["ssid"]
        assert candidate.offer({"ssid": "Other", "password": PASSWORD}) == []
        assert candidate.work()
    assert candidate.offer({"provisionDeviceSecret": SECRET}) == []
    assert candidate.work()
    assert saved(world)["provisioning"] == portal()["provisioning"]
    assert saved(world)["server"] == portal()["server"]
    world, candidate = made(bare())
    assert candidate.offer(dict(ALL, ssid="Home", server="coap://misspelt.example")) == []
    assert candidate.work()
    candidate.tell("no answer", "text")
    assert candidate.offer({"server": ALL["server"]}) == candidate.asked[1:]
    assert candidate.offer(ALL) == []


def test_what_never_joined_was_not_given():
    world, candidate = made(bare())
    world.network.joins = [[(2000, 202)]]
    assert candidate.offer(dict(ALL, ssid="Home", password=PASSWORD)) == []
    assert not candidate.work()
    assert candidate.lacks_server
    assert candidate.offer({"ssid": "Home"}) == candidate.asked


def test_a_provisioned_board_takes_wi_fi_alone():
    world, candidate = made(bare(), provisioned=False)
    world.put("/config.json", portal(wifi=..., provisioning__provisionDeviceSecret=...))
    candidate = Candidate(world.board, provisioned=True)
    missing = []
    configuration.load(world.board, True, missing)
    candidate.ask(missing)
    assert candidate.lacks_wifi and candidate.asked == []
    assert candidate.offer({"ssid": "Home"}) == []
    assert candidate.work()
    assert "provisionDeviceSecret" not in saved(world)["provisioning"]


def test_one_at_a_time():
    world, candidate = made()
    candidate.offer({"ssid": "Home"})
    error = raises(FirstbootError, candidate.offer, {"ssid": "Other"})
    assert "being tried" in error.what


def test_a_flash_that_is_full_keeps_what_was_there():
    world, candidate = made()
    before = world.flash.files["/config.json"]
    candidate.offer({"ssid": "Home", "password": PASSWORD})
    world.flash.broken = ("write",)
    assert candidate.work() is False
    assert candidate.state == "not saved" and ".json cannot be saved" in candidate.text
    assert world.flash.files["/config.json"] == before


def test_a_power_cut_at_any_operation_leaves_the_old_or_the_new():
    for is_fat in (False, True):
        number = 0
        while True:
            world, candidate = made()
            world.flash.is_fat = is_fat
            old = saved(world)
            candidate.offer({"ssid": "Home", "password": PASSWORD})
            world.flash.begin()
            world.flash.cut_at = number
            try:
                candidate.work()
                break
            except PowerCut:
                pass
            world.flash.begin()
            missing = []
            config = configuration.load(world.new_board(), False, missing)
            assert saved(world) in (old, portal(wifi={"ssid": "Home", "password": PASSWORD}))
            assert config["provisioning"]["provisionDeviceSecret"] == SECRET
            number += 1
        assert number > 4
        assert saved(world)["wifi"]["password"] == PASSWORD


def test_flash_that_cannot_be_read():
    world, candidate = made()
    world.put("/config.json", b"{")
    assert raises(FirstbootError, candidate.offer, {"ssid": "Home"}).state == "config.json"
    world.flash.broken = ("read",)
    world.flash.error = os_error(5).errno
    raises(FirstbootError, candidate.offer, {"ssid": "Home"})


def test_no_secret_in_any_text():
    world, candidate = made(bare())
    settings = dict(ALL)
    settings.update(ssid="Home", password=PASSWORD)
    for joins in ([[(2000, 202)]], [[(300, 1010)]]):
        world.network.joins = joins
        candidate.offer(settings)
        candidate.work()
        shown = candidate.text + json.dumps(world.lines)
        for secret in (PASSWORD, SECRET, KEY):
            assert secret not in shown
