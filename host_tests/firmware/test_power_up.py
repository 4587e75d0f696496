"""firmware.power_up: from power-up to credentials, as a person at the console sees it."""

import json
import sys

from firmware import retry as retry_module
from host_tests.firmware.helpers import Clock
from host_tests.firmware.world import (
    BAD_REQUEST,
    BOARD_ID,
    INTERNAL_SERVER_ERROR,
    NAME,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
    Reply,
    Stub,
    World,
    backoff,
    example,
    failure,
    hardware,
    not_found,
    os_error,
    success,
)

DEVICE = "sensor-a1b2c3d4e5f6"
FIRST = "firstboot 1.0.0 on a virtual board"
JOINED = ['Wi-Fi: joining "Home"', 'Wi-Fi: joined "Home" as 192.0.2.99']
ASKING = 'provisioning: asking coap://%s for "%s"' % (NAME, DEVICE)
SAVED = 'provisioned: "%s" has its ACCESS_TOKEN, saved in /credentials.json' % DEVICE
FOUND = 'provisioned: "%s", found in /credentials.json' % DEVICE
CREDENTIALS = {
    "server": "coap://" + NAME,
    "deviceName": DEVICE,
    "credentialsType": "ACCESS_TOKEN",
    "credentialsValue": "the-token-on-flash",
}
HOUR = 3_600_000


def provisioned(config=True, **changes):
    """Return a World whose board has credentials, as they are or with changes."""
    world = World(config)
    credentials = dict(CREDENTIALS)
    credentials.update(changes)
    world.put("/credentials.json", credentials)
    return world


# Provisioned


def test_a_first_power_up():
    for kind in ("esp32", "rp2"):
        world = World(kind=kind)
        credentials, config = world.power_up()
        assert world.texts() == [FIRST] + JOINED + [ASKING, SAVED]
        assert credentials == world.get("/credentials.json")
        assert credentials["credentialsValue"] == world.server.devices[DEVICE]
        assert config["provisioning"]["deviceName"] == DEVICE
        assert world.waits == []


def test_flash_writes_of_a_first_power_up():
    world = World()
    world.power_up()
    writes = [path for name, path in world.flash.operations if name == "write"]
    assert writes == ["/attempt.json.new", "/credentials.json.new", "/start.json.new"]
    assert sorted(world.flash.files) == ["/config.json", "/credentials.json", "/start.json"]


def test_a_second_power_up_sends_nothing():
    world = World()
    first, _ = world.power_up()
    world.lines, world.sent, world.resolved = [], [], []
    world.network.calls = []
    world.flash.begin()
    second, config = world.power_up()
    assert second == first
    assert config["restart_after_crash"] is None
    assert world.texts() == [FIRST, FOUND]
    assert world.sent == world.resolved == world.network.calls == []
    assert [path for name, path in world.flash.operations if name != "read"] == [
        "/start.json",
        "/credentials.json",
        "/credentials.json.new",
        "/config.json",
    ]


def stale_attempt():
    """What an attempt leaves when the power goes once its credentials are saved."""
    world = World()
    world.on_send = lambda: seen.append(world.get("/attempt.json"))
    seen = []
    world.power_up()
    return seen[0]


def test_a_stale_attempt_is_removed():
    for changes in ({}, {"tokens": []}, {"id": "another-board"}, {"replaces": "00" * 32}):
        world = provisioned()
        world.put("/attempt.json", dict(stale_attempt(), **changes))
        world.power_up()
        assert "/attempt.json" not in world.flash.files
        assert world.texts() == [FIRST, FOUND]


def test_a_server_spelled_otherwise_is_the_same():
    for server in ("COAP://%s", "coap://%s/", "coap://%s:5683"):
        world = provisioned(example(server=server % NAME.upper()))
        world.power_up()
        assert world.texts() == [FIRST, FOUND]


def test_another_name_with_the_same_token_wants_the_old_device_deleted_too():
    """ThingsBoard refuses a token, a certificate or a clientId that another device has."""
    own, x509, mqtt = "token-of-a1b2c3d4e5f6", "X509_CERTIFICATE", "MQTT_BASIC"
    for kind, value, request, is_told in (
        ("ACCESS_TOKEN", own, {"token": "token-of-{id}"}, True),
        ("ACCESS_TOKEN", own, {"token": "another-token-1234"}, False),
        ("ACCESS_TOKEN", own, {}, False),
        (x509, "AAAA", {"credentialsType": x509, "hash": "AAAA"}, True),
        (x509, "AAAA", {}, False),
        (mqtt, {"clientId": "c"}, {"credentialsType": mqtt, "clientId": "c"}, True),
    ):
        changes = {"provisioning__" + field: request[field] for field in request}
        for server in (NAME, "old.example.com"):
            world = provisioned(
                example(**changes),
                server="coap://" + server,
                deviceName="old-name",
                credentialsType=kind,
                credentialsValue=value,
            )
            world.power_up()
            text = "\n".join(world.texts())
            told = text.find('Delete "old-name" too if it has what this board asks with')
            assert (told > 0) == (is_told and server == NAME), (request, server)
            assert told < text.index("reset --credentials")


def test_differences_in_the_config_are_reported_not_acted_on():
    world = provisioned(deviceName="old-name", server="coap://old.example.com")
    credentials, config = world.power_up()
    assert credentials["deviceName"] == "old-name"
    assert config is not None
    assert world.sent == []
    text = "\n".join(world.texts())
    again = (
        'To provision it anew: if ThingsBoard at coap://%s has a device "%s", delete it there'
        " first," % (NAME, DEVICE)
    )
    assert text.count(again) == 1
    assert text.index("delete it there") < text.index("reset --credentials")
    for field, wanted, has in (
        ("server", "coap://" + NAME, "coap://old.example.com"),
        ("deviceName", DEVICE, "old-name"),
    ):
        line = '%s is "%s" in config.json, but the board is provisioned with "%s"'
        assert line % (field, wanted, has) in text


def test_a_config_that_cannot_be_used_costs_a_provisioned_board_nothing():
    for config in (None, b"{", example(server="http://x"), example(wifi__passwort="x")):
        world = provisioned(config)
        credentials, config = world.power_up()
        assert credentials == CREDENTIALS
        assert config is None
        assert world.texts()[:3] == [FIRST, FOUND, "config.json is not used"]
        assert len(world.texts()) > 3
        assert all(text.startswith("  ") for text in world.texts()[3:])


def test_an_attempt_that_stays_does_not_cost_the_config():
    world = provisioned()
    world.put("/attempt.json", stale_attempt())
    world.flash.broken = ("remove",)
    credentials, config = world.power_up()
    assert credentials == CREDENTIALS and config is not None
    assert "config.json is not used" not in world.texts()
    assert "/attempt.json" in " ".join(world.texts())


def test_an_attempt_that_stays_after_a_first_power_up():
    world = World()
    world.flash.broken = ("remove",)
    credentials, _ = world.power_up()
    assert credentials == world.get("/credentials.json")
    assert SAVED in world.texts()
    assert world.waits == [] and world.find("failed:") == []


def test_the_secret_is_forgotten_once_provisioned():
    for provisioned_before in (False, True):
        config = example(forget_secret=True)
        world = provisioned(config) if provisioned_before else World(config)
        world.power_up()
        assert "provisionDeviceSecret" not in world.get("/config.json")["provisioning"]
        assert world.get("/config.json")["provisioning"]["provisionDeviceKey"]
        _, config = world.power_up()
        assert config is not None


def test_a_torn_or_foreign_file_is_set_aside():
    for path in ("/credentials.json", "/attempt.json"):
        for content in (b"", b'{"server": "coap', b"\x00\xff", b'{"foreign": true}', b"[1]"):
            world = World()
            world.put(path, content)
            credentials, _ = world.power_up()
            assert world.flash.files[path + ".bad1"] == content
            assert credentials["credentialsValue"] == world.server.devices[DEVICE]
            assert len(world.find("failed: %s is not what this firmware writes" % path)) == 1
            assert path + ".bad1" in world.find("failed: ")[0]
            assert len(world.waits) == 1 and world.waits[0] <= 4_000


# Not provisioned


def block_of(world, start):
    """Return the lines from the last that starts so."""
    texts = world.texts()
    places = [number for number, text in enumerate(texts) if text.startswith(start)]
    return texts[places[-1] :]


def assert_block(world, start):
    """A block: its line, indented ones, and when the next try is."""
    block = block_of(world, start)
    assert len(block) >= 2, block
    assert all(text.startswith("  ") for text in block[1:-1]), block
    assert block[-1].startswith("next try in "), block


def test_a_bad_config_is_tried_again():
    world = World(example(server="http://x", wifi__ssid=""))
    world.power_up(tries=3)
    assert world.waits == [60_000] * 3
    assert_block(world, "config.json: ")
    block = block_of(world, "config.json: ")
    assert len([text for text in block if "`wifi.ssid`" in text or "`server`" in text]) == 2
    assert block[-1] == "next try in 60 s"
    assert world.network.calls == [] and world.sent == []
    assert "/attempt.json" not in world.flash.files


def test_a_bad_config_waits_no_longer_after_much_trouble():
    """Whoever corrects config.json is there, and waits for it to be read."""
    world = World()
    world.names = {}
    on_sleep = world.on_sleep

    def break_it(ms):
        on_sleep(ms)
        if len(world.waits) == 8:
            world.put("/config.json", b"{")

    world.on_sleep = break_it
    world.power_up(tries=10)
    assert world.waits[7] > 60_000 and world.waits[8:] == [60_000] * 2


def test_a_board_that_waits_says_what_it_sends_again():
    world = World()
    world.server.deaf = True
    world.power_up(tries=1)
    again = ["no answer yet; sent again, %d of 5" % number for number in (2, 3, 4, 5)]
    texts = world.texts()
    assert texts[: texts.index(ASKING) + 5] == [FIRST] + JOINED + [ASKING] + again
    assert texts[-1].startswith("next try in ")
    assert len(world.sent) == 5
    world.server.deaf = False
    world.lines = []
    world.power_up()
    assert world.texts() == [FIRST] + JOINED + [ASKING, SAVED]


def test_a_board_that_probes_says_what_it_sends_again():
    """Its request was answered at once, that for the token's attributes is sent twice."""
    world = World()
    world.server.script = [failure()]

    def on_send():
        world.server.deaf = len(world.sent) == 1

    world.on_send = on_send
    world.power_up(tries=1)
    assert len(world.server.requests) == 2
    assert world.find("no answer yet") == ["no answer yet; sent again, 2 of 5"]


def test_a_config_that_is_put_right():
    world = World(None)
    put_right = world.on_sleep

    def on_sleep(ms):
        put_right(ms)
        if world.waits:
            world.put("/config.json", example())

    world.on_sleep = on_sleep
    credentials, _ = world.power_up()
    assert credentials and world.waits == [60_000]
    assert world.texts()[1] == "config.json: there is no /config.json"


def is_an_hour(wait):
    """From an hour to an hour and a half: boards that were refused together come back apart."""
    return HOUR <= wait <= HOUR * 3 // 2


def test_refusals_wait_an_hour():
    for reply, words in (
        (not_found(), "NOT_FOUND"),
        (failure(), "FAILURE"),
        (Reply(BAD_REQUEST), "4.00"),
    ):
        world = World()
        world.server.devices[DEVICE] = "the-token-of-another"
        world.server.script = [reply]
        world.power_up(tries=1)
        assert len(world.waits) == 1 and is_an_hour(world.waits[0])
        assert_block(world, "refused: ")
        block = block_of(world, "refused: ")
        assert words in block[0]
        assert len(block) == 3
        assert block[-1].startswith("next try in ") and block[-1].endswith(" min")
        assert world.led is not None


def test_a_refusal_that_an_operator_lifts():
    world = World()
    world.server.script = [not_found(), not_found()]
    credentials, _ = world.power_up()
    assert credentials and len(world.waits) == 2
    assert is_an_hour(world.waits[0]) and is_an_hour(world.waits[1])
    assert world.waits[0] != world.waits[1]


def bare(code):
    """A response with no word of ThingsBoard's in it."""
    return Reply(code)


def test_what_may_be_another_s_word_is_asked_again_soon():
    for code in (NOT_FOUND, UNAUTHORIZED):
        world = World()
        world.server.script = [bare(code)]
        credentials, _ = world.power_up()
        assert credentials and len(world.waits) == 1 and world.waits[0] <= 4_000
        assert world.find("refused:") == [] and len(world.find("failed:")) == 1


def test_what_is_said_again_is_a_refusal():
    world = World()
    world.server.script = [bare(NOT_FOUND), bare(NOT_FOUND), bare(NOT_FOUND)]
    credentials, _ = world.power_up()
    assert credentials and len(world.waits) == 3
    assert world.waits[0] <= 4_000
    assert is_an_hour(world.waits[1]) and is_an_hour(world.waits[2])


def test_a_doubtful_word_after_something_else_is_doubtful_again():
    world = World()
    world.server.script = [bare(NOT_FOUND), Reply(INTERNAL_SERVER_ERROR), bare(NOT_FOUND)]
    world.power_up(tries=3)
    assert max(world.waits) < HOUR


def test_boards_that_were_refused_together_come_back_apart():
    waits = set()
    for start in range(40):
        world = World()
        world._random = start * 1_000_003 + 1
        world.server.script = [not_found()]
        world.power_up(tries=1)
        waits.add(world.waits[0] // 60_000)
    assert len(waits) >= 15


def test_wifi_trouble_is_tried_again():
    world = World()
    world.network.joins = [[(1_000, 202)], [(300, 1010)]]
    credentials, _ = world.power_up()
    assert credentials
    assert len(world.waits) == 1 and 1_000 <= world.waits[0] <= 4_000
    assert world.find("failed: ") == ['failed: "Home" did not take the password']


def test_wifi_trouble_while_the_ticks_wrap():
    """They wrap 60 s after power-up: in the second try."""
    world = World()
    world.network.joins = [[(60_000, 0)]]
    world.power_up(tries=4)
    waited = sum(world.waits[:3])
    assert 4 * 30_000 <= world.clock.slept - waited <= 4 * 30_800
    assert len(world.network.named("connect")) == 4


def test_every_trouble_is_a_block():
    def no_dns(world):
        world.names = {}

    def no_server(world):
        world.server.deaf = True

    def error(world):
        world.server.script = [Reply(INTERNAL_SERVER_ERROR)]

    def garbage(world):
        world.server.script = [Reply(0x45, b"what?")]

    def full(world):
        world.flash.broken = ("write",)

    def unreadable(world):
        world.flash.broken = ("read",)

    def no_wifi(world):
        world.network.joins = [[(1_000, 201)]]

    def unreachable(world):
        world.unreachable = ("192.0.2.1",)

    def empty_reply(world):
        world.server.script = [success("")]

    for trouble in (
        no_dns,
        no_server,
        error,
        garbage,
        full,
        unreadable,
        no_wifi,
        unreachable,
        empty_reply,
    ):
        world = World()
        trouble(world)
        world.power_up(tries=1)
        assert_block(world, "failed: ")
        assert len(block_of(world, "failed: ")) >= 3, "no fix: %s" % world.texts()
        assert 1_000 <= world.waits[0] <= 4_000
        assert world.get("/credentials.json") is None


def test_any_exception_is_shown_waited_out_and_tried_again():
    for error in (
        TypeError("connect(None)"),
        AttributeError("no attribute 'loads'"),
        ImportError("no module named 'microcoapy'"),
        MemoryError(),
        KeyError("x"),
        ZeroDivisionError(),
    ):
        world = World()
        world.raised = [error]
        shown = shown_by(retry_module, lambda world=world: world.power_up())
        assert shown == [error]
        assert world.get("/credentials.json")
        assert len(world.waits) == 1 and world.waits[0] <= 4_000
        lines = world.find("failed: an unexpected %s" % type(error).__name__)
        assert len(lines) == 1
        assert block_of(world, "failed: ")[2].startswith("next try in ")


def test_an_exception_that_stays_resets_the_board():
    """What a reset cures, such as a module that was loaded by half, is cured."""
    world = World()
    world.raised = [AttributeError("no attribute 'loads'")] * 100
    shown_by(retry_module, lambda: world.power_up(tries=30))
    assert world.resets == 5
    assert len(world.find("this does not pass; the board resets")) == 5
    world.raised = []
    world.stop_after = None
    assert world.power_up()


def test_exceptions_with_another_failure_in_between_do_not_reset_the_board():
    world = World()
    world.raised = ([AttributeError("no attribute 'loads'")] * 5 + [os_error(-2)]) * 3
    shown_by(retry_module, world.power_up)
    assert world.resets == 0 and len(world.waits) == 18


def shown_by(module, run):
    """Run; return the exceptions whose tracebacks a module shows meanwhile."""
    shown = []
    before = module.sys
    module.sys = Stub(print_exception=shown.append, modules=sys.modules)
    try:
        run()
    finally:
        module.sys = before
    return shown


def test_backoff():
    """Full jitter: anything up to a ceiling that doubles from 4 s to 15 min, at least 1 s."""
    for failures in list(range(12)) + [100, 100_000]:
        ceiling = min(900_000, 4_000 << min(failures, 20))
        assert backoff(failures, lambda size: b"\x00" * size) == 1_000
        assert ceiling * 0.999 <= backoff(failures, lambda size: b"\xff" * size) <= ceiling
        half = backoff(failures, lambda size: b"\x80" + b"\x00" * (size - 1))
        assert half == max(1_000, ceiling // 2)


def test_the_waits_of_trouble_that_stays():
    world = World()
    world.names = {}
    world.random = lambda size: b"\xff" * size
    world.power_up(tries=12)
    assert [wait // 1000 for wait in world.waits] == [
        3, 7, 15, 31, 63, 127, 255, 511, 899, 899, 899, 899,
    ]  # fmt: skip
    assert world.find("next try in ")[0] == "next try in 4 s"
    assert world.find("next try in ")[-1] == "next try in 15 min"


STEPS = (
    "board.config board.config_mistakes board.credentials board.wifi coap.uri failures"
    " provisioning.attempt provisioning.preparation provisioning.record provisioning.record_file"
    " provisioning.tidying"
)


def still_loaded(modules):
    return [step for step in STEPS.split() if "firmware." + step in modules]


def test_no_step_but_the_attempt_is_loaded_while_the_board_asks():
    world = World()
    world.server.script = [Reply(INTERNAL_SERVER_ERROR)]
    seen = []
    world.on_send = lambda: seen.append(still_loaded(sys.modules))
    world.power_up()
    assert len(world.waits) == 1 and len(seen) >= 2
    for steps in seen:
        assert set(steps) <= {"provisioning.attempt", "provisioning.record"}, seen


def test_no_step_is_loaded_any_more_when_the_application_runs():
    for config in (True, example(wifi__passwort="x"), example(forget_secret=True)):
        for make in (World, provisioned):
            world = make(config)
            if world.power_up(tries=1):
                assert still_loaded(world.loaded) == [], config


def test_start_up_is_not_delayed():
    world = World()
    world.power_up()
    assert world.server.requests[0].time < 1_000


def test_max_age_is_honoured():
    for option, least in (([(14, b"\x78")], 120_000), ([], 60_000), ([(14, b"")], 0)):
        world = World()
        world.server.script = [Reply(SERVICE_UNAVAILABLE, options=option)]
        credentials, _ = world.power_up()
        assert credentials
        assert len(world.waits) == 1
        assert max(1_000, least) <= world.waits[0] <= max(4_000, least * 3 // 2)


def test_server_that_wants_the_request_again_gets_it_at_once():
    """A 4.01 with an Echo option, to the request and to a probe (RFC 9175)."""
    echo = Reply(UNAUTHORIZED, options=[(252, b"v")])
    for script in ([echo], [failure(), echo, Reply(NOT_FOUND)]):
        world = World()
        world.server.script = script
        credentials, _ = world.power_up()
        assert credentials and world.waits == []
        assert world.server.requests[-1].option(252) == b"v"


def test_max_age_of_a_probe_is_honoured():
    world = World()
    world.server.script = [failure(), Reply(SERVICE_UNAVAILABLE, options=[(14, b"\x78")])]
    world.power_up(tries=1)
    assert 120_000 <= world.waits[0] <= 180_000


def test_a_huge_max_age_is_bounded():
    """Ticks can add no more than 2**29 ms, and nobody waits for six days."""
    for value in (b"\xff\xff\xff\xff", b"\x09\x3a\x80", b"\xff" * 60):
        world = World()
        world.server.script = [Reply(SERVICE_UNAVAILABLE, options=[(14, value)])]
        credentials, _ = world.power_up()
        assert credentials
        assert world.waits[0] <= 24 * HOUR


def test_the_led_and_the_watchdog_of_the_config():
    for was_provisioned in (False, True):
        config = example(led=5, watchdog=8)
        world = provisioned(config) if was_provisioned else World(config)
        world.power_up()
        assert world.board.leds == ([5] if was_provisioned else ["LED", 5])
        assert world.board.watchdog == 8
    world = World()
    world.power_up()
    assert world.board.watchdog is None


def test_ctrl_c_at_any_time():
    world = World()
    passed = []

    def interrupt():
        raise KeyboardInterrupt()

    for name in ("on_send", "random", "on_sleep"):
        world = World()
        setattr(world, name, lambda *arguments: interrupt())
        try:
            world.power_up()
        except KeyboardInterrupt:
            passed.append(name)
        assert world.open_ports == []
    assert passed == ["on_send", "random", "on_sleep"]


def test_a_server_that_comes_and_goes():
    """A day without a server, then all is well; the same request all along."""
    world = World()
    world.server.deaf = True
    world.power_up(tries=20)
    world.server.deaf = False
    world.stop_after = None
    assert world.power_up()[0] == world.get("/credentials.json")
    assert len({datagram for _, _, datagram in world.sent}) == 1
    assert len({port for _, port, _ in world.sent}) == 1


def test_the_longest_names_and_secrets():
    """The body goes up in blocks, in more than one datagram."""
    world = World(
        example(
            provisioning__deviceName="ü" * 255,
            provisioning__username="u" * 1500,
        )
    )
    credentials, config = world.power_up()
    assert credentials["deviceName"] == "ü" * 255
    assert world.server.devices["ü" * 255] == credentials["credentialsValue"]
    assert len(world.sent) >= 2 and all(len(datagram) <= 1152 for _, _, datagram in world.sent)
    assert config["wifi"]["hostname"] == "firstboot"


# The board itself


def test_description_of_the_board():
    """It is on the first line of every power-up."""
    assert hardware.Board.id == BOARD_ID
    assert hardware.Board.description.endswith(", id " + BOARD_ID)


def _board():
    """A firmware.board.hardware.Board, without its files and its console."""
    board = hardware.Board()
    board.indicator = Stub(blink=lambda: None, led=None)
    return board


def test_an_led_that_is_not_there():
    assert _use_led(ValueError("invalid pin")) is None
    assert _use_led(TypeError("can't convert NoneType to int")) is None
    assert _use_led(None) is not None


def _use_led(error):
    class Pin:
        OUT = 1

        def __init__(self, number, mode):
            if error:
                raise error

        def value(self, level):
            pass

    before = hardware.machine
    hardware.machine = Stub(Pin=Pin)
    try:
        board = _board()
        levels = []
        board.indicator.led = levels.append
        board.use_led("LED")
        return board.indicator.led
    finally:
        hardware.machine = before


def test_the_watchdog():
    """Within the Pico W's limit; fed in every wait; one for all, as there is one on the chip."""

    class WDT:
        made = []

        def __init__(self, timeout):
            if timeout > 8388:
                raise ValueError("timeout exceeds 8388")
            self.fed = 0
            WDT.made.append((timeout, self))

        def feed(self):
            self.fed += 1

    clock = Clock()
    before = hardware.machine, hardware.time
    hardware.machine, hardware.time = Stub(WDT=WDT), clock
    try:
        board = _board()
        board.start_watchdog(60)
        board.start_watchdog(60)
        assert [timeout for timeout, _ in WDT.made] == [8388]
        assert board.watchdog == 60
        board.sleep(10_000)
        assert clock.slept == 10_000
        assert WDT.made[0][1].fed >= 200
        fed = WDT.made[0][1].fed
        _board().sleep(10_000)  # as `join(config)` in app.py does
        assert WDT.made[0][1].fed >= fed + 200, "a second Board does not feed the watchdog"
    finally:
        hardware.machine, hardware.time = before
        hardware.Board._feed = hardware.Board.watchdog = None


def test_a_board_sleeps_as_long_as_asked():
    clock = Clock()
    before = hardware.time
    hardware.time = clock
    try:
        for ms in (0, 1, 49, 50, 51, 1_000, HOUR):
            slept = clock.slept
            _board().sleep(ms)
            assert clock.slept - slept == ms
    finally:
        hardware.time = before


def test_files_on_flash_are_json_that_people_can_read():
    world = World()
    world.power_up()
    content = json.loads(world.flash.files["/credentials.json"])
    assert sorted(content) == ["credentialsType", "credentialsValue", "deviceName", "server"]
