"""Which of a server's addresses to send to."""

from firmware.coap.uri import is_address
from firmware.errors import NetworkError


def addresses(server, resolve, saved, may_move):
    """Yield the address to use, then the others for when sending fails on this board.

    `server`: a Uri. `resolve`: see firmware.coap.udp. `saved`: the address used before, or "".
    `may_move`: whether an address that the name no longer has may be left.
    """
    if is_address(server.host):
        yield server.host
        return
    if saved and not may_move:
        yield saved
    try:
        found = resolve(server.host, server.port)
        reason = "it has no address"
    except OSError as error:
        found = [saved] if saved else []
        reason = error
    if not found:
        raise NetworkError(
            "%s was not found: %s" % (server.host, reason),
            "Check the name in `server` and that this network's DNS knows it.",
        )
    if saved in found and may_move:
        yield saved
    for address in found:
        if address != saved:
            yield address
