"""What the codecs are measured with: the exchange's two messages."""

import json

from work import FIELDS

TOKEN = b"\x01\x02\x03\x04\x05\x06\x07\x08"
OPTIONS = [(11, b"api"), (11, b"v1"), (11, b"provision"), (12, b"\x32")]
BODY = json.dumps(FIELDS, separators=(",", ":")).encode()
RESPONSE = memoryview(
    b"\x68\x41\x12\x34" + TOKEN + b'\xff{"credentialsValue":"A1b2C3d4E5f6G7h8I9j0",'
    b'"credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}'
)
