"""firmware.backlog: what waits, when it was, and what is on flash of it."""

import json
import sys

from firmware.backlog import Backlog
from host_tests.firmware.at_work import BEGAN
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import ENOSPC, World

SAVED = "/telemetry.json"


class Site:
    """A Backlog of a board in a World."""

    def __init__(self, limit=1000, keeps="newest", persist=True):
        self.world = World()
        self.how = limit, keeps, persist
        self.power_on()

    def power_on(self):
        self.backlog = Backlog(self.world.new_board(), *self.how)
        self.queue = self.backlog.queue

    def later(self, ms):
        self.world.clock.sleep_ms(ms)

    def send(self):
        """Send all there is; return the readings."""
        found = []
        while len(self.queue):
            body = json.loads(self.queue.batch(1024))
            found += body if isinstance(body, list) else [body]
            self.queue.sent()
        return found

    @property
    def times(self):
        return [each.get("ts") for each in self.send()]

    @property
    def writes(self):
        return self.world.flash.count("rename", SAVED)


def test_the_time_of_a_reading():
    site = Site()
    site.backlog.put({"n": 1}, None)
    site.later(1500)
    site.backlog.put({"n": 2}, None)
    site.backlog.put({"n": 3}, 1_750_000_000_123)
    site.backlog.put([{"ts": 1_750_000_000_999, "values": {"n": 4}}, {"values": {"n": 5}}], None)
    assert site.times == [BEGAN, BEGAN + 1500, 1_750_000_000_123, 1_750_000_000_999, BEGAN + 1501]


def test_readings_of_the_same_ms_do_not_take_each_other_s_place():
    site = Site()
    for _ in range(3):
        site.backlog.put({"n": 1}, None)
    site.backlog.put([{"values": {"n": 1}}] * 3, None)
    assert site.times == [BEGAN + number for number in range(6)]
    # Also when the first was sent already.
    site.backlog.put({"n": 1}, None)
    assert site.times == [BEGAN + 6]


def test_a_clock_that_was_set_back_is_believed():
    site = Site()
    site.backlog.put({"n": 1}, None)
    site.world.clock_began -= 3_600_000
    site.backlog.put({"n": 2}, None)
    assert site.times == [BEGAN, BEGAN - 3_600_000]


def test_a_time_that_the_application_gives_is_left_as_it_is():
    site = Site()
    for ts in (BEGAN - 1, BEGAN - 1, BEGAN - 2):
        site.backlog.put({"n": ts}, ts)
    assert site.times == [BEGAN - 1, BEGAN - 1, BEGAN - 2]


def test_a_time_of_long_ago_is_left_as_it_is():
    """Also when the clock is not set, and through a restart."""
    site = Site()
    for ts in (1_500_000_000_000, 999_999_999_999):
        site.backlog.put({"n": 1}, ts)
    site.backlog.keep()
    site.power_on()
    assert site.times == [1_500_000_000_000, 999_999_999_999]


def test_a_clock_that_is_set_late():
    for cold in (0, 946_684_800_000, 1_609_459_200_000):
        site = Site()
        site.world.clock_began = cold
        site.backlog.put({"n": 1}, None)
        site.later(10_000)
        site.backlog.put({"n": 2}, None)
        site.later(5_000)
        site.world.clock_began = BEGAN
        site.later(1_000)
        site.backlog.put({"n": 3}, None)
        assert site.times == [BEGAN, BEGAN + 10_000, BEGAN + 16_000]


def test_a_clock_that_is_never_set():
    site = Site()
    site.world.clock_began = 0
    site.backlog.put({"n": 1}, None)
    assert not site.backlog.wants_clock()
    site.later(6_000)
    assert site.backlog.wants_clock()
    assert site.times == [None]
    assert not site.backlog.wants_clock()


def test_a_clock_that_was_only_guessed_is_no_time():
    """Without an answer from `ntp` it is set to the date of the firmware, for certificates."""
    site = Site()
    site.world.clock_began = 0
    site.backlog.put({"n": 1}, None)
    site.later(7_000)
    site.world.clock_began = 1_795_392_000_000
    site.world.board.clock_is_guessed = True
    site.backlog.put({"n": 2}, None)
    site.later(1_000)
    assert site.backlog.wants_clock()
    site.world.clock_began = BEGAN
    site.world.board.clock_is_guessed = False
    site.backlog.put({"n": 3}, None)
    assert site.times == [BEGAN, BEGAN + 7_000, BEGAN + 8_000]


def test_ticks_that_wrap_while_the_clock_is_not_set():
    site = Site()
    site.world.clock_began = 0
    for number in range(4):
        site.backlog.put({"n": number}, None)
        site.later((1 << 29) - 1)
    site.world.clock_began = BEGAN
    site.backlog.check_clock()
    assert site.times == [BEGAN + number * ((1 << 29) - 1) for number in range(4)]


def test_a_list_of_which_one_is_no_reading():
    site = Site()
    raises(ValueError, site.backlog.put, [{"values": {"n": 1}}, {"values": {"n": object()}}], None)
    raises(ValueError, site.backlog.put, {"n": 1}, "yesterday")
    assert not len(site.queue)


def test_what_waits_is_there_after_a_restart():
    site = Site()
    site.backlog.put({"n": 1}, None)
    site.queue.put({"n": 2}, 5_000)
    site.backlog.save()
    site.power_on()
    assert len(site.queue) == 2
    site.later(5)
    site.backlog.put({"n": 3}, None)
    assert site.send() == [
        {"ts": BEGAN, "values": {"n": 1}},
        {"n": 2},
        {"ts": BEGAN + 5, "values": {"n": 3}},
    ]
    site.backlog.save()
    assert SAVED not in site.world.flash.files
    site.power_on()
    assert len(site.queue) == 0


def test_without_persist_nothing_is_on_flash():
    site = Site(persist=False)
    site.world.flash.begin()
    site.backlog.put({"n": 1}, None)
    site.backlog.save()
    assert site.world.flash.operations == []


def test_nothing_is_read_or_written_without_need():
    site = Site()
    site.world.flash.begin()
    site.backlog.save()
    site.backlog.keep()
    assert site.world.flash.operations == []


def test_the_flash_is_written_every_10_minutes_at_most():
    """Also by a link that comes and goes, which empties the queue in between."""
    for comes_and_goes in (False, True):
        site = Site()
        for second in range(6 * 3600 // 20):
            site.backlog.put({"n": second}, None)
            site.backlog.save()
            if comes_and_goes:
                site.send()
                site.backlog.save()
            site.later(20_000)
        assert site.writes <= 36, comes_and_goes
        assert site.world.flash.count("remove", SAVED) <= 36


def test_a_close_saves_at_once():
    site = Site()
    site.backlog.put({"n": 1}, None)
    site.backlog.save()
    site.backlog.put({"n": 2}, None)
    site.backlog.save()
    assert site.writes == 1
    site.backlog.keep()
    site.power_on()
    assert len(site.queue) == 2


def test_what_saving_had_no_memory_to_load_is_loaded_anew():
    site = Site()

    def save(path, content):
        # As MicroPython leaves one.
        sys.modules["firmware.half_loaded"] = None
        raise MemoryError

    storage = site.backlog.board.storage
    storage.save = save
    site.backlog.put({"n": 1}, None)
    try:
        site.backlog.save()
        assert "firmware.half_loaded" not in sys.modules and len(site.queue) == 1
    finally:
        sys.modules.pop("firmware.half_loaded", None)
        del storage.save


def test_a_flash_that_is_full():
    site = Site()
    site.world.flash.broken = ("write",)
    site.world.flash.error = ENOSPC
    for _ in range(60):
        site.backlog.put({"n": 1}, None)
        site.backlog.save()
        site.later(20_000)
    assert len(site.queue) == 60 - site.queue.dropped
    assert len(site.world.find("telemetry not saved")) == 2
    assert site.world.find("  /telemetry.json cannot be saved")
    site.world.flash.broken = ()
    site.later(600_000)
    site.backlog.save()
    site.power_on()
    assert len(site.queue)


def test_a_saved_file_that_cannot_be_read():
    for content in (
        b"",
        b"[",
        b"{}x",
        b"[[1]]",
        b"[1]",
        b"[[null,5]]",
        b"\xff",
        b"1",
        b'[["a",{}]]',
    ):
        site = Site()
        site.world.put(SAVED, content)
        site.power_on()
        site.backlog.put({"n": 1}, None)
        site.backlog.save()
        site.power_on()
        assert {"ts": BEGAN, "values": {"n": 1}} in site.send()
    site = Site()
    site.world.flash.files[SAVED] = b"[]"
    site.world.flash.broken = ("read",)
    site.power_on()
    assert site.world.find("/telemetry.json cannot be read")


def test_a_queue_that_is_smaller_than_what_was_saved():
    site = Site()
    for number in range(20):
        site.backlog.put({"n": number, "x": "x" * 20}, None)
    site.backlog.save()
    site.how = 110, "newest", True
    site.power_on()
    assert [each["values"]["n"] for each in site.send()] == [17, 18, 19]
    assert site.queue.dropped == 17
    site.how = 10, "newest", True
    site.power_on()
    assert len(site.queue) == 0 and site.queue.dropped == 20


def test_of_attributes_the_last_value_waits():
    site = Site()
    site.backlog.put_attributes({"a": 1, "b": 1, "c": None})
    site.backlog.next(1024)
    assert site.backlog.resource == "attributes"
    site.backlog.put_attributes({"a": 2})
    site.backlog.sent()
    assert site.backlog.attributes.values == {"a": 2} and site.backlog
    raises(ValueError, site.backlog.put_attributes, {"a": object()})
    assert site.backlog.attributes.values == {"a": 2}


def test_a_value_that_came_back_while_another_was_sent_is_sent_again():
    site = Site()
    site.backlog.put_attributes({"a": [1]})
    assert site.backlog.next(1024) == b'{"a":[1]}'
    site.backlog.put_attributes({"a": [1]})
    site.backlog.sent()
    assert site.backlog.attributes.values == {"a": [1]}
