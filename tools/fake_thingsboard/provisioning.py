"""A provisioning request as ThingsBoard reads it, and the replies to it. Pure."""

import re
from typing import NamedTuple

from tools.fake_thingsboard.messages import (
    BAD_REQUEST,
    CREATED,
    INTERNAL_SERVER_ERROR,
    TEXT_PLAIN,
    Credentials,
    Reply,
    certificate_credentials,
    json_payload,
    parse_json,
)
from tools.fake_thingsboard.protobuf import is_protobuf

MAX_NAME_LENGTH = 255  # UTF-16 code units, as Java counts

_JAVA_TRIM = "".join(map(chr, range(0x21)))
_HTML = re.compile("<[A-Za-z/!?]")


class ProvisionRequest(NamedTuple):
    """The fields of a provisioning request, "" for those that are absent."""

    key: str
    secret: str
    name: str  # trimmed
    is_blank: bool  # there is a name, and nothing is left of it
    gateway: bool
    credentials: Credentials | None  # None when the request brings none


def parse_provision_request(payload):
    """Read a request body. Raises ValueError where it is none, see `unreadable`."""
    body = parse_json(payload)
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")

    def text(field, default=""):
        value = body.get(field, default)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (str, int, float)):
            return str(value)
        raise ValueError(f"{field} must be there and a string")

    name = text("deviceName")
    token = text("token")
    mqtt_basic = (text("clientId"), text("username"), text("password"))
    certificate = text("hash")
    kinds = {
        "ACCESS_TOKEN": Credentials("ACCESS_TOKEN", token),
        "MQTT_BASIC": Credentials("MQTT_BASIC", mqtt_basic),
        "X509_CERTIFICATE": certificate_credentials(certificate),
        "LWM2M_CREDENTIALS": Credentials("LWM2M_CREDENTIALS", ""),
    }
    credentials_type = text("credentialsType", "ACCESS_TOKEN")
    if credentials_type not in kinds:
        raise ValueError("credentialsType is unknown")
    trimmed = name.strip(_JAVA_TRIM)
    return ProvisionRequest(
        key=text("provisionDeviceKey", None),
        secret=text("provisionDeviceSecret", None),
        name=trimmed,
        is_blank=bool(name and not trimmed),
        gateway=text("gateway").lower() == "true",
        credentials=kinds[credentials_type] if token or any(mqtt_basic) or certificate else None,
    )


def is_valid_name(name):
    """Whether a device can have this name: not too long, and no HTML in it."""
    length = len(name.encode("utf-16-le", "surrogatepass")) // 2
    return length <= MAX_NAME_LENGTH and not _HTML.search(name)


def provisioned(credentials):
    """The reply to a provisioning request that succeeded."""
    value = credentials.value
    if credentials.type == "MQTT_BASIC":
        value = dict(zip(("clientId", "userName", "password"), value, strict=True))
    body = {
        "credentialsValue": value,
        "credentialsType": credentials.type,
        "status": "SUCCESS",
    }
    return Reply(CREATED, json_payload(body), TEXT_PLAIN)


PROVISION_DATA_NOT_FOUND = Reply(
    BAD_REQUEST,
    b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}',
    TEXT_PLAIN,
)
PROVISION_FAILURE = Reply(
    BAD_REQUEST,
    b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}',
    TEXT_PLAIN,
)
# Its database refuses a NUL, and it tries for so long.
PROVISION_EXCEPTION = Reply(INTERNAL_SERVER_ERROR, after=19_500)


def unreadable(payload):
    """The reply to a body that is no request in JSON.

    ThingsBoard reads it as one in protocol buffers then. None that can be read as that has a key
    here, so its reply is NOT_FOUND in protocol buffers.
    """
    return Reply(BAD_REQUEST, b"\x08\x02" if is_protobuf(bytes(payload)) else b"")
