"""firmware.thingsboard.telemetry: a bounded queue of readings, and what JSON can say."""

import json

from firmware.thingsboard.readings import restore, saved
from firmware.thingsboard.telemetry import Queue, encoded
from host_tests.firmware.helpers import raises

KNOWN = 1_800_000_000_000


def content(queue, largest=1024):
    """Return the batches of a queue, which is empty then."""
    batches = []
    while len(queue):
        batches.append(json.loads(queue.batch(largest)))
        queue.sent()
    return batches


def test_a_reading_with_its_time_and_one_without():
    queue = Queue(1000)
    queue.put({"a": 1}, KNOWN)
    assert queue.batch(1024) == b'{"ts":1800000000000,"values":{"a":1}}'
    queue.sent()
    queue.put({"a": 1}, None)
    queue.put({"a": 2}, 5_000)
    assert content(queue) == [{"a": 1}, {"a": 2}]


def test_a_batch_has_one_reading_without_a_time():
    """ThingsBoard gives all of a datagram one time, and keeps one value for each."""
    queue = Queue(1000)
    for number in range(3):
        queue.put({"a": number}, KNOWN + number)
        queue.put({"b": number}, None)
    batches = content(queue)
    assert [len(batch) for batch in batches] == [3, 2, 1]
    for batch in batches:
        assert len([each for each in batch if "ts" not in each]) == 1


def test_batches_fit_in_a_datagram_and_in_order():
    queue = Queue(100_000)
    for number in range(300):
        queue.put({"n": number, "pad": "x" * (number % 50)}, KNOWN + number)
    seen = []
    while len(queue):
        # The next reading would not have fitted.
        assert len(queue) < 20 or len(queue.batch(1024 + 100)) > 1024
        body = queue.batch(1024)
        assert len(body) <= 1024
        seen += [each["values"]["n"] for each in json.loads(body)]
        queue.sent()
    assert seen == list(range(300))


def test_a_body_of_exactly_the_largest_size():
    queue = Queue(1000)
    queue.put({"a": 1}, KNOWN)
    queue.put({"a": 2}, KNOWN + 1)
    size = len(queue.batch(1024))
    assert [len(each) for each in content(queue, size)] == [2]
    for number in (1, 2):
        queue.put({"a": number}, KNOWN)
    assert len(content(queue, size - 1)) == 2


def test_a_reading_that_is_larger_than_a_datagram_goes_alone():
    queue = Queue(5000)
    queue.put({"a": "x" * 2000}, KNOWN)
    queue.put({"b": 1}, KNOWN + 1)
    assert [list(each["values"]) for each in content(queue)] == [["a"], ["b"]]


def test_the_newest_or_the_oldest_stay():
    size = len(encoded({"n": 10}))
    for keeps, stay in (("newest", [13, 14]), ("oldest", [10, 11])):
        queue = Queue(2 * size, keeps)
        for number in range(10, 15):
            queue.put({"n": number}, KNOWN + number)
        assert len(queue) == 2 and queue.dropped == 3
        assert [each["values"]["n"] for each in content(queue)[0]] == stay


def test_what_was_dropped_while_it_was_sent_is_not_removed_twice():
    size = len(encoded({"n": 10}))
    queue = Queue(2 * size)
    queue.put({"n": 10}, KNOWN)
    queue.put({"n": 11}, KNOWN + 1)
    queue.batch(1024)
    queue.put({"n": 12}, KNOWN + 2)
    queue.put({"n": 13}, KNOWN + 3)
    queue.put({"n": 14}, KNOWN + 4)
    queue.sent()
    assert [each["values"]["n"] for each in content(queue)[0]] == [13, 14]


def test_what_came_while_a_batch_was_sent_stays():
    queue = Queue(1000)
    queue.put({"n": 1}, KNOWN)
    queue.batch(1024)
    queue.put({"n": 2}, KNOWN + 1)
    queue.sent()
    queue.sent()
    assert content(queue) == [{"ts": KNOWN + 1, "values": {"n": 2}}]


def test_a_reading_that_the_queue_is_too_small_for():
    queue = Queue(10)
    error = raises(ValueError, queue.put, {"a": "x" * 20})
    assert "28 bytes" in str(error) and "room for 10" in str(error)
    assert not len(queue) and not queue.dropped


def test_times_of_a_clock_that_is_set_late():
    queue = Queue(1000)
    queue.put({"n": 1}, 1_000)
    queue.put({"n": 2}, None)
    queue.put({"n": 3}, KNOWN)
    queue.shift(KNOWN)
    assert [each.get("ts") for each in content(queue)[0]] == [KNOWN + 1_000, None, KNOWN]


def test_what_is_saved_comes_back_before_what_is_there():
    queue = Queue(1000)
    queue.put({"n": 1, "text": 'a"\u00e9'}, KNOWN)
    queue.put({"n": 2}, 3_000)
    again = Queue(1000)
    again.put({"n": 3}, KNOWN + 5)
    restore(again, json.loads(saved(queue)))
    assert [each.get("values", each)["n"] for each in content(again)[0]] == [1, 2, 3]


def test_of_what_comes_back_one_that_is_too_large_is_dropped_alone():
    queue = Queue(1000)
    for n in (1, 2):
        queue.put({"n": n}, KNOWN)
        queue.put({"n": 0, "text": "x" * 200}, KNOWN)
    again = Queue(100)
    again.put({"n": 3}, KNOWN + 5)
    restore(again, json.loads(saved(queue)))
    assert [each["values"]["n"] for each in content(again)[0]] == [1, 2, 3]
    assert again.dropped == 2


def test_what_json_cannot_say():
    for wrong in (
        [1],
        "text",
        None,
        {1: 2},
        {"a": {2: 3}},
        {"a": float("nan")},
        {"a": [float("inf")]},
        {"a": b"bytes"},
        {"a": object()},
        {"a": {"b": {"c": set()}}},
    ):
        raises(ValueError, encoded, wrong)
    deep = {}
    for _ in range(20):
        deep = {"a": deep}
    raises(ValueError, encoded, deep)
    assert encoded({"a": [1, 2.5, True, None, "x", {"b": ()}]})
