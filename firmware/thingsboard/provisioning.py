"""ThingsBoard's device provisioning over CoAP: the request and the response. Pure.

Source: ThingsBoard's documentation, "Device provisioning" and "CoAP Device API Reference".
"""

import json

from micropython import const

PATH = "/api/v1/provision"

_SUCCESS = const(2)


def request_body(provisioning):
    """Return the request body: the same bytes for the same fields. None: the field is not sent."""
    fields = []
    for field in sorted(provisioning):
        if provisioning[field] is not None:
            fields.append('"%s":%s' % (field, json.dumps(provisioning[field])))
    return ("{%s}" % ",".join(fields)).encode()


def read_response(response):
    """Return (credentialsType, credentialsValue) of a response, a Message.

    Raises Failure, Refused, or ProvisioningError for what time may cure.
    """
    try:
        reply = json.loads(response.payload)
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        reply = None
    if not isinstance(reply, dict):
        reply = {}
    kind = reply.get("credentialsType")
    value = reply.get("credentialsValue")
    if (
        response.code >> 5 == _SUCCESS
        and reply.get("status") == "SUCCESS"
        and kind in ("ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE")
        and isinstance(value, dict if kind == "MQTT_BASIC" else str)
        and value
    ):
        return kind, value
    from firmware.thingsboard.answers import refusal

    raise refusal(response, reply)
