"""The device's own API: paths, bodies, and what each response means. Pure.

Source: ThingsBoard's documentation, "CoAP Device API Reference".
"""

from micropython import const

from firmware.errors import FirstbootError

_SUCCESS = const(2)
_BAD_REQUEST = const(0x80)
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
    error = FirstbootError(
        "%s credentials are for MQTT: over CoAP ThingsBoard takes a token or a certificate" % kind,
        "Take credentialsType out of config.json and provision the board anew.",
    )
    error.state = "refused"
    raise error


def check(response):
    """Raise the error that a response is."""
    code = response.code
    if code >> 5 == _SUCCESS or code == _NOT_FOUND:
        return
    if code == _UNAUTHORIZED:
        raise Unauthorized(
            "ThingsBoard answered 4.01: it takes the board's credentials no more",
            "See the device's credentials in ThingsBoard.",
        )
    from firmware.thingsboard.refusals import not_json, trouble

    if code == _BAD_REQUEST:
        raise not_json("ThingsBoard answered 4.00: it does not take JSON from this device")
    raise trouble(response)
