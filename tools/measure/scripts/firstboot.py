"""firmware/coap as an application uses it."""

import json

from work import FIELDS

from firmware.coap.client import Client
from firmware.coap.udp import UDP


def connect(port):
    client = Client(UDP("127.0.0.1", port))

    def ask():
        body = json.dumps(FIELDS, separators=(",", ":")).encode()
        return json.loads(client.post("/api/v1/provision", body).payload)["credentialsValue"]

    return ask
