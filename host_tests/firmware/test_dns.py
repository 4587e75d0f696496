"""firmware.onboarding.dns: every name is here, and nothing malformed gets an answer."""

from firmware.onboarding.dns import answer
from host_tests.firmware.helpers import Random

HERE = bytes((192, 168, 4, 1))


def query(name, kind=1, flags=0x0100, questions=1, in_class=1, more=b""):
    """Return a query for a name, as phones send it."""
    labels = b"".join([bytes((len(label),)) + label for label in name.split(b".") if label])
    counts = bytes((0, questions, 0, 0, 0, 0, 0, len(more) and 1))
    end = bytes((0, kind >> 8, kind & 255, 0, in_class))
    return b"\x12\x34" + bytes((flags >> 8, flags & 255)) + counts + labels + end + more


def test_every_name_is_here():
    for name in (b"captive.apple.com", b"connectivitycheck.gstatic.com", b"a", b""):
        asked = query(name)
        # ID, response with RD, RA and AA, one question, one answer, the question again
        expected = b"\x12\x34\x85\x80\0\1\0\1\0\0\0\0" + asked[12:]
        # a pointer to the name, A, IN, 0 s, four bytes
        expected += b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + HERE
        assert answer(asked, HERE) == expected


def test_other_kinds_have_no_answer_and_no_error():
    for kind in (28, 65, 16, 12):
        asked = query(b"captive.apple.com", kind)
        assert answer(asked, HERE) == b"\x12\x34\x85\x80\0\1\0\0\0\0\0\0" + asked[12:]
    assert answer(query(b"a", 255), HERE)[-4:] == HERE
    assert answer(query(b"a", in_class=3), HERE)[7] == 0


def test_what_a_resolver_adds_is_left_out():
    opt = b"\0\0\x29\x10\0\0\0\0\0\0\0"
    asked = query(b"a.example", more=opt)
    answered = answer(asked, HERE)
    assert answered[10:12] == b"\0\0"
    assert answered[-4:] == HERE and opt not in answered


def test_only_queries_are_answered():
    status = answer(query(b"a", flags=0x1000), HERE)
    assert status[3] & 15 == 4 and status[6:8] == b"\0\0"
    for malformed in (
        b"",
        b"\x12\x34",
        query(b"a", flags=0x8180),
        query(b"a", questions=0),
        query(b"a", questions=2),
        query(b"a")[:-1],
        query(b"a")[:-5],
        query(b"a")[:12],
        query(b"a")[:12] + b"\xc0\x0c\0\1\0\1",
        query(b"a")[:12] + b"\x40" + b"a" * 64 + b"\0\0\1\0\1",
        query(b".".join([b"x" * 63] * 5)),
        query(b"a", more=bytes(500)),
    ):
        assert answer(malformed, HERE) is None, malformed


def test_the_longest_name():
    name = b".".join([b"x" * 63] * 3 + [b"y" * 61])
    assert answer(query(name), HERE)[-4:] == HERE
    assert answer(query(name + b"y"), HERE) is None


def test_noise_never_raises_and_never_grows_an_answer():
    random = Random(16)
    good = query(b"connectivitycheck.gstatic.com")
    for number in range(3000):
        noise = bytearray(good) if number % 2 else random.bytes(random.below(80))
        for _ in range(random.below(6) if noise else 0):
            noise[random.below(len(noise))] = random.below(256)
        noise = bytes(noise)[: random.below(len(noise) + 1) if number % 3 else len(noise)]
        answered = answer(noise, HERE)
        assert answered is None or len(answered) <= len(noise) + 16
