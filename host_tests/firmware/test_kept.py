"""firmware.board.kept: a provisioned board starts its application and looks at nothing else."""

import json
import sys

from firmware.board import config as configuration
from firmware.board import kept
from host_tests.firmware.world import (
    KEY,
    NAME,
    SECRET,
    WIFI_PASSWORD,
    Stub,
    World,
    example,
)

FIRST = "firstboot 1.0.0 on a virtual board"
LOOKED_AT = "firmware.board.config"


def settled(config=True, power_ups=2, **credentials):
    """Return a World whose board is provisioned, and has kept what its next start needs."""
    world = World(config)
    world.power_up()
    if credentials:
        world.put("/credentials.json", dict(world.get("/credentials.json"), **credentials))
    for _ in range(power_ups - 1):
        start(world)
    return world


def start(world):
    """Power up; return the console's lines, without their times."""
    world.lines = []
    world.sent, world.network.calls = [], []
    world.flash.begin()
    world.started = world.power_up()
    return world.texts()


def looked(world):
    """Return whether the last start looked at config.json's content."""
    return bool(world.board.leds)


def test_it_is_written_once_after_provisioning():
    world = World()
    world.power_up()
    assert world.flash.count("close", "/start.json.new") == 1
    start(world)
    assert not [each for each in world.flash.operations if each[0] in ("write", "rename")]
    assert not looked(world)


def test_nothing_else_is_looked_at():
    world = settled()
    start(world)
    read = [path for name, path in world.flash.operations if name == "read"]
    assert read == ["/start.json", "/credentials.json", "/config.json"]
    assert world.board.leds == [] and world.network.calls == [] and world.sent == []


def test_what_is_kept_holds_no_secret_and_does_not_reach_the_application():
    world = settled(example(watchdog=8, restart_after_crash=60))
    content = world.flash.files["/start.json"].decode()
    for secret in [KEY, SECRET, WIFI_PASSWORD, world.get("/credentials.json")["credentialsValue"]]:
        assert secret not in content
    start(world)
    credentials, found = world.started
    assert credentials == world.get("/credentials.json")
    assert found["restart_after_crash"] == 60 and world.board.watchdog == 8
    assert not looked(world)


def test_the_codec_of_config_json_is_used_at_each_start():
    name, installed = "firmware.coap.microcoapy", []
    before = sys.modules.get(name)
    sys.modules[name] = Stub(install=lambda: installed.append(1))
    try:
        for codec, times in (("microcoapy", 1), ("firmware", 0)):
            world = World(example(codec=codec))
            world.put("/lib/microcoapy", b"")
            for _ in range(2):
                start(world)
            del installed[:]
            start(world)
            assert not looked(world) and len(installed) == times, codec
    finally:
        del sys.modules[name]
        if before:
            sys.modules[name] = before


def test_what_is_printed_stays():
    """With every kind of remark, and with none."""
    for config, changes, word in (
        (True, {}, ""),
        (example(), {"server": "coap://old.example.com"}, "To provision it anew"),
        (example(), {"deviceName": "old-name"}, 'deviceName is "sensor-a1b2c3d4e5f6" in config'),
        (example(wifi__password="g" * 64), {}, ""),
    ):
        world = World(example())
        world.power_up()
        world.put("/config.json", example() if config is True else config)
        world.put("/credentials.json", dict(world.get("/credentials.json"), **changes))
        first = start(world)
        assert looked(world) == bool(config is not True or changes)
        second = start(world)
        assert not looked(world)
        assert first == second and word in "\n".join(second)


def test_a_config_that_cannot_be_used_is_said_without_a_look():
    for config in (None, b"{", example(server="http://x"), example(wifi__passwort="x")):
        world = settled()
        if config is None:
            del world.flash.files["/config.json"]
        else:
            world.put("/config.json", config)
        first = start(world)
        assert "config.json is not used" in first
        assert start(world) == first
        assert world.started[1]["restart_after_crash"] is None
        assert [path for name, path in world.flash.operations if name == "write"] == []


def test_any_change_is_looked_at_and_kept_anew():
    def config(world):
        world.put("/config.json", example(led=5))

    def one_letter(world):
        content = world.flash.files["/config.json"]
        world.flash.files["/config.json"] = content.replace(b"Home", b"Shed")

    def one_blank(world):
        world.flash.files["/config.json"] += b" "

    def credentials(world):
        fields = dict(world.get("/credentials.json"), credentialsValue="another-token")
        world.put("/credentials.json", fields)

    def firmware(world):
        kept.VERSION = "0.9.0"
        try:
            kept.keep(world.new_board(), None, [])
        finally:
            kept.VERSION = "1.0.0"

    def torn(world):
        world.put("/start.json", b'{"of": "00')

    def empty(world):
        world.put("/start.json", b"")

    def foreign(world):
        world.put("/start.json", b"[1]")

    def gone(world):
        del world.flash.files["/start.json"]

    for change in (
        config,
        one_letter,
        one_blank,
        credentials,
        firmware,
        torn,
        empty,
        foreign,
        gone,
    ):
        world = settled()
        change(world)
        start(world)
        assert looked(world), change
        assert world.started[0] == world.get("/credentials.json")
        start(world)
        assert not looked(world), change


def test_another_board_s_flash():
    world = settled()
    before = world.flash.files["/start.json"]
    board = type(world.board)
    board.description = "another board"
    try:
        assert start(world)[0] == "firstboot 1.0.0 on another board"
        assert looked(world) and world.flash.files["/start.json"] != before
    finally:
        board.description = "a virtual board"


def test_no_byte_changes_sides():
    """What leaves one file and comes to the other is a change."""
    world = settled()
    board = world.board
    assert kept._digest(board, b"ab", b"c") != kept._digest(board, b"a", b"bc")
    assert kept._digest(board, None, b"c") == kept._digest(board, b"", b"c")


def test_a_cut_at_any_time():
    expected = start(settled())
    for changed in (False, True):
        for number in range(60):
            world = settled()
            if changed:
                world.flash.files["/config.json"] += b" "
            else:
                del world.flash.files["/start.json"]
            world.flash.begin()
            world.flash.cut_at = number
            world.power_up()
            was_cut = len(world.flash.operations) == number
            for _ in range(2):
                assert start(world) == expected
                assert world.started[0] == world.get("/credentials.json")
            assert not looked(world)
            if not was_cut:
                break
        assert not was_cut and number > 5


def test_a_flash_that_cannot_keep_it():
    world = settled()
    del world.flash.files["/start.json"]
    world.flash.broken = ("write",)
    for _ in range(2):
        world.lines = []
        credentials, _ = world.power_up()
        assert credentials == world.get("/credentials.json")
        assert len(world.find("/start.json cannot be saved")) == 1
        assert world.waits == []


def test_what_is_left_to_do_is_done_first():
    world = settled()
    world.put("/attempt.json", b"{}")
    world.flash.files["/config.json"] += b" "
    world.flash.broken = ("remove", "rename")
    world.power_up()
    world.flash.broken = ()
    start(world)
    assert looked(world) and "/attempt.json" not in world.flash.files


def test_the_secret_is_forgotten_and_then_kept():
    world = settled(example(forget_secret=True), power_ups=1)
    assert SECRET not in world.flash.files["/config.json"].decode()
    start(world)
    assert not looked(world)


def test_no_memory_for_config_json():
    """The application runs; the next start looks again."""
    world = settled()
    world.flash.files["/config.json"] += b" "

    def load(board, provisioned):
        raise MemoryError()

    before = configuration.load
    configuration.load = load
    try:
        assert "config.json is not used" in start(world)
        assert world.started == (world.get("/credentials.json"), None)
    finally:
        configuration.load = before
    assert start(world) == [FIRST, kept_line(world)]
    assert looked(world)


def test_any_exception_over_config_json():
    for error in (TypeError("x"), AttributeError("loads"), ImportError("json"), KeyError("x")):
        world = settled()
        world.flash.files["/config.json"] += b" "

        def load(board, provisioned, error=error):
            raise error

        before = configuration.load
        configuration.load = load
        try:
            assert "config.json is not used" in start(world)
            assert world.started[0] == world.get("/credentials.json")
        finally:
            configuration.load = before


def test_provisioned_over_coap_and_now_coaps():
    """It is said at each power-up that what the board sends is in the clear."""
    world = settled()
    world.put("/config.json", example(server="coaps://" + NAME, ca="ca.pem"))
    for _ in range(2):
        text = start(world)
        assert "the board is provisioned over coap: all it sends is in the clear" in text
        assert world.started[0]["server"] == "coap://" + NAME


def kept_line(world):
    return "provisioned: " + kept.found_line(json.loads(world.flash.files["/credentials.json"]))


def test_credentials_whose_save_was_cut_take_their_place():
    world = settled()
    newer = dict(world.get("/credentials.json"), credentialsValue="newer-token")
    world.put("/credentials.json.new", newer)
    start(world)
    assert world.started[0] == newer == world.get("/credentials.json")
