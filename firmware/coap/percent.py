"""Percent-encoding (RFC 3986 section 2.1) in paths and queries. Pure; imported only for it."""

from micropython import const

_URI_PATH = const(11)
_URI_QUERY = const(15)
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def quote(text, also=b""):
    """Return a text, or bytes, as it stands in one segment of a path or one argument of a query.

    A "/", "?", "&" or "%" in it then separates nothing. `also`: more that stays as it is.
    """
    quoted = []
    for byte in text.encode() if isinstance(text, str) else bytes(text):
        quoted.append(chr(byte) if byte in _UNRESERVED or byte in also else "%%%02X" % byte)
    return "".join(quoted)


def unquote(text):
    """Return what a percent-encoded text, as bytes, stands for. Raises ValueError."""
    first, *parts = text.split(b"%")
    unquoted = bytearray(first)
    for part in parts:
        digits = part[:2]
        if len(digits) < 2 or digits.strip(b"0123456789abcdefABCDEF"):
            raise ValueError('a "%" with no two hexadecimal digits behind it; itself it is "%25"')
        unquoted.append(int(digits, 16))
        unquoted.extend(part[2:])
    return bytes(unquoted)


def unquote_options(options):
    """Return a request's options with those of its path and its query decoded."""
    return [
        (number, unquote(value) if number in (_URI_PATH, _URI_QUERY) else value)
        for number, value in options
    ]
