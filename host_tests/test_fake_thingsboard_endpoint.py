"""Californium's message layer in front of the model, in virtual time: ms."""

from __future__ import annotations

import json

import pytest

from tools.fake_thingsboard.blocks import HEAP, LARGEST_BODY, LIFETIME
from tools.fake_thingsboard.codec import ACK, CON, NON, RST, Block, Message, decode, empty, encode
from tools.fake_thingsboard.endpoint import CALLS_AFTER, EXCHANGE_LIFETIME, Endpoint
from tools.fake_thingsboard.link import LOST, Link
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.ota import Package
from tools.fake_thingsboard.power_saving import PowerSaving

KEY, SECRET, TOKEN = "the-key", "the-secret", "A1b2C3d4E5f6G7h8I9j0"
GET, POST = 1, 2
CREATED, DELETED, VALID, CONTINUE = 0x41, 0x42, 0x43, 0x5F
BAD_REQUEST, NOT_FOUND, INCOMPLETE, FAILED = 0x80, 0x84, 0x88, 0xA0
PEER = ("192.0.2.1", 20000)
PROVISION = ("api", "v1", "provision")
ATTRIBUTES = ("api", "v1", TOKEN, "attributes")
TELEMETRY = ("api", "v1", TOKEN, "telemetry")


def make_endpoint(**options) -> Endpoint:
    thingsboard = ThingsBoard(KEY, SECRET)
    thingsboard.add_device("a", TOKEN)
    return Endpoint(thingsboard, **options)


def request(
    code=GET, path=ATTRIBUTES, payload=b"", message_id=7, type=CON, token=b"token", **options
) -> bytes:
    return encode(Message(type, code, message_id, token, path, (), payload, **options))


def provision(message_id=7, **fields) -> bytes:
    body = {"provisionDeviceKey": KEY, "provisionDeviceSecret": SECRET, **fields}
    return request(POST, PROVISION, json.dumps(body).encode(), message_id)


def ask(endpoint, datagram, now=0, peer=PEER) -> list[tuple[int, int, int]]:
    """What is sent at once to the peer: (type, code, Message ID)."""
    return [shown(each.datagram) for each in endpoint.received(peer, datagram, now)]


def shown(datagram) -> tuple[int, int, int]:
    message = decode(datagram)
    return message.type, message.code, message.message_id


def run(endpoint, until) -> list[tuple]:
    """What is sent by itself: (at, type, code, Message ID)."""
    sent = []
    while endpoint.wake_at is not None and endpoint.wake_at <= until:
        now = endpoint.wake_at
        sent += [(now, *shown(each.datagram)) for each in endpoint.on_timer(now)]
    return sent


def test_the_first_reply_after_a_start_is_separate():
    endpoint = make_endpoint(first_reply_after=2_400)
    for began, status in ((0, CREATED), (100_000, BAD_REQUEST)):
        assert ask(endpoint, provision(deviceName="b"), began) == []
        (*acknowledgement, _), (*reply, message_id) = run(endpoint, began + 3_000)
        assert acknowledgement == [began + 1_200, ACK, 0]
        assert reply == [began + 2_400, CON, status]
        ask(endpoint, empty(ACK, message_id), began + 3_000)
        assert ask(endpoint, request(message_id=8), began + 3_000)[0][:2] == (CON, NOT_FOUND)
        endpoint.restart()


def test_telemetry_of_nothing_is_acknowledged_and_never_answered():
    endpoint = make_endpoint()
    assert ask(endpoint, request(POST, TELEMETRY, b"[]")) == []
    assert run(endpoint, 1_000_000) == [(500, ACK, 0, 7)]
    assert ask(endpoint, request(POST, TELEMETRY, b"[]", 8, NON), 1_000_000) == []
    assert endpoint.wake_at is None


@pytest.mark.parametrize("mute", [False, True])
def test_a_confirmable_reply_is_sent_again_until_it_is_settled(mute):
    endpoint = make_endpoint()
    assert ask(endpoint, request()) == [(CON, NOT_FOUND, 1)]
    if mute:
        sent = run(endpoint, 200_000)
        assert [each[0] for each in sent] == [2_750, 8_250, 19_250, 41_250]
        assert {each[1:] for each in sent} == {(CON, NOT_FOUND, 1)}
        assert ask(endpoint, request(), 200_000) == [(ACK, 0, 7), (CON, NOT_FOUND, 1)]
        return
    # A duplicate brings it, too, and counts as one time.
    assert ask(endpoint, request(), 1_000) == [(ACK, 0, 7), (CON, NOT_FOUND, 1)]
    assert run(endpoint, 7_000) == [(6_500, CON, NOT_FOUND, 1)]
    assert endpoint.timers(7_000) == [(10_500, "retransmit", PEER, (1, 3))]
    ask(endpoint, empty(RST, 1), 8_000)
    assert endpoint.timers(8_000) == []
    assert ask(endpoint, request(), 9_000) == [(ACK, 0, 7)]
    assert run(endpoint, 200_000) == []


def test_another_body_under_the_same_message_id_gets_the_first_reply_until_247_s_are_over():
    endpoint = make_endpoint()
    first = endpoint.received(PEER, provision(deviceName="b", token="b"), 0)
    changed = provision(deviceName="c", token="c")
    for now in (1, EXCHANGE_LIFETIME - 1):
        (again,) = endpoint.received(PEER, changed, now)
        assert again.datagram == first[0].datagram and again.again == "to the duplicate"
    assert set(endpoint.thingsboard.devices) == {"a", "b"}
    endpoint.received(PEER, changed, EXCHANGE_LIFETIME)
    assert set(endpoint.thingsboard.devices) == {"a", "b", "c"}


def test_a_backend_that_does_not_answer():
    endpoint = make_endpoint()
    endpoint.thingsboard.fail_next(executed=True, after=15_000)
    assert ask(endpoint, provision(deviceName="b")) == []
    assert run(endpoint, 16_000) == [(500, ACK, 0, 7), (15_000, CON, FAILED, 1)]
    assert "b" in endpoint.thingsboard.devices


BODY = b'{"x":"' + b"y" * 2043 + b'"}'


def block(endpoint, number, more=True, size1=None, message_id=0, peer=PEER, now=0):
    message_id = message_id or 100 + number
    part = BODY[number * 1024 : (number + 1) * 1024]
    options = {"block1": Block(number, more, 6), "size1": size1}
    return ask(endpoint, request(POST, TELEMETRY, part, message_id, **options), now, peer)


@pytest.mark.parametrize("size1", [len(BODY), None])
def test_a_body_in_blocks_and_what_it_costs_without_size1(size1):
    endpoint = make_endpoint()
    assert block(endpoint, 0, size1=size1) == [(ACK, CONTINUE, 100)]
    assert endpoint.transfers.reserved == (size1 or LARGEST_BODY)
    assert endpoint.transfers.unsized == (size1 is None)
    for _ in range(2):
        assert block(endpoint, 1) == [(ACK, CONTINUE, 101)]
    (answer,) = block(endpoint, 2, more=False)
    assert answer[:2] == (CON, CREATED)
    assert endpoint.transfers.reserved == 0
    assert len(endpoint.thingsboard.devices["a"].telemetry[0]) == len(BODY)


def test_a_block_that_comes_again_under_another_message_id_is_4_08():
    endpoint = make_endpoint()
    block(endpoint, 0, size1=len(BODY))
    block(endpoint, 1)
    assert block(endpoint, 1, message_id=500) == [(ACK, INCOMPLETE, 500)]
    assert block(endpoint, 2, more=False) == [(ACK, INCOMPLETE, 102)]
    assert not endpoint.thingsboard.devices["a"].telemetry
    # The first one begins anew.
    assert block(endpoint, 0, message_id=600) == [(ACK, CONTINUE, 600)]


def test_bodies_without_size1_take_all_memory():
    endpoint = make_endpoint()
    peers = [("192.0.2.1", port) for port in range(30_000, 30_007)]
    answers = [block(endpoint, 0, peer=peer) for peer in peers]
    assert answers == [[(ACK, CONTINUE, 100)]] * 6 + [[]]
    assert endpoint.transfers.reserved == 6 * LARGEST_BODY < HEAP
    sized = block(endpoint, 0, size1=len(BODY), peer=peers[6], message_id=9)
    assert sized == [(ACK, CONTINUE, 9)]
    assert ask(endpoint, provision()) != []
    later = block(endpoint, 0, message_id=10, peer=peers[6], now=LIFETIME)
    assert later == [(ACK, CONTINUE, 10)]


def test_a_restart_with_and_without_data():
    endpoint = make_endpoint()
    assert ask(endpoint, provision(deviceName="b", token="b"))[0][1] == CREATED
    before = endpoint.thingsboard.snapshot()
    endpoint.restart()
    assert ask(endpoint, provision(deviceName="b", token="b"), 1)[0][1] == BAD_REQUEST
    endpoint.restart()
    endpoint.thingsboard.restore(make_endpoint().thingsboard.snapshot())
    assert ask(endpoint, provision(deviceName="b", token="b"), 2)[0][1] == CREATED
    assert endpoint.thingsboard.snapshot() == before


def test_a_later_block_of_a_package_is_for_who_was_served_its_first():
    """Recorded: to others an empty ACK, and nothing, as after the last block."""
    endpoint = make_endpoint()
    endpoint.thingsboard.add_device("b", "B")
    endpoint.thingsboard.assign_package("b", Package("sw", "app", "1", bytes(3000)))

    def get(number, message_id, szx=6):
        asked = Message(CON, GET, message_id, b"t", path=("sw", "B"), block2=Block(number, 0, szx))
        answers = [each.datagram for each in endpoint.received(PEER, encode(asked), 0)]
        return [decode(each).block2 for each in answers]

    assert get(1, 1) == [None]
    assert get(0, 2, 0) == [None, Block(0, True, 0)]
    assert get(1, 3) == [Block(1, True, 6)]
    assert get(2, 4) == [Block(2, False, 6)]
    assert get(2, 5) == [None]
    endpoint.restart()
    assert get(1, 6) == [None]


def test_a_copy_goes_on_as_the_original_would():
    endpoint = make_endpoint(reply="separate", delay=600)
    ask(endpoint, provision(deviceName="b", token="b"))
    block(endpoint, 0, size1=len(BODY))
    copy = endpoint.copy()
    assert copy.timers(0) == endpoint.timers(0)
    assert copy.transfers.snapshot(5) == endpoint.transfers.snapshot(5) != ()
    assert run(copy, 100_000) == run(endpoint, 100_000)
    ask(copy, provision(9, deviceName="c"), 100_000)
    assert copy.duplicates.snapshot(100_000) != endpoint.duplicates.snapshot(100_000)
    assert "c" in copy.thingsboard.devices and "c" not in endpoint.thingsboard.devices


def test_a_copy_tells_its_own_observers():
    endpoint = make_endpoint()
    observe(endpoint)
    assert share(endpoint, 1, 0) == [(1, b'{"v":1}')]
    ((_, message_id),) = endpoint.unacknowledged
    copy = endpoint.copy()
    observe(endpoint.copy(), message_id=9)
    assert ask(copy, empty(ACK, message_id)) == []
    assert share(copy, 2, 0) == [(2, b'{"v":2}')]
    assert share(endpoint, 3, 0) == []
    assert len(ask(endpoint, empty(ACK, message_id))) == 1
    # And so does a copy of one that waits to tell of an end.
    endpoint.thingsboard.change_token("a", "new")
    assert endpoint.notify(0) == []
    ((_, message_id),) = endpoint.unacknowledged
    for each in (endpoint.copy(), endpoint):
        assert [told[:2] for told in ask(each, empty(ACK, message_id))] == [(CON, DELETED)]


def test_a_copy_has_its_own_sessions_and_tells_what_nobody_was_told_yet():
    endpoint = make_endpoint()
    endpoint.thingsboard.add_device("b", certificate="MIIB")
    observe(endpoint)
    endpoint.thingsboard.set_attributes("a", "shared", {"v": 1})
    copy = endpoint.copy()
    copy.open_session(PEER, "MIIB")
    assert copy.sessions and not endpoint.sessions
    for each in (copy, endpoint):
        (update,) = each.notify(0)
        assert decode(update.datagram).payload == b'{"v":1}'


def observe(endpoint, now=0, path=ATTRIBUTES, message_id=7):
    ask(endpoint, request(path=path, message_id=message_id, observe=0), now)


def share(endpoint, value, now) -> list[tuple[int, bytes]]:
    """Set a shared attribute. Gives (Observe, payload) of what is sent at once."""
    endpoint.thingsboard.set_attributes("a", "shared", {"v": value})
    messages = [decode(each.datagram) for each in endpoint.notify(now)]
    return [(message.observe, message.payload) for message in messages]


def test_an_observation_ends_without_a_word_when_nobody_acknowledges():
    endpoint = make_endpoint()
    observe(endpoint)
    assert share(endpoint, 1, 0) == [(1, b'{"v":1}')]
    assert [each[0] for each in run(endpoint, 85_249)] == [2_750, 8_250, 19_250, 41_250]
    assert endpoint.notifications.observations
    assert run(endpoint, 85_250) == []
    assert not endpoint.notifications.observations
    assert share(endpoint, 2, 90_000) == []
    assert endpoint.wake_at is None


def test_what_came_meanwhile_is_told_at_the_acknowledgement_and_only_the_newest():
    endpoint = make_endpoint()
    observe(endpoint)
    share(endpoint, 1, 0)
    ((_, first_id),) = endpoint.unacknowledged
    assert share(endpoint, 2, 10) == share(endpoint, 3, 20) == []
    (sending,) = endpoint.received(PEER, empty(ACK, first_id), 30)
    newest = decode(sending.datagram)
    assert (newest.observe, newest.payload) == (3, b'{"v":3}')
    assert endpoint.received(PEER, empty(ACK, newest.message_id), 40) == []
    assert share(endpoint, 4, 50) == [(4, b'{"v":4}')]


def test_the_newest_takes_its_turn_in_the_retransmissions():
    endpoint = make_endpoint()
    observe(endpoint)
    share(endpoint, 1, 0)
    ((_, replaced),) = endpoint.unacknowledged
    share(endpoint, 2, 10)
    first, *others = run(endpoint, 20_000)
    assert [each[0] for each in (first, *others)] == [2_750, 8_250, 19_250]
    assert {each[3] for each in others} == {first[3]}
    # What it took the place of is nothing any more.
    ask(endpoint, empty(ACK, replaced), 20_000)
    assert [each[0] for each in run(endpoint, 50_000)] == [41_250]


def test_of_an_observation_that_was_replaced_nothing_is_sent_again():
    endpoint = make_endpoint()
    observe(endpoint)
    share(endpoint, 1, 0)
    ended, registered = endpoint.received(PEER, request(message_id=8, observe=0), 100)
    assert decode(ended.datagram).code == 0x42 and shown(registered.datagram)[0] == ACK
    ask(endpoint, empty(ACK, decode(ended.datagram).message_id), 200)
    assert run(endpoint, 100_000) == []


@pytest.mark.parametrize("settled", [ACK, RST, None])
def test_the_end_of_an_observation_waits_for_what_is_in_flight(settled):
    endpoint = make_endpoint()
    observe(endpoint)
    share(endpoint, 1, 0)
    ((_, message_id),) = endpoint.unacknowledged
    endpoint.thingsboard.change_token("a", "new")
    assert endpoint.notify(0) == []
    if settled is None:
        # It goes out in place of a retransmission, and counts as one.
        sent = run(endpoint, 100_000)
        assert [each[0] for each in sent] == [2_750, 8_250, 19_250, 41_250]
        assert {each[1:3] for each in sent} == {(CON, DELETED)}
    else:
        told = ask(endpoint, empty(settled, message_id), 100)
        assert [each[:2] for each in told] == ([(CON, DELETED)] if settled == ACK else [])


@pytest.mark.parametrize("what", ["a notification", "a first reply", "a 2.02"])
def test_who_does_not_acknowledge_what_it_observes_observes_nothing_any_more(what):
    endpoint = make_endpoint()
    endpoint.thingsboard.add_device("b", "another")
    other = request(path=("api", "v1", "another", "attributes"), observe=0)
    ask(endpoint, other, 0, ("192.0.2.2", 5))
    observe(endpoint)
    if what == "a first reply":
        ask(endpoint, request(path=RPC, message_id=10, token=b"rpc", observe=0))
    elif what == "a notification":
        observe_rpc(endpoint)
        assert len(call(endpoint, "m")) == 1
    else:
        observe_rpc(endpoint)
        again = request(path=RPC, message_id=31, token=b"again", observe=0)
        ended, valid = endpoint.received(PEER, again, 0)
        assert decode(ended.datagram).code == DELETED
        take(endpoint, [valid], 0)
    run(endpoint, 100_000)
    assert list(endpoint.notifications.observations) == [("b", "attributes")]


def test_what_else_was_in_flight_is_not_sent_again_either():
    endpoint = make_endpoint()
    observe(endpoint)
    observe_rpc(endpoint)
    share(endpoint, 1, 1_000)
    run(endpoint, 60_000)
    call(endpoint, "m", 60_000)
    assert [each[0] for each in run(endpoint, 200_000)] == [62_750, 68_250, 79_250]


def test_a_token_is_of_one_observation():
    endpoint = make_endpoint()
    observe(endpoint)
    ended, valid = endpoint.received(PEER, request(path=RPC, message_id=8, observe=0), 0)
    assert decode(ended.datagram)[:2] == (CON, DELETED) and decode(ended.datagram).observe is None
    assert decode(valid.datagram).code == VALID
    assert list(endpoint.notifications.observations) == [("a", "rpc")]


def test_a_session_without_a_certificate_from_the_port_of_one_with_one():
    endpoint = make_endpoint()
    endpoint.thingsboard.add_device("b", certificate="MIIB")
    path = ("api", "v1", "attributes")
    for certificate, code in (("MIIB", NOT_FOUND), (None, 0x81), ("MIIC", 0x81)):
        endpoint.restart()
        endpoint.open_session(PEER, "MIIB")
        endpoint.open_session(PEER, certificate)
        assert ask(endpoint, request(path=path))[0][1] == code


def test_a_restart_forgets_who_observes():
    endpoint = make_endpoint()
    observe(endpoint)
    endpoint.restart()
    assert share(endpoint, 1, 0) == []


RPC = ("api", "v1", TOKEN, "rpc")


def observe_rpc(endpoint, now=0, message_id=30, type=CON) -> list[str]:
    """Register for RPC, and acknowledge what comes. Gives the calls that come."""
    registration = request(path=RPC, message_id=message_id, type=type, token=b"rpc", observe=0)
    methods = take(endpoint, endpoint.received(PEER, registration, now), now)
    while endpoint.wake_at is not None and endpoint.wake_at <= now + CALLS_AFTER:
        due_at = endpoint.wake_at
        methods += take(endpoint, endpoint.on_timer(due_at), due_at)
    return methods


def take(endpoint, sendings, now) -> list[str]:
    """Acknowledge what is confirmable, and what that brings. Gives the methods of the calls."""
    methods = []
    for sending in sendings:
        message = decode(sending.datagram)
        if message.observe and message.code == 0x45:
            methods.append(json.loads(message.payload)["method"])
        if message.type == CON:
            more = endpoint.received(PEER, empty(ACK, message.message_id), now)
            methods += take(endpoint, more, now)
    return methods


def call(endpoint, method, now=0, **kind) -> list:
    endpoint.thingsboard.call("a", method, **kind)
    return endpoint.notify(now)


def states(endpoint) -> list[str]:
    return [call.state for call in endpoint.thingsboard.devices["a"].calls]


def test_a_call_waits_until_it_expires_for_a_device_that_observes():
    endpoint = make_endpoint()
    for method, timeout in (("late", 5_000), ("in time", 5_100)):
        assert call(endpoint, method, timeout=timeout) == []
    assert run(endpoint, 5_000) == []
    assert observe_rpc(endpoint, 5_000) == ["in time"]
    assert states(endpoint) == ["EXPIRED", "DELIVERED"]
    run(endpoint, 5_099)
    assert endpoint.wake_at == 5_100
    endpoint.on_timer(5_102)  # late, as real timers are
    assert states(endpoint) == ["EXPIRED", "EXPIRED"]
    assert observe_rpc(endpoint, 6_000, 31) == []


def test_what_is_not_answered_comes_again_with_the_same_id_at_each_registration():
    endpoint = make_endpoint()
    observe_rpc(endpoint)
    kinds = {"one way": {"is_one_way": True}, "two-way": {}, "kept": {"is_persistent": True}}
    kinds["kept, one way"] = {"is_one_way": True, "is_persistent": True}
    for method, kind in kinds.items():
        assert take(endpoint, call(endpoint, method, **kind), 0) == [method]
    assert states(endpoint) == ["SENT", "DELIVERED", "DELIVERED", "DELIVERED"]
    assert observe_rpc(endpoint, 100, 31) == ["two-way", "kept"]
    answer = request(POST, (*RPC, "1"), b'{"ok":true}', 40)
    take(endpoint, endpoint.received(PEER, answer, 200), 200)
    assert endpoint.thingsboard.devices["a"].calls[1].reply == '{"ok":true}'
    assert observe_rpc(endpoint, 300, 32) == ["kept"]
    assert run(endpoint, 400_000) == []
    assert states(endpoint) == ["SENT", "SUCCESSFUL", "EXPIRED", "DELIVERED"]


def test_a_call_that_another_took_the_place_of_is_lost_until_the_next_registration():
    endpoint = make_endpoint()
    observe_rpc(endpoint)
    (first,) = call(endpoint, "first")
    assert call(endpoint, "second") == call(endpoint, "third") == []
    assert take(endpoint, [first], 10) == ["first", "third"]
    assert states(endpoint) == ["DELIVERED", "SENT", "DELIVERED"]
    # Three wait, and of those only the first and the last come, too.
    assert observe_rpc(endpoint, 20, 31) == ["first", "third"]


def test_a_call_just_after_the_registration_comes_once():
    endpoint = make_endpoint()
    call(endpoint, "waits")
    registration = request(path=RPC, message_id=30, token=b"rpc", observe=0)
    take(endpoint, endpoint.received(PEER, registration, 0), 0)
    assert take(endpoint, call(endpoint, "new", 5), 5) == ["new"]
    assert take(endpoint, endpoint.on_timer(CALLS_AFTER), CALLS_AFTER) == ["waits"]
    assert run(endpoint, 9_000) == []


def test_while_the_first_reply_is_not_acknowledged_only_the_last_call_waits():
    endpoint = make_endpoint()
    for method in ("first", "second", "third"):
        call(endpoint, method)
    registration = request(path=RPC, message_id=30, token=b"rpc", observe=0)
    (valid,) = endpoint.received(PEER, registration, 0)
    assert run(endpoint, 1_000) == []
    assert take(endpoint, [valid], 1_000) == ["third"]
    assert states(endpoint) == ["SENT", "SENT", "DELIVERED"]


def test_a_call_whose_notification_is_never_acknowledged_is_given_up_after_six():
    endpoint = make_endpoint()
    now = 0
    call(endpoint, "m", timeout=10_000_000)
    for number in range(7):
        registration = request(path=RPC, message_id=50 + number, token=b"rpc", observe=0)
        take(endpoint, endpoint.received(PEER, registration, now), now)
        run(endpoint, now + CALLS_AFTER)
        assert states(endpoint) == ["SENT" if number < 6 else "FAILED"]
        now += 100_000
        run(endpoint, now)
    assert states(endpoint) == ["FAILED"]


def test_an_observer_that_takes_no_acknowledgements_has_its_call_at_once():
    endpoint = make_endpoint()
    observe_rpc(endpoint, type=NON)
    assert take(endpoint, call(endpoint, "m", is_one_way=True), 0) == ["m"]
    assert states(endpoint) == ["DELIVERED"]


def test_a_restart_leaves_of_the_calls_what_was_not_sent_and_counts_anew():
    endpoint = make_endpoint()
    observe_rpc(endpoint)
    kept = {"is_persistent": True, "timeout": 1_000_000}
    take(endpoint, call(endpoint, "sent", **kept), 0)
    endpoint.received(PEER, request(path=RPC, message_id=31, token=b"rpc", observe=1), 0)
    for method, kind in (("queued", kept), ("not kept", {}), ("queued, too", kept)):
        call(endpoint, method, **kind)
    endpoint.restart()
    assert observe_rpc(endpoint, 100, 32) == ["queued", "queued, too"]
    ids = [call.id for call in endpoint.thingsboard.devices["a"].calls]
    assert ids == [None, 0, None, 1]
    (again,) = call(endpoint, "new", 200)
    assert json.loads(decode(again.datagram).payload)["id"] == 2
    ask(endpoint, request(POST, (*RPC, "0"), b"{}", 40), 300)
    assert states(endpoint) == ["DELIVERED", "SUCCESSFUL", "QUEUED", "DELIVERED", "SENT"]


def test_a_server_that_is_stopped_hears_nothing_and_has_forgotten_all():
    endpoint = make_endpoint()
    observe(endpoint)
    endpoint.stop(1_000, 20_000)
    assert ask(endpoint, request(message_id=8), 20_999) == []
    assert share(endpoint, 1, 20_999) == []
    assert ask(endpoint, request(message_id=7), 21_000)[0][:2] == (CON, 0x45)


def test_a_device_that_slept_is_told_of_what_it_missed_but_not_of_all_that_was_deleted():
    endpoint = Endpoint(ThingsBoard(KEY, SECRET, psm_activity_timer=4_000))
    thingsboard = endpoint.thingsboard
    thingsboard.add_device("a", TOKEN, shared_attributes={"a": 1, "b": 1, "c": 1})
    observe(endpoint)
    observe_rpc(endpoint)
    now = 4_001
    thingsboard.delete_attributes("a", "shared", ["a"])
    thingsboard.set_attributes("a", "shared", {"b": 2, "c": 2})
    thingsboard.delete_attributes("a", "shared", ["c"])
    assert endpoint.notify(now) == call(endpoint, "m", now) == []
    awake = endpoint.copy()
    assert len(awake.received(PEER, request(POST, TELEMETRY, b"{}", 40), now)) == 2
    assert awake.power_saving.sleeps("a", now) is False and endpoint.power_saving.sleeps("a", now)
    assert call(endpoint, "lost", now, is_one_way=True) == []
    sendings = endpoint.received(PEER, request(POST, TELEMETRY, b"{}", 40), now)
    sendings += endpoint.on_timer(now + CALLS_AFTER)
    update, created, rpc = (decode(each.datagram) for each in sendings)
    # ThingsBoard forgets what was deleted before another update that a device slept through.
    assert json.loads(update.payload) == {"b": 2, "deleted": ["c"]}
    assert created.code == CREATED and json.loads(rpc.payload)["method"] == "m"
    # An acknowledgement counts as a word of the device.
    now += 3_000
    endpoint.received(PEER, empty(ACK, update.message_id), now)
    now += 3_000
    thingsboard.set_attributes("a", "shared", {"b": 3})
    assert len(endpoint.notify(now)) == 1


def test_a_call_that_was_answered_wakes_nobody():
    endpoint = make_endpoint()
    observe_rpc(endpoint)
    call(endpoint, "m")
    answer = request(POST, (*RPC, "0"), b"{}", 40)
    take(endpoint, endpoint.received(PEER, answer, 10), 10)
    assert {kind for _, kind, *_ in endpoint.timers(10)} == {"retransmit"}


def test_a_call_that_expired_while_the_server_was_down_stays_so():
    endpoint = make_endpoint()
    call(endpoint, "m", is_persistent=True, timeout=5_000)
    endpoint.stop(1_000, 20_000)
    assert observe_rpc(endpoint, 21_000) == []
    assert states(endpoint) == ["EXPIRED"]


def test_a_device_wakes_when_it_acknowledges_and_not_when_another_asks():
    endpoint = Endpoint(ThingsBoard(KEY, SECRET, psm_activity_timer=4_000))
    endpoint.thingsboard.add_device("a", TOKEN)
    observe(endpoint)
    observe_rpc(endpoint)
    share(endpoint, 1, 3_900)
    ((_, message_id),) = endpoint.unacknowledged
    assert call(endpoint, "m", 4_001) == []
    endpoint.received(("192.0.2.2", 5), provision(deviceName="b"), 4_002)
    assert endpoint.power_saving.sleeps("a", 4_002)
    endpoint.received(PEER, empty(ACK, message_id), 4_003)
    (rpc,) = endpoint.on_timer(4_003 + CALLS_AFTER)
    assert json.loads(decode(rpc.datagram).payload)["method"] == "m"


def test_how_long_a_device_is_awake_and_what_it_missed():
    saving = PowerSaving(1_000)
    assert saving.heard("a", 0) == (False, None)
    assert not saving.sleeps("a", 1_000) and saving.sleeps("a", 1_001)
    saving.missed("a", '{"deleted":["x"]}')
    saving.missed("a", '{"y":1,"z":1}')
    saving.missed("b", '{"deleted":["x"]}')
    copy = saving.copy()
    assert saving.heard("a", 1_001) == (True, '{"y":1,"z":1}')
    assert saving.heard("a", 3_000) == (True, None)
    assert copy.heard("a", 1_001) == (True, '{"y":1,"z":1}')
    always = PowerSaving(None)
    assert always.heard("a", 0) == (False, None) and not always.sleeps("a", 1_000_000)


def test_a_link_between_them():
    link = Link()
    assert link.send(True, PEER, b"1", 0) == [(True, PEER, b"1")]
    link.to_devices.extend([(0, 30, 10), LOST])
    assert link.send(False, PEER, b"2", 0) == [(False, PEER, b"2")]
    assert link.send(False, PEER, b"3", 5) == []
    assert link.wake_at == 10 and link.due(9) == []
    assert link.due(30) == [(False, PEER, b"2")] * 2 and link.wake_at is None
    link.forget()
    assert link.send(False, PEER, b"4", 40) == []
    ((_, outside, _),) = link.send(True, PEER, b"5", 40)
    assert outside[0] == PEER[0] and outside != PEER
    assert link.send(False, outside, b"6", 40) == [(False, PEER, b"6")]
    ((_, another, _),) = link.send(True, ("192.0.2.1", 5), b"7", 40)
    assert another != outside
    link.is_cut = True
    assert link.send(True, PEER, b"8", 40) == link.send(False, outside, b"8", 40) == []


def test_the_rate_limit_lets_more_through_as_time_passes():
    endpoint = Endpoint(ThingsBoard(KEY, SECRET, rate_limit=(2, 10_000)))
    endpoint.thingsboard.add_device("a", TOKEN)
    codes = []
    for number, now in enumerate((0, 0, 4_999, 5_000, 5_001, 100_000, 100_000, 100_000)):
        ((_, code, _),) = ask(endpoint, request(POST, TELEMETRY, b"{}", 100 + number), now)
        codes.append(code)
    assert codes == [CREATED, CREATED, FAILED, CREATED, FAILED, CREATED, CREATED, FAILED]


def test_what_answers_nothing():
    endpoint = make_endpoint()
    for datagram in (b"", b"\x40\x01\x00", empty(ACK, 9), empty(RST, 9), empty(NON, 9)):
        assert endpoint.received(PEER, datagram, 0) == []
    assert ask(endpoint, empty(CON, 9)) == [(RST, 0, 9)]
    assert ask(endpoint, request(code=0x45)) == [(RST, 0, 7)]
    with pytest.raises(ValueError, match="it must be one of"):
        make_endpoint(reply="never")
