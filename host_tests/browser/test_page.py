"""From opening the page to "provisioned as …", as the person who hangs the board sees it."""

from __future__ import annotations

import re
import sys

import pytest

from host_tests.browser import lane
from host_tests.browser.lane import LAPTOP, PHONE, Hanging
from tools.pictures.page import html
from tools.virtual_board.interpreter import find_micropython

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not find_micropython().package_folder,
    reason="a virtual board's page needs Linux and the MicroPython of requirements.txt",
)
HOME = {"ssid": "home", "password": "correct horse", "rssi": -48}
WEAK = {"ssid": "far away", "password": "12345678", "rssi": -83}
OPEN = {"ssid": "café", "rssi": -66}
HOSTILE = {"ssid": "<script>alert(1)</script>", "password": "12345678", "rssi": -50}
EMOJI = {"ssid": "🦊 & \"'", "password": "12345678", "rssi": -51}
NO_TEXT = {"ssid_hex": "ff00fe41", "password": "no text at all", "rssi": -52}
HIDDEN = {"ssid": "nobody sees it", "password": "12345678", "hidden": True}
TARGET = 44  # pixels, WCAG 2.5.5
SMALL = {**PHONE, "viewport": {"width": 320, "height": 568}}
FIELD = "input:not([type=radio],[type=hidden])"


@pytest.fixture(scope="module")
def chromium():
    with lane.browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def kept_windows(chromium):
    return lane.Windows(chromium)


@pytest.fixture
def windows(kept_windows):
    yield kept_windows
    kept_windows.leave()


@pytest.fixture
def visit(windows):
    """Opens a board's page: visit(board, **what a window is); no dialog of its may open."""

    def open_page(board, **options):
        page = windows.open(**options)
        page.goto(board.url)
        return page

    yield open_page
    assert windows.troubles == []


def test_a_missing_browser_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception, match="chromium is not on this computer"):
        lane.chromium()


def fill(page, network: str, password: str = "") -> None:
    """Choose a network in range, type its password and send it."""
    page.get_by_role("radio", name=re.compile(f"^{re.escape(network)}")).check()
    if password:
        page.locator("[name=password]").fill(password)
    send(page)


def send(page) -> None:
    page.locator("button.go").click()


def wait_for(page, *states: str) -> str:
    """Wait until the board is in one of these states; gives what the page says then."""
    page.locator(",".join(f'main[data-state="{state}"]' for state in states)).wait_for()
    return page.inner_text("header")


def too_small(page) -> list[str]:
    """What people touch and is smaller than it should be."""
    found = []
    for each in page.locator(f"button, .net, {FIELD}").all():
        box = each.bounding_box() if each.is_visible() else None
        if box and (box["height"] < TARGET or box["width"] < TARGET):
            found.append(each.evaluate("e => e.outerHTML"))
    return found


def overflows(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_phone_takes_the_board_to_provisioned(tmp_path, visit):
    with Hanging(tmp_path, networks=[WEAK, HOME, OPEN, HIDDEN]) as board:
        page = visit(board, **PHONE, color_scheme="dark", is_patient=True)
        names = page.locator(".net bdi").all_inner_texts()
        assert names == ["home", "café", "far away", "Another network"]
        assert lane.findings(page) == [] and too_small(page) == [] and not overflows(page)

        password = page.get_by_label("Wi-Fi password")
        assert password.get_attribute("type") == "password"
        password.fill("wrong password")
        page.get_by_role("button", name="Show").click()
        assert password.get_attribute("type") == "text"
        fill(page, "home")
        assert "home" in wait_for(page, "trying")
        assert lane.findings(page) == []
        assert "home did not take it" in wait_for(page, "wrong password")
        assert lane.findings(page) == []
        assert "wrong password" not in page.content().replace('data-state="wrong password"', "")

        fill(page, "home", HOME["password"])
        done = wait_for(page, "provisioned")
        assert f"provisioned as {board_name(board)}" in done
        assert lane.findings(page) == [] and not overflows(page)
        assert HOME["password"] not in page.content()
        assert board.wait().exit_code == 0
    assert board.on_flash("/config.json")["wifi"] == {"ssid": "home", "password": "correct horse"}
    told = [each for each in board.outcome.events if each["event"] == "access point"]
    assert told[-1]["active"] is False and not any(each.get("is_open") for each in told)


def board_name(board) -> str:
    (name,) = board.thingsboard.devices
    return name


@pytest.mark.parametrize("kind", ["esp32", "rp2"])
def test_without_javascript(tmp_path, visit, kind):
    with Hanging(tmp_path, kind, networks=[HOME]) as board:
        page = visit(board, **LAPTOP, java_script_enabled=False, locale="de-DE")
        assert page.locator("html").get_attribute("lang") == "de"
        board.power_cycle()
        assert board.url
        # The page is another's: what was typed there is asked for once more.
        fill(page, "home", "wrong password")
        assert "Bitte noch einmal senden" in wait_for(page, "outdated")
        fill(page, "home", "wrong password")
        wait_for(page, "wrong password")
        fill(page, "home", HOME["password"])
        done = wait_for(page, "provisioned")
        assert board_name(board) in done
        assert board.wait().exit_code == 0


def test_what_is_not_there_and_what_gives_no_address(tmp_path, visit):
    nothing = {"ssid": "no dhcp", "password": "12345678", "dhcp": False}
    with Hanging(tmp_path, "rp2", networks=[nothing], hurry=30) as board:
        page = visit(board, **LAPTOP, color_scheme="light")
        page.get_by_role("radio", name="Another network").check()
        page.get_by_label("Name of the network").fill("nowhere")
        page.locator("[name=password]").fill("12345678")
        send(page)
        assert "does not hear nowhere" in wait_for(page, "not in range")
        assert lane.findings(page) == []
        fill(page, "no dhcp", "12345678")
        assert "no dhcp let the device in" in wait_for(page, "no address")
        assert lane.findings(page) == [] and too_small(page) == []


def test_what_does_not_fit_is_said_where_it_is(tmp_path, visit):
    with Hanging(tmp_path, networks=[HOME]) as board:
        page = visit(board, **PHONE)
        page.evaluate("document.querySelector('form').noValidate = true")
        fill(page, "home", "short")
        page.locator("[aria-invalid=true]").wait_for()
        assert "8 to 64" in page.inner_text(".why")
        assert lane.findings(page) == []
        page.evaluate("document.querySelector('[name=password]').value = 'é'.repeat(1e3)")
        send(page)
        assert "That is too much" in wait_for(page, "too long")
        assert lane.findings(page) == []
        fill(page, "home", HOME["password"])
        wait_for(page, "provisioned")


def test_strangers_names_are_harmless_and_joined_right(tmp_path, visit):
    with Hanging(tmp_path, networks=[HOSTILE, EMOJI, NO_TEXT, OPEN]) as board:
        page = visit(board, **PHONE)
        names = page.locator(".net bdi").all_inner_texts()
        assert names[:3] == [HOSTILE["ssid"], EMOJI["ssid"], "\\xff\\x00\\xfeA"]
        assert page.locator("main script").count() == 0
        page.locator(".net").nth(2).click()
        page.locator("[name=password]").fill(NO_TEXT["password"])
        send(page)
        wait_for(page, "provisioned")
        assert board.wait().exit_code == 0
    assert board.on_flash("/config.json")["wifi"]["ssid_hex"] == NO_TEXT["ssid_hex"]


def test_an_open_network_wants_no_password(tmp_path, visit):
    with Hanging(tmp_path, networks=[OPEN]) as board:
        page = visit(board, **PHONE)
        page.get_by_role("radio", name=re.compile("^café")).check()
        assert not page.locator("[name=password]").is_visible()
        send(page)
        wait_for(page, "provisioned")


def test_what_config_json_lacks_is_asked_for(tmp_path, visit):
    lacks = ("server", "deviceName", "provisionDeviceKey", "provisionDeviceSecret")
    with Hanging(tmp_path, lacks=lacks, networks=[HOME]) as board:
        page = visit(board, **PHONE)
        assert lane.findings(page) == [] and too_small(page) == [] and not overflows(page)
        for key, value in (
            ("server", board.server.uri),
            ("deviceName", "hall"),
            ("provisionDeviceKey", "wrong key"),
            ("provisionDeviceSecret", lane.SECRET),
        ):
            page.locator(f"[name={key}]").fill(value)
        fill(page, "home", HOME["password"])
        assert "The server said no" in wait_for(page, "refused")
        assert lane.findings(page) == [] and lane.SECRET not in page.content()
        # The rest is still there, and the board is in the Wi-Fi.
        page.locator("[name=provisionDeviceKey]").fill(lane.KEY)
        send(page)
        assert "hall" in wait_for(page, "provisioned")
        assert lane.SECRET not in page.content()


REFUSING = {
    "security": ("has a security that the device does not know", "security"),
    "too weak": ("lets the device go", "weak"),
    "not joined": ("did not let the device in", "full"),
}


def test_what_keeps_the_board_out_and_what_cannot_be_kept(tmp_path, visit):
    networks = [
        {"ssid": state, "password": "12345678", "refuses": refuses}
        for state, (_, refuses) in REFUSING.items()
    ]
    with Hanging(tmp_path, is_full=True, networks=[HOME, *networks], hurry=30) as board:
        page = visit(board, **SMALL, color_scheme="dark")
        for state, (said, _) in REFUSING.items():
            fill(page, state, "12345678")
            assert f"{state} {said}" in wait_for(page, state)
            assert lane.findings(page) == [] and too_small(page) == [] and not overflows(page)
        fill(page, "home", HOME["password"])
        assert "its memory is full" in wait_for(page, "not saved")
        assert lane.findings(page) == [] and too_small(page) == [] and not overflows(page)
        # What it has is still there, and the form, too.
        assert "wifi" not in board.on_flash("/config.json")
        board.power_cycle()
        page.goto(board.url)
        assert wait_for(page, "idle")


def test_a_wi_fi_with_the_access_point_s_addresses(tmp_path, visit):
    """The board goes, and comes back to say how it went."""
    home = {**HOME, "address": "192.168.4.20"}
    with Hanging(tmp_path, networks=[home]) as board:
        page = visit(board, **PHONE)
        plain = visit(board, **LAPTOP, java_script_enabled=False)
        fill(page, "home", HOME["password"])
        assert "for two minutes: join it once more" in wait_for(page, "apart")
        assert lane.findings(page) == [] and not overflows(page)
        # What comes of it appears on the page that is still open, and on one opened anew.
        assert "provisioned as sensor-" in wait_for(page, "provisioned")
        plain.goto(board.url)
        assert "provisioned as" in wait_for(plain, "provisioned")
        assert board.wait().exit_code == 0


def test_what_the_server_refused_is_corrected_after_the_power_was_off(tmp_path, visit):
    lacks = ("server", "deviceName", "provisionDeviceKey", "provisionDeviceSecret")
    with Hanging(tmp_path, lacks=lacks, networks=[HOME]) as board:
        page = visit(board, **PHONE)
        given = {
            "server": board.server.uri,
            "deviceName": "hall",
            "provisionDeviceKey": "wrong key",
            "provisionDeviceSecret": lane.SECRET,
        }
        for key, value in given.items():
            page.locator(f"[name={key}]").fill(value)
        fill(page, "home", HOME["password"])
        wait_for(page, "refused")
        board.power_cycle()
        page.goto(board.url)
        assert "The server said no" in wait_for(page, "refused")
        for key, value in {**given, "provisionDeviceKey": lane.KEY}.items():
            assert page.locator(f"[name={key}]").input_value() == ""
            page.locator(f"[name={key}]").fill(value)
        send(page)
        assert "hall" in wait_for(page, "provisioned")
        assert board.wait().exit_code == 0
    assert board.on_flash("/config.json")["wifi"] == {"ssid": "home", "password": "correct horse"}


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_what_needs_a_fault_or_a_restart_can_be_used_by_all(windows, colours):
    """What no script of a browser's can look at while a board shows it, as its code shows it."""
    page = windows.open(**SMALL, color_scheme=colours)
    for state in ("outdated", "broken"):
        page.set_content(html(state, "de"))
        assert lane.findings(page) == [], state
        assert too_small(page) == [] and not overflows(page), state


def test_what_somebody_types_stays_while_the_board_asks_the_server_again(chromium):
    context = chromium.new_context(**PHONE)
    page = context.new_page()
    page.clock.install()
    page.set_default_timeout(10_000)
    states = ["no answer"]
    page.route("http://board/", lambda route: route.fulfill(body=html(states[-1])))
    page.goto("http://board/")
    for state in ("provisioning", "no answer"):
        states.append(state)
        page.clock.run_for(5_000)
        wait_for(page, state)
    page.locator("[name=password]").fill("half of it")
    for state in ("provisioning", "no answer", "provisioning"):
        states.append(state)
        with page.expect_response("http://board/"):
            page.clock.run_for(5_000)
        page.clock.run_for(100)
        assert page.locator("[name=password]").input_value() == "half of it"
    states.append("provisioned")
    page.clock.run_for(5_000)
    wait_for(page, "provisioned")
    context.close()


def test_a_server_that_does_not_answer(tmp_path, visit):
    lacks = ("server", "deviceName", "provisionDeviceKey", "provisionDeviceSecret")
    home = {**HOME, "delay_ms": 0}
    with Hanging(tmp_path, lacks=lacks, networks=[home], silent_until="reset") as board:
        page = visit(board, **PHONE, color_scheme="dark")
        for key in lacks:
            given = "coap://nowhere.example.org" if key == "server" else "hall"
            page.locator(f"[name={key}]").fill(given)
        fill(page, "home", HOME["password"])
        assert "home and keeps trying" in wait_for(page, "no answer")
        assert lane.findings(page) == [] and too_small(page) == [] and not overflows(page)
