"""What a device asks ThingsBoard: requests that do not wait for better times.

Each is a generator of steps, see firmware.session, and raises FirstbootError without an answer.
"""

import json

from micropython import const

from firmware.coap.message import GET, POST
from firmware.errors import FirstbootError, NoResponse
from firmware.thingsboard.attributes import object_in
from firmware.thingsboard.device_api import Unauthorized
from firmware.thingsboard.telemetry import encoded

_TIMEOUT = const(93_000)  # ms: MAX_TRANSMIT_WAIT (RFC 7252 section 4.8.2)


def request_attributes(session, client_keys, shared_keys):
    """See firmware.device.Device."""
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


def query(client_keys, shared_keys):
    """Return the query that asks for these attributes.

    ThingsBoard divides at commas and decodes nothing: for a key that it would misread the query is
    one that brings all, and `chosen` chooses.
    """
    parts = []
    for name, keys in (("clientKeys", client_keys), ("sharedKeys", shared_keys)):
        text = ",".join(keys)
        if len(text) > 240 or any(mark in key for key in keys for mark in ",=&?/%"):
            return ""
        if keys:
            parts.append("%s=%s" % (name, text))
    return "?" + "&".join(parts) if parts else ""


def chosen(payload, client_keys, shared_keys):
    """Return {"client": {…}, "shared": {…}} of a response's payload, of these keys only.

    Without any keys: all.
    """
    is_all = not (client_keys or shared_keys)
    reply = object_in(payload) or {}
    found = {}
    for scope, keys in (("client", client_keys), ("shared", shared_keys)):
        values = reply.get(scope)
        if not isinstance(values, dict):
            values = {}
        found[scope] = {key: values[key] for key in (values if is_all else keys) if key in values}
    return found


def _ask(session, code, resource, payload=b"", timeout=_TIMEOUT):
    trouble = session.trouble
    if trouble and trouble.state == "refused" and session.waits():
        # ThingsBoard may not be asked again yet.
        raise trouble
    try:
        while True:
            try:
                if not session.is_linked():
                    yield from session.link().connect(session)
                return (yield from session.ask(code, resource, payload, timeout))
            except Unauthorized:
                yield from session.link().renew(session)
    except FirstbootError as error:
        if error.state == "refused":
            session.failed(error)
        elif not (session.is_answered or getattr(error, "acknowledged", False)):
            session.disconnect()
        raise
