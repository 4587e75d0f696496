"""CoAP's datagrams over UDP."""

import select
import socket
from time import sleep_ms

from micropython import const

# In ms. No wait is a busy loop, whatever a socket does for ever.
_PAUSE = const(20)


def resolve(host, port):
    """Return the IP addresses of a host, the preferred one first. Raises OSError."""
    return [info[-1][0] for info in _look_up(host, port)]


def _look_up(host, port):
    # In place of an IPv6 address an ESP32 gives None.
    found = [info for info in socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM) if info[-1]]
    if not found:
        raise OSError("this board's MicroPython has no IPv6")
    return found


class UDP:
    """A socket for one server: what comes from another address or port never gets here.

    `address`: an IP address. `local_port`: 0 for any. Raises OSError when it cannot be had.
    """

    # RFC 7252 section 4.6.
    largest_block = 1024

    def __init__(self, address, port, local_port=0):
        family, _, _, _, self.peer = _look_up(address, port)[0]
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if ":" in address:
                # A Pico W's socket is one of IPv4 until then.
                self.socket.bind(("::", local_port))
            elif local_port:
                self.socket.bind(("0.0.0.0", local_port))
            self.socket.connect(self.peer)
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)

    def send(self, datagram):
        """Send a datagram. Raises OSError when this board cannot."""
        self.socket.send(datagram)

    def receive(self, size, timeout):
        """Wait up to `timeout` ms; return a datagram, cut to `size` bytes, or None.

        Raises OSError, the network stack's word on an earlier datagram.
        """
        try:
            for _ in self.poll.ipoll(timeout):
                # Not readinto, which on MicroPython goes on to the next datagram.
                datagram = self.socket.recv(size)
                if not datagram:
                    # An ESP32's gives nothing else from now on, unless it is connected again.
                    self.socket.connect(self.peer)
                    sleep_ms(min(timeout, _PAUSE))
                return datagram
        except OSError:
            sleep_ms(min(timeout, _PAUSE))
            raise
        return None

    def close(self):
        """Give the socket back."""
        self.socket.close()
