"""The options of a request, RFC 7252 section 5.10. Pure."""

from micropython import const

from .message import uint_bytes

_URI_HOST = const(3)
_URI_PATH = const(11)
_CONTENT_FORMAT = const(12)
_URI_QUERY = const(15)


def request_options(name, path, content_format, more=()):
    """Return a request's options, (number, value) in ascending order.

    `name`: the server's for Uri-Host, or None. `path`: such as "/a/b?c=d", in which
    %2F is a "/" that separates nothing, as in a URI. `content_format`: its
    number, or None. `more`: others. Raises ValueError for a path that no URI can have.
    """
    options = []
    if name:
        options.append((_URI_HOST, name.encode()))
    segments, _, query = path.encode().partition(b"?")
    if segments.startswith(b"/"):
        segments = segments[1:]
    for segment in segments.split(b"/") if segments else ():
        options.append((_URI_PATH, segment))
    if content_format is not None:
        options.append((_CONTENT_FORMAT, uint_bytes(content_format)))
    for argument in query.split(b"&") if query else ():
        options.append((_URI_QUERY, argument))
    if "%" in path:
        from .percent import unquote_options

        options = unquote_options(options)
    for number, value in options:
        # RFC 7252 sections 5.10 and 6.5.
        if len(value) > 255 or (number == _URI_PATH and value in (b"", b".", b"..")):
            from .failure import bad_path

            raise bad_path(value)
    return merge(options, more) if more else options


def merge(options, more):
    """Return options, (number, value) in ascending order, with others put where they belong.

    Those of one number stay in their order (RFC 7252 section 3.1).
    """
    merged = list(options)
    for option in more:
        place = len(merged)
        while place and merged[place - 1][0] > option[0]:
            place -= 1
        merged.insert(place, option)
    return merged
