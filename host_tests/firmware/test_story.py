"""firmware.onboarding.story: when the access point opens, and when it closes. In virtual time."""

from firmware.onboarding import story
from firmware.onboarding.access_point import is_in_wifi
from host_tests.firmware.helpers import Clock
from host_tests.firmware.world import (
    ADDRESS,
    ENOSPC,
    SECRET,
    PowerCut,
    Stub,
    World,
    example,
    os_error,
)

PASSWORD = "another password"
MINUTE = 60_000
OPEN = "onboarding: join the network"
NOTHING = {"wifi": ..., "server": ..., "provisioning": {}}
WITH_A_WRONG_SECRET = {
    "ssid": "Home",
    "password": PASSWORD,
    "server": "coap://" + ADDRESS,
    "deviceName": "sensor-{id}",
    "provisionDeviceKey": "profile-key-1234",
    "provisionDeviceSecret": "a wrong secret",
}


class Portal:
    """A page in virtual time. `person(self, now)` is called in each wait, and may `give`."""

    made = []
    networks = ()
    wants_scan = False
    person = None
    is_there = False
    lasts = 60 * MINUTE

    def __init__(self, board, candidate, ssid, password):
        self.board = board
        self.candidate = candidate
        self.opened = self.used = board._world.clock.slept
        self.closed = None
        self.ssid, self.password = ssid, password
        self.address = "192.168.4.1"
        self.scans = 0
        self.states = []
        self.was_open = []
        Portal.made.append(self)

    def open(self):
        self.was_open.append((self.opened, self.closed))
        self.opened = self.board._world.clock.slept
        self.closed = None

    def work(self):
        state = self.candidate.state
        if not self.states or self.states[-1] != state:
            self.states.append(state)
        if Portal.person:
            Portal.person(self, self.board._world.clock.slept)

    def give(self, **settings):
        if self.candidate.state not in ("trying", "joined", "provisioning", "provisioned"):
            return self.candidate.offer(settings)

    def is_used(self):
        return self.is_there

    def is_over(self):
        now = self.board._world.clock.slept
        if self.is_there:
            self.used = now
        return self.is_spent() or now - self.used > 15 * MINUTE

    def is_spent(self):
        first = self.was_open[0][0] if self.was_open else self.opened
        return self.board._world.clock.slept - first > Portal.lasts

    def scanned(self, networks):
        self.networks = networks
        self.wants_scan = False
        self.scans += 1

    def linger(self, most=0, comes=0):
        self.board.sleep(50)

    def close(self):
        self.closed = self.board._world.clock.slept


class Improv:
    def __init__(self, *arguments):
        self.is_closed = False

    def work(self):
        assert not self.is_closed

    def close(self):
        self.is_closed = True


def page_of(server):
    return ""


class Played:
    """A world whose portal and console are played; what was changed is put back by `end`."""

    def __init__(self, person=None, kind="esp32", **changes):
        from firmware.onboarding import improv, portal

        self.modules = portal, improv
        self.before = portal.Portal, improv.Improv
        portal.Portal, improv.Improv = Portal, Improv
        Portal.made = []
        Portal.lasts = 60 * MINUTE
        Portal.person = person
        changes = dict({"onboarding": "portal", "onboarding_password": "label-1234"}, **changes)
        self.world = World(example(**changes), kind)
        self.network = self.world.network

    def __enter__(self):
        return self

    def __exit__(self, *_):
        portal, improv = self.modules
        portal.Portal, improv.Improv = self.before
        Portal.person = None

    def power_up(self, tries=None):
        found = self.world.power_up(tries)
        return found and found[0]

    @property
    def portals(self):
        return Portal.made


def gives(after=0, **settings):
    """A person who gives this so long after the page was there."""

    def person(portal, now):
        if now - portal.opened >= after and portal.candidate.state == "idle":
            portal.is_there = True
            portal.give(**settings)

    return person


def absent(world):
    """The network is not in range."""
    world.network.joins = [[(2000, world.network.STAT_NO_AP_FOUND)]]


def test_without_wi_fi_it_opens_at_once_and_closes_when_provisioned():
    for kind in ("esp32", "rp2"):
        with Played(gives(5000, ssid="Home", password=PASSWORD), kind, wifi=...) as played:
            credentials = played.power_up()
            assert credentials["deviceName"].startswith("sensor-")
            (portal,) = played.portals
            assert portal.opened < 1000 and portal.closed is not None
            assert (portal.ssid, portal.password) == ("firstboot-d4e5f6", "label-1234")
            assert portal.states == ["idle", "trying", "provisioning", "provisioned"]
            assert played.world.get("/config.json")["wifi"]["ssid"] == "Home"
            assert played.world.board.background == []
            # Nothing of it is loaded any more.
            assert not [n for n in played.world.loaded if n.startswith("firmware.onboarding")]


def test_what_goes_wrong_while_it_tells_the_end_ends_it_all_the_same():
    def fails(most=0, comes=0):
        raise OSError(5)

    def breaks(portal, now):
        gives(5000, ssid="Home", password=PASSWORD)(portal, now)
        portal.linger = fails

    with Played(breaks, wifi=...) as played:
        assert played.power_up()["deviceName"].startswith("sensor-")
        (portal,) = played.portals
        assert portal.closed is not None
        assert played.world.board.background == []


def test_what_goes_wrong_once_there_are_credentials_ends_it_all_the_same():
    with Played(gives(5000, ssid="Home", password=PASSWORD), wifi=...) as played:
        world = played.world

        def fails():
            # What is sent then is the acknowledgement.
            if world.get("/credentials.json"):
                raise MemoryError

        world.on_send = fails
        world.server.script = [lambda request: separate(world.server.answer(request))]
        assert played.power_up()["deviceName"].startswith("sensor-")
        (portal,) = played.portals
        assert portal.closed is not None and portal.states[-1] == "provisioned"
        assert world.find("failed: an unexpected MemoryError")
        assert world.board.background == []
        assert not [n for n in world.loaded if n.startswith("firmware.onboarding")]


def test_what_goes_wrong_after_its_end_does_not_end_it_again():
    with Played(gives(5000, ssid="Home", password=PASSWORD), wifi=...) as played:
        flash = played.world.flash
        open_file = flash.open
        failed = []

        def fails(path, mode):
            if path.startswith("/start.json") and mode == "wb" and not failed:
                failed.append(path)
                raise MemoryError
            return open_file(path, mode)

        flash.open = fails
        assert played.power_up(tries=5)["deviceName"].startswith("sensor-")
        assert failed and played.portals[0].closed is not None
        assert played.world.find("failed: an unexpected MemoryError")
        assert played.world.board.background == []


def separate(reply):
    reply.separate = 100
    return reply


def test_a_flash_that_cannot_note_the_join_stops_no_board():
    with Played(gives(5000, ssid="Home", password=PASSWORD)) as played:
        flash = played.world.flash
        open_file = flash.open

        def fails(path, mode):
            if path.startswith("/onboarding.json") and mode == "wb":
                raise os_error(ENOSPC)
            return open_file(path, mode)

        flash.open = fails
        assert played.power_up()
        assert played.world.find("/onboarding.json cannot be saved")
        assert not played.world.find("next try")


def test_a_wi_fi_that_works_never_opens_it():
    with Played() as played:
        assert played.power_up()
        assert played.portals == []
        assert not played.world.find(OPEN)


def test_a_wi_fi_that_was_never_joined_opens_it_after_two_minutes():
    with Played() as played:
        absent(played.world)
        played.world.stop_after = 20
        Portal.person = gives(1000, ssid="Other", password=PASSWORD)

        def joins(portal, now):
            gives(1000, ssid="Other", password=PASSWORD)(portal, now)
            if portal.candidate.state == "trying":
                played.network.joins = [[(300, 1010)]]

        Portal.person = joins
        assert played.power_up()
        (portal,) = played.portals
        assert 2 * MINUTE <= portal.opened < 3 * MINUTE
        assert played.world.get("/config.json")["wifi"]["ssid"] == "Other"


def test_while_nobody_is_there_the_board_goes_on_trying_its_wi_fi():
    with Played() as played:
        absent(played.world)

        def returns(portal, now):
            if now - portal.opened > 5 * MINUTE:
                played.network.joins = [[(300, 1010)]]

        Portal.person = returns
        assert played.power_up()
        (portal,) = played.portals
        # It is closed before ThingsBoard is asked.
        assert portal.closed - portal.opened < 7 * MINUTE
        assert portal.states[-1] == "idle"
        assert portal.scans > 3


def is_apart(played):
    """Let the Wi-Fi have the access point's addresses; no two of them may be up at once."""
    played.network.address = "192.168.4.20"
    send = played.world.server.on_datagram

    def on_datagram(*arguments):
        assert all(portal.closed is not None for portal in played.portals)
        return send(*arguments)

    played.world.server.on_datagram = on_datagram


def test_where_the_wi_fi_has_its_addresses_it_goes_and_comes_back_to_tell():
    """Else the Wi-Fi's router and DNS would be the board itself."""
    for kind in ("esp32", "rp2"):
        with Played(gives(ssid="Home", password=PASSWORD), kind, wifi=...) as played:
            is_apart(played)
            assert played.power_up()
            (portal,) = played.portals
            assert portal.states == ["idle", "trying", "apart", "provisioned"]
            assert len(portal.was_open) == 1 and portal.closed > portal.opened
    # One that is provisioned has nothing to ask for.
    with Played(onboarding_pin=4) as played:
        assert played.power_up()
        played.world.is_pressed = True
        Portal.person = gives(1000, ssid="Moved", password=PASSWORD)
        played.network.address = "192.168.4.20"
        assert played.power_up()
        (portal,) = played.portals
        assert portal.states[-1] == "provisioned" and portal.was_open == []
    with Played(gives(ssid="Home", password=PASSWORD), wifi=...) as played:
        played.network.address = "192.168.40.20"
        assert played.power_up()
        assert played.portals[0].was_open == []
    for own, mask, address, expected in (
        ("192.168.5.20", "255.255.252.0", "192.168.4.1", True),
        ("192.168.8.20", "255.255.252.0", "192.168.4.1", False),
        ("10.0.0.2", "255.0.0.0", "192.168.4.1", False),
    ):
        station = Stub(ifconfig=lambda own=own, mask=mask: (own, mask, own, own))
        board = Stub(network=Stub(STA_IF=0, WLAN=lambda interface, station=station: station))
        assert is_in_wifi(board, address) == expected


def test_where_it_has_to_go_what_the_server_refuses_is_corrected_all_the_same():
    with Played(**NOTHING) as played:
        is_apart(played)
        played.world.servers[(ADDRESS, 5683)] = played.world.server

        def person(portal, now):
            portal.is_there = True
            if portal.candidate.state == "idle":
                assert not portal.give(**WITH_A_WRONG_SECRET)
            elif portal.candidate.state == "refused":
                assert not portal.give(**dict(WITH_A_WRONG_SECRET, provisionDeviceSecret=SECRET))

        Portal.person = person
        assert played.power_up()
        (portal,) = played.portals
        assert portal.states[:5] == ["idle", "trying", "apart", "refused", "trying"]
        assert portal.states[-2:] == ["apart", "provisioned"]


def test_where_it_has_to_go_it_comes_back_within_its_time_alone():
    """To a server that is silent it goes again and again, and is back for two minutes each time."""
    with Played(wifi=...) as played:
        is_apart(played)
        played.world.server.deaf = True

        def stays(portal, now):
            gives(ssid="Home", password=PASSWORD)(portal, now)
            portal.is_there = True

        Portal.person = stays
        Portal.lasts = 6 * MINUTE
        assert played.power_up(7) is None
        (portal,) = played.portals
        first = portal.was_open[0][0]
        assert portal.closed is not None and portal.closed - first < 10 * MINUTE
        assert len(portal.was_open) >= 2
        for opened, closed in portal.was_open[1:]:
            assert closed - opened >= 2 * MINUTE
        # And the board goes on asking.
        assert played.world.clock.slept - portal.closed > 2 * MINUTE


def test_where_it_has_to_go_and_cannot_come_back_the_board_goes_on():
    def does_not_open(portal):
        raise OSError(12)

    opens = Portal.open
    for is_deaf in (False, True):
        with Played(gives(ssid="Home", password=PASSWORD), wifi=...) as played:
            is_apart(played)
            played.world.server.deaf = is_deaf
            Portal.open = does_not_open
            try:
                assert bool(played.power_up(3)) is not is_deaf
            finally:
                Portal.open = opens
            (portal,) = played.portals
            assert portal.closed is not None and portal.was_open == []
            if not is_deaf:
                # The console is the application's.
                assert played.world.board.background == []


def test_where_it_has_to_go_and_the_wi_fi_is_gone_it_says_so():
    with Played(gives(ssid="Home", password=PASSWORD), wifi=...) as played:
        is_apart(played)
        gives_it = Portal.person

        def person(portal, now):
            gives_it(portal, now)
            if portal.candidate.state == "apart" and "not in range" not in portal.states:
                absent(played.world)
            elif portal.candidate.state == "not in range":
                played.network.joins = [[(300, 1010)]]
                assert not portal.give(ssid="Home", password=PASSWORD)

        Portal.person = person
        assert played.power_up()
        assert "not in range" in played.portals[0].states


def test_a_fault_while_it_is_tried_is_said_and_stops_nothing():
    with Played(wifi=...) as played:

        def person(portal, now):
            portal.is_there = True
            candidate = portal.candidate
            if candidate.state == "idle":
                assert not portal.give(ssid="Home", password=PASSWORD)
                candidate.work = None  # a bug
            elif candidate.state == "broken":
                del candidate.work
                assert not portal.give(ssid="Home", password=PASSWORD)

        Portal.person = person
        assert played.power_up()
        states = played.portals[0].states
        assert states[:4] == ["idle", "trying", "broken", "trying"]


def test_while_somebody_is_there_the_radio_stays_with_the_phone():
    with Played() as played:
        absent(played.world)
        joins = []

        def stays(portal, now):
            portal.is_there = True
            joins.append(len(played.network.named("connect")))
            if now - portal.opened > 30 * MINUTE:
                raise PowerCut()

        Portal.person = stays
        assert played.power_up() is None
        assert joins[0] == joins[-1]


def test_a_later_loss_never_opens_it():
    """A board that has asked ThingsBoard once has joined; so has one that is provisioned."""
    with Played() as played:
        played.world.server.deaf = True
        assert played.power_up(2) is None
        assert "/attempt.json" in played.world.flash.files
        absent(played.world)
        assert played.power_up(9) is None
        assert played.portals == []
        played.world.server.deaf = False
        played.network.joins = [[(300, 1010)]]
        assert played.power_up()
        absent(played.world)
        assert played.power_up()
        assert played.portals == []


def test_one_that_loses_the_wi_fi_in_the_same_power_up_does_not_open_it():
    with Played() as played:
        played.world.server.deaf = True

        def lose():
            absent(played.world)
            played.network.since = None

        played.world.on_send = lose
        assert played.power_up(9) is None
        assert played.portals == []


def test_it_closes_after_a_quarter_of_an_hour_and_stays_closed():
    for changes in ({"wifi": ...}, {}):
        with Played(**changes) as played:
            absent(played.world)
            assert played.power_up(9) is None
            (portal,) = played.portals
            assert 15 * MINUTE < portal.closed - portal.opened < 17 * MINUTE
            assert len(played.world.find("onboarding: the access point is closed again")) == 1
            # It opens again at power-up.
            assert played.power_up(5) is None
            assert len(played.portals) == 2


def test_it_closes_after_an_hour_whoever_is_there():
    with Played(wifi=...) as played:

        def stays(portal, now):
            portal.is_there = True

        Portal.person = stays
        assert played.power_up(3) is None
        (portal,) = played.portals
        assert 60 * MINUTE < portal.closed - portal.opened < 62 * MINUTE


def test_who_gives_again_and_again_does_not_keep_it_open():
    for is_there in (False, True):
        with Played(wifi=...) as played:
            played.world.server.deaf = True
            if not is_there:
                absent(played.world)

            def gives_again(portal, now):
                portal.is_there = True
                if now - portal.opened > 10 * MINUTE:
                    raise PowerCut()
                if portal.candidate.state != "trying":
                    portal.candidate.offer({"ssid": "Home", "password": PASSWORD})

            Portal.person = gives_again
            Portal.lasts = 4 * MINUTE
            assert played.power_up(5) is None
            (portal,) = played.portals
            assert 4 * MINUTE < portal.closed - portal.opened < 7 * MINUTE


def test_the_button_opens_it_again():
    with Played(wifi=..., onboarding_pin=4) as played:

        def presses(line):
            if "next try in" in line:
                played.world.is_pressed = True
            World.print(played.world, line)

        played.world.print = presses
        assert played.power_up(12) is None
        first, second = played.portals[:2]
        assert second.opened - first.closed < 5 * MINUTE


def test_the_button_opens_it_whatever_the_board_waits_for():
    """And the server is not asked more often for that."""
    for is_refused in (True, False):
        with Played(onboarding_pin=4) as played:
            server = played.world.server
            server.secret = "another secret"
            if not is_refused:
                server.deaf = True

            def loses_wifi(is_refused=is_refused, played=played):
                if not is_refused:
                    absent(played.world)
                    played.network.since = None

            assert played.power_up(2) is None
            before = len(played.world.sent)
            played.world.on_send = loses_wifi

            def presses(line, played=played):
                played.world.is_pressed = "next try in" in line
                World.print(played.world, line)

            def gives_up(portal, now):
                portal.is_there = True
                if now - portal.opened > 5 * MINUTE:
                    raise PowerCut()

            played.world.print = presses
            Portal.person = gives_up
            assert played.power_up(9) is None
            assert len(played.portals) == 1
            assert len(played.world.sent) - before < 12


def test_a_provisioned_board_takes_another_wi_fi_by_the_button_alone():
    with Played(onboarding_pin=4) as played:
        assert played.power_up()
        assert played.power_up()
        assert played.portals == []
        played.world.is_pressed = True
        Portal.person = gives(1000, ssid="Moved", password=PASSWORD)
        assert played.power_up()
        (portal,) = played.portals
        assert portal.states[-1] == "provisioned"
        assert played.world.get("/config.json")["wifi"]["ssid"] == "Moved"
        played.world.is_pressed = False
        assert played.power_up()
        assert len(played.portals) == 1


def test_a_button_that_is_stuck_costs_minutes():
    with Played(onboarding_pin=4) as played:
        played.power_up()
        played.world.is_pressed = True
        began = played.world.clock.slept
        assert played.power_up()
        assert played.world.clock.slept - began < 4 * MINUTE


def test_a_button_at_a_pin_that_is_not_there_is_said_and_stops_no_board():
    with Played(onboarding_pin=99) as played:
        # The first power-up, from what is kept, and from config.json.
        for removed in (None, None, "/start.json"):
            played.world.flash.files.pop(removed, None)
            assert played.power_up(3)
            assert played.world.find("`onboarding_pin` is no pin")
            played.world.lines = []


def test_the_button_restarts_a_board_at_work_into_it():
    with Played(onboarding_pin=4) as played:
        for _ in range(2):  # as after a first power-up, so after any other
            assert played.power_up()
            board = played.world.board
            board.sleep(10_000)
            played.world.is_pressed = True
            for _ in range(50):
                board.sleep(50)
            assert board.resets == 0
            try:
                for _ in range(20):
                    board.sleep(50)
                raise AssertionError("it did not reset")
            except BaseException as reset:
                assert type(reset).__name__ == "Reset"
            played.world.is_pressed = False


def test_a_provisioned_board_without_wi_fi_asks_for_it_and_starts_its_application_all_the_same():
    with Played() as played:
        assert played.power_up()
        config = played.world.get("/config.json")
        del config["wifi"]
        played.world.put("/config.json", config)
        assert played.power_up()
        (portal,) = played.portals
        assert portal.closed - portal.opened > 15 * MINUTE
        # And again at the next power-up: what it needs is not kept as if it had all.
        Portal.person = gives(1000, ssid="Home", password=PASSWORD)
        assert played.power_up()
        assert played.world.get("/config.json")["wifi"]["ssid"] == "Home"
        assert len(played.portals) == 2
        assert played.power_up()
        assert len(played.portals) == 2


def test_what_thingsboard_refuses_can_be_corrected():
    given = WITH_A_WRONG_SECRET
    with Played(**NOTHING) as played:

        def person(portal, now):
            portal.is_there = True
            state = portal.candidate.state
            if state == "refused":
                portal.give(**dict(given, provisionDeviceSecret=SECRET))
            elif state == "idle":
                assert not portal.give(**given)

        Portal.person = person
        played.world.servers[(ADDRESS, 5683)] = played.world.server
        assert played.power_up()
        (portal,) = played.portals
        assert "refused" in portal.states and portal.states[-1] == "provisioned"


def test_what_thingsboard_refuses_can_be_corrected_after_a_power_cycle():
    given = WITH_A_WRONG_SECRET
    with Played(**NOTHING) as played:
        played.world.servers[(ADDRESS, 5683)] = played.world.server
        Portal.person = gives(**given)
        assert played.power_up(2) is None
        assert played.world.get("/config.json")["server"] == given["server"]

        def person(portal, now):
            portal.is_there = True
            if portal.candidate.state == "refused":
                assert "provisionDeviceSecret" in portal.candidate.asked
                correct = dict(given, provisionDeviceSecret=SECRET)
                del correct["ssid"], correct["password"]
                assert not portal.give(**correct)

        Portal.made = []
        Portal.person = person
        assert played.power_up()
        (portal,) = played.portals
        assert portal.states[-1] == "provisioned"


def test_another_config_json_has_never_joined_though_an_attempt_is_pending():
    with Played() as played:
        played.world.server.deaf = True
        assert played.power_up(2) is None
        config = played.world.get("/config.json")
        config["wifi"]["ssid"] = "Another"
        played.world.put("/config.json", config)
        absent(played.world)
        assert played.power_up(9) is None
        assert len(played.portals) == 1


def test_a_server_that_does_not_answer_is_said_and_asked_again():
    with Played(gives(ssid="Home", password=PASSWORD), wifi=...) as played:
        played.world.server.deaf = True

        def hears(portal, now):
            gives(ssid="Home", password=PASSWORD)(portal, now)
            if portal.candidate.state == "no answer":
                played.world.server.deaf = False

        Portal.person = hears
        assert played.power_up()
        (portal,) = played.portals
        assert "no answer" in portal.states and portal.states[-1] == "provisioned"


def test_what_a_phone_does_stops_no_board():
    with Played(wifi=...) as played:
        calls = []

        def breaks(portal, now):
            calls.append(now)
            if len(calls) < 20:
                raise ValueError("a bug")
            gives(ssid="Home", password=PASSWORD)(portal, now)

        Portal.person = breaks
        assert played.power_up()


def test_a_power_cut_at_any_operation_of_the_flash_loses_nothing():
    """What a person gave is there or is not, and nobody has to come with a cable."""
    number = 0
    while True:
        with Played(gives(ssid="Home", password=PASSWORD), wifi=...) as played:
            before = played.world.get("/config.json")
            played.world.flash.begin()
            played.world.flash.cut_at = number
            if played.power_up():
                break
            played.world.flash.begin()
            config = played.world.get("/config.json")
            wifi = config.pop("wifi", None)
            assert config == before
            assert wifi in (None, {"ssid": "Home", "password": PASSWORD})
            assert played.power_up()
            assert len(played.world.server.devices) == 1
        number += 1
    assert number > 10


# As a board's, which wrap.
story.ticks_add, story.ticks_diff = Clock().ticks_add, Clock().ticks_diff
