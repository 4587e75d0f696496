"""Whether bytes are JSON (RFC 8259) in UTF-8 with each key once in its object.

MicroPython's json takes more: `,` and `:` are blanks to it, and a lone backslash is dropped. So it
would read another configuration than the one that a computer finds in the same file.
"""

import json

from micropython import const

_DEEPEST = const(20)


class _NotJSON(ValueError):
    def __init__(self, place, reason):
        super().__init__(reason)
        self.found = place, reason


def mistake_in(content):
    """Return None for bytes that are JSON, else the place of the first that is wrong, and why.

    A byte order mark in front is fine. The reasons are those of firmware.board.json_mistakes.
    """
    try:
        _check(content)
        return None
    except _NotJSON as mistake:
        return mistake.found


def _check(content):
    at = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    size = len(content)
    # What is no JSON anywhere ends every search.
    content += b"\0"
    # Of each object that is open its keys; None for an array.
    opened = []
    is_first = is_done = False
    while True:
        at = _skip(content, at)
        byte = content[at]
        keys = opened[-1] if opened else None
        if is_done and not opened:
            if at < size:
                raise _NotJSON(at, "more")
            return
        closing = 93 if keys is None else 125
        if opened and byte == closing and (is_done or is_first):
            opened.pop()
            is_done = True
            at += 1
            continue
        if is_done:
            if byte != 44:
                raise _NotJSON(at, "comma")
            at = _skip(content, at + 1)
            byte = content[at]
        if keys is not None:
            if byte != 34:
                raise _NotJSON(at, "key")
            end = _string_end(content, at)
            key = json.loads(content[at:end])
            if key in keys:
                raise _NotJSON(at, "twice")
            keys.add(key)
            at = _skip(content, end)
            if content[at] != 58:
                raise _NotJSON(at, "colon")
            at = _skip(content, at + 1)
            byte = content[at]
        is_first = byte in (91, 123)
        is_done = not is_first
        if is_done:
            at = _scalar_end(content, at)
        elif len(opened) == _DEEPEST:
            raise _NotJSON(at, "deep")
        else:
            opened.append(None if byte == 91 else set())
            at += 1


def _skip(content, at):
    while content[at] in (32, 10, 13, 9):
        at += 1
    return at


def _scalar_end(content, at):
    """Return where the string, number or word that begins here ends."""
    if content[at] == 34:
        return _string_end(content, at)
    for word in (b"true", b"false", b"null"):
        if content[at : at + len(word)] == word:
            return at + len(word)
    if content[at] == 45:
        at += 1
    end = at + 1 if content[at] == 48 else _digits_end(content, at)
    if content[end] == 46:
        end = _digits_end(content, end + 1)
    if content[end] in (69, 101):
        end += 1
        end = _digits_end(content, end + 1 if content[end] in (43, 45) else end)
    return end


def _digits_end(content, at):
    end = at
    while 48 <= content[end] < 58:
        end += 1
    if end == at:
        raise _NotJSON(at, "value")
    return end


def _string_end(content, at):
    """Return where the string whose first quote is here ends, behind its last."""
    at += 1
    while content[at] != 34:
        byte = content[at]
        if byte < 32:
            raise _NotJSON(at, "string")
        if byte >= 128:
            at = _letter_end(content, at)
        elif byte != 92:
            at += 1
        elif content[at + 1] == 117:
            for digit in content[at + 2 : at + 6]:
                if not (48 <= digit < 58 or 97 <= digit | 32 < 103):
                    raise _NotJSON(at, "escape")
            at += 6
        elif content[at + 1 : at + 2] in b'"\\/bfnrt':
            at += 2
        else:
            raise _NotJSON(at, "escape")
    return at + 1


def _letter_end(content, at):
    """Return where the letter of several bytes ends, RFC 3629."""
    lead = content[at]
    more = 3 if lead >= 0xF0 else 2 if lead >= 0xE0 else 1
    least = (0x80, 0x800, 0x10000)[more - 1]
    letter = lead & 0x3F >> more
    for byte in content[at + 1 : at + 1 + more]:
        if byte >> 6 != 2:
            lead = 0
        letter = letter << 6 | byte & 0x3F
    is_surrogate = 0xD800 <= letter < 0xE000
    if not 0xC0 <= lead < 0xF8 or is_surrogate or not least <= letter < 0x110000:
        raise _NotJSON(at, "letter")
    return at + 1 + more
