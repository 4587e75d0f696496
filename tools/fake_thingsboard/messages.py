"""What ThingsBoard's CoAP transport is sent and answers: codes, provisioning, JSON."""

import json
from typing import NamedTuple

GET, POST = 1, 2

CREATED = 0x41  # 2.01
CONTENT = 0x45  # 2.05
BAD_REQUEST = 0x80  # 4.00
UNAUTHORIZED = 0x81  # 4.01
NOT_FOUND = 0x84  # 4.04
METHOD_NOT_ALLOWED = 0x85  # 4.05
INTERNAL_SERVER_ERROR = 0xA0  # 5.00

TEXT_PLAIN = 0

CREDENTIALS_TYPES = ("ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE")


class Reply(NamedTuple):
    """A response: its code as a byte (0x41 is 2.01), its payload, its Content-Format or None."""

    code: int
    payload: bytes = b""
    content_format: int | None = None


class Credentials(NamedTuple):
    """Of MQTT_BASIC, `value` is (clientId, userName, password); else the token or certificate."""

    type: str
    value: str | tuple[str, str, str]

    @property
    def id(self):
        """What no two devices can share."""
        return (self.type, self.value[:2] if self.type == "MQTT_BASIC" else self.value)

    @property
    def is_valid(self):
        """For MQTT_BASIC: some identity, and no password with a clientId alone."""
        if self.type != "MQTT_BASIC":
            return bool(self.value)
        client_id, user_name, password = self.value
        return bool(user_name or (client_id and not password))


class ProvisionRequest(NamedTuple):
    """The fields of a provisioning request, "" for those that are absent."""

    key: str
    secret: str
    name: str
    gateway: bool
    credentials: Credentials | None  # None when the request brings none


def parse_provision_request(payload):
    """Read a request body. Raises ValueError where ThingsBoard answers with an empty 4.00."""
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

    credentials_type = text("credentialsType", "ACCESS_TOKEN")
    if credentials_type not in CREDENTIALS_TYPES:
        raise ValueError("credentialsType is unknown")
    values = {
        "ACCESS_TOKEN": text("token"),
        "MQTT_BASIC": (text("clientId"), text("username"), text("password")),
        "X509_CERTIFICATE": text("hash"),
    }
    brings_some = values["ACCESS_TOKEN"] or any(values["MQTT_BASIC"]) or values["X509_CERTIFICATE"]
    return ProvisionRequest(
        key=text("provisionDeviceKey", None),
        secret=text("provisionDeviceSecret", None),
        name=text("deviceName"),
        gateway=text("gateway").lower() == "true",
        credentials=Credentials(credentials_type, values[credentials_type])
        if brings_some
        else None,
    )


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
    return Reply(CREATED, to_json(body).encode("utf-8", "replace"), TEXT_PLAIN)


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


def parse_json(payload):
    """Read JSON, from bytes as Java does. Raises ValueError for anything else, however deep."""
    if not isinstance(payload, str):
        payload = bytes(payload).decode("utf-8", "replace")
    try:
        return json.loads(payload)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def to_json(value):
    """JSON without spaces, as ThingsBoard writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
