"""firmware.thingsboard.rpc: each call is done once, its reply goes where it belongs."""

import json

from firmware.thingsboard import rpc
from firmware.thingsboard.rpc import Calls
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import Stub


def message(id, method="m", params=None):
    return Stub(payload=json.dumps({"id": id, "method": method, "params": params}).encode())


class Site:
    """Calls, and what was done: (method, params) in order."""

    def __init__(self):
        self.calls = Calls()
        self.done = []
        self.register()

    def register(self, response=None, number=0):
        self.calls.on_registration(response, number)

    def come(self, *call, skipped=0):
        return self.calls.on_notification(Stub(skipped=skipped), message(*call))

    def work(self, reply=None):
        """Do what is to be done."""
        call = self.calls.next_call()
        while call:
            self.done.append(call[1:])
            self.calls.done(call[0], reply)
            call = self.calls.next_call()

    def replies(self):
        """Send the replies that there are to send; return their ids."""
        sent = []
        while self.calls.next_reply():
            id, _ = self.calls.next_reply()
            sent.append(id)
            self.calls.replied(id)
        return sent


def test_a_call_and_its_reply():
    site = Site()
    assert site.come(0, "setRelay", True) is True
    assert site.calls.next_reply() is None
    assert site.calls.next_call() == (0, "setRelay", True) and site.calls.next_call() is None
    site.calls.done(0, {"ok": 1})
    assert site.calls.next_reply() == (0, b'{"ok":1}') == site.calls.next_reply()
    site.calls.replied(0)
    assert site.calls.next_reply() is None


def test_a_call_without_params():
    site = Site()
    site.calls.on_notification(Stub(skipped=0), Stub(payload=b'{"id":0,"method":"m"}'))
    assert site.calls.next_call() == (0, "m", None)


def test_a_call_that_comes_again_is_not_done_again():
    for before_work, before_replies in ((1, 1), (1, 0), (0, 1), (0, 0)):
        site = Site()
        site.come(0)
        if before_work:
            site.come(0)
        site.work()
        if before_replies:
            site.come(0)
        assert site.replies() == [0]
        site.come(0)
        site.work()
        assert site.done == [("m", None)] and site.replies() == []


def test_a_call_that_every_registration_brings_is_done_once():
    """Its reply did not get through: ThingsBoard sends it again, with the same id."""
    site = Site()
    site.come(3, "m", 1)
    site.work()
    for _ in range(10):
        site.register()
        assert site.calls.next_reply() is None
        site.come(3, "m", 1)
        site.work()
        assert site.calls.next_reply() == (3, b"{}")
    assert site.done == [("m", 1)]
    assert site.replies() == [3]


def test_a_call_that_is_being_done_when_a_registration_brings_it():
    site = Site()
    site.come(3)
    assert site.calls.next_call()
    site.register()
    site.come(3)
    assert site.calls.next_call() is None
    site.calls.done(3, None)
    assert site.replies() == [3]


def test_ids_begin_at_0_again_after_a_restart_of_the_server():
    site = Site()
    for params in range(3):
        site.register()
        site.come(0, "m", params)
        site.work()
        assert site.replies() == [0]
    # Also the very same call, once the reply to the first one got through.
    site.register()
    site.come(0, "m", 2)
    site.work()
    assert site.done == [("m", 0), ("m", 1), ("m", 2), ("m", 2)] and site.replies() == [0]


def test_a_reply_is_not_sent_to_another_call_of_the_same_id():
    site = Site()
    site.come(0, "first")
    site.work({"first": 1})
    site.register()
    site.come(0, "second")
    assert site.calls.next_reply() is None
    site.work({"second": 1})
    assert site.calls.next_reply() == (0, b'{"second":1}')
    assert site.replies() == [0]
    assert site.done == [("first", None), ("second", None)]


def test_a_call_that_is_being_done_when_another_device_s_calls_come():
    site = Site()
    site.come(0, "m", 1)
    site.come(1, "m", 2)
    assert site.calls.next_call() == (0, "m", 1)
    site.calls.forget()
    site.register()
    site.come(0, "m", 1)
    site.calls.done(0, {"former": True})
    assert site.calls.next_reply() is None
    site.work({"done": True})
    assert site.done == [("m", 1)] and site.calls.next_reply() == (0, b'{"done":true}')


def test_a_call_that_does_not_come_again_is_forgotten():
    """After it was absent from two whole registrations."""
    for registrations, times in ((2, 1), (3, 2)):
        site = Site()
        site.come(0, "m", 1)
        site.work()
        for _ in range(registrations):
            site.register()
        site.come(0, "m", 1)
        site.work()
        assert site.done == [("m", 1)] * times and site.replies() == [0]


def test_a_call_that_was_left_out_of_one_registration():
    """Of those that waited the first and the last come: the one between is still known."""
    site = Site()
    for id in range(3):
        site.come(id)
    site.work()
    site.register()
    site.come(0)
    site.come(2, skipped=1)
    assert site.calls.is_doubtful
    assert site.replies() == [0, 2]
    site.register()
    assert not site.calls.is_doubtful
    site.come(1)
    site.work()
    assert len(site.done) == 3 and site.replies() == [1]


def test_a_call_that_is_left_out_again_and_again():
    site = Site()
    site.come(0, "m", 1)
    site.work()
    for id in range(1, 6):
        site.register()
        site.come(id, skipped=1)
        site.work()
        assert site.replies() == [id]
    site.register()
    site.come(0, "m", 1)
    site.work()
    assert len(site.done) == 6 and site.replies() == [0]


def test_of_a_registration_after_a_doubt_no_absence_counts():
    """ThingsBoard may not have been there to send what it waits for."""
    site = Site()
    site.come(0, "m", 1)
    site.work()
    for _ in range(5):
        site.calls.doubt()
        assert site.calls.is_doubtful
        site.register()
    assert not site.calls.is_doubtful
    site.come(0, "m", 1)
    site.work()
    assert site.done == [("m", 1)] and site.replies() == [0]


def test_a_call_that_overtook_the_response_is_in_its_place():
    site = Site()
    site.register(message(0, "m", 1), number=1)
    site.work()
    assert not site.calls.is_doubtful
    assert site.done == [("m", 1)] and site.replies() == [0]
    site.register(message(2, "m", 2), number=2)
    site.work()
    assert site.calls.is_doubtful


def test_more_calls_than_there_is_room_for_are_not_taken():
    site = Site()
    assert [site.come(id) for id in range(10)] == [True] * 8 + [False] * 2
    site.work()
    assert site.come(8) and site.come(9)
    site.work()
    assert len(site.done) == 10 and site.replies() == list(range(10))


def test_calls_whose_replies_do_not_get_through_are_not_done_twice():
    site = Site()
    for id in range(24):
        assert site.come(id)
        site.work()
    assert site.come(24) is False
    site.register()
    site.come(3)
    site.work()
    assert len(site.done) == 24 and site.replies() == [3]


def test_replies_that_nobody_waits_for_make_room():
    site = Site()
    for id in range(24):
        site.come(id)
        site.work()
    site.register()
    site.come(23)
    assert [site.come(id, "n") for id in range(24, 33)] == [True] * 8 + [False]
    site.work()
    assert len(site.done) == 32 and site.replies() == list(range(23, 32))


def test_of_the_ids_of_a_registration_the_last_are_remembered():
    site = Site()
    for id in range(40):
        site.come(id)
        site.work()
        site.replies()
    assert len(site.calls._known) == 16
    site.come(39)
    site.work()
    assert len(site.done) == 40


def test_a_number_that_was_left_out():
    site = Site()
    site.come(1, skipped=1)
    # What came is done first.
    assert not site.calls.is_doubtful
    site.work()
    assert site.calls.is_doubtful and site.replies() == [1]


def test_what_is_no_call():
    site = Site()
    for payload in (
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b"{}",
        b'{"id":0}',
        b'{"method":"m"}',
        b'{"id":"x","method":"m"}',
        b'{"id":[],"method":"m"}',
        b'{"id":0,"method":["m"]}',
        b'{"id":0,"method":{}}',
        b"[" * 5000,
    ):
        assert site.calls.on_notification(Stub(skipped=0), Stub(payload=payload)) is True
    assert site.calls.next_call() is None


def test_a_call_that_there_is_no_memory_for_is_done_later():
    site = Site()
    site.come(0)
    loads = rpc.json

    def fails(payload):
        raise MemoryError

    rpc.json = Stub(loads=fails, dumps=json.dumps)
    try:
        raises(MemoryError, site.calls.next_call)
    finally:
        rpc.json = loads
    site.work()
    assert site.done == [("m", None)]
