"""firmware.device: a device that reports, obeys and heals, in virtual time."""

import json
import sys

from firmware import device as device_module
from firmware import retry
from firmware.errors import FirstbootError, NoResponse
from firmware.observed import _Watch
from firmware.retry import backoff
from firmware.thingsboard.device_api import Unauthorized
from host_tests.firmware.at_work import BEGAN, GET, NAME, TOKEN, Work, credentials
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import (
    BAD_REQUEST,
    CONTENT,
    INTERNAL_SERVER_ERROR,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
    Stub,
)

shown = []
retry.sys = Stub(print_exception=shown.append, modules=sys.modules)
REFRESH = 300_000


class Home(Work):
    """A Device whose handlers keep what they were called with."""

    def __init__(self, *arguments, **options):
        self.changes = []
        self.calls = []
        # How many ms a call takes, and whether nothing reaches ThingsBoard from then on.
        self.takes = 0
        self.deafens = False
        del shown[:]
        super().__init__(*arguments, **options)

    def power_on(self, *arguments, **options):
        super().power_on(*arguments, **options)
        self.device.on_attributes(self.changes.append)
        self.device.on_rpc(self.on_call)

    def on_call(self, method, params):
        self.calls.append((method, params))
        self.clock.sleep_ms(self.takes)
        self.is_deaf = self.is_deaf or self.deafens
        return {"did": method}

    def replies(self):
        """Return (resource, JSON) of each reply to a call, in the order of coming."""
        return [
            (resource, json.loads(payload))
            for _, _, resource, payload in self.requests
            if resource.startswith("rpc/")
        ]

    def registrations(self, resource):
        return [at for at, code, what, _ in self.requests if code == GET and what == resource]


# Telemetry


def test_telemetry():
    work = Work()
    assert work.device.send_telemetry({"t": 21.5}) is True
    assert work.requests[0][2:] == ("telemetry", b'{"ts":1800000000000,"values":{"t":21.5}}')
    assert list(work.telemetry()["t"].values()) == [21.5]
    work.device.send_telemetry({"on": True, "text": "x", "none": None}, ts=BEGAN + 1)
    work.device.send_telemetry([{"ts": BEGAN + 2, "values": {"a": 1}}, {"values": {"a": 2}}])
    assert work.telemetry()["on"] == {BEGAN + 1: True}
    assert work.telemetry()["a"][BEGAN + 2] == 1 and len(work.telemetry()["a"]) == 2
    assert work.states == ["connected"] and work.device.waiting == work.device.dropped == 0
    for wrong in (None, [1], {"a": object()}, {1: 2}, "text", [{"a": 1}], [None], [{"values": 1}]):
        raises(ValueError, work.device.send_telemetry, wrong)
    for ts in ("now", [1], -1, 1_800_000_000, 1 << 63, float("nan"), float("inf")):
        raises(ValueError, work.device.send_telemetry, {"a": 1}, ts)
        raises(ValueError, work.device.send_telemetry, [{"ts": ts, "values": {"a": 1}}])
    raises(ValueError, work.device.send_telemetry, 5, 1_500_000_000_000)
    assert work.device.waiting == 0


def test_telemetry_waits_with_its_time_and_goes_in_batches():
    work = Work()
    work.device.send_telemetry({"n": 0})
    work.is_deaf = True
    for number in range(1, 61):
        assert work.device.send_telemetry({"n": number}) is False
        work.device.wait(60_000)
    assert work.device.waiting == 60
    work.is_deaf = False
    sent = len(work.requests)
    work.later(900_000)
    assert work.device.waiting == work.device.dropped == 0
    assert sorted(work.telemetry()["n"].values()) == list(range(61))
    times = sorted(work.telemetry()["n"])
    assert all(50_000 < times[place + 1] - times[place] < 400_000 for place in range(1, 60))
    assert len(work.requests) - sent == 3
    assert work.states == ["connected", "failed", "connected"]


def test_more_than_the_queue_has_room_for():
    for keeps, stay in (("newest", range(40, 50)), ("oldest", range(10, 20))):
        work = Work(queue=80, keeps=keeps)
        work.is_deaf = True
        for number in range(10, 50):
            work.device.send_telemetry({"n": number})
        assert work.device.dropped == 30 and work.device.waiting == 10
        work.is_deaf = False
        work.later(900_000)
        assert sorted(work.telemetry()["n"].values()) == list(stay)
        told = [line for line in work.world.lines if "dropped" in line]
        assert len(told) == 1 and told[0].endswith("telemetry dropped: 30 readings")


def test_a_reading_whose_reply_was_lost_has_one_time():
    work = Work()
    work.is_mute = True
    work.device.send_telemetry({"n": 1})
    assert len(work.of("telemetry")) == 5
    work.is_mute = False
    work.device.wait(20_000)
    assert work.device.waiting == 0 and len(work.of("telemetry")) > 5
    assert len(work.telemetry()["n"]) == 1


def test_what_waits_survives_a_restart():
    work = Work(persist=True)
    work.is_deaf = True
    work.device.send_telemetry({"n": 1})
    work.power_on(credentials(), persist=True)
    assert work.device.waiting == 1
    work.is_deaf = False
    work.device.wait(1000)
    assert work.telemetry()["n"] and work.device.waiting == 0
    work.power_on(credentials(), persist=True)
    assert work.device.waiting == 0


def test_what_waits_is_on_flash_ten_minutes_later_however_late_the_next_try_is():
    work = Work(persist=True)
    work.is_deaf = True
    work.device.send_telemetry({"n": 1})
    # The next try is an hour later, as when ThingsBoard has refused.
    work.device.session.retry_at = work.clock.ticks_add(work.clock.ticks_ms(), 3_600_000)
    work.device.send_telemetry({"n": 2})
    saves = work.world.flash.count("rename", "/telemetry.json")
    work.device.wait(601_000)
    work.power_on(credentials(), persist=True)
    assert work.device.waiting == 2
    assert work.world.flash.count("rename", "/telemetry.json") == saves + 1


def test_an_application_that_never_waits_has_it_on_flash_too():
    work = Work(persist=True)
    work.is_deaf = True
    work.device.send_telemetry({"n": 1})
    clock = work.clock
    work.device.session.retry_at = clock.ticks_add(clock.ticks_ms(), 3_600_000)
    for number in range(2, 14):
        clock.sleep_ms(60_000)
        work.device.send_telemetry({"n": number})
    work.power_on(credentials(), persist=True)
    assert work.device.waiting >= 10


def test_what_cannot_be_removed_is_not_said_in_each_turn_of_a_wait():
    work = Work(persist=True)
    work.is_deaf = True
    # As when the removal of what was sent has failed.
    work.device.session.backlog.is_saved = True
    work.world.flash.broken = ("remove",)
    work.world.put("/telemetry.json", b"[]")
    work.device.send_attributes({"a": 1})
    work.device.wait(60_000)
    # Once with each try.
    assert len(work.world.find("telemetry not saved")) <= 3


def test_what_is_on_flash_is_not_saved_again():
    work = Work(persist=True)
    work.is_deaf = True
    work.device.send_telemetry({"n": 1})
    work.device.wait(7_200_000)
    assert work.device.waiting == work.world.flash.count("rename", "/telemetry.json") == 1


def test_close_saves_and_the_device_goes_on_all_the_same():
    work = Work(persist=True)
    work.is_deaf = True
    for number in range(3):
        work.device.send_telemetry({"n": number})
    work.device.close()
    assert work.transports[-1].closed
    assert len(json.loads(work.world.flash.files["/telemetry.json"])) == 3
    work.is_deaf = False
    work.later(900_000)
    assert len(work.telemetry()["n"]) == 3


def test_unconfirmed_telemetry_is_one_datagram():
    work = Work()
    assert work.device.send_telemetry({"n": 1}, confirm=False) is True
    transport = work.transports[0]
    assert len(transport.sent) == 1 and transport.sent[0][1][0] >> 4 & 3 == 1
    work.is_deaf = True
    began = work.clock.slept
    # What nobody answers is lost; now and then it is asked whether somebody hears.
    for number in range(3):
        assert work.device.send_telemetry({"n": number}, confirm=False) is True
    assert work.clock.slept - began == 6_000 and len(transport.sent) == 4
    assert work.device.send_telemetry({"n": 4}, confirm=False) is False
    assert work.device.waiting == 1


def test_an_unconfirmed_reading_that_never_left_is_not_lost():
    work = Home()
    work.device.wait(1000)
    work.is_mute = True

    def send(datagram):
        raise OSError(101)

    work.transports[-1].send = send
    assert work.device.send_telemetry({"n": 1}, confirm=False) is False
    work.later(300_000)
    assert len(work.registrations("attributes")) > 5 and work.device.waiting == 1
    work.is_mute = False
    work.later(900_000)
    assert len(work.telemetry()["n"]) == 1


def test_what_was_to_be_confirmed_is_also_behind_an_unconfirmed_reading():
    for first, second, readings in ((True, False, 2), (False, False, 2), (False, True, 2)):
        work = Work()
        work.device.send_telemetry({"n": 0})
        transport = work.transports[0]
        work.is_deaf = True
        transport.send, send = lambda datagram: 1 // 0, transport.send
        # What is given is all in the queue when it is sent.
        work.device.session.backlog.put({"n": 1}, None, first)
        work.device.session.backlog.put({"n": 2}, None, second)
        transport.send = send
        work.is_deaf = False
        sent = len(transport.sent)
        work.device._drive(work.device.session.work(False))
        assert work.device.waiting == 0
        assert [each[1][0] >> 4 & 3 for each in transport.sent[sent:]] == [0, 2], (first, second)
        assert len(work.telemetry()["n"]) == 1 + readings


def test_what_is_too_large_is_refused_and_holds_nothing_up():
    work = Home(queue=100_000)
    work.device.wait(1000)
    large = {"a": "x" * 4080}
    raises(ValueError, work.device.send_telemetry, large)
    raises(ValueError, work.device.send_attributes, large)
    work.device.on_rpc("log", lambda params: large)
    work.call(0, "log")
    work.device.wait(1000)
    ((_, reply),) = work.replies()
    assert reply == {"error": "ValueError: 4088 bytes, and there is room for 4000"}
    # Together they are more than a datagram has room for.
    assert work.device.send_attributes({"k%d" % number: "x" * 300 for number in range(12)})
    sent = [json.loads(each) for each in work.of("attributes") if each]
    assert len(sent) == 4 and sum(len(each) for each in sent) == 12
    assert work.device.send_telemetry({"a": "x" * 3900}) and work.states == ["connected"]


def test_times_that_are_no_whole_ms():
    work = Work()
    began = work.clock.slept
    work.device.wait(1.5)
    assert work.clock.slept - began == 1
    work.device.wait(-5)
    assert work.device.send_telemetry({"a": 1}, ts="1800000000001")
    assert work.device.send_telemetry({"a": 2}, ts=1800000000002.7)
    assert sorted(work.telemetry()["a"]) == [1800000000001, 1800000000002]


def test_client_attributes():
    work = Work()
    work.is_deaf = True
    for number in range(3):
        assert work.device.send_attributes({"n": number, "x": 1}) is False
    work.is_deaf = False
    work.device.wait(20_000)
    assert [json.loads(each) for each in work.of("attributes")] == [{"n": 2, "x": 1}]


# The link


def test_a_wifi_that_is_gone_and_back_with_another_address():
    work = Home()
    work.device.wait(1000)
    network = work.world.network
    network.since = None
    network.joins = [[(300, network.STAT_NO_AP_FOUND)]]
    work.device.wait(60_000)
    assert work.states == ["connected", "failed"]
    network.joins = [[(300, network.STAT_GOT_IP)]]
    network.address = "192.0.2.77"
    work.later(120_000)
    assert work.states == ["connected", "failed", "connected"]
    work.set({"a": 1})
    work.device.wait(1000)
    assert work.changes == [{}, {"a": 1}]


def test_another_address_is_noticed_at_once():
    work = Home()
    work.device.wait(1000)
    work.world.network.address = "192.0.2.77"
    work.restart()
    work.device.wait(1000)
    assert len(work.transports) == 2 and set(work.observers) == {"attributes", "rpc"}


def test_retries_are_slower_and_slower_and_never_stop():
    work = Work()
    work.is_deaf = True
    work.device.send_telemetry({"n": 1})
    work.later(8 * 3_600_000)
    times = [at for at, _ in ((each.sent[0]) for each in work.transports)]
    gaps = [times[place + 1] - times[place] for place in range(len(times) - 1)]
    assert 25 < len(times) < 150 and max(gaps) < 1_100_000
    assert len(set(gaps[-20:])) > 15, "no jitter"
    assert work.states == ["failed"]


def test_waits_are_drawn():
    """Boards that fail together do not come back together, nor register together."""
    lowest, highest = bytes, lambda count: b"\xff" * count
    assert [backoff(3, lowest), backoff(3, highest)] == [1_000, 31_999]
    waits = []
    for random in (lowest, highest):
        watch = _Watch("attributes", Stub(on_notification=None), None)
        watch.registered(REFRESH, Stub(ticks=lambda: 0, random=random))
        waits.append(watch.again_at)
    assert waits == [REFRESH, REFRESH * 3 // 2 - 3]


def test_a_server_says_when_it_may_be_asked_again():
    work = Work()
    work.answers = {"telemetry": (SERVICE_UNAVAILABLE, b"", ((14, b"\x02\x58"),))}
    work.device.send_telemetry({"n": 1})
    work.later(590_000)
    assert len(work.of("telemetry")) == 1
    work.later(320_000)
    assert len(work.of("telemetry")) == 2


def test_5_00_for_ever_says_the_profile_s_transport():
    work = Work()
    told = []
    work.device.on_state(lambda state, text: told.append((state, text)))
    work.codes["telemetry"] = [INTERNAL_SERVER_ERROR]
    work.device.send_telemetry({"n": 1})
    work.later(3_600_000)
    ((state, text),) = told
    assert state == "failed" and "5.00" in text and "transport is Default or CoAP" in text
    assert 5 < len(work.of("telemetry")) < 40 and len(work.transports) == 1
    work.codes = {}
    work.later(1_400_000)
    assert work.telemetry()["n"] and told[-1][0] == "connected"


def test_a_protobuf_profile_is_told_as_what_it_is():
    work = Work()
    told = []
    work.device.on_state(lambda state, text: told.append((state, text)))
    work.codes["telemetry"] = [BAD_REQUEST]
    work.device.send_telemetry({"n": 1})
    work.later(600_000)
    assert told[0][0] == "failed" and "PROTOBUF" in told[0][1] and len(told) == 1
    assert work.device.waiting == 1


def test_a_reading_that_thingsboard_refuses_holds_no_other_up():
    work = Work()
    work.poison = b'"bad":null'
    work.device.send_telemetry({"bad": None})
    assert work.device.send_telemetry({"n": 0}) and work.device.dropped == 1
    assert work.world.find("dropped, since ThingsBoard answers 4.00 to it: bad")
    work.is_deaf = True
    for number in range(1, 6):
        work.device.send_telemetry({"n": number})
        work.device.send_telemetry({"bad": None, "secret": "s%d" % number})
    work.is_deaf = False
    work.later(900_000)
    assert sorted(work.telemetry()["n"].values()) == list(range(6))
    assert work.device.waiting == 0 and work.device.dropped == 6
    assert work.states[-1] == "connected"
    assert not any("s3" in line for line in work.world.lines)
    before = len(work.of("telemetry"))
    work.device.send_telemetry([{"values": {"n": number}} for number in (6, 7, 8)])
    assert len(work.of("telemetry")) == before + 1, "readings go together again"


def test_an_unconfirmed_reading_that_thingsboard_refuses():
    work = Work()
    work.poison = b'"bad":null'
    assert work.device.send_telemetry({"bad": None}, confirm=False)
    assert work.device.waiting == 0 and work.device.dropped == 1


def test_an_attribute_that_thingsboard_refuses_holds_no_other_up():
    work = Work()
    work.poison = b'"bad":null'
    assert work.device.send_attributes({"a": 1, "bad": None, "b": 2})
    taken = [json.loads(each) for each in work.of("attributes") if work.poison not in each]
    assert (
        {"a": 1} in taken
        and {"b": 2} in taken
        and work.world.find("dropped, since ThingsBoard answers 4.00 to it: bad")
    )
    assert work.device.send_attributes({"a": 3, "b": 4})
    assert json.loads(work.of("attributes")[-1]) == {"a": 3, "b": 4}, "together again"


def test_attributes_of_a_protobuf_profile_are_no_storm():
    work = Home()
    work.shared = lambda: b"\x0a\x05a\x00\xff"
    told = []
    work.device.on_state(lambda state, text: told.append((state, text)))
    work.later(3_600_000)
    assert told[0][0] == "failed" and "PROTOBUF" in told[0][1]
    assert len(work.requests) < 60 and work.changes == []


def test_mqtt_basic_is_said_and_tried_slowly():
    work = Work(credentials("MQTT_BASIC", {"clientId": "c"}))
    told = []
    work.device.on_state(lambda state, text: told.append((state, text)))
    assert work.device.send_telemetry({"n": 1}) is False
    work.later(2 * 3_600_000)
    assert told[0][0] == "refused" and "MQTT_BASIC" in told[0][1] and len(told) == 1
    assert work.requests == [] and len(work.transports) <= 4
    assert "MQTT_BASIC" in str(raises(FirstbootError, work.device.claim))


def test_x509_paths_have_no_token():
    work = Home(credentials("X509_CERTIFICATE", "MIIB"))
    work.device.send_telemetry({"n": 1})
    work.device.request_attributes(["a"])
    work.device.claim()
    work.call(7, "m")
    work.device.wait(1000)
    assert [each[2] for each in work.requests] == [
        "attributes",
        "rpc",
        "telemetry",
        "attributes",
        "claim",
        "rpc/7",
    ]


def test_a_device_that_was_deleted_is_provisioned_anew():
    work = Home()
    work.attributes = {"a": 1}
    work.device.wait(1000)
    del work.server.devices[NAME]
    work.restart()
    work.attributes = {"b": 2}
    work.device.send_telemetry({"n": 1})
    assert work.device.waiting == 0 and work.server.devices[NAME] != TOKEN
    assert work.token == work.server.devices[NAME]
    work.device.wait(1000)
    assert work.changes == [{"a": 1}, {"a": None, "b": 2}]
    assert work.states == ["connected"]
    assert work.world.get("/credentials.json")["credentialsValue"] == work.token


def test_a_device_that_is_deleted_again_and_again_is_provisioned_anew_each_time():
    work = Work()
    tokens = {TOKEN}
    for number in range(3):
        del work.server.devices[NAME]
        work.device.send_telemetry({"n": number})
        work.later(20_000)
        assert work.device.waiting == 0
        tokens.add(work.server.devices[NAME])
        # Taken: it is no longer what ThingsBoard has just given.
        work.device.send_telemetry({"m": number})
    assert len(tokens) == 4 and "refused" not in work.states


def test_after_a_long_outage_the_next_one_is_tried_as_soon_as_the_first():
    """What came through ends the growth of the waits."""
    work = Work()
    waits = []
    for number in range(2):
        work.is_deaf = True
        work.device.send_telemetry({"n": number})
        work.later(3_600_000)
        work.is_deaf = False
        work.later(1_000_000)
        assert work.device.waiting == 0
        session = work.device.session
        assert session.failures == 0 and session.retry_at is None
        work.is_deaf = True
        work.device.send_telemetry({"m": number})
        waits.append(work.clock.ticks_diff(session.retry_at, work.clock.ticks_ms()))
        work.is_deaf = False
        work.later(20_000)
    assert max(waits) <= 4_000


def test_credentials_that_are_taken_by_nobody_are_not_asked_for_again_and_again():
    work = Work()
    told = []
    work.device.on_state(lambda state, text: told.append((state, text)))
    work.codes = {"telemetry": [UNAUTHORIZED]}
    del work.server.devices[NAME]
    work.device.send_telemetry({"n": 1})
    work.later(3_000_000)
    ((state, text),) = told
    assert state == "refused" and "4.01 to credentials that it has just given" in text
    assert len(work.of("telemetry")) == 2


def test_the_time_is_asked_for_when_a_reading_has_waited_without_it():
    for began, is_asked in ((0, True), (BEGAN, False)):
        work = Work()
        work.world.clock_began = began
        work.is_deaf = True
        work.device.send_telemetry({"n": 1})
        work.later(300_000)
        work.is_deaf = False
        work.later(600_000)
        assert work.device.waiting == 0
        assert ("pool.ntp.org" in work.world.resolved) == is_asked


def test_calls_of_the_deleted_device_are_not_taken_for_the_new_one_s():
    work = Home()
    work.device.wait(1000)
    work.call(0, "m", 1)
    del work.server.devices[NAME]
    work.device.wait(100)
    work.device.wait(1000)
    assert work.calls == [("m", 1)]
    work.call(0, "m", 1)
    work.device.wait(1000)
    assert work.calls == [("m", 1)] * 2


def test_a_deleted_device_heals_by_whatever_it_asks():
    for ask in (
        lambda device: device.request_attributes(["a"]),
        lambda device: device.claim("secret", 60_000),
        lambda device: device.call_rpc("m"),
        lambda device: device.send_attributes({"a": 1}),
    ):
        work = Work()
        work.server.devices.clear()
        try:
            ask(work.device)
        except FirstbootError as error:
            assert "no JSON" in str(error)
        assert work.token == work.server.devices[NAME] != TOKEN


def test_credentials_that_were_changed_are_said_and_tried_slowly():
    work = Home()
    told = []
    work.device.on_state(lambda state, text: told.append((state, text)))
    work.server.devices[NAME] = "another-token"
    work.device.send_telemetry({"n": 1})
    asked = len(work.requests)
    state, text = told[-1]
    assert state == "refused" and NAME in text and "delete it" in text
    # Whatever the application asks meanwhile.
    for _ in range(20):
        raises(FirstbootError, work.device.request_attributes, ["a"])
        work.device.wait(60_000)
    assert len(work.requests) == asked
    work.later(5 * 3_600_000)
    assert asked + 3 <= len(work.requests) <= asked + 12 and len(told) == 1
    work.server.devices[NAME] = TOKEN
    work.later(2 * 3_600_000)
    assert work.device.waiting == 0 and told[-1][0] == "connected"


def test_asking_alone_is_as_slow():
    work = Work()
    work.server.devices[NAME] = "another-token"
    for _ in range(30):
        raises(FirstbootError, work.device.claim)
        work.clock.sleep_ms(60_000)
    assert len(work.requests) == 1


# Requests


def test_attributes_are_asked_for():
    work = Work()
    work.attributes = {"a": 1, "b": 2}
    assert work.device.request_attributes((), ["a", "z"]) == {"client": {}, "shared": {"a": 1}}
    work.codes["attributes"] = [0x84]
    assert work.device.request_attributes(["x"]) == {"client": {}, "shared": {}}
    del work.codes["attributes"]
    assert work.device.request_attributes(None, "a") == {"client": {}, "shared": {"a": 1}}
    assert work.device.request_attributes() == {"client": {}, "shared": {"a": 1, "b": 2}}


def test_a_call_of_the_rule_chain_and_its_reply():
    work = Work()
    work.answers = {"rpc": (CONTENT, b'{"time":5}', ())}
    assert work.device.call_rpc("getTime", {"zone": 1}) == {"time": 5}
    assert json.loads(work.of("rpc")[0]) == {"method": "getTime", "params": {"zone": 1}}


def test_a_call_of_the_rule_chain_that_nobody_answers_costs_no_observation():
    work = Home()
    work.device.wait(1000)
    work.codes["rpc"] = [None]
    began = work.clock.slept
    error = raises(NoResponse, work.device.call_rpc, "getTime", None, 5000)
    assert error.acknowledged and work.clock.slept - began == 5000
    assert "no reply to getTime within 5 s" in str(error) and "rule chain" in str(error)
    work.codes = {}
    work.set({"a": 1})
    work.device.wait(1000)
    assert work.changes[-1] == {"a": 1} and len(work.transports) == 1
    assert len(work.registrations("rpc")) == 1


def test_a_request_raises_without_an_answer():
    work = Work()
    work.is_deaf = True
    raises(NoResponse, work.device.request_attributes, ["a"])
    raises(NoResponse, work.device.claim)
    work.is_deaf = False
    work.device.claim("secret", 60_000)
    assert work.of("claim") == [b'{"secretKey":"secret","durationMs":60000}']
    assert json.loads(work.of("claim")[0]) == {"secretKey": "secret", "durationMs": 60_000}


# Attributes


def test_attributes_first_all_then_each_change():
    work = Home()
    work.attributes = {"a": 1}
    work.device.wait(1000)
    ids = [work.set({"a": 2})]
    work.device.wait(1000)
    ids.append(work.set({"b": True}, delay=500))
    work.device.wait(1000)
    assert work.changes == [{"a": 1}, {"a": 2}, {"b": True}]
    assert all(id in work.acknowledged for id in ids)


def test_a_change_is_acknowledged_within_a_second():
    work = Home()
    work.device.wait(1000)
    id = work.set({"a": 1}, delay=10)
    work.device.wait(100)
    assert id in work.acknowledged


def test_a_gap_fetches_everything():
    work = Home()
    work.device.wait(1000)
    work.set({"a": 1}, is_lost=True)
    work.set({"b": 1})
    work.device.wait(1000)
    assert work.changes == [{}, {"a": 1, "b": 1}]
    assert len(work.registrations("attributes")) == 2 and len(work.registrations("rpc")) == 1


def test_a_deletion_reaches_the_handler():
    work = Home()
    work.attributes = {"a": 1, "b": 2}
    work.device.wait(1000)
    work.delete("a")
    work.device.wait(1000)
    assert work.changes == [{"a": 1, "b": 2}, {"a": None}]


def test_an_observation_that_died_without_a_word_is_registered_again():
    """A restart of ThingsBoard, or a router that forgot."""
    work = Home(refresh=REFRESH)
    work.device.wait(1000)
    work.restart()
    work.attributes = {"a": 1}
    work.later(REFRESH * 3 // 2)
    assert work.changes == [{}, {"a": 1}] and set(work.observers) == {"attributes", "rpc"}


def test_a_quiet_hour_costs_few_datagrams():
    work = Home(refresh=REFRESH)
    work.device.wait(1000)
    sent = len(work.transports[0].sent)
    work.later(3_600_000)
    # Registrations 2 x (request, ACK of a 2.03), pings.
    assert len(work.registrations("rpc")) <= 13
    assert len(work.transports[0].sent) - sent <= 3 * 12 + 36
    times = [at for at, _ in work.transports[0].sent]
    assert max(times[place + 1] - times[place] for place in range(len(times) - 1)) < 110_000


def test_a_ping_s_message_id_is_no_request_s():
    work = Home()
    work.device.wait(105_000)
    work.device.send_telemetry({"n": 1})
    ids = [datagram[2:4] for _, datagram in work.transports[0].sent if not datagram[0] >> 5 & 1]
    assert len(ids) == len(set(ids)) == 4


def test_an_end_is_no_loss():
    work = Home()
    work.device.wait(1000)
    work.attributes = {"a": 1}
    work.notify("attributes", None, code=0x42)
    work.device.wait(1000)
    assert work.changes == [{}, {"a": 1}] and len(work.registrations("attributes")) == 2


def test_two_boards_with_one_token_do_not_end_each_other_s_observations_for_ever():
    work = Home()
    answer = work._answer

    def ended(message, resource):
        reply = answer(message, resource)
        if message.option(6) is not None:
            work.notify(resource, None, code=0x42, delay=100)
        return reply

    work._answer = ended
    work.later(3_600_000)
    assert 20 < len(work.registrations("rpc")) < 80


def test_a_reply_waits_while_two_boards_end_each_other_s_observations():
    work = Home()
    work.device.wait(1000)
    while work.device.session.observed._rpc.not_before is None:
        work.notify("rpc", None, code=0x42)
        work.device.wait(100)

    def end(method, params):
        work.notify("rpc", None, code=0x42)
        work.device.wait(20)

    work.device.on_rpc(end)
    work.call(0, "m")
    work.device.wait(20_000)
    assert work.replies() == [] and work.device.send_telemetry({"n": 1})
    work.call(0, "m")
    work.device.wait(1000)
    assert work.replies() == [("rpc/0", {})]


def test_numbers_that_are_none_do_not_register_without_an_end():
    """A server whose first number is not 0."""
    work = Home()
    answer = work._answer

    def odd(message, resource):
        code, payload, options = answer(message, resource)
        return code, payload, tuple([(6, b"\x05") if each[0] == 6 else each for each in options])

    work._answer = odd
    work.later(3_600_000)
    assert len(work.registrations("attributes")) < 80


def test_a_slow_handler_does_not_cost_the_observation():
    work = Home()
    work.device.wait(1000)
    work.call(0, "slow")
    # While it works this comes five times, and ThingsBoard gives up.
    for delay in (10, 2_700, 8_200, 19_200, 41_200):
        work.set({"a": 1}, delay=delay)
        work.observers["attributes"][2] -= 1

    def give_up():
        work.restart()
        work.attributes = {"a": 1, "b": 1}

    work.device.on_rpc(lambda method, params: (work.clock.sleep_ms(120_000), give_up())[0])
    for _ in range(3):
        work.device.wait(1000)
    assert set(work.observers) == {"attributes", "rpc"}
    assert work.changes[-1]["b"] == 1
    work.set({"c": 1})
    work.device.wait(1000)
    assert work.changes[-1] == {"c": 1}


def test_what_a_slow_handler_gives_is_sent_when_the_call_came_again():
    """ThingsBoard may have restarted meanwhile, and another call may have its id."""
    work = Home()
    work.device.wait(1000)
    work.takes = 60_000
    work.call(0, "slow")
    work.device.wait(70_000)
    assert len(work.registrations("attributes")) == 1
    assert len(work.registrations("rpc")) == 2 and work.replies() == []
    work.takes = 0
    work.call(0, "slow")
    work.call(1, "quick")
    work.device.wait(1000)
    assert work.replies() == [("rpc/0", {"did": "slow"}), ("rpc/1", {"did": "quick"})]


def test_what_a_call_that_was_read_late_gives_is_sent_when_it_came_again():
    """It may have waited in the socket while ThingsBoard restarted."""
    work = Home()
    work.device.wait(1000)
    work.call(0, "late")
    work.clock.sleep_ms(25_000)
    work.device.wait(1000)
    assert work.calls == [("late", None)]
    assert len(work.registrations("rpc")) == 2 and work.replies() == []
    work.call(0, "late")
    work.device.wait(1000)
    assert work.calls == [("late", None)] and work.replies() == [("rpc/0", {"did": "late"})]


def test_a_reply_is_not_sent_again_later_than_thingsboard_can_have_restarted():
    work = Home()
    work.device.wait(1000)
    work.takes = 4_000
    work.call(0, "m")
    work.is_mute = True
    began = work.clock.slept
    work.device.wait(60_000)
    sent = [at - began for at, _, resource, _ in work.requests if resource == "rpc/0"]
    assert len(sent) == 2 and max(sent) <= 10_000


def test_an_application_that_does_something_else_for_long():
    work = Home()
    work.device.wait(1000)
    for delay in (10, 2_700):
        work.set({"a": 1}, delay=delay)
        work.observers["attributes"][2] -= 1
    work.clock.sleep_ms(300_000)
    work.restart()
    work.attributes = {"a": 2}
    work.device.send_telemetry({"n": 1})
    work.device.wait(1000)
    assert work.changes[-1] == {"a": 2}


# Calls


def test_a_call_and_its_reply():
    work = Work()
    relay = []

    def set_relay(params):
        relay.append(params)
        return params

    work.device.on_rpc("setRelay", set_relay)
    work.device.on_rpc("nothing", lambda params: None)
    work.device.on_rpc("state", lambda params: {"on": True})
    work.device.wait(1000)
    for id, method in enumerate(("setRelay", "nothing", "state", "unknown")):
        work.call(id, method, False)
        work.device.wait(1000)
    assert relay == [False]
    assert [each[2] for each in work.requests[1:]] == ["rpc/0", "rpc/1", "rpc/2", "rpc/3"]
    assert [json.loads(each[3]) for each in work.requests[1:]] == [
        {"result": False},
        {},
        {"on": True},
        {"error": "no handler for unknown"},
    ]


def test_a_bug_in_a_handler_is_shown_and_answered():
    work = Home()

    def bug(params):
        raise ValueError("oh")

    class Untold(Exception):
        def __str__(self):
            raise ValueError("no text")

    def untold(params):
        raise Untold

    deep = {}
    for _ in range(20):
        deep = {"a": deep}
    for method, handler, error in (
        ("raises", bug, "ValueError: oh"),
        ("untold", untold, "Untold"),
        ("object", lambda params: object(), "ValueError: JSON has no object"),
        ("nan", lambda params: {"a": float("nan")}, "ValueError: JSON has no infinity and no NaN"),
        ("bytes", lambda params: {"a": b"x"}, "ValueError: JSON has no bytes"),
        ("key", lambda params: {1: 2}, "ValueError: a key is a text, not a int"),
        ("deep", lambda params: deep, "ValueError: values are nested more than 8 deep"),
    ):
        work.device.on_rpc(method, handler)
        work.device.wait(1000)
        work.call(len(work.replies()), method)
        work.device.wait(1000)
        assert work.replies()[-1][1] == {"error": error}
    assert len(shown) == 7
    work.device.on_attributes(bug)
    work.set({"a": 1})
    work.device.wait(1000)
    assert len(shown) == 8
    work.device.on_state(lambda state, text: 1 // 0)
    work.is_deaf = True
    work.device.send_telemetry({"n": 1})
    assert len(shown) == 9 and work.device.waiting == 1


def test_a_reply_is_sent_until_it_is_acknowledged():
    work = Home()
    work.device.wait(1000)
    work.call(0, "m", 1)
    work.deafens = True
    work.later(400_000)
    assert work.calls == [("m", 1)] and work.replies() == []
    work.deafens = work.is_deaf = False
    answer = work._answer

    def with_call(message, resource):
        if message.option(6) is not None and resource == "rpc" and not work.replies():
            reply = answer(message, resource)
            work.call(0, "m", 1, delay=30)
            return reply
        return answer(message, resource)

    work._answer = with_call
    work.later(1_500_000)
    assert work.calls == [("m", 1)] and work.replies() == [("rpc/0", {"did": "m"})]


def test_the_reply_of_a_call_before_a_restart_is_no_reply_to_the_call_after_it():
    work = Home()
    work.device.wait(1000)
    work.call(0, "first")
    work.deafens = True
    work.device.wait(100_000)
    assert work.calls == [("first", None)]
    work.deafens = work.is_deaf = False
    work.restart()
    answer = work._answer

    def with_call(message, resource):
        reply = answer(message, resource)
        if message.option(6) is not None and resource == "rpc" and not work.replies():
            work.call(0, "second", delay=30)
        return reply

    work._answer = with_call
    work.later(900_000)
    assert work.calls == [("first", None), ("second", None)]
    assert work.replies()[0] == ("rpc/0", {"did": "second"})
    assert len(work.replies()) == 1


def test_a_handler_may_use_the_device():
    work = Home()
    work.device.wait(1000)

    def handler(params):
        work.device.send_telemetry({"n": params})
        work.device.wait(100)
        return work.device.request_attributes((), ["a"])

    work.device.on_rpc("m", handler)
    work.attributes = {"a": 5}
    work.call(0, "m", 7)
    work.device.wait(2000)
    assert work.replies() == [("rpc/0", {"client": {}, "shared": {"a": 5}})]
    assert list(work.telemetry()["n"].values()) == [7]


def test_changes_and_calls_are_answered_in_the_middle_of_requests():
    work = Home()
    work.device.wait(1000)
    for number in range(5):
        work.call(number, "m", number, delay=1)
        work.set({"n": number}, delay=2)
        work.device.send_telemetry({"n": number})
    work.device.wait(1000)
    assert [params for _, params in work.calls] == list(range(5))
    assert work.changes == [{}] + [{"n": number} for number in range(5)]
    assert len(work.replies()) == 5 and len(work.registrations("rpc")) == 1


def test_an_application_that_only_posts_observes_nothing():
    work = Work()
    work.device.send_telemetry({"n": 1})
    work.later(1_000_000)
    assert work.device.session.observed is None
    assert [each[2] for each in work.requests] == ["telemetry"]
    assert len(work.transports[0].sent) == 2


def test_the_errors_of_a_device():
    assert issubclass(Unauthorized, FirstbootError) and Unauthorized.state == "refused"
    assert device_module.Device.send_telemetry
