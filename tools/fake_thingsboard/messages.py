"""What ThingsBoard's CoAP transport answers with: codes, replies, JSON; and credentials."""

import json
from typing import NamedTuple

GET, POST = 1, 2

EMPTY = 0x00  # 0.00
CREATED = 0x41  # 2.01
DELETED = 0x42  # 2.02
VALID = 0x43  # 2.03
CONTENT = 0x45  # 2.05
BAD_REQUEST = 0x80  # 4.00
UNAUTHORIZED = 0x81  # 4.01
NOT_FOUND = 0x84  # 4.04
METHOD_NOT_ALLOWED = 0x85  # 4.05
INTERNAL_SERVER_ERROR = 0xA0  # 5.00

TEXT_PLAIN, LINK_FORMAT, OCTET_STREAM, JSON = 0, 40, 42, 50

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)

# Ways to answer a confirmable request.
PIGGYBACKED, SEPARATE, BARE = "piggybacked", "separate", "bare"


class Reply(NamedTuple):
    """A response: its code as a byte (0x41 is 2.01), its payload, its Content-Format or None.

    A `code` of EMPTY: the request is acknowledged and never answered.
    `way`: PIGGYBACKED, on the ACK; SEPARATE, a confirmable message after an empty ACK at once;
    BARE, the same with no ACK before it unless it is late. `after`: how many ms ThingsBoard takes.
    `observes`: (name of the device, feature) that whoever asked observes from now on.
    """

    code: int
    payload: bytes = b""
    content_format: int | None = None
    way: str = PIGGYBACKED
    after: int = 0
    observes: tuple[str, str] | None = None


class Credentials(NamedTuple):
    """Of MQTT_BASIC, `value` is (clientId, userName, password); else the token or certificate.

    A certificate is in base64, without armour and line ends.
    """

    type: str
    value: str | tuple[str, str, str]

    @property
    def id(self):
        """What no two devices can share."""
        return (self.type, self.value[:2] if self.type == "MQTT_BASIC" else self.value)

    @property
    def is_valid(self):
        """For MQTT_BASIC: some identity, and no password with a clientId alone."""
        if self.type == "MQTT_BASIC":
            client_id, user_name, password = self.value
            return bool(user_name or (client_id and not password))
        return bool(self.value)


def certificate_credentials(pem):
    """The credentials that a certificate in PEM is, as ThingsBoard keeps it: text of any kind."""
    for part in ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "\n", "\r"):
        pem = pem.replace(part, "")
    return Credentials("X509_CERTIFICATE", pem)


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
    return _ENCODER.encode(value)


def json_payload(value):
    """The payload that a value is as JSON."""
    return to_json(value).encode("utf-8", "replace")
