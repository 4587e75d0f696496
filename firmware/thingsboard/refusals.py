"""What each response that is no credentials means, and what an operator does about it. Pure.

Apart from provisioning.py, so that a board that is provisioned at once never loads these texts.
"""

from micropython import const

from firmware.coap.message import code_name, uint
from firmware.errors import Failure, ProvisioningError, Refused

_MAX_AGE = const(14)
_DEFAULT_MAX_AGE = const(60)
_SUCCESS = const(2)
_BAD_REQUEST = const(0x80)
_SERVICE_UNAVAILABLE = const(0xA3)
# 4.08 Request Entity Incomplete, 4.29 Too Many Requests: another try may do.
_TROUBLE = (0x88, 0x9D)

_FAILURE_FIX = (
    "In ThingsBoard, one of these: the device exists (delete it, or change deviceName);"
    " it was provisioned before (delete its server attribute provisionState);"
    " pre-provisioned devices are asked for and this one is not there, or is in another"
    " profile (add it); the `token` in config.json is another device's; the tenant's device limit"
    " is reached."
)


def refusal(response, reply):
    """Return the error that a response to a provisioning request is.

    `reply`: what its payload is as JSON, None when it is none.
    """
    code = response.code
    size = len(response.payload)
    if code >> 5 == 5 or code in _TROUBLE:
        return trouble("it could not work on the request now", response)
    if not size and code == _BAD_REQUEST:
        return Refused(
            "ThingsBoard answered 4.00 with no reason: it cannot read the request",
            "Check `provisioning` in config.json: provisionDeviceKey and provisionDeviceSecret"
            " must be there, credentialsType must be one that ThingsBoard knows.",
        )
    if not isinstance(reply, dict):
        if code >> 5 == 4:
            return Refused(
                "the server answered %s" % code_name(code),
                "Check that `server` is the CoAP transport of a ThingsBoard.",
            )
        return _unusable("%s with %d bytes that are no JSON object" % (code_name(code), size))
    status = reply.get("status")
    if status == "NOT_FOUND":
        return Refused(
            "ThingsBoard answered NOT_FOUND: it knows no device profile with this key and secret",
            "Check provisionDeviceKey and provisionDeviceSecret in config.json against the device"
            " profile, and that its provision strategy is not Disabled.",
        )
    if status == "FAILURE":
        return Failure(
            "ThingsBoard answered FAILURE: it did not provision this deviceName",
            _FAILURE_FIX,
        )
    if code >> 5 != _SUCCESS or status != "SUCCESS":
        return _unusable("%s with %s as status" % (code_name(code), _shown(status)))
    credentials_type = reply.get("credentialsType")
    if credentials_type not in ("ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE"):
        return _unusable("SUCCESS with %s as credentialsType" % _shown(credentials_type))
    return _unusable("SUCCESS with no %s in credentialsValue" % credentials_type)


def ambiguous(failure):
    """Return the Failure of a request that proposed no token, which nothing can probe."""
    return Failure(
        failure.what + "; or it did so before, and this board never got the reply",
        "If the device is in ThingsBoard: delete it there or, if devices are pre-provisioned,"
        " delete its server attribute provisionState; the board then provisions itself. "
        "If it is not: " + failure.fix,
    )


def trouble(what, response):
    """Return the error of a server that cannot answer now."""
    error = ProvisioningError(
        "ThingsBoard answered %s: %s" % (code_name(response.code), what),
        "Nothing to do at first. If this stays, look into ThingsBoard's log, and check that the"
        " device profile's transport is Default or CoAP.",
    )
    if response.code == _SERVICE_UNAVAILABLE:
        error.retry_after = _max_age(response)
    return error


def _max_age(response):
    """Return how long a response is fresh in ms: for a 5.03, when to try again."""
    value = response.option(_MAX_AGE)
    known = value is not None and len(value) <= 4
    return 1000 * (uint(value) if known else _DEFAULT_MAX_AGE)


def _unusable(what):
    return ProvisioningError(
        "the server answered " + what + ", which is no provisioning response",
        "Check that `server` is the CoAP transport of a ThingsBoard.",
    )


def _shown(value):
    """Return a value as far as it is certainly no secret."""
    if not value:
        return "nothing"
    if isinstance(value, str) and value.replace("_", "").isalpha() and len(value) <= 16:
        return '"%s"' % value
    return "something else"
