"""A board's verdict on config.json is the computer's: strict_json beside CPython's json."""

from __future__ import annotations

import json
import random
import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware.board.json_mistakes import explain
from firmware.board.strict_json import mistake_in
from host_tests.virtual_bench import needs_micropython
from tools.virtual_board.flash import PROJECT
from tools.virtual_board.interpreter import find_micropython

CONFIG = {
    "wifi": {"ssid": "Küche \U0001f321", "password": 'a\\b"c/\u2028\n'},
    "server": "coap://thingsboard.example.com",
    "ntp": ["pool.ntp.org", "192.0.2.1"],
    "watchdog": 8,
    "more": [0, -2.5e-10, 1e5, True, False, None, {}, []],
    "provisioning": {"deviceName": "sensor-{id}", "provisionDeviceKey": "k"},
}
TEXTS = [
    json.dumps(CONFIG, ensure_ascii=is_ascii, indent=indent).encode()
    for is_ascii in (False, True)
    for indent in (None, 2)
]
PIECES = [
    piece.encode()
    for piece in [*"\",:{}[]\\ \n\t\r\x0b\x00019-+.eE“”'#/", "\\u12g4", "\\ud83c", "\\u0061"]
    + ["true", "nul", "NaN", "-Infinity", "//x\n", "/**/", '"a":1,', '"watchdog": 1,', "\ufeff"]
] + [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x80"]
SEEDS = 2_000
_ON_MICROPYTHON = """
import sys
from binascii import unhexlify
from firmware.board.strict_json import mistake_in
for line in sys.stdin:
    print(mistake_in(unhexlify(line.strip())))
"""


def is_json(content: bytes) -> bool:
    """CPython's verdict, with each key once in its object and none of its NaN and Infinity."""
    try:
        json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _once(pairs: list) -> dict:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _refuse(name: str) -> None:
    raise ValueError(name)


def mutated(seed: int) -> bytes:
    """A configuration with some mistakes, or none."""
    draw = random.Random(seed)
    content = bytearray(draw.choice(TEXTS))
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3, 6))):
        at = draw.randrange(len(content) + 1)
        removed = draw.choice((0, 0, 1, 1, 2, 5, 20))
        copied = draw.randrange(len(content) + 1)
        put = draw.choice((b"", draw.choice(PIECES), bytes(content[copied : copied + 8])))
        content[at : at + removed] = put
    return bytes(content)


@settings(max_examples=1_000, deadline=None, database=None)
@given(st.integers(min_value=0))
def test_mutated_configurations(seed):
    judged_alike(mutated(seed))


@settings(max_examples=500, deadline=None, database=None)
@example(b"")
@given(st.binary(max_size=12) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_any_bytes(content):
    judged_alike(content)


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_whatever_cpython_writes(value, is_ascii):
    text = json.dumps(value, ensure_ascii=is_ascii).replace("Infinity", "0")
    judged_alike(text.encode(errors="replace"))


def judged_alike(content: bytes) -> None:
    found = mistake_in(content)
    assert (found is None) == is_json(content), (content, found)
    if found:
        place, reason = found
        assert 0 <= place <= len(content)
        assert explain(content, place, reason)


@needs_micropython
def test_micropython_gives_the_same_places_and_reasons():
    contents = [mutated(seed) for seed in range(SEEDS)]
    done = subprocess.run(
        [find_micropython().command, "-c", _ON_MICROPYTHON],
        cwd=PROJECT,
        env={"MICROPYPATH": ".frozen"},
        input="".join(content.hex() + "\n" for content in contents),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.stdout.splitlines() == [str(mistake_in(each)) for each in contents], done.stderr
    assert {is_json(each) for each in contents} == {True, False}
