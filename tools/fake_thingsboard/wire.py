"""Datagrams as they went over the wire, and addresses as people write them."""

import socket
from typing import NamedTuple

_RECEIVE_BUFFER = 4 << 20  # bytes, for a box of boards at once; the system may give less


class Datagram(NamedTuple):
    """A datagram: time.monotonic() seconds, (address, port), bytes."""

    time: float
    peer: tuple[str, int]
    data: bytes


def format_peer(address):
    """`127.0.0.1:5683`, `[::1]:5683`."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bound_socket(host: str, port: int) -> socket.socket:
    """A UDP socket that does not block, at an address of this computer. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        bound.bind((host, port))
    except (OSError, TypeError) as error:
        bound.close()
        if isinstance(error, TypeError):
            raise OSError("no host has such a name") from None
        raise
    bound.setblocking(False)
    return bound
