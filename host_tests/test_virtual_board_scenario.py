"""The virtual board is what its scenario says."""

from __future__ import annotations

import json

import pytest

from host_tests.virtual_bench import Bench, both_runtimes
from tools.virtual_board.scenario import Scenario, ScenarioError


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@both_runtimes
@pytest.mark.parametrize(("kind", "size"), [("esp32", 6), ("rp2", 8)])
def test_unique_id_is_the_flash_s_own(bench, kind, size, runtime):
    main = "import machine, binascii\nprint(binascii.hexlify(machine.unique_id()).decode())\n"
    first = bench.play(main, kind, runtime).lines
    assert first == bench.board(kind, runtime).power_up(8).lines
    assert len(first[0]) == 2 * size
    given = "00" * size
    assert bench.board(kind, runtime, id=given).power_up(8).lines == [given]


@both_runtimes
@pytest.mark.parametrize(("kind", "seen"), [("esp32", ["no LED", 1, 0]), ("rp2", ["LED", 1, 0])])
def test_led_changes_are_recorded(bench, kind, seen, runtime):
    main = """
        import machine
        try:
            pin = machine.Pin("LED", machine.Pin.OUT)
            print("LED")
        except ValueError:
            pin = machine.Pin(2, machine.Pin.OUT)
            print("no LED")
        for level in (1, 1, 0):
            pin.value(level)
    """
    outcome = bench.play(main, kind, runtime)
    values = [event["value"] for event in outcome.events if event["event"] == "pin"]
    assert [*outcome.lines, *values] == seen


@both_runtimes
@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("esp32", ["24 invalid pin", "34 pin can only be input", "39 pin can only be input"]),
        ("rp2", ["30 invalid pin", 'GP25 unknown named pin "GP25"']),
    ],
)
def test_pins_that_are_no_output(bench, kind, refused, runtime):
    main = """
        import machine
        for pin in %r:
            try:
                machine.Pin(pin, machine.Pin.IN).init(machine.Pin.OUT)
            except ValueError as error:
                print(pin, error)
    """
    pins = {"esp32": (2, 24, 33, 34, 39), "rp2": (25, 30, "GP22", "GP25", "WL_GPIO1")}[kind]
    assert bench.play(main % (pins,), kind, runtime).lines == refused


@both_runtimes
def test_ticks_wrap(bench, runtime):
    main = """
        import time
        start = time.ticks_ms()
        time.sleep_ms(60)
        end = time.ticks_ms()
        print(start > end, 50 < time.ticks_diff(end, start) < 300)
        print(time.ticks_add(2 ** 30 - 1, 2), time.ticks_diff(1, 2 ** 30 - 1))
        print(time.time() >= 0)
    """
    outcome = bench.play(main, runtime=runtime, ticks_start=2**30 - 30)
    assert outcome.lines == ["True True", "1 2", "True"]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"network": []}, r"unknown keys \['network'\]"),
        ({"networks": [{"ssid": "a", "dalay_ms": 1}]}, r"networks\[0\] has unknown keys"),
        ({"networks": [{"password": "x"}]}, r"networks\[0\] lacks \['ssid'\]"),
        ({"reset_cause": "boredom"}, "boredom"),
        ({"networks": "home"}, "networks is a list"),
        ({"networks": ["home"]}, "'home' in it"),
        ({"networks": [{"ssid": "a", "drops": 5}]}, r"networks\[0\]: drops is 5"),
        ({"scan_ms": True}, "scan_ms is True"),
    ],
)
def test_mistakes_in_a_scenario_are_named(keys, says):
    with pytest.raises(ScenarioError, match=says):
        Scenario(**keys)


def test_scenario_is_a_file(tmp_path):
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps({"networks": [{"ssid": "a"}], "datagram_queue": 1}))
    scenario = Scenario.load(file)
    assert scenario["networks"][0]["delay_ms"] == 50
    assert scenario["datagram_queue"] == 1
    file.write_text("[]")
    with pytest.raises(ScenarioError, match="not a JSON object"):
        Scenario.load(file)
