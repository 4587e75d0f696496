"""Every name is here: DNS (RFC 1035) as far as phones need it to find the page. Pure."""

from micropython import const

_HEADER = const(12)
_LONGEST = const(512)  # RFC 1035 section 4.2.1
_LONGEST_NAME = const(255)
_LONGEST_LABEL = const(63)
_A = const(1)
_ANY = const(255)
_IN = const(1)
_RESPONSE = const(0x8400)  # with an authority's word
_OPCODE = const(0x7800)
_RECURSION_DESIRED = const(0x0100)
_RECURSION_AVAILABLE = const(0x0080)
_NOT_IMPLEMENTED = const(4)


def answer(query, address):
    """Return the answer to a query, None for what is none.

    `query`: a datagram. `address`: four bytes, the answer to every question for an IPv4 address;
    to others there is no answer, and no error. It is for 0 s, so that no phone keeps it.
    """
    if not _HEADER < len(query) <= _LONGEST:
        return None
    flags = query[2] << 8 | query[3]
    # QR: it is an answer itself. Of questions there is one, whatever RFC 1035 allows.
    if flags & 0x8000 or query[4] << 8 | query[5] != 1:
        return None
    end = _end_of_name(query)
    if end is None or end + 4 > len(query):
        return None
    kind = query[end] << 8 | query[end + 1]
    is_in = query[end + 2] << 8 | query[end + 3] == _IN
    is_found = is_in and kind in (_A, _ANY) and not flags & _OPCODE
    flags = _RESPONSE | _RECURSION_AVAILABLE | flags & (_OPCODE | _RECURSION_DESIRED)
    if flags & _OPCODE:
        flags |= _NOT_IMPLEMENTED
    response = bytearray(query[: end + 4])
    response[2] = flags >> 8
    response[3] = flags & 0xFF
    response[6:_HEADER] = b"\0\1\0\0\0\0" if is_found else bytes(6)
    if is_found:
        # A pointer to the question's name, A, IN, a TTL of 0, 4 bytes.
        response += b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4"
        response += address
    return response


def _end_of_name(query):
    """Return where the question's name ends, None when it does not, or is compressed."""
    place = _HEADER
    while place < len(query):
        size = query[place]
        place += 1
        if size == 0:
            return place if place - _HEADER <= _LONGEST_NAME else None
        if size > _LONGEST_LABEL:
            return None
        place += size
    return None
