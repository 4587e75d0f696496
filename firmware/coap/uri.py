"""CoAP URIs, RFC 7252 section 6, as far as they name a server: coap://host[:port]."""

from micropython import const

_PORT = const(5683)
_SECURE_PORT = const(5684)


def parse(uri):
    """Return (host, port, name, secure) of a server.

    `host`: a name or an IP address without brackets. `name`: the host for the Uri-Host option, in
    lower case, or None for an IP address. `secure`: whether it is coaps. Raises ValueError.
    """
    scheme, _, rest = uri.partition("://")
    scheme = scheme.lower()
    secure = scheme == "coaps"
    if rest.endswith("/"):
        rest = rest[:-1]
    host, _, port = rest.partition(":")
    parts = host.split(".")
    is_address = len(parts) == 4 and all(_number(part) < 256 for part in parts)
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        is_address = ":" in host and bracket and port[:1] in ("", ":")
        host = host if is_address else ""
        port = port[1:]
    number = _number(port) if port else _SECURE_PORT if secure else _PORT
    if (
        scheme not in ("coap", "coaps")
        or not host
        or any(mark in rest for mark in "/?#@ ")
        or not 0 < number < 65536
    ):
        raise ValueError(
            "a server is coap://host or coap://host:port, or coaps in place of coap; an IPv6"
            " address stands in brackets"
        )
    return host, number, None if is_address else host.lower(), secure


def origin(uri):
    """Return scheme, host and port of a server in the one spelling that all of its URIs share.

    What is no URI of a server is returned as it is.
    """
    try:
        host, port, _, secure = parse(uri)
    except ValueError:
        return uri
    host = "[%s]" % host if ":" in host else host
    return "%s://%s:%d" % ("coaps" if secure else "coap", host.lower(), port)


def doubt(uri):
    """Return why the host in a URI can be no server's; None if it can, or for what is no URI."""
    name = uri.partition("://")[2]
    if name[:1].isalpha() and len(name.encode()) <= 63 and ".." not in name:
        # As nearly all are.
        return None
    try:
        host, _, name, _ = parse(uri)
    except ValueError:
        return None
    from .uri_doubts import doubt_host

    return doubt_host(host, name)


def _number(text):
    """Return the number in a text of digits; for any other text one that is too large."""
    return int(text) if text and not text.strip("0123456789") else 65536
