"""firmware.board.strict_json and json_mistakes: what is JSON, where it is none, and why."""

from firmware.board.json_mistakes import explain
from firmware.board.strict_json import mistake_in

JSON = (
    b"{}",
    b" [ ] ",
    b"\xef\xbb\xbf{}\r\n",
    b'{"a": 1, "b": [true, false, null, {}], "c": {"a": 1}}',
    b'[0, -0, 10, 1.5, -1e5, 1E+5, 1.25e-07, "1"]',
    b'["\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00fC \\ud83c \x7f"]',
    b'["\xc2\x80 \xdf\xbf \xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"]',
    b'{"": {"": ""}, "a": {"": ""}}',
    b'"text"',
    b"[" * 20 + b"]" * 20,
)

NO_JSON = (
    (b"", 0, "value"),
    (b"  ", 2, "value"),
    (b"{", 1, "key"),
    (b'{"a"', 4, "colon"),
    (b'{"a" 1}', 5, "colon"),
    (b'{"a": , "b": 1}', 6, "value"),
    (b'{"a": 1,}', 8, "key"),
    (b'{"a": 1 "b": 2}', 8, "comma"),
    (b'{"a": 1]', 7, "comma"),
    (b'["a"}', 4, "comma"),
    (b"[1,]", 3, "value"),
    (b"[,1]", 1, "value"),
    (b"{,}", 1, "key"),
    (b"{1: 2}", 1, "key"),
    (b"{} {}", 3, "more"),
    (b"{}\0", 2, "more"),
    (b"1 2", 2, "more"),
    (b'{"a": 1, "a": 2}', 9, "twice"),
    (b'{"a": 1, "\\u0061": 2}', 9, "twice"),
    (b'"a\nb"', 2, "string"),
    (b'"a\tb"', 2, "string"),
    (b'"a', 2, "string"),
    (b'"a\\', 2, "escape"),
    (b'"a\\"', 4, "string"),
    (b'"gateway\\way"', 8, "escape"),
    (b'"\\u12g4"', 1, "escape"),
    (b'"\\u12"', 1, "escape"),
    (b'"\\U0041"', 1, "escape"),
    (b"01", 1, "more"),
    (b"[01]", 2, "comma"),
    (b"+1", 0, "value"),
    (b"-", 1, "value"),
    (b".5", 0, "value"),
    (b"5.", 2, "value"),
    (b"5e", 2, "value"),
    (b"5e+", 3, "value"),
    (b"NaN", 0, "value"),
    (b"-Infinity", 1, "value"),
    (b"True", 0, "value"),
    (b"nul", 0, "value"),
    (b"\x0b1", 0, "value"),
    (b"\xc2\xa01", 0, "value"),
    (b"\xef\xbb\xbf\xef\xbb\xbf1", 3, "value"),
    (b'"\x80"', 1, "letter"),
    (b'"\xfc"', 1, "letter"),
    (b'"\xc3"', 1, "letter"),
    (b'"\xc3', 1, "letter"),
    (b'"\xc0\x80"', 1, "letter"),
    (b'"\xc1\xbf"', 1, "letter"),
    (b'"\xe0\x9f\xbf"', 1, "letter"),
    (b'"\xed\xa0\x80"', 1, "letter"),
    (b'"\xf0\x8f\xbf\xbf"', 1, "letter"),
    (b'"\xf4\x90\x80\x80"', 1, "letter"),
    (b'"\xf8\x88\x80\x80\x80"', 1, "letter"),
    (b"[" * 21 + b"]" * 21, 20, "deep"),
    (b"[" * 100_000, 20, "deep"),
)

# A configuration as somebody saved it, the place, and what is said of it.
CAUSES = (
    ("{“a”: 1}", (1, 2), "a typographic quote; JSON"),
    ('{"a”: "b"}', (1, 8), "a typographic quote in the string before this"),
    ('{\n  "a": “b”}', (2, 8), "a typographic quote; JSON"),
    ('{"a": "b”,\n "c": 1}', (1, 11), "a typographic quote in the string before this"),
    ("{‘a’: 1}", (1, 2), "a typographic quote; JSON"),
    ("{’a’: 1}", (1, 2), "a typographic quote; JSON"),
    ("{„a“: 1}", (1, 2), "a typographic quote; JSON"),
    ("{«a»: 1}", (1, 2), "a typographic quote; JSON"),
    ('{"a": »b«}', (1, 7), "a typographic quote; JSON"),
    ('{"a", „b“: 1}', (1, 5), "a colon is missing"),
    ("{'a': 1}", (1, 2), "a single quote"),
    ('{"a": 1, // one\n "b": 2}', (1, 10), "a comment"),
    ('{\n # one\n "b": 2}', (2, 2), "a comment"),
    ('{"a": 1 /* one */}', (1, 9), "a comment"),
    ('{"a": 1,\n "b": 2,\n}', (3, 1), "the comma before this bracket is one too many"),
    ("[1, 2, ]", (1, 8), "the comma before this bracket is one too many"),
    ('{"ä": 1\r\n "b": 2}', (2, 2), "a comma is missing before this"),
    ('{"ä": "ö" "b": 2}', (1, 11), "a comma is missing before this"),
    ('{"a" "b"}', (1, 6), "a colon is missing"),
    ('{"a": b}', (1, 7), "a value belongs here; a string stands in double quotes"),
    ("{a: 1}", (1, 2), "a key in double quotes"),
    ('{"a": True}', (1, 7), "true, false and null are written small"),
    ('{"a": False}', (1, 7), "true, false and null are written small"),
    ('{"a": None}', (1, 7), "true, false and null are written small"),
    ('{"a": NULL}', (1, 7), "true, false and null are written small"),
    ('{"a": 1,}\n', (1, 9), "the comma before this bracket is one too many"),
    ('{"a": "b', (1, 9), "it ends too early"),
    ('{"a": {"b": 1}', (1, 15), "it ends too early"),
    ("", (1, 1), "it ends too early"),
    ('{"a": "b\n"}', (1, 9), "a string has to end on its line"),
    ('{"a": "C:\\data"}', (1, 10), "a backslash is written \\\\"),
    ('{"a": 1}}', (1, 9), "there is more after its end"),
    ('{"a": 1,\n "a": 2}', (2, 2), "this key is in its object a second time"),
    ("\ufeff{a: 1}", (1, 2), "a key in double quotes"),
    (b'{"a": "K\xfcche"}', (1, 9), "this letter is not in UTF-8"),
    ("[" * 30, (1, 21), "it is nested too deep"),
)


def test_what_is_json():
    for content in JSON:
        assert mistake_in(content) is None, content


def test_what_is_no_json():
    for content, place, reason in NO_JSON:
        assert mistake_in(content) == (place, reason), content[:40]


def test_every_beginning_is_no_json():
    for content in JSON[:7]:
        whole = len(content.rstrip())
        for size in range(whole):
            assert mistake_in(content[:size]), content[:size]


def test_where_and_why():
    for text, place, cause in CAUSES:
        content = text if isinstance(text, bytes) else text.encode()
        said = explain(content, *mistake_in(content))
        start = "line %d, column %d: %s" % (place + (cause,))
        assert said.startswith(start), said


def test_utf_16():
    for content in (b'\xff\xfe{\0"\0', b'\xfe\xff\0{\0"', b'{\0"\0', b'\0{\0"'):
        assert explain(content, *mistake_in(content)) == "it is in UTF-16; save it as UTF-8"
