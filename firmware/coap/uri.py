"""CoAP URIs, RFC 7252 section 6, as far as they name a server: coap://host[:port]."""

from micropython import const

_PORT = const(5683)
_SECURE_PORT = const(5684)


class Uri:
    """A server. `host`: a name or an IP address without brackets; `secure`: coaps."""

    def __init__(self, text):
        """Parse; raise ValueError with a text that says what is wrong."""
        scheme, separator, rest = text.partition("://")
        if scheme.lower() not in ("coap", "coaps") or not separator:
            raise ValueError("it does not start with coap:// or coaps://")
        self.secure = scheme.lower() == "coaps"
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
        self.host = host
        self.port = _SECURE_PORT if self.secure else _PORT
        if port:
            if not _is_number(port) or not 0 < int(port) < 65536:
                raise ValueError("a port is a number from 1 to 65535")
            self.port = int(port)

    @property
    def name(self):
        """The host for the Uri-Host option, in lower case, or None for an IP address."""
        return None if is_address(self.host) else self.host.lower()


def is_address(host):
    """Return whether a host is an IPv4 or IPv6 address rather than a name."""
    if ":" in host:
        return True
    parts = host.split(".")
    return len(parts) == 4 and all(_is_number(part) and int(part) < 256 for part in parts)


def _is_number(text):
    return text != "" and not text.strip("0123456789")
