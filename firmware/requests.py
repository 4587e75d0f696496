"""What a device asks ThingsBoard: requests that do not wait for better times.

Each is a generator of steps, see firmware.session, and raises FirstbootError without an answer.
"""

import json

from micropython import const

from firmware.coap.message import GET, POST
from firmware.errors import FirstbootError, NoResponse
from firmware.thingsboard.device_api import Unauthorized
from firmware.thingsboard.telemetry import encoded

_TIMEOUT = const(93_000)  # ms: MAX_TRANSMIT_WAIT (RFC 7252 section 4.8.2)


def request_attributes(session, client_keys, shared_keys):
    """See firmware.device.Device."""
    from firmware.thingsboard.attributes import chosen, query

    client_keys, shared_keys = _keys(client_keys), _keys(shared_keys)
    resource = "attributes" + query(client_keys, shared_keys)
    response = yield from _ask(session, GET, resource)
    return chosen(response.payload, client_keys, shared_keys)


def call_rpc(session, method, params, timeout):
    """See firmware.device.Device."""
    body = encoded({"method": method, "params": params})
    try:
        response = yield from _ask(session, POST, "rpc", body, timeout)
    except NoResponse as error:
        if error.acknowledged:
            # As always with the default rule chain.
            error.what = "ThingsBoard had no reply to %s within %g s" % (method, timeout / 1000)
            error.fix = 'Let the rule chain reply to "RPC Request from Device" by a node for that.'
        raise
    try:
        return json.loads(response.payload)
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        raise FirstbootError(
            "ThingsBoard's reply to %s is no JSON" % method,
            "See the node of the rule chain that replies.",
        )


def claim(session, secret_key, duration):
    """See firmware.device.Device."""
    body = {"secretKey": secret_key, "durationMs": duration}
    body = {key: body[key] for key in body if body[key] is not None}
    yield from _ask(session, POST, "claim", encoded(body))


def _keys(keys):
    """Return several keys, also of one, and of None."""
    return (keys,) if isinstance(keys, str) else keys or ()


def _ask(session, code, resource, payload=b"", timeout=_TIMEOUT):
    if session.is_refused():
        raise session.trouble

    try:
        while True:
            try:
                if not session.is_linked():
                    yield from session.connect()
                return (yield from session.ask(code, resource, payload, timeout))
            except Unauthorized:
                yield from session.renew()
    except FirstbootError as error:
        if error.state == "refused":
            session.failed(error)
        elif not (session.is_answered or getattr(error, "acknowledged", False)):
            session.disconnect()
        raise
