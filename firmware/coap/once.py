"""One request to a whole URI.

response = request(GET, "coap://example.com/sensors/1?unit=C")
"""

from .connect import connect
from .whole_uri import decompose, path_options


def request(code, uri, payload=b"", content_format=None, secure=None, options=(), **how):
    """Send a request to a URI and return its response; the socket is closed again.

    `secure`: what opens a DTLS session for coaps, see `connect`; the others are those of
    Client.steps, and so is what it raises, with ValueError for what is no CoAP URI.
    """
    server, path = decompose(uri)
    options = path_options(path) + list(options)
    client = connect(server, secure)
    try:
        return client.request(code, "", payload, content_format, options=options, **how)
    finally:
        client.close()
