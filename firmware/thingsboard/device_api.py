"""The device's own API: paths, bodies, and what each response means. Pure.

Source: ThingsBoard's documentation, "CoAP Device API Reference".
"""

from micropython import const

from firmware.errors import FirstbootError

_SUCCESS = const(2)
BAD_REQUEST = const(0x80)
_UNAUTHORIZED = const(0x81)
_NOT_FOUND = const(0x84)


class Unauthorized(FirstbootError):
    """ThingsBoard takes the credentials no more."""

    state = "refused"


def api_path(credentials, resource):
    """Return the path of a resource, such as "telemetry". Raises FirstbootError for MQTT_BASIC."""
    kind = credentials["credentialsType"]
    if kind == "ACCESS_TOKEN":
        token = credentials["credentialsValue"]
        if "%" in token or "/" in token or "?" in token:
            from firmware.coap.percent import quote

            token = quote(token)
        return "/api/v1/%s/%s" % (token, resource)
    if kind == "X509_CERTIFICATE":
        return "/api/v1/" + resource
    from firmware.thingsboard.answers import not_for_coap

    raise not_for_coap(kind)


def check(response):
    """Raise the error that a response is."""
    code = response.code
    if code >> 5 == _SUCCESS or code == _NOT_FOUND:
        return
    from firmware.thingsboard.answers import not_json, rejected, trouble

    if code == _UNAUTHORIZED:
        raise rejected(Unauthorized)
    if code == BAD_REQUEST:
        raise not_json("ThingsBoard answered 4.00: it does not take JSON from this device")
    raise trouble(response)


def is_known(response):
    """Return whether the answer to a GET of "attributes" says that there is such a device.

    Raises ProvisioningError when it says neither.
    """
    if response.code >> 5 == _SUCCESS or response.code == _NOT_FOUND:
        return True
    if response.code == _UNAUTHORIZED:
        return False
    from firmware.thingsboard.answers import trouble

    raise trouble(response)
