"""This computer's loopback as the far side of an emulated board's network: a NAT."""

from __future__ import annotations

import contextlib
import selectors
import socket

from tools.pico_w.network import Network, Peer

_LARGEST = 65535


class Loopback:
    """A NAT between `network` and loopback addresses, which keeps a guest's port where it is free.

    A port of the guest's stays one socket here until `forget`; whoever sends to it reaches the
    guest. `address`: what a server sees as the board's, 127.0.0.1 or on Linux any 127.x.y.z.
    """

    def __init__(self, network: Network, address: str = "127.0.0.1"):
        self.address = address
        self.selector = selectors.DefaultSelector()
        self._network = network
        self._sockets: dict[int, socket.socket] = {}
        self._used: set[int] = set()
        network.far_side = self

    def send(self, guest: Peer, server: Peer, datagram: bytes) -> None:
        """Send what the board sent (network.FarSide)."""
        with contextlib.suppress(OSError):  # as good as lost on the way
            self._socket(guest[1]).sendto(datagram, server)

    def wait(self, seconds: float = 0) -> list:
        """Wait so long for datagrams and hand them on. Gives what else is ready in `selector`."""
        others = []
        for key, _ in self.selector.select(seconds):
            if key.data is self:
                self._receive(key.fileobj)
            else:
                others.append(key)
        return others

    def forget(self) -> None:
        """Lose every mapping: the same guest's port is another port here from now on."""
        for each in self._sockets.values():
            self.selector.unregister(each)
            each.close()
        self._sockets.clear()

    def close(self) -> None:
        """Give the sockets back."""
        self.forget()
        self.selector.close()

    def _socket(self, guest_port: int) -> socket.socket:
        if guest_port not in self._sockets:
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            wanted = 0 if guest_port in self._used else guest_port
            try:
                opened.bind((self.address, wanted))
            except OSError:
                opened.bind((self.address, 0))
            opened.setblocking(False)
            self._used.add(guest_port)
            self._sockets[guest_port] = opened
            self.selector.register(opened, selectors.EVENT_READ, self)
        return self._sockets[guest_port]

    def _receive(self, ready: socket.socket) -> None:
        guest_port = next(port for port, each in self._sockets.items() if each is ready)
        with contextlib.suppress(OSError):
            while True:
                datagram, server = ready.recvfrom(_LARGEST)
                self._network.answer(guest_port, server, datagram)
