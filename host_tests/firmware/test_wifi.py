"""firmware.board.wifi: join, and say why not, with the codes of each board."""

from firmware.board import wifi
from firmware.errors import FirstbootError
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import WIFI_PASSWORD, World

DEADLINE = 30_000
FOR_EVER = 60_000


def made(kind, joins=None, **changes):
    """Return (world, config) of a board whose `connect` leads to each of `joins` by turns."""
    world = World(kind=kind)
    if joins:
        world.network.joins = joins
    world.new_board()
    settings = {
        "ssid": "Home",
        "password": WIFI_PASSWORD,
        "country": None,
        "hostname": "sensor-1",
    }
    settings.update(changes)
    return world, {"wifi": settings}


def join(world, config):
    wifi.join(config, world.board)


def fail(world, config):
    """Return the error that says why the board does not join."""
    error = raises(FirstbootError, join, world, config)
    assert '"%s"' % config["wifi"]["ssid"] in error.what and error.fix
    return error


def up(network_kind):
    return 1010 if network_kind == "esp32" else 3


def test_joined():
    for kind in ("esp32", "rp2"):
        world, config = made(kind)
        join(world, config)
        assert world.network.named("connect") == [("Home", WIFI_PASSWORD)]
        assert world.texts() == ['Wi-Fi: joining "Home"', 'Wi-Fi: joined "Home" as 192.0.2.99']
        assert world.clock.slept < 1_000


def test_an_open_network():
    for kind in ("esp32", "rp2"):
        world, config = made(kind, password="")
        join(world, config)
        assert world.network.named("connect") == [("Home", None)]


def test_already_joined():
    for kind in ("esp32", "rp2"):
        world, config = made(kind)
        join(world, config)
        calls, lines = len(world.network.calls), len(world.lines)
        join(world, config)
        assert len(world.network.calls) == calls
        assert len(world.lines) == lines


def test_joined_to_another_network():
    for kind in ("esp32", "rp2"):
        world, config = made(kind)
        join(world, config)
        config["wifi"]["ssid"] = "Other"
        join(world, config)
        assert world.network.named("connect")[-1] == ("Other", WIFI_PASSWORD)
        assert world.network.ssid == "Other"


def test_a_join_that_a_soft_reset_left_behind():
    """An ESP32 raises from `connect` while an earlier one goes on."""
    for kind in ("esp32", "rp2"):
        world, config = made(kind, [[(FOR_EVER, 0)], [(300, up(kind))]])
        world.network.active(True)
        world.network.connect("Home", WIFI_PASSWORD)
        join(world, config)
        assert world.network.isconnected()


def test_hostname_and_country_before_the_radio_is_on():
    for country in ("DE", None):
        world, config = made("rp2", country=country)
        join(world, config)
        names = [call[0] for call in world.network.calls]
        assert world.network.named("hostname") == [("sensor-1",)]
        assert world.network.named("country") == ([("DE",)] if country else [])
        assert world.network.named("active") == [(True,)]
        assert names.index("hostname") < names.index("active") < names.index("connect")
        if country:
            assert names.index("country") < names.index("active")


# Board, the status after each ms, words of the message, words of its fix
FAILURES = (
    ("esp32", [(2_000, 201)], 'no network "Home" in range', "wifi.ssid"),
    ("esp32", [(2_000, 210)], 'no network "Home" in range', "wifi.ssid"),
    ("esp32", [(2_000, 211)], 'no network "Home" in range', "wifi.ssid"),
    ("esp32", [(2_000, 212)], 'no network "Home" in range', "wifi.ssid"),
    ("esp32", [(2_000, 202)], "did not take the password", "wifi.password"),
    ("esp32", [(2_000, 204)], "did not take the password", "wifi.password"),
    ("esp32", [(2_000, 202), (3_000, 1001)], "did not take the password", "wifi.password"),
    ("esp32", [(2_000, 1001)], 'not joined "Home" in 30 s (status 1001)', "wifi.password"),
    ("esp32", [(2_000, 203)], "(status 203)", "distance"),
    ("esp32", [(2_000, 200)], "(status 200)", "distance"),
    ("rp2", [(2_000, -2)], 'no network "Home" in range', "wifi.ssid"),
    ("rp2", [(2_000, -3)], "did not take the password", "wifi.password"),
    ("rp2", [(2_000, -1)], "(status -1)", "distance"),
    ("rp2", [(2_000, 2)], 'joined "Home", but it gives no address', "DHCP"),
    ("rp2", [(2_000, 1)], "(status 1)", "distance"),
    ("rp2", [(2_000, 0)], "(status 0)", "distance"),
)


def test_every_failure():
    for kind, timeline, what, fix in FAILURES:
        world, config = made(kind, [timeline])
        error = fail(world, config)
        assert what in error.what, error.what
        assert fix in error.fix, error.fix
        assert WIFI_PASSWORD not in str(error)
        assert DEADLINE <= world.clock.slept <= DEADLINE + 200
        assert world.network.calls[-1] == ("disconnect",)
        assert world.texts() == ['Wi-Fi: joining "Home"']


def test_a_failure_and_then_another_join():
    for kind, timeline, _, _ in FAILURES:
        world, config = made(kind, [timeline])
        fail(world, config)
        world.network.joins = [[(300, up(kind))]]
        join(world, config)
        assert world.network.isconnected()


def test_a_pico_w_that_refuses_a_right_password_once():
    for code in (-1, -2, -3):
        world, config = made("rp2", [[(1_000, code)], [(1_000, 3)]])
        join(world, config)
        assert len(world.network.named("connect")) == 2
        assert world.clock.slept < 8_000


def test_a_pico_w_goes_on_trying_until_the_deadline():
    world, config = made("rp2", [[(500, -2)]])
    fail(world, config)
    assert 4 <= len(world.network.named("connect")) <= 7


def test_an_esp32_goes_on_by_itself():
    world, config = made("esp32", [[(1_000, 201), (12_000, 1010)]])
    join(world, config)
    assert len(world.network.named("connect")) == 1


def test_a_late_address():
    world, config = made("rp2", [[(500, 1), (1_000, 2), (29_000, 3)]])
    join(world, config)
    assert len(world.network.named("connect")) == 1


def test_a_radio_that_raises():
    for error in (OSError(1), RuntimeError("no memory"), ValueError("bad")):
        world, config = made("esp32")

        def connect(*arguments, error=error):
            raise error

        world.network.connect = connect
        raised = fail(world, config)
        assert 'could not join "Home"' in raised.what and "power" in raised.fix


def test_every_wait_idles():
    """The watchdog is fed and the LED moves: at least every 100 ms."""
    world, config = made("esp32", [[(FOR_EVER, 0)]])
    fail(world, config)
    assert world.board.idled >= DEADLINE // 100


def test_no_access_point():
    """World's WLAN takes no other interface than the station."""
    world, config = made("rp2")
    join(world, config)
    assert raises(AssertionError, world.network.WLAN, 1)
