"""From a board without Wi-Fi to "provisioned", by the page of its own access point."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import pytest

from host_tests.phone import Phone, PoweredUp
from host_tests.power_up_bench import BOARDS, KEY, LANES, PASSWORD, SECRET

LABEL = "label-1234"
KITCHEN = "K\u00fcche \U0001f321"
HOME = {"ssid": "home", "password": PASSWORD, "delay_ms": 0, "rssi": -50}
STRANGE = [
    HOME,
    {"ssid": "<script>alert(1)</script>", "password": PASSWORD, "delay_ms": 0, "rssi": -60},
    {"ssid_hex": KITCHEN.encode().hex(), "password": PASSWORD, "delay_ms": 0, "rssi": -61},
    {"ssid_hex": "ff" * 32, "password": PASSWORD, "delay_ms": 0, "rssi": -62},
    {"ssid": "hidden & mine", "password": PASSWORD, "delay_ms": 0, "rssi": -63, "hidden": True},
    {"ssid": "open", "password": "", "delay_ms": 0, "rssi": -64},
]

every_lane = pytest.mark.parametrize("lane", LANES)
both_boards = pytest.mark.parametrize("lane", BOARDS)


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
    return PoweredUp(ups, timeout=40, **{"hurry": 10, **options})


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


# Of each system what it asks to find out whether there is a way to the internet.
PROBES = (
    ("captive.apple.com", "/hotspot-detect.html"),  # iOS, macOS
    ("www.apple.com", "/library/test/success.html"),
    ("connectivitycheck.gstatic.com", "/generate_204"),  # Android, ChromeOS
    ("clients3.google.com", "/generate_204"),
    ("www.msftconnecttest.com", "/connecttest.txt"),  # Windows
    ("www.msftconnecttest.com", "/redirect"),
    ("www.msftncsi.com", "/ncsi.txt"),
    ("nmcheck.gnome.org", "/check_network_status.txt"),  # NetworkManager: GNOME, Debian, Ubuntu …
    ("network-test.debian.org", "/nm"),
    ("connectivity-check.ubuntu.com", "/"),
    ("fedoraproject.org", "/static/hotspot.txt"),
    ("networkcheck.kde.org", "/"),
    ("detectportal.firefox.com", "/canonical.html"),
)


def dns(board, name: str) -> bytes:
    """What the board's DNS answers to a question for an IPv4 address."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(3)
        query = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
        asking.sendto(query, ("127.0.0.1", board.ports.wait_for("udp", 53, 5)))
        return asking.recv(512)


def is_answered(board, host: str) -> bool:
    """Whether whoever is at an address of this computer's gets the page."""
    port = board.ports.wait_for("tcp", 80, 1)
    with contextlib.suppress(OSError), socket.socket() as client:
        client.settimeout(2)
        client.bind((host, 0))
        client.connect(("127.0.0.1", port))
        client.send(b"GET / HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n")
        return client.recv(100) != b""
    return False


@both_boards
def test_phones_are_led_to_the_page_and_nobody_to_anything_else(ups, server):
    put(ups, without_wifi(server))
    with opened(ups, networks=[HOME]) as up:
        phone = Phone(lambda: ups.board)
        lease = phone.join()
        assert lease.names == lease.router == "192.168.4.1"
        # The address that the board sees.
        assert lease.address == {"esp32": "192.168.4.2", "rp2": "192.168.4.16"}[ups.board.kind]
        page = phone.page()
        for host, path in PROBES:
            answer = phone.ask(path=path, host=host)
            assert (answer.status, answer.headers["location"]) == (302, "http://192.168.4.1/")
            assert answer.headers["cache-control"] == "no-store"
            assert dns(ups.board, host).endswith(b"\0\4\xc0\xa8\4\1")
        for method, path, status in (
            ("GET", "/config.json", 404),
            ("GET", "/credentials.json", 404),
            ("GET", "/../config.json", 404),
            ("GET", "/favicon.ico", 404),
            ("PUT", "/", 405),
            ("DELETE", "/", 405),
            ("OPTIONS", "/", 405),
        ):
            answer = phone.ask(method, path)
            assert (answer.status, answer.text) == (status, ""), (method, path)
        fields = f"token={page.token}&network={page.networks['home']}&password={PASSWORD}"
        for host, body, status in (
            ("evil.example", fields, 302),
            ("192.168.4.1", "", 403),
            ("192.168.4.1", fields.replace("token=", "token=0"), 403),
            ("192.168.4.1", fields.replace("token=", "tok="), 403),
        ):
            assert phone.ask("POST", "/", host, body).status == status
        assert phone.page().state == "idle"
        ups.board.cut_power()
    assert up.outcome.exit_code != 0


@both_boards
def test_each_mistake_is_said_and_can_be_corrected(ups, server):
    put(ups, without_wifi(server), speed=10)
    networks = [HOME, {"ssid": "lost", "password": PASSWORD, "dhcp": False, "delay_ms": 0}]
    with opened(ups, hurry=1, networks=networks) as up:
        phone = Phone(lambda: ups.board, "de-DE,de;q=0.9")
        page = phone.page()
        before = ups.read("/config.json")
        page = phone.send(page, "home", password="short")
        assert page.state == "does not fit" and page.heading == "Bitte noch einmal ansehen"
        page = phone.send(page, "home")
        assert page.state == "does not fit" and "8 bis 64 Zeichen" in page.text
        phone.send(page, "home", password="wrong password 1")
        page = phone.wait_for("wrong password")
        assert page.heading == "Das Passwort stimmt nicht" and "<bdi>home</bdi>" in page.text
        phone.send(page, ssid="not there", password=PASSWORD)
        page = phone.wait_for("not in range")
        assert page.heading == "Netz nicht gefunden" and "<bdi>not there</bdi>" in page.text
        phone.send(page, "lost", password=PASSWORD)
        page = phone.wait_for("no address")
        assert ups.read("/config.json") == before
        phone.send(page, "home", password=PASSWORD)
        assert phone.wait_for("provisioned").heading == "Fertig"
    assert up.outcome.exit_code == 0, up.outcome.lines
    ups.assert_saved()


@both_boards
@pytest.mark.parametrize("number", range(1, len(STRANGE)))
def test_strangers_names_are_harmless_and_joined_as_they_are(ups, server, number):
    put(ups, without_wifi(server))
    wanted = STRANGE[number]
    with opened(ups, networks=STRANGE) as up:
        phone = Phone(lambda: ups.board)
        page = phone.page()
        assert "<script>alert" not in page.text
        assert len(page.networks) == len(STRANGE)  # one hides, and one is "other"
        if wanted.get("hidden"):
            phone.send(page, ssid=wanted["ssid"], password=wanted["password"])
        else:
            shown = wanted.get("ssid") or (KITCHEN if number == 2 else "\\xff" * 32)
            phone.send(page, shown, password=wanted["password"])
        phone.wait_for("provisioned")
    assert up.outcome.exit_code == 0, up.outcome.lines
    wifi = json.loads(ups.read("/config.json"))["wifi"]
    expected = {"ssid": KITCHEN} if number == 2 else wanted
    for name in ("ssid", "ssid_hex"):
        assert wifi.get(name) == expected.get(name)
    # And again after a power cut, without anybody.
    ups.provision(networks=STRANGE)


@every_lane
def test_all_that_config_json_lacks_is_asked_and_a_refusal_can_be_corrected(ups, server):
    put(ups, {"onboarding": True, "onboarding_password": ""}, speed=2)
    with opened(ups, hurry=1, networks=[HOME], stay=True) as up:
        phone = Phone(lambda: ups.board)
        page = phone.page()
        given = {
            "server": server.uri,
            "deviceName": "sensor-1",
            "provisionDeviceKey": KEY,
            "provisionDeviceSecret": "a wrong secret",
        }
        page = phone.send(page, "home", password=PASSWORD, **{**given, "server": "http://x"})
        assert page.state == "does not fit" and page.text.count('aria-invalid="true"') == 1
        phone.send(page, "home", password=PASSWORD, **given)
        page = phone.wait_for("refused")
        for secret in (PASSWORD, KEY, "a wrong secret"):
            assert secret not in page.text
        # Who is in the Wi-Fi that the board has joined is not on its access point.
        assert is_answered(ups.board, "127.0.0.1")
        assert not is_answered(ups.board, "127.0.0.2")
        given["provisionDeviceSecret"] = SECRET
        phone.send(page, **given)
        assert "<bdi>sensor-1</bdi>" in phone.wait_for("provisioned").text
        ups.board.cut_power()
    assert any("provisioned:" in line for line in up.outcome.lines), up.outcome.lines
    # Open, since config.json has no password for it.
    told = [each for each in up.outcome.events if each["event"] == "access point"]
    assert [each["is_open"] for each in told if "is_open" in each][-1:] == [True]
    ups.assert_saved()
    config = json.loads(ups.read("/config.json"))
    assert config["provisioning"]["provisionDeviceSecret"] == SECRET
    assert config["wifi"] == {"ssid": "home", "password": PASSWORD}


@both_boards
def test_networks_are_looked_for_again(ups, server):
    put(ups, without_wifi(server), speed=4)
    late = {**HOME, "ssid": "late", "appears_after_ms": 2500}
    with opened(ups, hurry=1, networks=[HOME, late]) as up:
        phone = Phone(lambda: ups.board)
        page = phone.page()
        assert "late" not in page.networks
        time.sleep(3)
        page = phone.send(page, scan="1")
        assert page.state in ("scanning", "idle")
        page = phone.wait_for("idle")
        phone.send(page, "late", password=PASSWORD)
        phone.wait_for("provisioned")
    assert up.outcome.exit_code == 0, up.outcome.lines


@both_boards
def test_slow_endless_and_parallel_requests_keep_nobody_out(ups, server):
    put(ups, without_wifi(server), speed=3)
    with opened(ups, hurry=1, networks=[HOME]) as up:
        phone = Phone(lambda: ups.board)
        page = phone.page()
        at = ("127.0.0.1", ups.board.ports.wait_for("tcp", 80, 1))
        slow = [socket.create_connection(at, 3) for _ in range(6)]
        for connection in slow:
            connection.send(b"GET / HT")
        began = time.monotonic()
        assert phone.page(wait_s=15).state == "idle"
        assert time.monotonic() - began < 8
        endless = socket.create_connection(at, 3)
        with contextlib.suppress(OSError):
            for _ in range(1000):
                endless.send(b"x" * 1000)
        pages = []
        threads = [threading.Thread(target=lambda: pages.append(phone.page())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [each.state for each in pages] == ["idle"] * 8
        for connection in [*slow, endless]:
            connection.close()
        phone.send(page, "home", password=PASSWORD)
        phone.wait_for("provisioned")
    assert up.outcome.exit_code == 0, up.outcome.lines


LOADED = """
import sys

def run(credentials):
    names = [name for name in sys.modules if "onboarding" in name]
    print("loaded:", sorted(names))
"""


@both_boards
def test_where_config_json_does_not_ask_for_it_nothing_of_it_is_loaded(ups, server):
    """Nor after it did its work, but for the button that can bring it back."""
    ups.put(app=LOADED)
    outcome = ups.power_up(stay=True, timeout=4)
    assert "loaded: []" in "\n".join(outcome.lines)
    for pin, expected in ((None, []), (14, ["firmware.onboarding", "firmware.onboarding.button"])):
        config = without_wifi(server, onboarding_pin=pin)
        config["wifi"] = {"ssid": "home", "password": PASSWORD}
        config["provisioning"]["deviceName"] = f"sensor-{pin}"
        put(ups, config, app=LOADED)
        for _ in range(2):
            outcome = ups.power_up(networks=[HOME], stay=True, timeout=4)
            assert f"loaded: {expected}" in "\n".join(outcome.lines)


@both_boards
def test_the_button_at_power_up_brings_a_provisioned_board_to_another_wi_fi(ups, server):
    config = without_wifi(server, onboarding_pin=14)
    config["wifi"] = {"ssid": "home", "password": PASSWORD}
    put(ups, config)
    ups.provision(networks=[HOME])
    moved = {"ssid": "moved", "password": "another password", "delay_ms": 0}
    with opened(ups, networks=[moved], pressed={"14": [[0, 2000]]}, stay=True):
        phone = Phone(lambda: ups.board)
        phone.send(phone.page(), "moved", password=moved["password"])
        phone.wait_for("provisioned")
        ups.board.cut_power()
    wifi = json.loads(ups.read("/config.json"))["wifi"]
    assert wifi == {"ssid": "moved", "password": "another password"}
