"""The model of ThingsBoard on a UDP port."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from tools.fake_thingsboard.codec import decode
from tools.fake_thingsboard.endpoint import REPLIES, Endpoint
from tools.fake_thingsboard.log import describe
from tools.fake_thingsboard.message_layer import Sending
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.tenant import Change
from tools.fake_thingsboard.wire import Datagram, bound_socket, format_peer

__all__ = ["REPLIES", "FakeThingsBoard"]


class FakeThingsBoard:
    """A CoAP server for `thingsboard`, in a thread of its own while in its `with` block.

    `delay`, `reply`, `separate_after`, `first_reply_after`, `ack_timeout` and `exchange_lifetime`
    are those of `endpoint.Endpoint`, but in seconds.
    `log`: called with one line for each datagram, in the server's thread.

    `delay` and `reply` can be changed while it runs. `received` and `sent` hold every Datagram.
    Port 0 is a free port, kept from then on: entered again, it is a restarted server, which has
    forgotten its duplicates and kept its devices. Raises OSError when it cannot bind.
    """

    def __init__(
        self,
        thingsboard: ThingsBoard,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        delay: float = 0.0,
        reply: str = "piggybacked",
        log: Callable[[str], None] | None = None,
        separate_after: float = 0.5,
        first_reply_after: float = 0.0,
        ack_timeout: float = 2.75,
        exchange_lifetime: float = 247.0,
    ):
        self.thingsboard = thingsboard
        self.host = host
        self.port = port
        self.delay = delay
        self.reply = reply
        self.log = log
        self.received: list[Datagram] = []
        self.sent: list[Datagram] = []
        self.endpoint = Endpoint(
            thingsboard,
            reply=reply,
            separate_after=_ms(separate_after),
            first_reply_after=_ms(first_reply_after),
            ack_timeout=_ms(ack_timeout),
            exchange_lifetime=_ms(exchange_lifetime),
            message_id=int.from_bytes(os.urandom(2), "big"),
        )
        self._inbox: deque[tuple[tuple, bytes]] = deque()
        self._addresses: dict[tuple[str, int], tuple] = {}

    @property
    def uri(self) -> str:
        """What `server` in config.json says to reach it."""
        return "coap://" + format_peer((self.host, self.port))

    def __enter__(self) -> FakeThingsBoard:
        self._socket = bound_socket(self.host, self.port)
        self.port = self._socket.getsockname()[1]
        self.endpoint.restart()
        self.thingsboard.on_change = self._on_change
        self._inbox.clear()
        self._woken, self._waker = socket.socketpair()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="FakeThingsBoard", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.thingsboard.on_change = self.endpoint.changed
        self._stopping = True
        self._waker.send(b"\0")
        self._thread.join()
        for each in (self._socket, self._woken, self._waker):
            each.close()

    def open_session(self, peer: tuple[str, int], certificate: str | None) -> None:
        """What comes from `peer` comes from a new DTLS session, with a certificate in PEM."""
        self.endpoint.open_session(peer, certificate)

    def _on_change(self, change: Change) -> None:
        self.endpoint.changed(change)
        self._waker.send(b"\0")

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping:
                self._take_in()
                now = time.monotonic()
                self._transmit(self.endpoint.notify(_ms(now)))
                wake_at = self.endpoint.wake_at
                if wake_at is not None and wake_at <= _ms(now):
                    self._transmit(self.endpoint.on_timer(_ms(now)))
                elif self._inbox:
                    self._on_datagram(*self._inbox.popleft())
                else:
                    ready = selector.select(None if wake_at is None else wake_at / 1000 - now)
                    if any(key.fileobj is self._woken for key, _ in ready):
                        self._woken.recv(4096)

    def _take_in(self) -> None:
        """Take all that is there, so that a burst does not fill the system's buffer."""
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram, address = self._socket.recvfrom(65536)
                self._inbox.append((address, datagram))

    def _on_datagram(self, address: tuple, datagram: bytes) -> None:
        now = time.monotonic()
        peer = address[:2]
        self._addresses[peer] = address
        self.received.append(Datagram(now, peer, datagram))
        self.endpoint.reply = self.reply
        self.endpoint.delay = _ms(self.delay)
        if self.log:
            self._say(peer, ">", datagram, self._note(peer, datagram, _ms(now)))
        self._transmit(self.endpoint.received(peer, datagram, _ms(now)))

    def _note(self, peer: tuple[str, int], datagram: bytes, now: int) -> str:
        is_known = len(datagram) >= 4 and self.endpoint.duplicates.knows(peer, datagram, now)
        return ", duplicate" if is_known else ""

    def _transmit(self, sendings: list[Sending]) -> None:
        for peer, datagram, again in sendings:
            self._say(peer, "<", datagram, again and ", " + again)
            self.sent.append(Datagram(time.monotonic(), peer, datagram))
            self._send(peer, datagram)

    def _send(self, peer: tuple[str, int], datagram: bytes) -> None:
        with contextlib.suppress(OSError):  # lost, as datagrams may be
            self._socket.sendto(datagram, self._addresses[peer])

    def _say(self, peer: tuple[str, int], direction: str, datagram: bytes, note: str) -> None:
        if not self.log:
            return
        try:
            text = describe(decode(datagram), len(datagram))
        except ValueError:
            text = f"malformed, {len(datagram)} bytes"
        self.log(f"{format_peer(peer)} {direction} {text}{note}")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
