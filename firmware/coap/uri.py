"""CoAP URIs, RFC 7252 section 6, as far as they name a server: coap://host[:port]."""

from micropython import const

_PORT = const(5683)
_SECURE_PORT = const(5684)


def parse(uri):
    """Return (host, port, name, secure) of a server.

    `host`: a name or an IP address without brackets. `name`: the host for the Uri-Host option, in
    lower case, or None for an IP address. `secure`: whether it is coaps. Raises ValueError with a
    text that says what is wrong.
    """
    scheme, separator, rest = uri.partition("://")
    scheme = scheme.lower()
    if scheme not in ("coap", "coaps") or not separator:
        raise ValueError("it does not start with coap:// or coaps://")
    if rest.endswith("/"):
        rest = rest[:-1]
    for mark in "/?#@ ":
        if mark in rest:
            raise ValueError("it names more than a host and a port")
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or ":" not in host or (port and not port.startswith(":")):
            raise ValueError("an IPv6 address is written [::1] or [::1]:5683")
        port = port[1:]
    else:
        host, _, port = rest.partition(":")
        if ":" in port:
            raise ValueError("an IPv6 address stands in brackets: coap://[::1]")
    if not host:
        raise ValueError("it names no host")
    secure = scheme == "coaps"
    number = _SECURE_PORT if secure else _PORT
    if port:
        number = int(port) if _is_number(port) else 0
        if not 0 < number < 65536:
            raise ValueError("a port is a number from 1 to 65535")
    return host, number, None if _is_address(host) else host.lower(), secure


def _is_address(host):
    parts = host.split(".")
    is_ipv4 = len(parts) == 4 and all(_is_number(part) and int(part) < 256 for part in parts)
    return is_ipv4 or ":" in host


def _is_number(text):
    return text != "" and not text.strip("0123456789")
