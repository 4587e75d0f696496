"""firmware.thingsboard.attributes: what is known of shared attributes, and each change once."""

import json

from firmware.errors import FirstbootError
from firmware.requests import chosen, query
from firmware.thingsboard.attributes import SharedAttributes
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import Stub


def message(values):
    return Stub(payload=values if isinstance(values, bytes) else json.dumps(values).encode())


class Known:
    """SharedAttributes, registered with these values; `number`: of the last notification."""

    def __init__(self, values=None):
        self.attributes = SharedAttributes()
        self.number = 0
        if values is not None:
            self.register(values)
            assert self.changes() == [values]

    def register(self, values, number=0):
        self.attributes.on_registration(message(values), number)

    def notify(self, values, skipped=0):
        return self.attributes.on_notification(Stub(skipped=skipped), message(values))

    def changes(self):
        found = []
        while True:
            change = self.attributes.next_change()
            if change is None:
                return found
            found.append(change)


def test_all_of_them_first_then_each_change():
    known = Known({"a": 1, "b": "x"})
    assert not known.attributes.is_doubtful
    known.notify({"a": 2})
    known.notify({"c": None})
    known.notify({"b": "x"})
    assert known.changes() == [{"a": 2}, {"c": None}]


def test_none_at_all_is_told_too():
    Known({})


def test_a_registration_again_tells_what_changed_meanwhile():
    known = Known({"a": 1, "b": 2, "c": 3})
    known.register({"a": 1, "b": 5, "d": 4})
    assert known.changes() == [{"c": None, "b": 5, "d": 4}]
    known.register({"a": 1, "b": 5, "d": 4})
    assert known.changes() == []


def test_what_is_the_same_to_python_but_not_in_json():
    for before, after in ((1, True), (0, False), (1, 1.5), ([1], [True]), ({"a": 0}, {"a": False})):
        known = Known({"k": before})
        known.notify({"k": after})
        (change,) = known.changes()
        assert repr(change["k"]) == repr(after)
        known.register({"k": before})
        assert len(known.changes()) == 1
    for value in (1, True, None, "x", [1, [2]], {"a": {"b": [1]}}, [], {}):
        known = Known({"k": value})
        known.notify({"k": value})
        known.register({"k": value})
        assert known.changes() == []
    known = Known({"k": [1, 2]})
    for value in ([1], [1, 2, 3], {"a": 1}, {"b": 1}, {"b": 1, "c": 2}):
        known.notify({"k": value})
        assert known.changes() == [{"k": value}]


def test_a_deletion_is_asked_for():
    """It looks like an attribute with the name "deleted", and there may be one."""
    known = Known({"a": 1})
    known.notify({"deleted": ["a"]})
    assert known.attributes.is_doubtful and known.changes() == []
    known.register({})
    assert known.changes() == [{"a": None}] and not known.attributes.is_doubtful
    known.notify({"deleted": "a value"})
    known.register({"deleted": "a value"})
    assert known.changes() == [{"deleted": "a value"}]


def test_a_number_that_was_left_out_asks_for_all():
    known = Known({"a": 1})
    known.notify({"b": 2}, skipped=1)
    assert known.attributes.is_doubtful and known.changes() == []
    # What comes before the answer is in it, or comes after it.
    known.notify({"c": 3})
    assert known.changes() == []
    known.register({"a": 0, "b": 2, "c": 3})
    assert known.changes() == [{"a": 0, "b": 2, "c": 3}]


def test_a_notification_that_overtook_the_response_is_no_state():
    known = Known()
    known.register({"a": 1}, number=1)
    assert known.attributes.is_doubtful and known.changes() == []
    known.register({"a": 1, "b": 2})
    assert known.changes() == [{"a": 1, "b": 2}]


def test_a_notification_before_all_of_them():
    known = Known()
    known.notify({"a": 1})
    assert known.attributes.is_doubtful and known.changes() == []


def test_what_is_no_json_object():
    for payload in (b"", b"\x0a\x03abc", b"[1]", b"1", b'{"a":', b"[" * 5000):
        known = Known()
        error = raises(FirstbootError, known.register, payload)
        assert "PROTOBUF" in str(error)
        known = Known({"a": 1})
        assert known.notify(payload) is True
        assert known.attributes.is_doubtful and known.changes() == []


def test_changes_that_nobody_takes_are_bounded():
    known = Known({"n": 0})
    taken = [known.notify({"n": number}) for number in range(1, 12)]
    assert taken == [True] * 8 + [False] * 3
    known.register({"n": 20})
    assert not known.attributes.is_doubtful
    assert known.changes() == [{"n": number} for number in range(1, 9)]
    # There is room: what there was none for is asked for.
    assert known.attributes.is_doubtful
    known.register({"n": 21})
    assert known.changes() == [{"n": 21}]


def nested(depth, value):
    for _ in range(depth):
        value = {"a": [value]}
    return {"deep": value}


def test_values_may_be_nested_as_deep_as_json_is_read():
    known = Known(nested(200, 1))
    known.register(nested(200, 1))
    known.notify(nested(200, 1))
    assert known.changes() == []
    known.notify(nested(200, 2))
    assert len(known.changes()) == 1


class Full(list):
    """A list that there is no memory to append to, once."""

    def append(self, item):
        self.append = super().append
        raise MemoryError


def test_without_memory_nothing_is_known_that_nobody_is_told():
    known = Known()
    known.attributes._changes = Full()
    raises(MemoryError, known.register, {"a": 1})
    assert known.attributes.is_doubtful
    known.notify({"a": 2})
    assert known.changes() == []
    known.register({"a": 1})
    assert known.changes() == [{"a": 1}]
    known.attributes._changes = Full()
    raises(MemoryError, known.register, {"a": 2})
    known.register({"a": 2})
    assert known.changes() == [{"a": 2}]
    known.attributes._changes = Full()
    raises(MemoryError, known.notify, {"a": 3})
    known.notify({"a": 3})
    assert known.changes() == [{"a": 3}]


def test_a_query():
    assert query((), ()) == ""
    assert query(("a", "b"), ("c",)) == "?clientKeys=a,b&sharedKeys=c"
    assert query((), ["a b"]) == "?sharedKeys=a b"
    for key in ("a,b", "a=b", "a&b", "a?b", "a/b", "50%"):
        assert query((key,), ()) == ""
    assert query(("x" * 100, "y" * 100, "z" * 100), ()) == ""


def test_what_was_asked_for_is_chosen():
    payload = b'{"client":{"a":1,"b":2},"shared":{"a":3,"c":null}}'
    assert chosen(payload, ("a", "z"), ("c",)) == {"client": {"a": 1}, "shared": {"c": None}}
    assert chosen(b"", ("a",), ("b",)) == {"client": {}, "shared": {}}
    assert chosen(b"[]", ("a",), ()) == {"client": {}, "shared": {}}
    for payload in (b'{"client":5,"shared":"c"}', b'{"client":["a"],"shared":null}'):
        for keys in ((), ("a", "c")):
            assert chosen(payload, keys, keys) == {"client": {}, "shared": {}}
