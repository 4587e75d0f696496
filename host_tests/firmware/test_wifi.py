"""firmware.board.wifi: join, and say why not, with the codes of each board."""

from firmware.board import wifi
from firmware.errors import CoapError, FirstbootError, NetworkError, NoResponse
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import WIFI_PASSWORD, Reset, World

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
    settings["name"] = settings["ssid"].encode()
    return world, {"wifi": settings, "networks": [settings]}


def join(world, config, trouble=None):
    wifi.join(config, world.board, trouble)


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


def test_already_joined_to_a_name_of_32_bytes():
    """An ESP32 reads on behind it, into the password."""
    for name in ("n" * 32, "\u00fc" * 16):
        world, config = made("esp32", ssid=name)
        join(world, config)
        world.network.ssid = name + WIFI_PASSWORD
        join(world, config)
        assert len(world.network.named("connect")) == 1
        config["wifi"].update(ssid=name[:-1], name=name[:-1].encode())
        join(world, config)
        assert len(world.network.named("connect")) == 2


def test_joined_to_another_network():
    for kind in ("esp32", "rp2"):
        world, config = made(kind)
        join(world, config)
        config["wifi"].update(ssid="Other", name=b"Other")
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


def test_a_join_that_was_given_up_after_another_network_was_left():
    """An ESP32 says then that it is idle, and goes on."""
    world, config = made("esp32")
    join(world, config)
    world.network.disconnect()
    world.network.joins = [[(FOR_EVER, 0)], [(300, 1010)]]
    world.network.connect("Home", WIFI_PASSWORD)
    world.clock.sleep_ms(100)
    assert world.network.status() == 1000
    join(world, config)
    assert world.network.isconnected()


def test_a_radio_that_will_not_leave_what_it_never_joined_joins_all_the_same():
    def leave():
        raise OSError("Wifi Not Started")

    world, config = made("esp32")
    world.network.disconnect = leave
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
    ("esp32", [(2_000, 210)], "not with a security that this board takes", "WPA2"),
    ("esp32", [(2_000, 211)], "not with a security that this board takes", "WPA2"),
    ("esp32", [(2_000, 212)], '"Home" is too weak here', "distance"),
    ("esp32", [(2_000, 15)], "did not take the password", "wifi.password"),
    ("esp32", [(2_000, 2)], "let the board go (status 2)", "distance"),
    ("esp32", [(2_000, 202)], "did not take the password", "wifi.password"),
    ("esp32", [(2_000, 204)], "did not take the password", "wifi.password"),
    ("esp32", [(2_000, 202), (3_000, 1001)], "did not take the password", "wifi.password"),
    ("esp32", [(2_000, 202), (3_000, 1000)], "did not take the password", "wifi.password"),
    ("esp32", [(2_000, 1001)], 'not joined "Home" in 30 s (status 1001)', "wifi.password"),
    ("esp32", [(2_000, 203)], "let the board go (status 203)", "distance"),
    ("esp32", [(2_000, 200)], "let the board go (status 200)", "distance"),
    ("esp32", [(2_000, 300)], "(status 300)", "distance"),
    ("rp2", [(2_000, -2)], 'no network "Home" in range', "wifi.ssid"),
    ("rp2", [(2_000, -3)], "did not take the password", "wifi.password"),
    ("rp2", [(2_000, -3), (3_000, 0)], "did not take the password", "wifi.password"),
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
        assert [call for call in world.network.calls if call != ("scan",)][-1] == ("disconnect",)
        assert world.texts() == ['Wi-Fi: joining "Home"']


def test_an_esp32_in_a_network_that_gives_no_address():
    """It has no status for that; an older failure's stays."""
    for status in (1001, 201, 202):
        world, config = made("esp32", [[(0, status)]])
        world.network.is_associated = True
        error = fail(world, config)
        assert error.what == 'joined "Home", but it gives no address'
        assert error.reason == "no address"


def test_a_failure_and_then_another_join():
    for kind, timeline, _, _ in FAILURES:
        world, config = made(kind, [timeline])
        fail(world, config)
        world.network.joins = [[(300, up(kind))]]
        join(world, config)
        assert world.network.isconnected()


def test_an_esp32_s_last_failure_is_not_that_of_this_join():
    """It shows it until there is another one, which can be the same."""
    for timeline, reason in (
        ([(0, 202), (2_000, 1001)], "not joined"),
        ([(0, 202), (2_000, 202)], "wrong password"),
        ([(0, 202), (1_000, 1001), (2_000, 202), (3_000, 1001)], "wrong password"),
    ):
        world, config = made("esp32", [timeline])
        network = world.network
        status = network.status

        def stale(*param, network=network, status=status):
            return status(*param) if param or network.since is not None else 202

        network.status = stale
        assert fail(world, config).reason == reason


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
    for error in (OSError(1), RuntimeError("no radio"), ValueError("bad")):
        world, config = made("esp32")

        def connect(*arguments, error=error):
            raise error

        world.network.connect = connect
        raised = fail(world, config)
        assert 'could not join "Home"' in raised.what and "power" in raised.fix


def test_what_a_radio_raises_is_told_by_its_cause():
    for raised, what, fix in (
        (OSError("WiFi Out of Memory"), 'no memory is left to join "Home"', "app.py"),
        (MemoryError(), 'no memory is left to join "Home"', "app.py"),
        (OSError("Wifi Invalid Password"), "cannot use the password", "wifi.password"),
        (TypeError("of a stack"), 'the radio could not join "Home": of a stack', "power"),
    ):
        world, config = made("esp32")
        world.network.wedged, world.network.wedged_until = raised, "reset"
        error = fail(world, config)
        assert what in error.what and fix in error.fix, error


def test_a_network_that_is_open_and_one_that_is_not():
    for kind, statuses in (("esp32", (201, 210, 211)), ("rp2", (-2, -1))):
        for status in statuses:
            for security, password, what in (
                (0, WIFI_PASSWORD, '"Home" is an open network and takes no password'),
                (3, "", '"Home" wants a password'),
            ):
                world, config = made(kind, [[(1_000, status)]], password=password)
                world.network.heard = [("Other", 0, -20), ("Home", security, -50)]
                assert fail(world, config).what == what
                world.network.heard = [("Home", 3 - security, -50)]
                assert fail(world, config).what != what
                assert world.network.named("scan")


def test_a_name_that_is_not_in_utf_8():
    """MicroPython raises UnicodeError, a ValueError, for the name of such a network."""
    world, config = made("esp32")
    join(world, config)

    def unreadable(name):
        raise ValueError("UnicodeError")

    world.network.config = unreadable
    join(world, config)
    assert len(world.network.named("connect")) == 2


SILENCE = (NoResponse("no answer to 5 datagrams"), NetworkError("was not found"))


def test_a_network_that_carries_nothing_is_joined_anew():
    for kind in ("esp32", "rp2"):
        for trouble in SILENCE:
            world, config = made(kind)
            join(world, config)
            join(world, config, trouble)
            assert 'Wi-Fi: nothing came through "Home"; joining it anew' in world.texts()
            assert len(world.network.named("connect")) == 2
            assert world.network.named("active") == [(True,), (True,)]
            join(world, config)
            assert len(world.network.named("connect")) == 2


def test_a_network_that_goes_on_carrying_nothing_gets_a_radio_that_was_off():
    world, config = made("rp2")
    join(world, config)
    for trouble in SILENCE:
        join(world, config, trouble)
    assert (False,) in world.network.named("active")
    calls = len(world.network.calls)
    join(world, config)
    assert len(world.network.calls) == calls
    assert world.board.radio["silent"] == 0


def test_a_radio_that_is_wedged_is_switched_off_and_on():
    for kind in ("esp32", "rp2"):
        for wedged in (OSError("Wifi Internal Error"), "joining"):
            world, config = made(kind)
            world.network.wedged = wedged
            fail(world, config)
            join(world, config)
            assert (False,) in world.network.named("active")
            assert world.network.isconnected()


def test_a_radio_that_has_joined_is_not_switched_off_any_more():
    for wedged in (None, "joining"):
        world, config = made("rp2", [[(500, -2)], [(300, 3)]] if not wedged else None)
        world.network.wedged = wedged
        for _ in range(2):
            try:
                join(world, config)
            except FirstbootError:
                pass
        assert world.network.isconnected()
        calls = len(world.network.calls)
        for _ in range(2):
            world.network.since = None
            join(world, config)
        assert ("active", False) not in world.network.calls[calls:]


def test_a_radio_is_off_long_enough_to_be_as_after_power_up():
    world, config = made("esp32")
    active, switched = world.network.active, []

    def noted(*is_active):
        switched.extend([(each, world.clock.slept) for each in is_active])
        return active(*is_active)

    world.network.active = noted
    world.network.wedged = OSError("Wifi Internal Error")
    fail(world, config)
    join(world, config)
    (_, (is_on, off_at), (_, on_at)) = switched
    assert not is_on and on_at - off_at >= 500


def test_a_radio_that_joins_now_and_then_or_fails_for_another_reason_resets_nothing():
    for kind, refused in (("esp32", 201), ("rp2", -2)):
        for between in (refused, up(kind)):
            world, config = made(kind, [[(300, between)]])
            for round in range(12):
                if round % 4:
                    world.network.wedged = "joining"
                    world.network.wedged_until = "reset"
                else:
                    world.network.wedged = None
                world.network.since = None
                try:
                    join(world, config)
                except FirstbootError:
                    pass
            # As many in a row as it takes, but for one.
            world.network.wedged = None
            try:
                join(world, config)
            except FirstbootError:
                pass
            world.network.wedged = "joining"
            world.network.since = None
            for _ in range(5):
                fail(world, config)


def test_a_radio_that_stays_wedged_resets_the_board():
    for wedged in (OSError("Wifi Internal Error"), "joining", TypeError("of a stack")):
        world, config = made("esp32")
        world.network.wedged, world.network.wedged_until = wedged, "reset"
        for _ in range(5):
            fail(world, config)
        raises(Reset, join, world, config)
        assert world.texts()[-1] == "Wi-Fi: the radio does not come back; the board resets"
        assert world.find("failed: ")


def test_what_is_no_trouble_of_the_radio_resets_nothing():
    troubles = [("esp32", status) for status in (2, 4, 5, 15, 200, 203, 204, 205)]
    troubles += [("esp32", status) for status in (201, 202, 210, 211, 212)]
    troubles += [("rp2", status) for status in (-1, -2, -3, 2)]
    for kind, status in troubles:
        world, config = made(kind, [[(2_000, status)]])
        for _ in range(7):
            fail(world, config)


def test_a_password_that_does_not_fit_resets_nothing():
    world, config = made("esp32")
    world.network.wedged = OSError("Wifi Invalid Password")
    world.network.wedged_until = "reset"
    for _ in range(7):
        assert fail(world, config).reason == "wrong password"
    for security, password in ((0, WIFI_PASSWORD), (3, "")):
        world, config = made("esp32", [[(2_000, 201)]], password=password)
        world.network.heard = [("Home", security, -50)]
        for _ in range(7):
            assert fail(world, config).reason == "wrong password"


def test_a_radio_without_memory_or_one_that_never_leaves_idle_resets_the_board():
    for kind, wedged in (("esp32", MemoryError()), ("esp32", 1000), ("rp2", 0), ("rp2", 1)):
        world, config = made(kind)
        world.network.wedged, world.network.wedged_until = wedged, "reset"
        for _ in range(5):
            fail(world, config)
        raises(Reset, join, world, config)


def test_why_it_is_not_joined_in_a_word():
    """What the page of the access point shows follows it."""
    for kind, statuses, reason in (
        ("esp32", (201,), "not in range"),
        ("esp32", (15, 202, 204), "wrong password"),
        ("esp32", (210, 211), "security"),
        ("esp32", (2, 4, 5, 200, 203, 205, 212), "too weak"),
        ("esp32", (206, 300, 1001), "not joined"),
        ("rp2", (-2,), "not in range"),
        ("rp2", (-3,), "wrong password"),
        ("rp2", (2,), "no address"),
        ("rp2", (-1, 0, 1), "not joined"),
    ):
        for status in statuses:
            world, config = made(kind, [[(2_000, status)]])
            assert fail(world, config).reason == reason, status


def several(kind, *names):
    """Return (world, config) with more networks; the world's `joins` are by turns."""
    world, config = made(kind)
    for name in names:
        config["networks"].append(dict(config["wifi"], ssid=name, name=name.encode()))
    return world, config


def tried(world):
    return [call[0] for call in world.network.named("connect")]


def test_several_networks_are_tried_as_they_are_heard():
    for kind in ("esp32", "rp2"):
        world, config = several(kind, "Garage", "Barn")
        world.network.heard = [("Home", 3, -80), ("Else", 0, -20), ("Garage", 3, -50)]
        world.network.joins = [[(2_000, 202 if kind == "esp32" else -3)]]
        raises(FirstbootError, join, world, config)
        names = tried(world)
        assert [name for name in ("Garage", "Home", "Barn") if name in names] == sorted(
            set(names), key=names.index
        )
        assert len(world.find('"Garage" did not take the password')) == 1


def test_the_one_that_is_in_range_is_joined_at_once():
    world, config = several("rp2", "Garage")
    world.network.heard = [("Garage", 3, -50)]
    join(world, config)
    assert tried(world) == ["Garage"] and world.clock.slept < 1_000
    join(world, config)
    assert tried(world) == ["Garage"]


def test_a_radio_is_on_when_it_looks_for_networks():
    """One that is off hears nothing, and raises."""
    for kind in ("esp32", "rp2"):
        world, config = several(kind, "Garage")
        world.network.heard = [("Garage", 3, -50)]
        join(world, config)
        assert tried(world) == ["Garage"], kind


def test_a_network_alone_is_not_looked_for():
    world, config = made("esp32")
    join(world, config)
    assert world.network.named("scan") == []


def test_a_watchdog_that_would_end_a_scan():
    for watchdog, first in ((None, "Garage"), (5, "Garage"), (4, "Home")):
        world, config = several("rp2", "Garage")
        world.board.watchdog = watchdog
        world.network.heard = [("Garage", 3, -50)]
        join(world, config)
        assert tried(world) == [first], watchdog


def test_the_watchdog_is_fed_just_before_a_scan():
    world, config = several("rp2", "Garage")
    fed, scan = [], world.network.scan
    world.network.scan = lambda: fed.append(world.board.idled) or scan()
    join(world, config)
    assert fed == [1]


def test_of_several_the_one_that_carried_nothing_comes_last():
    world, config = several("esp32", "Garage")
    world.network.heard = [("Home", 3, -20), ("Garage", 3, -50)]
    join(world, config)
    join(world, config, SILENCE[0])
    assert tried(world) == ["Home", "Garage"]


def test_trouble_in_which_something_came_joins_nothing_anew():
    world, config = made("esp32")
    for trouble in (None, CoapError("answered with a Reset"), FirstbootError("refused")):
        join(world, config, trouble)
    assert len(world.network.named("connect")) == 1


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
