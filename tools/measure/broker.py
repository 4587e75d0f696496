"""An MQTT server that takes no time: it answers a device of ThingsBoard's SDK at once."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from typing import NamedTuple

_CONNECT, _PUBLISH, _SUBSCRIBE, _DISCONNECT = 1, 3, 8, 14
_CONNACK = b"\x20\x02\x00\x00"
_QOS = 0x06
_EVERY = 5  # readings from one call to the next
_TELEMETRY = b"v1/devices/me/telemetry"
_CALL = b"v1/devices/me/rpc/request/1", b'{"method":"setRelay","params":true}'
_CHANGE = b"v1/devices/me/attributes", b'{"interval":60}'
# Where Linux's struct tcp_info has bytes acknowledged and received, segments sent and received.
_COUNTS = "@120xQQII"
_IPV4_AND_TCP = 40  # bytes of their headers, without options


class Traffic(NamedTuple):
    """What went over a connection, both ways."""

    segments: int
    bytes: int


class Broker:
    """A server on 127.0.0.1 while in its `with` block, for one device at a time.

    While it `calls`, each fifth reading is followed by a call and a change of an attribute.
    """

    calls = True

    def __enter__(self) -> Broker:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connection: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self._listener.close()
        if self._connection:
            self._connection.close()

    def traffic(self) -> Traffic:
        """What went over the connection since it began; on Linux alone."""
        if sys.platform != "linux":
            raise OSError("the segments of TCP are counted on Linux alone")
        size = struct.calcsize(_COUNTS)
        found = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
        acknowledged, received, sent, came = struct.unpack(_COUNTS, found)
        segments = sent + came
        return Traffic(segments, acknowledged + received + segments * _IPV4_AND_TCP)

    def _serve(self) -> None:
        while True:
            try:
                self._connection, _ = self._listener.accept()
                self._talk(self._connection)
            except OSError:
                if self._listener.fileno() < 0:
                    return

    def _talk(self, connection: socket.socket) -> None:
        readings = 0
        with connection.makefile("rb") as stream:
            while head := stream.read(1):
                kind = head[0] >> 4
                body = stream.read(_length(stream))
                if kind == _CONNECT:
                    connection.sendall(_CONNACK)
                elif kind == _SUBSCRIBE:
                    connection.sendall(b"\x90\x03" + body[:2] + b"\x01")
                elif kind == _DISCONNECT:
                    return
                elif kind == _PUBLISH:
                    size = 2 + int.from_bytes(body[:2], "big")
                    if head[0] & _QOS:
                        connection.sendall(b"\x40\x02" + body[size : size + 2])
                    readings += body[2:size] == _TELEMETRY
                    if self.calls and body[2:size] == _TELEMETRY and not readings % _EVERY:
                        connection.sendall(_published(*_CALL) + _published(*_CHANGE))


def _length(stream) -> int:
    value = shift = 0
    while True:
        (byte,) = stream.read(1)
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def _published(topic: bytes, payload: bytes) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + payload
    return bytes((_PUBLISH << 4, len(body))) + body
