"""firmware.onboarding.portal: what it answers, to whom, and for how long. No socket, no radio."""

from firmware.onboarding import access_point, portal, server
from firmware.onboarding.candidate import Candidate
from firmware.onboarding.http import Request
from host_tests.firmware.helpers import Clock
from host_tests.firmware.world import KEY, SECRET, Stub, World, example

PASSWORD = "another password"
MINUTE = 60_000
NETWORKS = [(40, b"Home", 3), (50, b"Guest", 0), (60, b"\xff\0<", 3)]

for _module in (portal, server):
    _module.ticks_diff = Clock().ticks_diff


class AccessPoint:
    """One that is played. `is_there`: whether a phone is on it."""

    address = "192.168.4.1"
    is_there = is_closed = False

    def __init__(self, board, ssid, password):
        self.opened_with = ssid, password

    def is_used(self):
        return self.is_there

    def close(self):
        self.is_closed = True


class Socket:
    """A socket to which nobody comes, but `queries` of DNS."""

    def __init__(self, kind, address, port):
        self.bound = address, port
        self.queries = []
        self.sent = []
        self.is_closed = False

    def listen(self, backlog):
        pass

    def accept(self):
        raise OSError(portal.EAGAIN)

    def recvfrom(self, size):
        if not self.queries:
            raise OSError(portal.EAGAIN)
        return self.queries.pop(0), ("192.168.4.2", 5000)

    def sendto(self, datagram, address):
        self.sent.append((datagram, address))

    def close(self):
        self.is_closed = True


def made(config=None):
    """Return (world, portal), with a candidate that has a Wi-Fi to ask for."""
    portal.AccessPoint, portal._bound = AccessPoint, Socket
    world = World(config or example(onboarding=True, onboarding_password="label-1234"))
    board = world.new_board()
    candidate = Candidate(board)
    candidate.ask(["wifi.ssid"])
    opened = portal.Portal(board, candidate, "firstboot-d4e5f6", "label-1234")
    opened.scanned(NETWORKS)
    return world, opened


def ask(opened, method="GET", path="/", host="192.168.4.1", body=b""):
    """Return the answer to a request, whole. Raises BadRequest."""
    request = Request(method, path)
    request.host = host
    request.body = body
    return b"".join(opened._answer(request)).decode()


def send(opened, **fields):
    """Send the form of the page with these fields."""
    fields = dict({"token": opened.token}, **fields)
    body = "&".join("%s=%s" % (name, fields[name]) for name in fields)
    answer = ask(opened, "POST", body=body.encode())
    assert answer.startswith("HTTP/1.1 303 ") and "\r\nLocation: /\r\n" in answer


def noted(candidate):
    """Return a list that gets what is offered to a candidate from now on."""
    given = []
    offer = candidate.offer

    def take(settings):
        given.append(settings)
        return offer(settings)

    candidate.offer = take
    return given


def test_it_listens_on_the_access_point_alone():
    world, opened = made()
    assert opened._dns.bound == ("192.168.4.1", 53)
    assert opened._server._listener.bound == ("192.168.4.1", 80)
    opened.close()
    assert opened._dns.is_closed and opened.access_point.is_closed


def test_where_it_cannot_listen_nothing_stays_open():
    world, opened = made()
    listens = Socket.listen

    def fails(self, backlog):
        raise OSError(24)

    Socket.listen = fails
    try:
        opened.open()
        raise AssertionError("it is open")
    except OSError:
        assert opened.access_point.is_closed
    finally:
        Socket.listen = listens


def test_an_access_point_that_does_not_take_its_password_is_closed():
    for idle in (1000, 0):  # an ESP32's network.STAT_IDLE, and a Pico W's
        calls = []

        def config(calls=calls, **settings):
            calls.append("config")
            raise OSError(12)

        wlan = Stub(active=calls.append, config=config)
        network = Stub(STAT_IDLE=idle, AP_IF=1, WLAN=lambda interface, wlan=wlan: wlan)
        try:
            access_point.AccessPoint(Stub(network=network, radio={"failed": 0}), "ssid", PASSWORD)
            raise AssertionError("it is open")
        except OSError:
            assert calls == [True, "config", False][idle == 0 :], idle


def test_only_an_address_is_answered_with_the_page():
    world, opened = made()
    for host in ("", "captive.apple.com", "evil.example", "192.168.4.1.evil.example", "a"):
        answer = ask(opened, host=host)
        assert answer.startswith("HTTP/1.1 302 ")
        assert "\r\nLocation: http://192.168.4.1/\r\n" in answer
        assert "<form" not in answer
    assert "<form" in ask(opened)
    assert "\r\nContent-Security-Policy: default-src 'none'; " in ask(opened)


def test_a_form_of_others_is_not_taken():
    world, opened = made()
    given = noted(opened.candidate)
    for token in ("", "0", opened.token + "0", opened.token.upper() + "x"):
        body = ("token=%s&network=%s" % (token, b"Home".hex())).encode()
        assert ask(opened, "POST", body=body).startswith("HTTP/1.1 403 ")
        assert not given
    assert opened.candidate.state == "idle"
    assert made()[1].token and len(opened.token) == 16


def test_what_is_sent_is_tried():
    for fields, ssid, password in (
        ({"network": b"Home".hex(), "password": "another+password"}, b"Home", PASSWORD),
        ({"network": b"\xff\0<".hex(), "password": "another+password"}, b"\xff\0<", PASSWORD),
        ({"network": "other", "ssid": "K%C3%BCche", "password": ""}, "K\u00fcche".encode(), ""),
        ({"ssid": "Hidden", "password": "another+password"}, b"Hidden", PASSWORD),
        # What the phone had filled in.
        ({"network": b"Guest".hex(), "password": "another+password"}, b"Guest", ""),
    ):
        world, opened = made()
        given = noted(opened.candidate)
        send(opened, **fields)
        assert opened.candidate.state == "trying"
        assert (given[0]["ssid"], given[0]["password"]) == (ssid, password)
        # While it is tried nothing else is.
        send(opened, network=b"Guest".hex())
        assert len(given) == 1


def test_where_the_board_has_joined_the_rest_is_corrected_alone():
    world, opened = made()
    candidate = opened.candidate
    candidate.ask(["provisioning.provisionDeviceSecret"])
    candidate.tell("refused")
    # What a script has filled in again.
    send(opened, password="another+password", provisionDeviceSecret=SECRET)
    assert candidate.state == "trying" and opened.wrong == []


def test_what_comes_while_the_server_is_asked_is_not_lost():
    for state in ("joined", "provisioning", "no answer", "refused"):
        world, opened = made()
        opened.candidate.tell(state)
        send(opened, network=b"Guest".hex())
        assert opened.candidate.state == "trying"


def test_what_does_not_fit_is_shown():
    world, opened = made()
    for fields, wrong in (
        ({}, ["ssid"]),
        ({"network": b"Home".hex()}, ["password"]),
        ({"network": b"Home".hex(), "password": "short"}, ["password"]),
        ({"network": "zz"}, ["ssid"]),
        ({"network": "other", "ssid": "x" * 33, "password": "12345678"}, ["ssid"]),
    ):
        send(opened, **fields)
        assert (opened.candidate.state, opened.wrong) == ("does not fit", wrong), fields
        assert 'aria-invalid="true"' in ask(opened)


def test_what_cannot_be_taken_is_said_on_a_page():
    """In the browser's language, with the form to correct it."""
    fields = "&network=%s&password=another+password" % b"Home".hex()
    for content, body, status, heading in (
        (None, None, 413, "Das ist zu viel"),
        (None, b"token=00", 403, "Bitte noch einmal senden"),
        (b"{no json", fields, 500, "Das Ger\u00e4t hat einen Fehler"),
        (None, fields, 500, "Das Ger\u00e4t hat einen Fehler"),
    ):
        world, opened = made()
        if content:
            world.put("/config.json", content)
        elif status == 500:
            opened.candidate.offer = None  # a bug
        request = Request("POST", "/")
        request.host, request.language = "192.168.4.1", "de-de"
        request.body = body
        if body == fields:
            request.body = ("token=%s%s" % (opened.token, fields)).encode()
        answer = b"".join(opened._answer(request)).decode()
        assert answer.startswith("HTTP/1.1 %d " % status)
        assert "<h1>%s</h1>" % heading in answer and 'lang="de"' in answer
        assert "<form " in answer and PASSWORD not in answer
        # And it can be sent once more.
        assert opened.candidate.state == "idle" and "<h1>Con" in ask(opened)


def test_no_secret_is_on_the_page_in_any_state():
    world, opened = made()
    send(opened, network=b"Home".hex(), password="another+password")
    for state in ("trying", "wrong password", "refused", "no answer", "provisioned"):
        opened.candidate.tell(state, "text")
        opened.candidate.name = "sensor-1"
        text = ask(opened)
        for secret in (PASSWORD, SECRET, KEY, "label-1234", "thingsboard.example.com"):
            assert secret not in text.replace("coap://thingsboard.example.com", ""), state


def test_a_scan_every_ten_seconds_at_most():
    world, opened = made()
    send(opened, scan="1")
    assert not opened.wants_scan
    world.clock.sleep_ms(11_000)
    send(opened, scan="1")
    assert opened.wants_scan
    opened.scanned(NETWORKS)
    assert not opened.wants_scan


def test_somebody_is_there_for_a_minute_after_the_last_word():
    world, opened = made()
    assert not opened.is_used()
    ask(opened, host="captive.apple.com")
    assert not opened.is_used()
    ask(opened)
    world.clock.sleep_ms(59_000)
    assert opened.is_used()
    world.clock.sleep_ms(2_000)
    assert not opened.is_used()
    opened.access_point.is_there = True
    assert opened.is_used()


def test_it_is_over_after_a_quarter_of_an_hour_or_an_hour():
    world, opened = made()
    for _ in range(15):
        assert not opened.is_over()
        world.clock.sleep_ms(MINUTE)
    world.clock.sleep_ms(1)
    assert opened.is_over()
    world, opened = made()
    opened.access_point.is_there = True
    for _ in range(60):
        assert not opened.is_over()
        world.clock.sleep_ms(MINUTE)
    world.clock.sleep_ms(1)
    assert opened.is_over()


def test_what_comes_back_is_the_same_page_and_has_the_rest_of_its_hour():
    world, opened = made()
    token, first = opened.token, opened.access_point
    opened.candidate.tell("apart")
    opened.access_point.is_there = True
    ask(opened)
    began = world.clock.slept
    opened.linger(20_000)
    assert world.clock.slept - began < 7_000
    opened.close()
    world.clock.sleep_ms(50 * MINUTE)
    assert not opened.is_spent()
    opened.open()
    assert opened.access_point is not first and first.is_closed
    assert opened.access_point.opened_with == ("firstboot-d4e5f6", "label-1234")
    assert opened.token == token and opened.networks == NETWORKS and not opened.has_told
    # Whoever is not back yet may come.
    began = world.clock.slept
    opened.linger(240_000, 120_000)
    assert 119_000 < world.clock.slept - began < 121_000
    assert not opened.is_over()
    world.clock.sleep_ms(9 * MINUTE)
    assert opened.is_spent() and opened.is_over()


def test_an_empty_scan_leaves_what_was_heard():
    """An ESP32 that joins hears nothing."""
    from firmware.onboarding import opening
    from firmware.onboarding.opening import Opening

    world, opened = made()
    board, candidate = opened.board, opened.candidate
    heard = [NETWORKS, []]
    before, opening.in_range = opening.in_range, lambda board, wifi: heard.pop(0)
    try:
        made_opening = Opening(board, candidate, {"networks": [None], "onboarding_password": ""})
        made_opening.open()
        made_opening.portal.wants_scan = True
        made_opening.look_after()
        assert heard == [] and made_opening.portal.networks == NETWORKS
        assert not made_opening.portal.wants_scan
        # Nor does who asks by Improv end what is being tried.
        made_opening.close()
        made_opening.is_joining = True
        assert made_opening.networks()[0] == (b"Home", -40, 3)
    finally:
        opening.in_range = before


def test_it_stays_until_somebody_has_read_how_it_ended():
    for reads, most in ((True, 7_000), (False, 62_000)):
        world, opened = made()
        opened.access_point.is_there = True
        opened.candidate.name = "sensor-1"
        opened.candidate.tell("provisioned")
        if reads:
            ask(opened)
        began = world.clock.slept
        opened.linger()
        assert most - 3_000 < world.clock.slept - began < most
    world, opened = made()
    began = world.clock.slept
    opened.linger()
    assert world.clock.slept == began


def test_names_are_answered_and_noise_is_not():
    world, opened = made()
    query = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
    opened._dns.queries = [b"noise", query, b""]
    opened.work()
    ((answer, to),) = opened._dns.sent
    assert bytes(answer[-4:]) == bytes((192, 168, 4, 1)) and to == ("192.168.4.2", 5000)
