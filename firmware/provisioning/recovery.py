"""After a response with no credentials, or silence: did an earlier request provision this device?

Then its reply was lost. Imported only when it may be so.
"""

import json

from micropython import const

from firmware.coap.message import GET
from firmware.errors import CoapError, NoResponse
from firmware.provisioning.record import ATTEMPT
from firmware.provisioning.record_file import is_asked_for, is_here
from firmware.thingsboard.device_api import api_path, is_known

# RFC 7252 section 4.8.2: how long a server remembers a Message ID, in ms.
_EXCHANGE_LIFETIME = const(247_000)
_X509 = "X509_CERTIFICATE"


def recover(attempt, config, failure, is_known):
    """Return steps that return (credentialsType, credentialsValue) of an earlier request's device.

    Raises, as they do, `failure`, what came of the request, when there is none or nothing may be
    probed. After a response a new Message ID is on flash already. `is_known`: whether the server's
    name still has the address.
    """
    record = attempt.record
    if isinstance(failure, NoResponse):
        record.quiet_since = attempt.board.ticks()
        if not is_known:
            # So long the old address may still answer; then the new one is asked.
            failure.retry_after = _EXCHANGE_LIFETIME
        if failure.acknowledged:
            # An earlier power-up may have acknowledged a reply that the server keeps back.
            return _after_silence(attempt, config, failure)
        raise failure
    if not isinstance(failure, CoapError):
        # Of any other nothing could be read, or not the whole of it.
        attempt.client.acknowledge()
    attempt.was_silent = False
    if failure.status != "FAILURE":
        raise failure
    return _after_failure(attempt, config, failure)


def _after_silence(attempt, config, failure):
    """The steps of `recover` when the server acknowledged the request and did not answer it."""
    credentials = yield from probe(attempt, config)
    if not credentials:
        raise failure
    return credentials


def _after_failure(attempt, config, failure):
    """The steps of `recover` when ThingsBoard said FAILURE; that is said when nothing can tell."""
    record = attempt.record
    proposed = record.proposed
    is_told = proposed and _is_alone(record, proposed)
    if record.kind == _X509:
        is_told = _certificate(attempt, config)
    if record.is_new and attempt.client.exchange.transmissions == 1:
        is_told = True
        if proposed["given"]:
            # Sent once, and refused: who has that secret is another device, or has another name.
            record.fields["tokens"].remove(proposed)
            record.fields["body"] = ""
    credentials = yield from probe(attempt, config)
    if credentials:
        return credentials
    record.save()
    if not is_told:
        from firmware.thingsboard.answers import ambiguous

        raise ambiguous(failure)
    raise failure


def probe(attempt, config):
    """The steps that return (credentialsType, credentialsValue) of what ThingsBoard knows as ours.

    Asked for are the certificate, and every token that was proposed there for the deviceName and
    no other, and is this board's alone. In a session with a certificate that it knows ThingsBoard
    looks at no token; in the session in which it was provisioned it knows none. Raises
    FirstbootError when ThingsBoard says neither yes nor no.
    """
    record = attempt.record
    certificate = _certificate(attempt, config)
    if certificate:
        yield from attempt.connect(config, _X509)
        if is_known((yield from _ask(attempt, _X509, certificate))):
            return _X509, certificate
    tokens = [
        each["token"]
        for each in record.fields["tokens"]
        if is_asked_for(record, each)
        and each["given"] != _X509
        and each["token"] != record.fixed
        and _is_alone(record, each)
    ]
    if tokens and record.kind == _X509 and config["secure"]:
        yield from attempt.connect(config, "ACCESS_TOKEN")
    for token in tokens:
        if is_known((yield from _ask(attempt, "ACCESS_TOKEN", token))):
            return "ACCESS_TOKEN", token
    return None


def check_certificate(board, digest):
    """Check that this board did not get another one's certificate with its flash.

    `digest`: as firmware.provisioning.record keeps it. Raises FirstbootError.
    """
    copied = json.loads(board.storage.read(ATTEMPT))
    for each in copied["tokens"]:
        if each["token"] == digest:
            from firmware.board.config_mistakes import config_error

            raise config_error(
                "this flash was copied from another board, whose certificate may be provisioned",
                "Give this board a `certificate` and `key` of its own.",
            )


def too_many(proposed):
    """Return the error of a board that has no room for another token.

    `proposed`: those that it has, see firmware.provisioning.record.
    """
    from firmware.board.config_mistakes import config_error

    return config_error(
        "/attempt.json is full of tokens that ThingsBoard may have taken, and nobody knows",
        "Set `server` and `deviceName` back to one of these and let the board ask:\n"
        + "\n".join(['"%s" at %s' % (each["deviceName"], each["server"]) for each in proposed])
        + "\nOr delete these devices in ThingsBoard, then: python3 -m tools reset --attempt",
    )


def _is_alone(record, proposed):
    """Return whether a token was proposed for one name only, where it is asked for."""
    for other in record.fields["tokens"]:
        if (
            other["token"] == proposed["token"]
            and other["deviceName"] != proposed["deviceName"]
            and is_here(record, other)
        ):
            return False
    return True


def _certificate(attempt, config):
    """Return the board's certificate as ThingsBoard writes it when it can be asked for."""
    record = attempt.record
    proposed = record.proposed
    if record.kind != _X509 or proposed not in record.fields["tokens"]:
        return None
    if not _is_alone(record, proposed):
        return None
    from firmware.board.security import certificate_value

    value = certificate_value(attempt.board, config)
    asked = config["provisioning"]["hash"] or value
    lines = [line.strip() for line in asked.split("\n") if "-----" not in line]
    return value if "".join(lines) == value else None


def _ask(attempt, kind, value):
    """Return the steps of the request that only a device with these credentials may make."""
    path = api_path({"credentialsType": kind, "credentialsValue": value}, "attributes")
    return attempt.client.steps(GET, path, message_id=attempt.record.draw_probe())
