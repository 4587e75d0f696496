"""Provision a device from a computer, with the client that boards use."""

from __future__ import annotations

from typing import NamedTuple

from tools import shims

shims.install()

from firmware.coap.connect import connect  # noqa: E402
from firmware.coap.message import code_name  # noqa: E402
from firmware.errors import FirstbootError, NoResponse  # noqa: E402
from firmware.thingsboard.provisioning import PATH, read_response, request_body  # noqa: E402
from firmware.thingsboard.refusals import ProvisioningError, Refused  # noqa: E402

PROVISIONED, FAILED, WRONG_USAGE, REFUSED, TIME_RAN_OUT = range(5)


class Provisioning(NamedTuple):
    """What came of a request.

    `code`: the response's, such as "2.01", or None when none came. `payload`: the response's, as
    text. `explanation`: what went wrong and what to do next; empty when the device is provisioned.
    """

    exit_code: int
    code: str | None = None
    payload: str = ""
    explanation: str = ""


def provision(
    server: str,
    key: str,
    secret: str,
    name: str | None = None,
    authorities: bytes | None = None,
    verify: bool = True,
) -> Provisioning:
    """Send one provisioning request to `server`, a CoAP URI, and wait for its response.

    `authorities`: for coaps, the CA's certificates in PEM or DER; `verify`: whether they count.
    """
    request = {
        "deviceName": name,
        "provisionDeviceKey": key,
        "provisionDeviceSecret": secret,
    }
    if server.lower().startswith("coaps:") and authorities is None and verify:
        return Provisioning(WRONG_USAGE, explanation="--server: coaps needs --ca, or --no-verify")

    def secure(transport, host):
        from tools.dtls_client import Session

        session = Session(transport, host, authorities)
        if verify:
            session.check()
        return session

    try:
        client = connect(server, secure)
    except ValueError as error:
        return Provisioning(WRONG_USAGE, explanation=f"--server {server}: {error}")
    except FirstbootError as error:
        return Provisioning(FAILED, explanation=str(error))
    try:
        response = client.post(PATH, request_body(request))
    except NoResponse as error:
        return Provisioning(TIME_RAN_OUT, explanation=str(error))
    except FirstbootError as error:
        return Provisioning(FAILED, explanation=str(error))
    finally:
        client.close()
    code = code_name(response.code)
    payload = bytes(response.payload).decode(errors="replace")
    try:
        read_response(response)
    except Refused as error:
        return Provisioning(REFUSED, code, payload, str(error))
    except ProvisioningError as error:
        return Provisioning(FAILED, code, payload, str(error))
    return Provisioning(PROVISIONED, code, payload)
