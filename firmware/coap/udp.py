"""CoAP's datagrams over UDP."""

import select
import socket


def resolve(host, port):
    """Return the IP addresses of a host, the preferred one first. Raises OSError."""
    return [info[-1][0] for info in socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)]


class UDP:
    """A socket for one server: what comes from another address or port never gets here.

    `address`: an IP address. `local_port`: 0 for any. Raises OSError when it cannot be had.
    """

    # RFC 7252 section 4.6.
    largest_block = 1024

    def __init__(self, address, port, local_port=0):
        family, _, _, _, peer = socket.getaddrinfo(address, port, 0, socket.SOCK_DGRAM)[0]
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if local_port:
                self.socket.bind(("::" if ":" in address else "0.0.0.0", local_port))
            self.socket.connect(peer)
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
        """Wait up to `timeout` ms; return a datagram, cut to `size` bytes, or None."""
        for _ in self.poll.ipoll(timeout):
            # Not readinto, which on MicroPython goes on to the next datagram.
            return self.socket.recv(size)
        return None

    def close(self):
        """Give the socket back."""
        self.socket.close()
