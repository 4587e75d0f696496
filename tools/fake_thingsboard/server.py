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
from tools.fake_thingsboard.link import Link
from tools.fake_thingsboard.log import describe
from tools.fake_thingsboard.message_layer import Sending
from tools.fake_thingsboard.messages import parse_json
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.operator import Operator
from tools.fake_thingsboard.script import Command, Script
from tools.fake_thingsboard.tenant import Change
from tools.fake_thingsboard.wire import Datagram, bound_socket, format_peer

__all__ = ["REPLIES", "FakeThingsBoard"]


class FakeThingsBoard:
    """A CoAP server for `thingsboard`, in a thread of its own while in its `with` block.

    `delay`, `reply`, `separate_after`, `first_reply_after`, `ack_timeout` and `exchange_lifetime`
    are those of `endpoint.Endpoint`, but in seconds.
    `log`: called with one line for each datagram, in the server's thread; `tell` with one for what
    devices send, reply and observe.

    `delay` and `reply` can be changed while it runs. `received` and `sent` hold every Datagram.
    `operator` does what an operator does, from any thread; `link` is what datagrams come over.
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
        tell: Callable[[str], None] | None = None,
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
        self.tell = tell
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
        self.link = Link()
        self._changed = threading.Condition()  # held while the endpoint works
        self.operator = Operator(self.endpoint, self._changed)
        self._scripts: list[Script] = []
        self._waker: socket.socket | None = None
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
        self._waker.setblocking(False)
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="FakeThingsBoard", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.thingsboard.on_change = self.endpoint.changed
        self._stopping = True
        self._wake()
        self._thread.join()
        for each in (self._socket, self._woken, self._waker):
            each.close()
        self._waker = None

    def call_rpc(self, name: str, method: str, params=None, **options):
        """Call an RPC method of a device, as Operator.call_rpc does, and wait for its reply.

        Gives the reply, or None when the call is one-way. Raises TimeoutError when it expires or
        cannot be delivered, KeyError when there is no such device.
        """
        with self._changed:
            number = self.operator.call_rpc(name, method, params, **options).number
            self._changed.wait_for(lambda: not self.operator.call(name, number).is_pending)
            call = self.operator.call(name, number)
        if call.reply is None and not call.is_delivered:
            raise TimeoutError(f"{name} has not answered {method}")
        return call.reply and parse_json(call.reply)

    def wait_until(self, condition: Callable[[], bool], timeout: float = 10.0) -> bool:
        """Wait for something that datagrams or timers bring about; whether it came in time."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def restart(self) -> None:
        """Restart: it forgets all but what is in its database."""
        self.operator.restart()

    def stop(self, seconds: float) -> None:
        """Restart, which takes so long."""
        self.operator.stop(_ms(time.monotonic()), _ms(seconds))

    def follow(self, commands: list[Command], say: Callable[[str], None]) -> None:
        """Do what a script says, beside what others say, and `say` what came of it."""
        with self._changed:
            self._scripts.append(Script(self.operator, commands, say))
        self._wake()

    def open_session(self, peer: tuple[str, int], certificate: str | None) -> None:
        """What comes from `peer` comes from a new DTLS session, with a certificate in PEM."""
        self.endpoint.open_session(peer, certificate)

    def _on_change(self, change: Change) -> None:
        self.endpoint.changed(change)
        self._wake()

    def _wake(self) -> None:
        if self._waker:
            with contextlib.suppress(BlockingIOError):  # then enough is in it to wake the thread
                self._waker.send(b"\0")

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping:
                self._take_in()
                with self._changed:
                    now = _ms(time.monotonic())
                    has_worked = self._step(now)
                    wakes = self._follow(now)
                    self._changed.notify_all()
                if not has_worked:
                    timeout = max(0, min(wakes) / 1000 - time.monotonic()) if wakes else None
                    ready = selector.select(timeout)
                    if any(key.fileobj is self._woken for key, _ in ready):
                        self._woken.recv(4096)

    def _follow(self, now: int) -> list[int]:
        """Do what scripts say and tell what happens. Gives when something is due."""
        for script in self._scripts:
            script.on_timer(now)
        self._scripts = [script for script in self._scripts if not script.is_done]
        if self.tell:
            for line in self.operator.news():
                self.tell(line)
        timed = self.endpoint, self.link, *self._scripts
        return [each.wake_at for each in timed if each.wake_at is not None]

    def _step(self, now: int) -> bool:
        """Do one thing; whether there was one."""
        self._transmit(self.endpoint.notify(now))
        arriving = self.link.due(now)
        if self.endpoint.wake_at is not None and self.endpoint.wake_at <= now:
            self._transmit(self.endpoint.on_timer(now))
        elif self._inbox:
            address, datagram = self._inbox.popleft()
            self._addresses[address[:2]] = address
            arriving += self.link.send(True, address[:2], datagram, now)
        elif not arriving:
            return False
        for each in arriving:
            self._arrive(*each)
        return True

    def _arrive(self, is_for_server: bool, peer: tuple[str, int], datagram: bytes) -> None:
        if is_for_server:
            self._on_datagram(peer, datagram)
        else:
            self._send(peer, datagram)

    def _take_in(self) -> None:
        """Take all that is there, so that a burst does not fill the system's buffer."""
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram, address = self._socket.recvfrom(65536)
                self._inbox.append((address, datagram))

    def _on_datagram(self, peer: tuple[str, int], datagram: bytes) -> None:
        now = time.monotonic()
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
            now = time.monotonic()
            self.sent.append(Datagram(now, peer, datagram))
            for each in self.link.send(False, peer, datagram, _ms(now)):
                self._arrive(*each)

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
