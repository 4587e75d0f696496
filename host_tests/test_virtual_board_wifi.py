"""The virtual board's Wi-Fi behaves as each board's does."""

from __future__ import annotations

import pytest

from host_tests.virtual_bench import Bench, both_runtimes

HOME = {"ssid": "home", "password": "correct horse"}

# Prints each new status, with isconnected(), for `ms`.
WATCH = """
import network, time
wlan = network.WLAN(network.STA_IF)

def watch(ms, until=None):
    last = None
    end = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        status = wlan.status()
        if status != last:
            print(status, wlan.isconnected())
            last = status
        if status == until:
            return
        time.sleep_ms(2)
"""


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def join(ssid="home", key="correct horse", ms=200, until=None):
    return (
        WATCH
        + f"""
wlan.active(True)
wlan.connect({ssid!r}, {key!r})
watch({ms}, {until})
"""
    )


def test_an_esp32_with_a_password_finds_no_open_network(bench):
    open_network = {"ssid": "home", "password": "", "delay_ms": 20}
    outcome = bench.play(join(until=201), "esp32", networks=[open_network], scan_ms=20)
    assert outcome.lines[-1] == "201 False"


@both_runtimes
@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("esp32", ["1001 False", "1010 True"]),
        ("rp2", ["1 False", "2 False", "3 True"]),
    ],
)
def test_network_of_config_json_is_in_range(bench, kind, seen, runtime):
    assert bench.play(join(), kind, runtime).lines == seen


@both_runtimes
@pytest.mark.parametrize(
    ("kind", "wrong_password", "no_network"),
    [
        ("esp32", ["1001 False", "202 False"], ["1001 False", "201 False"]),
        ("rp2", ["1 False", "-3 False"], ["1 False", "-2 False"]),
    ],
)
def test_failures(bench, kind, wrong_password, no_network, runtime):
    assert bench.play(join(key="wrong"), kind, runtime).lines == wrong_password
    assert bench.play(join(ssid="away"), kind, runtime, scan_ms=50).lines == no_network


@both_runtimes
def test_a_network_that_takes_no_time_refuses_and_accepts_in_none(bench, runtime):
    network = {**HOME, "delay_ms": 0}
    outcome = bench.play(join(key="wrong"), runtime=runtime, networks=[network], scan_ms=0)
    assert outcome.lines[-1] == "202 False"
    outcome = bench.play(join(ssid="away"), runtime=runtime, networks=[network], scan_ms=0)
    assert outcome.lines[-1] == "201 False"
    assert bench.play(join(), runtime=runtime, networks=[network]).lines[-1] == "1010 True"


@both_runtimes
def test_wrong_password_may_look_like_connecting_on_esp32(bench, runtime):
    outcome = bench.play(join(key="wrong"), runtime=runtime, wrong_password_shows_connecting=True)
    assert outcome.lines == ["1001 False"]


@both_runtimes
@pytest.mark.parametrize(
    ("kind", "seen"),
    [("esp32", ["201 False", "1010 True"]), ("rp2", ["-2 False"])],
)
def test_only_esp32_keeps_trying_for_a_network_that_appears(bench, kind, seen, runtime):
    network = {**HOME, "appears_after_ms": 300}
    outcome = bench.play(join(ms=500), kind, runtime, networks=[network], scan_ms=50)
    assert outcome.lines[1:] == seen


@both_runtimes
def test_connect_on_esp32_does_not_clear_the_last_failure(bench, runtime):
    main = (
        join(key="wrong", until=202)
        + """
wlan.disconnect()
wlan.connect("home", "correct horse")
watch(300)
"""
    )
    seen = ["1001 False", "202 False", "202 False", "1010 True"]
    assert bench.play(main, runtime=runtime).lines == seen


@both_runtimes
def test_an_esp32_that_has_left_says_idle_also_while_it_joins_anew(bench, runtime):
    main = join(until=1010) + "wlan.disconnect()\nwatch(20)\n"
    again = "wlan.connect('home', 'correct horse')\nwatch(300)\n"
    seen = ["1001 False", "1010 True", "1000 False"]
    assert bench.play(main, runtime=runtime).lines == seen
    assert bench.play(main + again, runtime=runtime).lines == [*seen, "1000 False", "1010 True"]


@both_runtimes
def test_first_join_of_pico_w_may_be_refused_with_the_right_password(bench, runtime):
    main = join(until=-3) + "wlan.connect('home', 'correct horse')\nwatch(300)\n"
    outcome = bench.play(main, "rp2", runtime, first_join_refused=True)
    assert outcome.lines == ["1 False", "-3 False", "1 False", "2 False", "3 True"]


@both_runtimes
@pytest.mark.parametrize(
    ("kind", "seen"), [("esp32", ["1001 False"]), ("rp2", ["1 False", "2 False"])]
)
def test_network_without_dhcp_gives_no_address(bench, kind, seen, runtime):
    assert bench.play(join(), kind, runtime, networks=[{**HOME, "dhcp": False}]).lines == seen


@both_runtimes
@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("esp32", ["1001 False", "1010 True", "1001 False", "201 False", "1010 True"]),
        ("rp2", ["1 False", "2 False", "3 True", "0 False"]),
    ],
)
def test_network_that_drops_and_comes_back(bench, kind, seen, runtime):
    network = {**HOME, "drops": [[250, 400]]}
    outcome = bench.play(join(ms=600), kind, runtime, networks=[network], scan_ms=50)
    assert outcome.lines == seen


@both_runtimes
def test_errors_of_esp32_s_connect(bench, runtime):
    main = """
        import network
        wlan = network.WLAN(network.STA_IF)
        for prepare in (lambda: None, lambda: wlan.active(True), lambda: None):
            prepare()
            try:
                wlan.connect("home", "correct horse")
                print("connecting")
            except OSError as error:
                print(error)
    """
    assert bench.play(main, runtime=runtime).lines == [
        "Wifi Not Started",
        "connecting",
        "Wifi Internal State Error",
    ]


@both_runtimes
@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("esp32", ["True 1001", "Wifi Internal State Error", "1010 True"]),
        ("rp2", ["True 1", "3 True"]),
    ],
)
def test_joining_outlives_a_soft_reset(bench, kind, seen, runtime):
    main = (
        WATCH
        + """
import machine, os
if "reset" not in os.listdir():
    open("reset", "w").close()
    wlan.active(True)
    wlan.connect("home", "correct horse")
    machine.soft_reset()
print(wlan.active(), wlan.status())
if wlan.active():
    try:
        wlan.connect("home", "correct horse")
    except OSError as error:
        print(error)
    watch(600)
"""
    )
    network = {**HOME, "delay_ms": 300}
    lines = bench.play(main, kind, runtime, networks=[network]).lines
    assert [line for line in lines if line not in ("1001 False", "1 False", "2 False")] == seen


@both_runtimes
def test_a_pico_w_whose_radio_is_off_may_not_connect(bench, runtime):
    main = """
        import network
        try:
            network.WLAN(network.STA_IF).connect("home", "correct horse")
        except OSError as error:
            print(error.args[0])
    """
    assert bench.play(main, "rp2", runtime).lines == ["1"]


@both_runtimes
@pytest.mark.parametrize(("kind", "reconnects"), [("esp32", "-1"), ("rp2", "unknown config param")])
def test_configuration_keys(bench, kind, reconnects, runtime):
    main = """
        import network
        network.country("DE")
        network.hostname("sensor")
        wlan = network.WLAN(network.STA_IF)
        print(network.country(), wlan.config("hostname"), len(wlan.config("mac")))
        wlan.config(pm=wlan.PM_NONE)
        try:
            print(wlan.config("reconnects"))
        except ValueError as error:
            print(error)
        try:
            network.hostname("x" * 33)
        except ValueError:
            print("too long")
    """
    assert bench.play(main, kind, runtime).lines == ["DE sensor 6", reconnects, "too long"]


@both_runtimes
def test_access_point_is_reported(bench, runtime):
    outcome = bench.play("import network\nnetwork.WLAN(1).active(True)\n", runtime=runtime)
    assert {"event": "access point", "active": True} in outcome.events
