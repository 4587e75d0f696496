"""Californium's message layer in front of the model, in virtual time: ms."""

from __future__ import annotations

import json

import pytest

from tools.fake_thingsboard.blocks import HEAP, LARGEST_BODY, LIFETIME
from tools.fake_thingsboard.codec import ACK, CON, NON, RST, Block, Message, decode, empty, encode
from tools.fake_thingsboard.endpoint import EXCHANGE_LIFETIME, Endpoint
from tools.fake_thingsboard.model import ThingsBoard

KEY, SECRET, TOKEN = "the-key", "the-secret", "A1b2C3d4E5f6G7h8I9j0"
GET, POST = 1, 2
CREATED, VALID, CONTINUE = 0x41, 0x43, 0x5F
BAD_REQUEST, NOT_FOUND, INCOMPLETE, FAILED = 0x80, 0x84, 0x88, 0xA0
PEER = ("192.0.2.1", 20000)
PROVISION = ("api", "v1", "provision")
ATTRIBUTES = ("api", "v1", TOKEN, "attributes")
TELEMETRY = ("api", "v1", TOKEN, "telemetry")


def make_endpoint(**options) -> Endpoint:
    thingsboard = ThingsBoard(KEY, SECRET)
    thingsboard.add_device("a", TOKEN)
    return Endpoint(thingsboard, **options)


def request(code=GET, path=ATTRIBUTES, payload=b"", message_id=7, type=CON, **options) -> bytes:
    return encode(Message(type, code, message_id, b"token", path, (), payload, **options))


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
    assert endpoint.transfers.reserved == HEAP
    assert block(endpoint, 0, size1=len(BODY), peer=peers[6], message_id=9) == []
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


def test_a_copy_goes_on_as_the_original_would():
    endpoint = make_endpoint(reply="separate", delay=600)
    ask(endpoint, provision(deviceName="b", token="b"))
    block(endpoint, 0, size1=len(BODY))
    copy = make_endpoint(reply="separate", delay=600)
    copy.thingsboard.restore(endpoint.thingsboard.snapshot())
    endpoint.copy_to(copy)
    assert copy.timers(0) == endpoint.timers(0)
    assert copy.transfers.snapshot(5) == endpoint.transfers.snapshot(5) != ()
    assert run(copy, 100_000) == run(endpoint, 100_000)
    ask(copy, provision(9, deviceName="c"), 100_000)
    assert copy.duplicates.snapshot(100_000) != endpoint.duplicates.snapshot(100_000)


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
    first_id = endpoint.next_message_id - 1
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
    share(endpoint, 2, 10)
    first, *others = run(endpoint, 20_000)
    assert [each[0] for each in (first, *others)] == [2_750, 8_250, 19_250]
    assert {each[3] for each in others} == {first[3]}


def test_of_an_observation_that_was_replaced_nothing_is_sent_again():
    endpoint = make_endpoint()
    observe(endpoint)
    share(endpoint, 1, 0)
    ended, registered = endpoint.received(PEER, request(message_id=8, observe=0), 100)
    assert decode(ended.datagram).code == 0x42 and shown(registered.datagram)[0] == ACK
    ask(endpoint, empty(ACK, decode(ended.datagram).message_id), 200)
    assert run(endpoint, 100_000) == []


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


def test_a_call_waits_only_when_it_is_persistent():
    endpoint = make_endpoint()
    assert endpoint.thingsboard.call("a", "lost") == 0
    assert endpoint.thingsboard.call("a", "waits", is_persistent=True) == 1
    assert endpoint.notify(0) == []
    path = ("api", "v1", TOKEN, "rpc")
    valid, call = endpoint.received(PEER, request(path=path, observe=0), 0)
    assert decode(valid.datagram).code == VALID
    assert decode(call.datagram).payload == b'{"id":1,"method":"waits","params":null}'


def test_what_answers_nothing():
    endpoint = make_endpoint()
    for datagram in (b"", b"\x40\x01\x00", empty(ACK, 9), empty(RST, 9), empty(NON, 9)):
        assert endpoint.received(PEER, datagram, 0) == []
    assert ask(endpoint, empty(CON, 9)) == [(RST, 0, 9)]
    assert ask(endpoint, request(code=0x45)) == [(RST, 0, 7)]
    with pytest.raises(ValueError, match="it must be one of"):
        make_endpoint(reply="never")
