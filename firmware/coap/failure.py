"""Why a request got no response, or never went out, for people. Imported only then."""

from ..errors import CoapError, NetworkError, NoResponse


def explain(exchange):
    """Return the error of an exchange that failed: NoResponse, or CoapError for a Reset."""
    if exchange.was_reset:
        return CoapError(
            "the server answered with a Reset: it does not take this request",
            "Check that the port is the server's CoAP port, 5683 as a rule.",
        )
    what = "no answer to %d datagrams" % exchange.transmissions
    if exchange.request[0] & 0x10:
        what = "no answer to a non-confirmable request"
    if exchange.got_ack:
        what = "the server acknowledged the request but did not answer it"
    if exchange.ignored:
        what += "; %d ignored, the last: %s" % (exchange.ignored, exchange.ignored_for)
    error = NoResponse(what, "Check that the server runs and that UDP reaches it and comes back.")
    error.acknowledged = exchange.got_ack
    return error


def too_late(timeout, exchange):
    """Return the NoResponse of a request whose time, in ms, is over."""
    error = NoResponse(
        "the server had not ended its response after %g s" % (timeout / 1000),
        "Check how busy the server is, and how many datagrams get lost on the way.",
    )
    error.acknowledged = exchange.got_ack
    return error


def code_name(code):
    """Return a code as people write it: "2.05"."""
    return "%d.%02d" % (code >> 5, code & 0x1F)


def bad_path(part):
    """Return the ValueError of a path or a query that has this part."""
    return ValueError(
        "a path with a part of %d bytes: each has 1 to 255, and is neither . nor .." % len(part)
    )


def out_of_reach(what, why):
    """Return the NetworkError of a request that never left this device."""
    return NetworkError(
        "%s: %s" % (what, why),
        "Check the name in `server`, that this network's DNS knows it, and the Wi-Fi.",
    )
