"""Datagrams as they went over the wire, and addresses as people write them."""

from typing import NamedTuple

RECEIVE_BUFFER = 4 << 20  # bytes, for a box of boards at once; the system may give less


class Datagram(NamedTuple):
    """A datagram: time.monotonic() seconds, (address, port), bytes."""

    time: float
    peer: tuple[str, int]
    data: bytes


def format_peer(address):
    """`127.0.0.1:5683`, `[::1]:5683`."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
