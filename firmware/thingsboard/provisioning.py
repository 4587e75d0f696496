"""ThingsBoard's device provisioning over CoAP: the request, the response, the refusals. Pure.

Source: ThingsBoard's documentation, "Device provisioning" and "CoAP Device API Reference".
"""

import json

from micropython import const

from firmware.coap.message import code_name
from firmware.errors import Failure, ProvisioningError, Refused

PATH = "/api/v1/provision"

CREDENTIALS_TYPES = ("ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE")

# The fields of a request, in the order in which they are sent.
FIELDS = (
    "deviceName",
    "provisionDeviceKey",
    "provisionDeviceSecret",
    "gateway",
    "credentialsType",
    "token",
    "clientId",
    "username",
    "password",
    "hash",
)

_HOUR = const(3_600_000)
_SUCCESS = const(2)
_BAD_REQUEST = const(0x80)
_UNAUTHORIZED = const(0x81)
_NOT_FOUND = const(0x84)
_SERVICE_UNAVAILABLE = const(0xA3)
# 4.08 Request Entity Incomplete, 4.29 Too Many Requests: another try may do.
_TROUBLE = (0x88, 0x9D)


def request_body(provisioning):
    """Return the request body: the same bytes for the same fields."""
    fields = [
        "%s:%s" % (json.dumps(field), json.dumps(provisioning[field]))
        for field in FIELDS
        if provisioning.get(field) is not None
    ]
    return ("{%s}" % ",".join(fields)).encode()


def read_response(code, payload, max_age):
    """Return (credentialsType, credentialsValue) of a response.

    `max_age`: the response's Max-Age in ms. Raises Failure, Refused, or ProvisioningError for
    what time may cure.
    """
    if code >> 5 == 5 or code in _TROUBLE:
        raise _trouble("it could not work on the request now", code, max_age)
    if not payload and code == _BAD_REQUEST:
        raise Refused(
            "ThingsBoard answered 4.00 with no reason: it cannot read the request",
            "Check `provisioning` in config.json: provisionDeviceKey and provisionDeviceSecret"
            " must be there, credentialsType must be one that ThingsBoard knows.",
            _HOUR,
        )
    reply = _read_json(code, payload)
    status = reply.get("status")
    if status == "NOT_FOUND":
        raise Refused(
            "ThingsBoard answered NOT_FOUND: it knows no device profile with this key and secret",
            "Check provisionDeviceKey and provisionDeviceSecret in config.json against the device"
            " profile, and that its provision strategy is not Disabled.",
            _HOUR,
        )
    if status == "FAILURE":
        raise Failure(
            "ThingsBoard answered FAILURE: it did not provision this deviceName",
            "In ThingsBoard, one of these: the device exists (delete it, or change deviceName);"
            " it was provisioned before (delete its server attribute provisionState);"
            " pre-provisioned devices are asked for and this one is not there, or is in another"
            " profile (add it); the tenant's device limit is reached.",
            _HOUR,
        )
    credentials_type = reply.get("credentialsType")
    value = reply.get("credentialsValue")
    if code >> 5 != _SUCCESS or status != "SUCCESS":
        raise _unusable("%s with %s as status" % (code_name(code), _shown(status)))
    if credentials_type not in CREDENTIALS_TYPES:
        raise _unusable("SUCCESS with %s as credentialsType" % _shown(credentials_type))
    if not value or not isinstance(value, dict if credentials_type == "MQTT_BASIC" else str):
        raise _unusable("SUCCESS with no %s in credentialsValue" % credentials_type)
    return credentials_type, value


def ambiguous(failure):
    """Return the Failure of a request that proposed no token, which nothing can probe."""
    return Failure(
        failure.what + "; or it did so before, and this board never got the reply",
        "If the device is in ThingsBoard: delete it there or, if devices are pre-provisioned,"
        " delete its server attribute provisionState; the board then provisions itself. "
        "If it is not: " + failure.fix,
        failure.retry_after,
    )


def attributes_path(token):
    """Return the path that answers only the device with this access token."""
    return "/api/v1/%s/attributes" % token


def is_accepted(code, max_age):
    """Return whether the answer at `attributes_path` says that the token is a device's.

    Raises ProvisioningError when it says neither.
    """
    if code >> 5 == _SUCCESS or code == _NOT_FOUND:
        return True
    if code == _UNAUTHORIZED:
        return False
    raise _trouble("it does not say whether the token is this device's", code, max_age)


def _read_json(code, payload):
    try:
        reply = json.loads(payload)
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        reply = None
    if isinstance(reply, dict):
        return reply
    if code >> 5 == 4:
        raise Refused(
            "the server answered %s" % code_name(code),
            "Check that `server` is the CoAP transport of a ThingsBoard.",
            _HOUR,
        )
    raise _unusable("%s with %d bytes that are no JSON object" % (code_name(code), len(payload)))


def _unusable(what):
    return ProvisioningError(
        "the server answered " + what + ", which is no provisioning response",
        "Check that `server` is the CoAP transport of a ThingsBoard.",
    )


def _trouble(what, code, max_age):
    return ProvisioningError(
        "ThingsBoard answered %s: %s" % (code_name(code), what),
        "Nothing to do at first. If this stays, look into ThingsBoard's log, and check that the"
        " device profile's transport is Default or CoAP.",
        max_age if code == _SERVICE_UNAVAILABLE else 0,
    )


def _shown(value):
    """Return a value as far as it is certainly no secret."""
    return (
        '"%s"' % value[:16] if isinstance(value, str) else "something else" if value else "nothing"
    )
