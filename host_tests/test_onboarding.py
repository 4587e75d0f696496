"""From a board without Wi-Fi to "provisioned", by the page of its own access point."""

from __future__ import annotations

import json

import pytest

from host_tests.phone import Phone, PoweredUp
from host_tests.power_up_bench import BOARDS, KEY, LANES, PASSWORD, SECRET, PowerUps
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard

LABEL = "label-1234"
HOME = {"ssid": "home", "password": PASSWORD, "delay_ms": 0, "rssi": -50}
STRANGE = [
    HOME,
    {"ssid": "<script>alert(1)</script>", "password": PASSWORD, "delay_ms": 0, "rssi": -60},
    {"ssid": "K\u00fcche \U0001f321", "password": PASSWORD, "delay_ms": 0, "rssi": -61},
    {"ssid_hex": "ff" * 32, "password": PASSWORD, "delay_ms": 0, "rssi": -62},
    {"ssid": "hidden & mine", "password": PASSWORD, "delay_ms": 0, "rssi": -63, "hidden": True},
    {"ssid": "open", "password": "", "delay_ms": 0, "rssi": -64},
]

every_lane = pytest.mark.parametrize("lane", LANES)
both_boards = pytest.mark.parametrize("lane", BOARDS)


@pytest.fixture
def server():
    with FakeThingsBoard(ThingsBoard(KEY, SECRET)) as server:
        yield server


@pytest.fixture
def ups(tmp_path, lane, server):
    return PowerUps(tmp_path / "flash", *lane, server)


def without_wifi(server, **changes):
    """A config.json as it leaves the maker's: all but the Wi-Fi."""
    return {
        "onboarding": "portal",
        "onboarding_password": LABEL,
        "server": server.uri,
        "provisioning": {
            "deviceName": "sensor-{id}",
            "provisionDeviceKey": KEY,
            "provisionDeviceSecret": SECRET,
        },
        **changes,
    }


def put(ups, config, **options):
    ups.put(json.dumps(config, ensure_ascii=False).encode(), **options)


def opened(ups, **options) -> PoweredUp:
    return PoweredUp(ups.power_up, timeout=60, **options)


@every_lane
def test_from_the_label_to_provisioned(ups, server):
    put(ups, without_wifi(server))
    with opened(ups, networks=[HOME]) as up:
        phone = Phone(lambda: ups.board)
        page = phone.page()
        assert page.state == "idle" and list(page.networks) == ["home", "Another network"]
        page = phone.send(page, "home", password=PASSWORD)
        assert page.state in ("trying", "joined", "provisioning", "provisioned")
        page = phone.wait_for("provisioned")
        (name,) = server.thingsboard.devices
        assert page.heading == "All done" and f"<bdi>{name}</bdi>" in page.text
    assert up.outcome.exit_code == 0, up.outcome.lines
    ups.assert_saved()
    assert json.loads(ups.read("/config.json"))["wifi"] == {"ssid": "home", "password": PASSWORD}
