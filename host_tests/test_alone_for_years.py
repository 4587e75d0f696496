"""What a board meets in the field and heals by itself, on the virtual board."""

from __future__ import annotations

import json
import socket
from itertools import product

import pytest

from host_tests.power_up_bench import BOARDS, KEY, LANES, SECRET, PowerUps, config_for
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.virtual_board.flash import put_file

boards = pytest.mark.parametrize("lane", BOARDS)
one_board = pytest.mark.parametrize("lane", BOARDS[:1])
SPEED = 120
APP = "def run(credentials):\n    print('app', credentials['deviceName'])\n"


def console(outcome) -> str:
    return "\n".join(outcome.lines)


# The radio


@boards
@pytest.mark.parametrize("cure", ["join", "cycle"])
def test_a_network_that_carries_nothing(ups, cure):
    ups.put(speed=SPEED)
    outcome = ups.provision(timeout=30, silent_until=cure)
    assert "nothing came through" in console(outcome)
    assert not [event for event in outcome.events if event["event"] == "reset"]


@pytest.mark.parametrize("lane", LANES)
def test_a_network_in_which_no_name_is_found(tmp_path, lane):
    address = socket.getaddrinfo("localhost", 0, type=socket.SOCK_DGRAM)[0][4][0]
    with FakeThingsBoard(ThingsBoard(KEY, SECRET), host=address) as server:
        ups = PowerUps(tmp_path / "flash", *lane, server)
        ups.put(config_for(f"coap://localhost:{server.port}"))
        text = console(ups.provision(silent_until="join", hurry=SPEED))
    assert "localhost was not found" in text and "nothing came through" in text


@boards
@pytest.mark.parametrize("wedged", ["raises", "joining"])
def test_a_radio_that_is_wedged_until_it_is_off(ups, wedged):
    ups.put(speed=SPEED)
    outcome = ups.provision(timeout=30, wedged=wedged)
    assert not [event for event in outcome.events if event["event"] == "reset"]


@boards
def test_a_radio_that_is_wedged_until_a_reset(ups):
    ups.put(speed=SPEED * 10)
    outcome = ups.provision(timeout=30, wedged="raises", wedged_until="reset")
    assert [event for event in outcome.events if event["event"] == "reset"]
    assert "the radio does not come back; the board resets" in console(outcome)


@boards
def test_the_application_s_join_heals_too(ups):
    app = """
        import json
        from firmware.board import config, wifi
        from firmware.board.hardware import Board
        from firmware.coap.connect import connect
        from firmware.errors import FirstbootError

        def run(credentials):
            board = Board()
            settings = config.load(board, provisioned=True)
            trouble = None
            for number in range(4):
                try:
                    wifi.join(settings, board, trouble)
                    client = connect(credentials["server"], idle=board.idle)
                    path = "/api/v1/%s/telemetry" % credentials["credentialsValue"]
                    print("answer", client.post(path, b'{"a":1}').code)
                    return
                except FirstbootError as error:
                    trouble = error
                    print(error)
    """
    ups.put(app=app, speed=SPEED)
    ups.provision()
    outcome = ups.power_up(timeout=30, stay=True, silent_until="cycle")
    assert "answer 65" in console(outcome), console(outcome)


@boards
def test_a_board_that_has_lost_its_network_looks_for_no_name(ups):
    """A Pico W would do so for ever."""
    app = """
        import network
        from firmware.board.hardware import Board

        def run(credentials):
            network.WLAN(network.STA_IF).disconnect()
            try:
                Board().resolve("localhost", 1)
            except OSError as error:
                print("app:", error)
    """
    ups.put(app=app)
    assert "app: the board has left its Wi-Fi" in console(ups.power_up(stay=True))


# Any exception before app.py

SHADOWS = {
    "raises": b"raise ImportError('half of it')\n",
    "lacks all": b"",
    "is no Python": b"def\n",
}


@one_board
@pytest.mark.parametrize(
    ("name", "shadow"),
    [
        *product(["json"], SHADOWS),
        *product(["hashlib", "io", "re"], ["raises"]),
        ("select", "lacks all"),
    ],
)
def test_a_file_with_the_name_of_a_module_costs_nothing(ups, shadow, name):
    ups.put(app=APP, files={f"/lib/{name}.py": SHADOWS[shadow]})
    ups.provision()
    assert "app sensor-" in console(ups.power_up(stay=True))


@one_board
def test_an_application_may_import_its_own(ups):
    app = "def run(credentials):\n    import json\n    print('mine is', json.mine)\n"
    ups.put(app=app, files={"/lib/json.py": b"mine = 5\n"})
    assert "mine is 5" in console(ups.power_up(stay=True))
    assert "mine is 5" in console(ups.power_up(stay=True))


@one_board
def test_a_half_installed_microcoapy(ups):
    files = {
        "/lib/microcoapy/__init__.py": b"from microcoapy.nothing import nothing\n",
        "/firmware/coap/microcoapy.py": b"import microcoapy\n\ndef install():\n    pass\n",
    }
    ups.put(app=APP, codec="microcoapy", files=files, speed=SPEED)
    outcome = ups.power_up(stay=True, cut_at="next try in")
    assert "Traceback" in console(outcome)


@one_board
def test_a_stack_that_raises_what_nobody_expects(ups):
    boot = """
        import socket

        getaddrinfo = socket.getaddrinfo
        calls = []

        def broken(*arguments):
            calls.append(arguments)
            if len(calls) < 4:
                raise TypeError("of a stack")
            return getaddrinfo(*arguments)

        socket.getaddrinfo = broken
    """
    ups.put(boot=boot, speed=SPEED)
    text = console(ups.provision(timeout=30))
    assert "TypeError: of a stack" in text and "Traceback" in text
    assert text.count("next try in") == 3


# Straight to the application


@boards
def test_a_provisioned_board_touches_neither_radio_nor_led(ups):
    ups.put(app=APP)
    ups.provision()
    kept = ups.read("/start.json")
    outcome = ups.power_up(stay=True)
    assert "app sensor-" in console(outcome)
    assert [event["event"] for event in outcome.events] == ["ended"]
    assert ups.read("/start.json") == kept
    assert not {SECRET, KEY} & set(json.dumps(json.loads(kept)).split('"'))


@one_board
def test_a_provisioned_board_loads_no_more_than_its_start_takes(ups):
    """Each module is looked for in four places: that is most of the time until app.py runs."""
    app = """
        import sys

        def run(credentials):
            print("loaded", *sorted(name for name in sys.modules if name[:8] == "firmware"))
    """
    ups.put(app=app)
    ups.provision()
    outcome = ups.power_up(stay=True)
    board = [f"firmware.board.{name}" for name in ("hardware", "indicator", "kept")]
    loaded = ["firmware", "firmware.application", "firmware.board", *board]
    assert " ".join(["loaded", *loaded]) in outcome.lines


@one_board
def test_an_esp32_does_not_try_an_led_that_it_has_not(ups):
    boot = """
        import machine

        class Pin(machine.Pin):
            def __init__(self, name, *more):
                print("pin", name)
                super().__init__(name, *more)

        machine.Pin = Pin
    """
    ups.put(boot=boot)
    assert "pin LED" not in console(ups.provision())


# app.py


@boards
def test_an_async_run(ups):
    app = """
        import asyncio

        async def run(credentials):
            await asyncio.sleep_ms(1)
            print("async", credentials["deviceName"])
    """
    ups.put(app=app)
    assert "async sensor-" in console(ups.power_up(stay=True))


@one_board
@pytest.mark.parametrize(
    ("encoding", "what"),
    [("utf-8-sig", "begins with a byte order mark"), ("utf-16", "is in UTF-16")],
)
def test_an_app_py_that_an_editor_marked(ups, encoding, what):
    ups.put(files={"/app.py": APP.encode(encoding)})
    assert f"app.py {what}" in console(ups.power_up(stay=True))


# Networks change


@boards
def test_the_network_of_the_list_that_is_in_range(ups):
    networks = [
        {"ssid": "old", "password": "correct horse"},
        {"ssid": "new", "password": "12345678"},
    ]
    config = config_for(ups.server.uri)
    ups.put(json.dumps({**config, "wifi": networks}).encode())
    outcome = ups.provision(networks=[networks[1]])
    assert 'Wi-Fi: joined "new"' in console(outcome)
    assert 'joining "old"' not in console(outcome)


# Provisioned over the other scheme


@one_board
def test_provisioned_over_coap_and_now_coaps(ups):
    ups.put(app=APP)
    ups.provision()
    config = json.loads(ups.read("/config.json"))
    config["server"] = config["server"].replace("coap:", "coaps:")
    put_file(ups.flash, "config.json", json.dumps({**config, "ca": "ca.der"}).encode())
    for _ in range(2):
        outcome = ups.power_up(stay=True)
        assert "all it sends is in the clear" in console(outcome)
        assert "app sensor-" in console(outcome)
