"""When a certificate ends. Of its DER only as much is read as that takes."""

_UTC_TIME = 0x17
_NEVER = 253_402_300_799  # 9999-12-31, which RFC 5280 gives a certificate with no end


def end(der):
    """Return a certificate's notAfter in seconds since 1970; far away for what is none."""
    # Validity is a SEQUENCE of two times, each UTCTime or GeneralizedTime (RFC 5280 4.1.2.5), of 36
    # bytes at most; a key and a signature follow it.
    for start in range(len(der) - 36):
        if der[start] == 0x30 and der[start + 1] in (0x1E, 0x20, 0x22):
            last = None
            if _time(der, start + 2) is not None:
                last = _time(der, start + 4 + der[start + 3])
            if last is not None:
                return last
    return _NEVER


def _time(der, start):
    """Return the time at a place, None when there is none."""
    kind, size = der[start], der[start + 1]
    if (kind, size) not in ((_UTC_TIME, 13), (0x18, 15)):
        return None
    digits = bytes(der[start + 2 : start + 1 + size])
    if not digits.isdigit():
        return None
    year = int(digits[:-10])
    if kind == _UTC_TIME:
        year += 2000 if year < 50 else 1900
    fields = [int(digits[at : at + 2]) for at in range(len(digits) - 10, len(digits), 2)]
    month, day, hour, minute, second = fields
    # Days since 1970, of years that begin in March.
    year -= month < 3
    days = 365 * year + year // 4 - year // 100 + year // 400 - 719_468
    days += (153 * (month + (9 if month < 3 else -3)) + 2) // 5 + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second
