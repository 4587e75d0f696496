"""Hosts that are well written in a URI and can be no server's. Apart, since few boards ask."""


def doubt_host(host, name):
    """Return why a host can be no server's, None if it can. `name`: see firmware.coap.uri.parse."""
    if name is None:
        # An IPv6 address may end with an IPv4 one.
        first, dot, _ = host.encode().rpartition(b":")[2].partition(b".")
        if host[:2].lower() == "ff" or (dot and first.isdigit() and int(first) >= 224):
            return "a server has an address of its own, not a multicast or broadcast one"
        return None
    # RFC 1035 section 2.3.4. A name may end with the dot of the root.
    name = name.encode()
    labels = (name[:-1] if name.endswith(b".") else name).split(b".")
    if len(name) > 255 or not all(1 <= len(label) <= 63 for label in labels):
        return "a host name has at most 255 bytes, and from 1 to 63 between two dots"
    return None
