"""A server that takes no time: it answers every request at once, as ThingsBoard would."""

from __future__ import annotations

import json
import socket
import threading
from typing import NamedTuple

# The exchange that everything is measured with, of the lengths that ThingsBoard's have.
FIELDS = {
    "deviceName": "meter-24dcc399a4e8",
    "provisionDeviceKey": "0123456789abcdefghij",
    "provisionDeviceSecret": "jihgfedcba9876543210",
}
BODY_BYTES = len(json.dumps(FIELDS, separators=(",", ":")))
TOKEN = "A1b2C3d4E5f6G7h8I9j0"
RESPONSE = json.dumps(
    {"credentialsValue": TOKEN, "credentialsType": "ACCESS_TOKEN", "status": "SUCCESS"},
    separators=(",", ":"),
).encode()

FAILURE = b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}'

_ACK = 2
_GET = 1
_CREATED = 0x41
_BAD_REQUEST = 0x80
_UNAUTHORIZED = 0x81
_LONGEST_DATAGRAM = 2048


class Wire(NamedTuple):
    """What went over the wire."""

    datagrams: int
    bytes_up: int
    bytes_down: int


class Responder:
    """Answers with a piggybacked 2.01 on 127.0.0.1 while in its `with` block; counts.

    While it `refuses`, it says FAILURE to a provision request, and 4.01 to the probe after it.
    """

    refuses = False

    def __enter__(self) -> Responder:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests: list[bytes] = []
        self.replies: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def last(self) -> Wire:
        """What went over the wire since the last call."""
        wire = Wire(
            len(self.requests) + len(self.replies),
            sum(map(len, self.requests)),
            sum(map(len, self.replies)),
        )
        self.requests, self.replies = [], []
        return wire

    def _serve(self) -> None:
        while True:
            request, address = self._socket.recvfrom(_LONGEST_DATAGRAM)
            if not request:
                return
            reply = refusal_of(request) if self.refuses else reply_to(request)
            self.requests.append(request)
            self.replies.append(reply)
            self._socket.sendto(reply, address)


def reply_to(request: bytes) -> bytes:
    return _reply(request, _CREATED, b"\xff" + RESPONSE)


def refusal_of(request: bytes) -> bytes:
    if request[1] == _GET:
        return _reply(request, _UNAUTHORIZED, b"")
    return _reply(request, _BAD_REQUEST, b"\xff" + FAILURE)


def _reply(request: bytes, code: int, rest: bytes) -> bytes:
    token_length = request[0] & 0x0F
    head = bytes((0x40 | _ACK << 4 | token_length, code))
    return head + request[2 : 4 + token_length] + rest
