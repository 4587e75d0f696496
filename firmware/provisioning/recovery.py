"""After FAILURE: was this device provisioned by an earlier request, whose reply was lost?

Imported only when ThingsBoard said so, or acknowledged a request and never answered it.
"""

from firmware.coap.message import GET
from firmware.errors import FirstbootError
from firmware.thingsboard import provisioning

_X509 = "X509_CERTIFICATE"


def recover(attempt, config, failure):
    """Return (credentialsType, credentialsValue) of a device that an earlier request made.

    Raises `failure` when there is none, and says so when nothing can tell.
    """
    credentials = probe(attempt, config)
    if credentials:
        return credentials
    if not (attempt.record.is_own or _certificate(attempt, config)):
        from firmware.thingsboard.refusals import ambiguous

        raise ambiguous(failure)
    raise failure


def probe(attempt, config):
    """Return (credentialsType, credentialsValue) of what ThingsBoard knows as this device's.

    Asked for are the certificate, and every token that was proposed there for the deviceName and
    is this board's alone. In a session with a certificate that it knows ThingsBoard looks at no
    token; in the session in which it was provisioned it knows none. Raises FirstbootError when
    ThingsBoard says neither yes nor no.
    """
    record = attempt.record
    certificate = _certificate(attempt, config)
    if certificate:
        attempt.connect(config, _X509)
        if _knows(attempt, provisioning.attributes_path()):
            return _X509, certificate
    tokens = record.tokens()
    if tokens and record.kind == _X509 and config["secure"]:
        attempt.connect(config, "ACCESS_TOKEN")
    for token in tokens:
        if _knows(attempt, provisioning.attributes_path(token)):
            return "ACCESS_TOKEN", token
    return None


def too_many(proposed):
    """Return the error of a board that has no room for another token.

    `proposed`: those that it has, see firmware.provisioning.record.
    """
    error = FirstbootError(
        "/attempt.json is full of tokens that ThingsBoard may have taken, and nobody knows",
        "Set `server` and `deviceName` back to one of these and let the board ask:\n"
        + "\n".join(['"%s" at %s' % (each["deviceName"], each["server"]) for each in proposed])
        + "\nOr delete these devices in ThingsBoard, then: python3 -m tools reset --attempt",
    )
    error.state = "config.json"
    error.retry_after = 60_000
    return error


def _certificate(attempt, config):
    """Return the board's certificate as ThingsBoard writes it when it can be asked for."""
    if attempt.record.kind != _X509 or not (config["secure"] and config["certificate"]):
        return None
    from firmware.board.security import certificate_value

    value = certificate_value(attempt.board, config)
    asked = config["provisioning"]["hash"] or value
    lines = [line.strip() for line in asked.split("\n") if "-----" not in line]
    return value if "".join(lines) == value else None


def _knows(attempt, path):
    message_id = attempt.record.draw_probe()
    return provisioning.is_accepted(attempt.client.request(GET, path, message_id=message_id))
