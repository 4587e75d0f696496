"""Where a config.json is no JSON, and what a person probably did. Imported only when it is none."""

# What firmware.board.strict_json finds, and what is said of it.
_TEXTS = """
colon a colon is missing before this
comma a comma is missing before this, or a bracket is the wrong one
deep it is nested too deep
escape a backslash is written \\\\ in JSON
key a key in double quotes belongs here
letter this letter is not in UTF-8
more there is more after its end
string a string has to end on its line, and a tab in it is written \\t
twice this key is in its object a second time
value a value belongs here; a string stands in double quotes\
"""
_QUOTES = (b"\xe2\x80\x98", b"\xe2\x80\x99", b"\xe2\x80\x9c", b"\xe2\x80\x9d", b"\xe2\x80\x9e")


def explain(content, place, reason):
    """Return the line and column of a mistake in a config.json, and its likely cause."""
    begin = content.rfind(b"\n", 0, place) + 1
    cause = _TEXTS.partition("\n%s " % reason)[2].split("\n")[0]
    here = content[place : place + 3]
    before = content[:place].rstrip()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:2]:
        return "it is in UTF-16; save it as UTF-8"
    if not here:
        cause = "it ends too early; a bracket or a quote is missing"
    elif here in _QUOTES or here[:2] in (b"\xc2\xab", b"\xc2\xbb"):
        cause = 'a typographic quote; JSON has only the straight one, "'
    elif reason in ("colon", "comma", "string") and _has_quote(before):
        cause = 'a typographic quote in the string before this; JSON has only the straight one, "'
    elif reason not in ("escape", "letter", "string"):
        if here[:1] == b"'":
            cause = 'a single quote; JSON has only the double one, "'
        elif here[:1] == b"#" or here[:2] in (b"//", b"/*"):
            cause = "a comment; JSON has none"
        elif here[:1] in (b"}", b"]") and before.endswith(b","):
            cause = "the comma before this bracket is one too many"
        elif here in (b"Tru", b"Fal", b"Non", b"Nul", b"TRU", b"FAL", b"NUL"):
            cause = "true, false and null are written small"
    line = content[:begin].count(b"\n") + 1
    column = len(content[begin:place].decode().lstrip("\ufeff")) + 1
    return "line %d, column %d: %s" % (line, column, cause)


def _has_quote(before):
    """Return whether a typographic quote is in the string at the end of these bytes."""
    string = before[before.rfind(b'"', 0, len(before) - 1) :]
    for quote in _QUOTES:
        if quote in string:
            return True
    return False
