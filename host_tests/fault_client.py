"""The client of test_faults, on CPython and on MicroPython.

It reads a line of JSON at a time and does what it says. `uri`: the server. `requests`: a list of
objects with `code`, `path` and `payload`. `ACK_TIMEOUT`, `MAX_RETRANSMIT`: Exchange's. It prints
a line of JSON a request: the response or the error, and how many datagrams were ignored.
"""

import json
import sys

if sys.implementation.name == "micropython":
    sys.path.insert(1, "tools/virtual_board/rom")
    import sockets

    sys.modules["socket"] = sockets
else:
    from tools import shims

    shims.install()

from firmware.coap.connect import connect
from firmware.coap.exchange import Exchange
from firmware.coap.failure import code_name
from firmware.errors import CoapError


def main(settings):
    Exchange.ACK_TIMEOUT = settings["ACK_TIMEOUT"]
    Exchange.MAX_RETRANSMIT = settings["MAX_RETRANSMIT"]
    client = connect(settings["uri"])
    for request in settings["requests"]:
        try:
            response = client.request(
                request.get("code", 1),
                request.get("path", "/a"),
                request.get("payload", "").encode(),
            )
            result = {"code": code_name(response.code), "payload": response.payload.decode()}
        except CoapError as error:
            result = {"error": type(error).__name__, "what": error.what}
        result["ignored"] = client.exchange.ignored
        print(json.dumps(result))
    client.close()


for line in sys.stdin:
    main(json.loads(line))
