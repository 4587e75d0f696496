"""What each response that is no success means, and what an operator does about it. Pure.

Apart, so that what is done at once never loads these texts.
"""

from micropython import const

from firmware.coap.failure import code_name
from firmware.coap.message import uint
from firmware.thingsboard.refusals import Failure, ProvisioningError, Refused

_MAX_AGE = const(14)
_DEFAULT_MAX_AGE = const(60)
_BAD_REQUEST = const(0x80)
_SERVICE_UNAVAILABLE = const(0xA3)
# As after 5.xx, another try may do.
_REQUEST_ENTITY_INCOMPLETE = const(0x88)
_TOO_MANY_REQUESTS = const(0x9D)
_ANOTHER = "Check that `server` is the CoAP transport of a ThingsBoard."


def refusal(response, reply):
    """Return the error that a response to a provisioning request is.

    `reply`: the JSON object in its payload, empty when that is none.
    """
    code = response.code
    status = reply.get("status")
    if code >> 5 == 5 or code in (_REQUEST_ENTITY_INCOMPLETE, _TOO_MANY_REQUESTS):
        return trouble(response)
    if status == "NOT_FOUND":
        return Refused(
            "ThingsBoard answered NOT_FOUND: it knows no device profile with this key and secret",
            "Check provisionDeviceKey and provisionDeviceSecret against the device profile, and"
            " that its provision strategy is not Disabled.",
        )
    if status == "FAILURE":
        return Failure(
            "ThingsBoard answered FAILURE: it did not provision this deviceName",
            "In ThingsBoard, one of these: the device exists (delete it there, or change"
            " deviceName); if devices are pre-provisioned, it was provisioned before (delete its"
            " server attribute provisionState) or is not in this profile (add it); the token,"
            " clientId or certificate is another device's; deviceName has HTML in it or over 255"
            " characters; the tenant's device limit is reached.",
        )
    if code == _BAD_REQUEST and not response.payload:
        return Refused(
            "ThingsBoard answered 4.00 with no reason: it cannot read the request",
            "Check provisionDeviceKey, provisionDeviceSecret and credentialsType in config.json.",
        )
    answer = code_name(code)
    # Only a short word is certainly no secret.
    if isinstance(status, str) and status.isalpha() and len(status) <= 16:
        answer += " " + status
    what = "the server answered %s, which is no provisioning response with credentials" % answer
    fix = _ANOTHER
    if code >> 5 == 4 and not reply:
        error = Refused(what, fix)
        # A ThingsBoard that starts, or a proxy before it, says so too.
        error.is_doubtful = True
        return error
    return ProvisioningError(what, fix)


def ambiguous(failure):
    """Return the Failure of a request that proposed no token, which nothing can probe."""
    return Failure(
        failure.what + "; or it did so before, and this board never got the reply", failure.fix
    )


def changed_or_deleted(name, asked):
    """Return the Refused of a device whose credentials ThingsBoard takes no more.

    `asked`: the name that new ones were asked for, config.json's.
    """
    return Refused(
        'ThingsBoard takes the credentials of "%s" no more, and gives "%s" no new ones'
        % (name, asked),
        "If the device is there, give it its old credentials back, or delete it; if devices are"
        " pre-provisioned, delete its server attribute provisionState, or add it again if it was"
        " deleted.",
    )


def not_json(what):
    """Return the error of a device with which ThingsBoard does not speak JSON."""
    return ProvisioningError(
        what,
        "In the device profile, let the transport's payload type be JSON, not PROTOBUF.",
    )


def not_observed(resource):
    """Return the error of a server that registers nobody who observes a resource."""
    return ProvisioningError("the server does not let %s be observed" % resource, _ANOTHER)


def trouble(response):
    """Return the error of a server that cannot answer now."""
    error = ProvisioningError(
        "ThingsBoard answered %s: it could not work on the request now" % code_name(response.code),
        "If this stays, see ThingsBoard's log, and whether the device profile's transport is"
        " Default or CoAP.",
    )
    if response.code in (_SERVICE_UNAVAILABLE, _TOO_MANY_REQUESTS):
        # How long the response is fresh, in s: when to try again (4.29: RFC 8516 section 3).
        age = response.option(_MAX_AGE)
        known = age is not None and len(age) <= 4
        error.retry_after = 1000 * (uint(age) if known else _DEFAULT_MAX_AGE)
    return error


def rejected(Unauthorized):
    """Return the error of credentials that ThingsBoard does not take, of that class."""
    return Unauthorized(
        "ThingsBoard answered 4.01: it takes the board's credentials no more",
        "See the device's credentials in ThingsBoard.",
    )


def not_for_coap(kind):
    """Return the Refused of credentials of a type that CoAP cannot use."""
    return Refused(
        "%s credentials are for MQTT: over CoAP ThingsBoard takes a token or a certificate" % kind,
        "Take credentialsType out of config.json and provision the board anew.",
    )
