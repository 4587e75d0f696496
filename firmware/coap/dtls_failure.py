"""Why a DTLS handshake failed, and what to do. Imported only when one has."""

from time import gmtime

from micropython import const

from ..errors import CoapError, DateError, NetworkError, NoResponse

# mbedTLS's error numbers: a module's, in steps of 0x80, and a low-level one's in what is left.
_FATAL_ALERT = const(0x7780)
_ALLOCATION = (0x7F00, 0x2880, 0x3F80, 0x4D80, 0x5180, 0x6180)
_LOW_LEVEL_ALLOCATION = (0x0C, 0x10, 0x6A)

# What mbedTLS says of a certificate, what it means, what to do.
_VERDICTS = (
    (
        "not correctly signed",
        "was not issued by the CA in `ca`",
        "Put the certificate of the CA that issued it on the board and name that in `ca`."
        " If that was done: somebody else answers in the server's place, or memory was too short to"
        " verify it, see the README, `coaps`.",
    ),
    (
        "does not match",
        "is not for {host}",
        "Write `server` with a name that stands in the certificate, or get one for this name.",
    ),
    (
        "has expired",
        "has expired (this board's clock says {now})",
        "Renew the server's certificate; if the clock is wrong, check `ntp`.",
    ),
    (
        "starts in the future",
        "is not valid yet (this board's clock says {now})",
        "If the clock is wrong, check `ntp` and that UDP port 123 is open; else wait, or get"
        " another certificate.",
    ),
)


def explain(error, host, seen):
    """Return what to raise for a handshake with `host` that ended with `error`.

    `seen`: what firmware.coap.dtls saw of it.
    """
    if seen.timed_out:
        return _no_answer(host, seen)
    if seen.error and not seen.heard:
        return NetworkError(
            "this board could not send: %s" % seen.error,
            "Check that this device is on the network and that the server can be reached.",
        )
    if isinstance(error, ValueError):
        return _judge(str(error), host)
    number = abs(error.errno) if isinstance(error, OSError) else _LOW_LEVEL_ALLOCATION[0]
    if number & 0x7F80 in _ALLOCATION or number & 0x7F in _LOW_LEVEL_ALLOCATION:
        return CoapError(
            "out of memory for the DTLS handshake",
            "It takes 32 KB, of which 17 KB in one piece: see the README, `coaps`, for what to do.",
        )
    if number == _FATAL_ALERT:
        return _refused(seen)
    return CoapError(
        "the DTLS handshake failed: %s" % error,
        "Check that `server` speaks DTLS 1.2 on that port; its log may say more.",
    )


def _no_answer(host, seen):
    if seen.heard:
        return NoResponse(
            "%s began the DTLS handshake and did not end it" % host,
            "Look into the server's log, and at the way to it: large datagrams may get lost.",
        )
    return NoResponse(
        "%s did not answer the DTLS handshake: nothing listens there, or plain CoAP does" % host,
        "Check that `server` names ThingsBoard's port for CoAP over DTLS, 5684 as a rule, that"
        " it is enabled there, and that UDP passes.",
    )


def _refused(seen):
    if seen.server_hello:
        return CoapError(
            "the server ended the DTLS handshake (alert %d): it wants another client certificate"
            % seen.alert,
            "Check `certificate` and `key`; the server's log may say more.",
        )
    return CoapError(
        "the server ended the DTLS handshake (alert %d): no cipher in common" % seen.alert,
        "The server must speak DTLS 1.2 with ECDHE on a curve such as secp256r1, a certificate of"
        " ECDSA or RSA, and AES in GCM or CBC mode.",
    )


def _judge(verdict, host):
    """Return the error for what mbedTLS says of the server's certificate."""
    found = [(meaning, fix) for words, meaning, fix in _VERDICTS if words in verdict]
    if not found:
        found.append(("is not good: " + " ".join(verdict.split()), "Get it another certificate."))
    now = "%04d-%02d-%02d %02d:%02d UTC" % tuple(gmtime()[:5])
    what = " and ".join(meaning for meaning, _ in found)
    what = "the server's certificate " + what.replace("{host}", host)
    if "{now}" in what:
        return DateError(what.replace("{now}", now), found[0][1])
    return CoapError(what, found[0][1])
