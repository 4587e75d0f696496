"""A client for a server that is named by its URI.

client = connect("coap://thingsboard.example.com")
response = client.post("/api/v1/TOKEN/telemetry", b'{"temperature": 21.5}')
client.close()
"""

from ..errors import CoapError
from .client import Client
from .udp import UDP, resolve
from .uri import doubt, parse


def connect(uri, secure=None, client=Client, **options):
    """Return a Client for a server such as "coap://thingsboard.example.com".

    `secure`: what opens a DTLS session for coaps, see firmware.board.hardware.
    `client`: the class, this one or firmware.coap.aio's. `options`: Client's. Raises ValueError for
    what is no CoAP URI or no server's; CoapError, also for coaps without `secure`. Join first: a
    Pico W without a network looks for a name for ever.
    """
    host, port, name, is_secure = parse(uri)
    why = doubt(uri)
    if why:
        raise ValueError(why)
    if is_secure and not secure:
        raise CoapError(
            "%s is for coaps, and there is no `secure` to open a session" % uri,
            "Let config.json say coaps again, as when the board was provisioned, with its `ca`; or"
            " provision the board anew.",
        )
    failure = "it has no address"
    try:
        addresses = resolve(host, port) if name else (host,)
    except OSError as error:
        addresses = ()
        failure = error
    for address in addresses:
        try:
            transport = UDP(address, port)
        except OSError as error:
            failure = error
            continue
        if is_secure:
            try:
                transport = secure(transport, host)
            except Exception:
                # Of whatever class: a board has few sockets.
                transport.close()
                raise
        return client(transport, name, **options)
    from .failure import out_of_reach

    raise out_of_reach("%s cannot be reached" % host, failure)
