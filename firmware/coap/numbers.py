"""The numbers of CoAP: methods, response codes, options and content formats. Pure.

Sources: IANA's "CoRE Parameters"; RFC 7252, 7641, 7959, 8132, 8516, 8768, 9175 and 9177. A program
imports those that it names; the client needs none of them.
"""

from micropython import const

# Methods.
GET = const(0x01)
POST = const(0x02)
PUT = const(0x03)
DELETE = const(0x04)
FETCH = const(0x05)
PATCH = const(0x06)
IPATCH = const(0x07)

# Response codes.
CREATED = const(0x41)  # 2.01
DELETED = const(0x42)  # 2.02
VALID = const(0x43)  # 2.03
CHANGED = const(0x44)  # 2.04
CONTENT = const(0x45)  # 2.05
CONTINUE = const(0x5F)  # 2.31
BAD_REQUEST = const(0x80)  # 4.00
UNAUTHORIZED = const(0x81)  # 4.01
BAD_OPTION = const(0x82)  # 4.02
FORBIDDEN = const(0x83)  # 4.03
NOT_FOUND = const(0x84)  # 4.04
METHOD_NOT_ALLOWED = const(0x85)  # 4.05
NOT_ACCEPTABLE = const(0x86)  # 4.06
REQUEST_ENTITY_INCOMPLETE = const(0x88)  # 4.08
CONFLICT = const(0x89)  # 4.09
PRECONDITION_FAILED = const(0x8C)  # 4.12
REQUEST_ENTITY_TOO_LARGE = const(0x8D)  # 4.13
UNSUPPORTED_CONTENT_FORMAT = const(0x8F)  # 4.15
UNPROCESSABLE_ENTITY = const(0x96)  # 4.22
TOO_MANY_REQUESTS = const(0x9D)  # 4.29
INTERNAL_SERVER_ERROR = const(0xA0)  # 5.00
NOT_IMPLEMENTED = const(0xA1)  # 5.01
BAD_GATEWAY = const(0xA2)  # 5.02
SERVICE_UNAVAILABLE = const(0xA3)  # 5.03
GATEWAY_TIMEOUT = const(0xA4)  # 5.04
PROXYING_NOT_SUPPORTED = const(0xA5)  # 5.05
HOP_LIMIT_REACHED = const(0xA8)  # 5.08

# Options.
IF_MATCH = const(1)
URI_HOST = const(3)
ETAG = const(4)
IF_NONE_MATCH = const(5)
OBSERVE = const(6)
URI_PORT = const(7)
LOCATION_PATH = const(8)
URI_PATH = const(11)
CONTENT_FORMAT = const(12)
MAX_AGE = const(14)
URI_QUERY = const(15)
HOP_LIMIT = const(16)
ACCEPT = const(17)
LOCATION_QUERY = const(20)
BLOCK2 = const(23)
BLOCK1 = const(27)
SIZE2 = const(28)
PROXY_URI = const(35)
PROXY_SCHEME = const(39)
SIZE1 = const(60)
ECHO = const(252)
NO_RESPONSE = const(258)
REQUEST_TAG = const(292)

# Content formats, for Content-Format and Accept.
TEXT = const(0)
LINK_FORMAT = const(40)
XML = const(41)
OCTET_STREAM = const(42)
JSON = const(50)
CBOR = const(60)
SENML_JSON = const(110)
SENML_CBOR = const(112)
