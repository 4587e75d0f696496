"""URIs of resources, RFC 7252 sections 6.4 and 6.5: coap://host[:port]/path?query. Pure."""

from micropython import const

from .message import uint
from .percent import quote, unquote
from .uri import parse

_URI_HOST = const(3)
_URI_PORT = const(7)
_LOCATION_PATH = const(8)
_URI_PATH = const(11)
_URI_QUERY = const(15)
_LOCATION_QUERY = const(20)
# What needs no percent-encoding: in a host, besides in a segment of a path, in an argument.
_IN_HOST = b"!$&'()*+,;="
_IN_PATH = _IN_HOST + b":@"
_IN_QUERY = b"!$'()*+,;=:@/?"


def decompose(uri):
    """Return (the server's URI, the path and query), for `connect` and `path_options`.

    Raises ValueError for what is no absolute CoAP URI, or one with a fragment.
    """
    scheme, mark, rest = uri.partition("://")
    if "#" in uri:
        raise ValueError("a CoAP URI has no fragment: leave out what follows the #")
    before, question, query = rest.partition("?")
    host, slash, path = before.partition("/")
    if "%" in host:
        host = unquote(host.encode()).decode()
    server = scheme + mark + host
    parse(server)
    return server, _without_dots(slash + path) + question + query


def path_options(path):
    """Return a path and query as options. Raises ValueError for what no URI can have.

    It may have empty segments, as in a URI; in a Client's path they are a mistake.
    """
    segments, _, query = path.encode().partition(b"?")
    options = []
    if segments != b"/":
        options += [(_URI_PATH, unquote(segment)) for segment in segments.split(b"/")[1:]]
    if query:
        options += [(_URI_QUERY, unquote(argument)) for argument in query.split(b"&")]
    for number, value in options:
        if len(value) > 255 or (number == _URI_PATH and value in (b".", b"..")):
            from .failure import bad_path

            raise bad_path(value)
    return options


def compose(server, options):
    """Return the URI of a request to a server, which is named by its URI, with these options."""
    host, port, _, secure = parse(server)
    for number, value in options:
        if number == _URI_HOST:
            host = quote(value, _IN_HOST)
        elif number == _URI_PORT:
            port = uint(value)
    if ":" in host:
        host = "[%s]" % host
    uri = ("coaps://" if secure else "coap://") + host
    if port != (5684 if secure else 5683):
        uri += ":%d" % port
    return uri + _path_and_query(options, _URI_PATH, _URI_QUERY)


def location(response):
    """Return the path and query of what a request created (RFC 7252 section 5.10.7)."""
    return _path_and_query(response.options, _LOCATION_PATH, _LOCATION_QUERY)


def _path_and_query(options, path_number, query_number):
    path = ""
    query = []
    for number, value in options:
        if number == path_number:
            path += "/" + quote(value, _IN_PATH)
        elif number == query_number:
            query.append(quote(value, _IN_QUERY))
    return (path or "/") + ("?" + "&".join(query) if query else "")


def _without_dots(path):
    """Return a path without segments "." and "..", as they are meant (RFC 3986 section 5.2.4)."""
    segments = path.split("/")[1:]
    kept = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
