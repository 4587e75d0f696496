"""firmware.sleep: what a device on a battery keeps while it sleeps, and how long it is awake."""

import json
import sys

from firmware import sleep
from host_tests.firmware.at_work import Work, credentials
from host_tests.firmware.helpers import Clock
from host_tests.firmware.world import ENOSPC

sleep.ticks_diff = Clock().ticks_diff
TELEMETRY, ASLEEP = "/telemetry.json", "/asleep.json"


class Home(Work):
    """A Device that sleeps, of a board with or without memory that lasts.

    `pending`: (id, method) of a call that comes at the next registration.
    """

    pending = None

    def __init__(self, memory=None, **options):
        self.memory = memory
        self.options = options
        self.calls = []
        super().__init__(**options)

    def power_on(self, *arguments, **options):
        self.world.memory = self.memory
        super().power_on(*arguments, **options)
        self.device.on_rpc(self.on_call)

    def on_call(self, method, params):
        self.calls.append(method)
        return {"did": method}

    def _answer(self, message, resource):
        answer = super()._answer(message, resource)
        if resource == "rpc" and self.pending:
            self.call(*self.pending, delay=30)
            self.pending = None
        return answer

    def sleep(self, ms=600_000):
        """Sleep, and wake."""
        self.device.sleep(ms)
        self.memory = self.world.memory
        self.power_on(credentials(), **self.options)

    def saved(self):
        """How often a file was saved."""
        return [self.world.flash.count("rename", path) for path in (TELEMETRY, ASLEEP)]


def kept(memory):
    """Let a device sleep with something of everything that it could not send."""
    work = Home(memory)
    work.device.wait(1000)
    work.call(7, "m")
    work.is_deaf = True
    work.device.wait(20_000)
    work.device.send_telemetry({"n": 1})
    work.device.send_attributes({"a": 1, "b": None})
    work.sleep()
    work.is_deaf = False
    return work


def test_all_that_could_not_be_sent_is_kept():
    for memory in (None, b""):
        work = kept(memory)
        assert work.calls == ["m"] and work.device.waiting == 1
        assert bool(work.memory) == (memory == b"")
        assert work.saved() == ([1, 1] if memory is None else [0, 0])
        # Whoever made it waits for the reply.
        work.pending = (7, "m")
        work.device.wait(5_000)
        assert list(work.telemetry()["n"].values()) == [1]
        assert json.loads(work.of("attributes")[-1]) == {"a": 1, "b": None}
        assert work.of("rpc/7") == [b'{"did":"m"}'] and work.calls == ["m"]
        assert not work.world.memory
        assert TELEMETRY not in work.world.flash.files and ASLEEP not in work.world.flash.files


def test_the_reply_to_another_call_is_not_its():
    """ThingsBoard has restarted while the board slept: the id is another call's."""
    work = kept(None)
    work.restart()
    work.pending = (7, "another")
    work.device.wait(5_000)
    assert work.calls == ["m", "another"]
    assert work.of("rpc/7") == [b'{"did":"another"}']


def test_what_waits_already_is_not_saved_again():
    work = Home()
    work.is_deaf = True
    work.device.send_attributes({"a": 1})
    for _ in range(5):
        work.sleep()
    assert work.saved() == [0, 1]
    assert work.world.deep_sleeps == [600_000] * 5


def test_what_is_kept_in_memory_and_on_flash_comes_once():
    """Also where the flash is full, and still has what could be saved before."""
    for is_full in (False, True):
        work = Home(b"", persist=True)
        work.is_deaf = True
        for number in range(4):
            work.device.send_telemetry({"n": number})
            if is_full and number:
                work.world.flash.broken = ("write", TELEMETRY + ".new", ENOSPC)
            work.sleep()
            assert work.device.waiting == number + 1
        work.is_deaf = False
        work.device.wait(5_000)
        assert list(work.telemetry()["n"].values()) == [0, 1, 2, 3]
        assert TELEMETRY not in work.world.flash.files and not work.world.memory


def test_more_than_the_memory_holds_is_on_flash():
    work = Home(b"")
    work.is_deaf = True
    for number in range(300):
        work.device.send_telemetry({"n": number})
    work.sleep()
    assert work.memory == b"" and work.saved()[0] == 1
    assert work.device.waiting == 300 - work.device.dropped > 200


def test_what_cannot_be_read_or_saved_is_said():
    work = Home()
    work.world.put(ASLEEP, b"[1]")
    work.power_on(credentials())
    assert work.world.find("/asleep.json cannot be read")
    work.is_deaf = True
    work.device.send_attributes({"a": 1})
    work.world.flash.broken = ("write", ASLEEP + ".new", ENOSPC)
    work.device.sleep(60_000)
    assert work.world.deep_sleeps == [60_000]


def test_a_flash_that_does_not_read_holds_up_no_device():
    work = Home()
    work.world.flash.broken = ("stat",)
    work.power_on(credentials())
    work.world.flash.broken = ()
    assert work.device.send_telemetry({"n": 1})


def test_whatever_is_found_of_what_was_kept_the_device_wakes_and_sends():
    """An older firmware's, another program's, or half of it."""
    for content in (
        b"{",
        b"[1]",
        b"{}",
        b"7",
        b'{"attributes":{},"calls":[]}',
        b'{"attributes":{},"calls":[[1,2,3]],"telemetry":[]}',
        b'{"attributes":{},"calls":[1],"telemetry":[]}',
        b'{"attributes":[1],"calls":[],"telemetry":[]}',
        b'{"attributes":{},"calls":[],"telemetry":5}',
        b'{"attributes":{},"calls":[],"telemetry":[1]}',
    ):
        for memory in (None, content):
            work = Home(memory)
            if memory is None:
                work.world.put(ASLEEP, content)
                work.power_on(credentials())
            assert len(work.world.find("/asleep.json cannot be read: what it kept is lost")) == 1
            work.device.send_telemetry({"n": 1})
            assert work.device.waiting == 0, content
            assert ASLEEP not in work.world.flash.files and not work.world.memory


def test_a_board_without_memory_to_keep_anything_sleeps_all_the_same():
    def no_memory(queue):
        raise MemoryError

    work = Home()
    work.is_deaf = True
    work.device.send_telemetry({"n": 1})
    # As MicroPython leaves one.
    sys.modules["firmware.half_loaded"] = None
    saved, sleep.saved = sleep.saved, no_memory
    try:
        work.device.sleep(60_000)
        assert "firmware.half_loaded" not in sys.modules
    finally:
        sleep.saved = saved
        sys.modules.pop("firmware.half_loaded", None)
    assert work.world.find("not kept") and work.world.deep_sleeps == [60_000]
    assert TELEMETRY in work.world.flash.files


def test_a_wake_in_silence_ends():
    for silence in ("is_deaf", "is_mute"):
        work = Home(awake=20_000)
        setattr(work, silence, True)
        assert work.device.send_telemetry({"n": 1}) is False
        assert 20_000 <= work.clock.slept <= 20_100
        work.device.sleep(600_000)
        assert work.clock.slept <= 20_200 and work.world.deep_sleeps == [600_000]
        assert json.loads(work.world.flash.files[TELEMETRY])[0][1] == {"n": 1}


def test_a_wake_without_a_network_ends():
    work = Home(awake=20_000)
    network = work.world.network
    network.since = None
    network.joins = [[(300, network.STAT_NO_AP_FOUND)]]
    work.device.send_telemetry({"n": 1})
    work.device.sleep(600_000)
    assert work.clock.slept <= 21_000 and work.world.deep_sleeps == [600_000]


def test_a_wake_with_an_answer_does_not_wait_for_its_end():
    work = Home(awake=20_000)
    assert work.device.send_telemetry({"n": 1}) is True
    work.device.sleep(600_000)
    assert work.clock.slept < 1_000 and work.states == ["connected"]


def test_who_waits_on_waits():
    work = Home(awake=20_000)
    work.device.wait(60_000)
    assert 60_000 <= work.clock.slept <= 60_100 and work.states == ["connected"]


def test_a_wake_in_which_nobody_provisions_anew_ends():
    work = Home(awake=20_000)
    work.server.devices.clear()
    work.world.server.on_datagram = lambda *datagram: []
    assert work.device.send_telemetry({"n": 1}) is False
    assert 20_000 <= work.clock.slept <= 20_200
