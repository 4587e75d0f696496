"""HTTP/1.1 (RFC 9112) as far as one page and one form need it. Pure, and bounded in size."""

from micropython import const

# Bytes. Phones' browsers send up to 800 of head; of a form the longest has some 1,000.
_HEAD = const(2048)
_BODY = const(2048)
# Up to so much more is read and let go, since a browser shows no answer before all is sent.
_LONGEST_BODY = const(16_384)
_DIGITS = const(5)  # of a length
_FIELDS = const(16)

_REASONS = {
    200: "OK",
    302: "Found",
    303: "See Other",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    505: "HTTP Version Not Supported",
}


class BadRequest(Exception):
    """What came is no request that this server takes. `status`: what to answer."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Request:
    """`method`, `path` without a query, `host` without a port, `language`: Accept-Language.

    `body` is None where it was too long to be kept.
    """

    host = language = ""
    body = b""

    def __init__(self, method, path):
        self.method = method
        self.path = path


class Reader:
    """Makes a Request of the bytes of a connection."""

    def __init__(self):
        self._bytes = b""
        self._request = None
        self._length = 0

    def feed(self, received):
        """Take bytes; return the Request once it is whole, None before. Raises BadRequest."""
        self._bytes += received
        if not self._request:
            end = self._bytes.find(b"\r\n\r\n")
            if end > _HEAD or (end < 0 and len(self._bytes) > _HEAD):
                raise BadRequest(431)
            if end < 0:
                return None
            self._read_head(self._bytes[:end])
            self._bytes = self._bytes[end + 4 :]
        if self._request.body is None:
            self._length -= len(self._bytes)
            self._bytes = b""
            return None if self._length > 0 else self._request
        # What comes behind it is not looked at: each connection is for one request.
        if len(self._bytes) < self._length:
            return None
        self._request.body = self._bytes[: self._length]
        return self._request

    def _read_head(self, head):
        try:
            lines = head.decode().split("\r\n")
        except ValueError:
            # Names and values are ASCII in all that phones send.
            raise BadRequest(400)
        words = lines[0].split(" ")
        if len(words) != 3 or not words[0].isalpha() or not words[1]:
            raise BadRequest(400)
        if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise BadRequest(505)
        path = words[1].split("?")[0]
        if path.startswith("http://"):
            path = "/" + path[7:].partition("/")[2]
        request = Request(words[0], path)
        length = None
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            name = name.lower()
            value = value.strip()
            if not colon or not name or name != name.strip():
                raise BadRequest(400)
            if name == "host":
                request.host = value.partition(":")[0].lower()
            elif name == "accept-language":
                request.language = value.lower()
            elif name == "transfer-encoding":
                raise BadRequest(411)
            elif name == "content-length":
                if length is not None or not value or value.strip("0123456789"):
                    raise BadRequest(400)
                if len(value) > _DIGITS:
                    raise BadRequest(413)
                length = int(value)
        if length is None and request.method == "POST":
            raise BadRequest(411)
        self._length = length or 0
        if self._length > _LONGEST_BODY:
            raise BadRequest(413)
        if self._length > _BODY:
            request.body = None
        self._request = request


def form(body):
    """Return the fields of an application/x-www-form-urlencoded body: bytes by name.

    Of a name that is there twice the first counts. Raises BadRequest.
    """
    fields = {}
    pairs = body.split(b"&")
    if len(pairs) > _FIELDS:
        raise BadRequest(400)
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        name = name.decode() if name.replace(b"_", b"").isalpha() else ""
        if name and name not in fields:
            fields[name] = _unquoted(value)
    return fields


def head(status, headers=""):
    """Return the head of a response. `headers`: lines of its own, each with its line's end.

    The connection ends with the response. Nothing of it is stored, framed or sniffed at.
    """
    return (
        "HTTP/1.1 %d %s\r\nConnection: close\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n%s\r\n"
        % (status, _REASONS[status], headers)
    ).encode()


def _unquoted(value):
    """Return the bytes of a field. Raises BadRequest for a % that two hex digits do not follow."""
    first, *rest = value.replace(b"+", b" ").split(b"%")
    found = bytearray(first)
    for part in rest:
        digits = part[:2].lower()
        if len(digits) < 2 or digits.strip(b"0123456789abcdef"):
            raise BadRequest(400)
        found.append(int(digits, 16))
        found += part[2:]
    return bytes(found)
