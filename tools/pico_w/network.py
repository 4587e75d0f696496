"""The network behind an emulated board's access point: ARP, DHCP, DNS, SNTP, and UDP.

10.0.0.N is 127.0.0.N of what is on the far side, and nothing else is reached. Every name leads
to 10.0.0.1. TCP is refused and ICMP unanswered.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Protocol

from rp2040py.external.cyw43 import net
from rp2040py.external.cyw43.nat import DhcpServer

GUEST, GATEWAY = "10.0.0.2", "10.0.0.1"
_SUBNET = "10.0.0."
_FAR_SUBNET = "127.0.0."
_MAC = bytes([2, 0, 0, 0, 0, 1])
_DNS_PORT, _NTP_PORT = 53, 123
_DNS_ANSWER, _DNS_NO_SUCH_NAME = 0x8180, 0x8183
_A, _TTL = 1, 60
_FROM_1900_TO_1970 = 2_208_988_800
_MORE_FRAGMENTS_OR_OFFSET = 0x3FFF
_MTU = 1500

Peer = tuple[str, int]
# What becomes of the n-th datagram "up" from the board or "down" to it: (after ms, bytes) of each
# that arrives.
Fate = Callable[[str, int, bytes], list[tuple[float, bytes]]]


class FarSide(Protocol):
    """Whoever is reached through the network."""

    def send(self, guest: Peer, server: Peer, datagram: bytes) -> None:
        """Take a datagram of the board's. Answers go to Network.answer."""


def steady(way: str, number: int, datagram: bytes) -> list[tuple[float, bytes]]:
    """The fate of datagrams where nothing is wrong: there in 2 ms."""
    return [(2, datagram)]


class Network:
    """One access point and what is behind it. It outlives its boards' power-ups.

    `far_side`: who is reached. `fate`: what becomes of each datagram. `names`: the addresses of a
    name, none for one that is not known, None for no answer; what is not in it leads to the
    gateway. `now`: seconds since 1970, for SNTP; None: no answer. `guest`: the address that DHCP
    gives.
    `up`, `down`: (ms, peer, datagram) of all that the board sent, and that was sent to it.
    """

    def __init__(self, far_side: FarSide | None = None, fate: Fate = steady):
        self.far_side = far_side
        self.fate = fate
        self.names: dict[str, list[str] | None] = {}
        self.now: Callable[[], float] | None = time.time
        self.guest = GUEST
        self.up: list[tuple[float, Peer, bytes]] = []
        self.down: list[tuple[float, Peer, bytes]] = []
        self.asked_names: list[str] = []
        self._guest_mac = bytes(6)
        self._to_guest: Callable[[bytes], None] = lambda frame: None
        self._after: Callable[[float, Callable[[], None]], None] = lambda ms, action: None
        self._ms: Callable[[], float] = lambda: 0.0

    def plug_in(self, to_guest, after, ms) -> None:
        """Serve a board: `to_guest(frame)`, `after(ms, action)` and `ms()` are its own."""
        self._to_guest, self._after, self._ms = to_guest, after, ms

    def answer(self, guest_port: int, server: Peer, datagram: bytes) -> None:
        """Send a datagram to the board, from a peer of the far side."""
        self.down.append((self._ms(), server, datagram))
        source = _to_near(server[0]), server[1]
        for ms, each in self.fate("down", len(self.down) - 1, datagram):
            self._after(ms, lambda each=each: self._deliver(guest_port, source, each))

    # What rp2040py's radio calls

    def reset(self) -> None:
        """The board left the access point."""

    def handle_outbound_ethernet_frame(self, frame: bytes) -> None:
        """Take a frame from the board."""
        eth = net.parse_ethernet(frame)
        if eth is None:
            return
        self._guest_mac = eth.src_mac
        if eth.ethertype == net.ETHERTYPE_ARP:
            self._on_arp(eth)
        elif eth.ethertype == net.ETHERTYPE_IPV4:
            ip = net.parse_ipv4(eth.payload)
            fragment = struct.unpack_from("!H", eth.payload, 6)[0] & _MORE_FRAGMENTS_OR_OFFSET
            if ip is None or fragment & 0x1FFF or fragment & 0x2000:
                return
            if ip.proto == net.IP_PROTO_UDP:
                self._on_udp(eth, ip)
            elif ip.proto == net.IP_PROTO_TCP:
                self._refuse(ip)

    def _on_arp(self, eth) -> None:
        arp = net.parse_arp(eth.payload)
        if arp is None or arp.op != net.ARP_OP_REQUEST:
            return
        target = _text(arp.target_ip)
        if target.startswith(_SUBNET) and target != self.guest:
            reply = net.pack_arp(
                net.ARP_OP_REPLY, _MAC, arp.target_ip, arp.sender_mac, arp.sender_ip
            )
            self._to_guest(net.pack_ethernet(arp.sender_mac, _MAC, net.ETHERTYPE_ARP, reply))

    def _on_udp(self, eth, ip) -> None:
        dhcp = DhcpServer(guest_ip=_bytes(self.guest), gateway_ip=_bytes(GATEWAY), gateway_mac=_MAC)
        lease = dhcp.maybe_handle(eth)
        udp = net.parse_udp(ip.payload)
        if lease:
            self._to_guest(lease)
            return
        address = _text(ip.dst_ip)
        if udp is None or not address.startswith(_SUBNET) or address == "10.0.0.255":
            return
        guest_port, peer = udp.src_port, (address, udp.dst_port)
        if udp.dst_port == _DNS_PORT:
            if answer := self._resolve(bytes(udp.payload)):
                self._deliver(guest_port, peer, answer)
        elif udp.dst_port == _NTP_PORT:
            if self.now:
                self._deliver(guest_port, peer, _sntp(bytes(udp.payload), self.now()))
        else:
            server = _to_far(address), udp.dst_port
            datagram = bytes(udp.payload)
            self.up.append((self._ms(), server, datagram))
            guest = _text(ip.src_ip), guest_port
            for ms, each in self.fate("up", len(self.up) - 1, datagram):
                self._after(ms, lambda each=each: self._arrive(guest, server, each))

    def _arrive(self, guest: Peer, server: Peer, datagram: bytes) -> None:
        if self.far_side:
            self.far_side.send(guest, server, datagram)

    def _deliver(self, guest_port: int, source: Peer, datagram: bytes) -> None:
        address, guest = _bytes(source[0]), _bytes(self.guest)
        udp = net.pack_udp(address, guest, source[1], guest_port, datagram)
        packet = net.pack_ipv4(address, guest, net.IP_PROTO_UDP, udp)
        if len(packet) <= _MTU:
            self._to_guest(net.pack_ethernet(self._guest_mac, _MAC, net.ETHERTYPE_IPV4, packet))

    def _refuse(self, ip) -> None:
        tcp = net.parse_tcp(ip.payload)
        if tcp is None or tcp.flags & net.TCP_RST:
            return
        flags = net.TCP_RST | net.TCP_ACK
        acknowledged = (tcp.seq + 1) & 0xFFFFFFFF
        ports = tcp.dst_port, tcp.src_port
        segment = net.pack_tcp(ip.dst_ip, ip.src_ip, *ports, 0, acknowledged, flags, 0)
        packet = net.pack_ipv4(ip.dst_ip, ip.src_ip, net.IP_PROTO_TCP, segment)
        self._to_guest(net.pack_ethernet(self._guest_mac, _MAC, net.ETHERTYPE_IPV4, packet))

    def _resolve(self, query: bytes) -> bytes | None:
        """Answer a DNS question for an A record, if it is answered (RFC 1035 section 4)."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        question = query[12 : at + 5]
        (kind,) = struct.unpack_from("!H", query, at + 1)
        name = ".".join(labels)
        self.asked_names.append(name)
        addresses = self.names.get(name, [GATEWAY])
        if addresses is None:
            return None
        flags = _DNS_ANSWER if addresses else _DNS_NO_SUCH_NAME
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, _A, 1, _TTL, 4) + _bytes(address)
            for address in (addresses if kind == _A else ())
        )
        header = query[:2] + struct.pack("!HHHHH", flags, 1, len(records) // 16, 0, 0)
        return header + question + records


def _sntp(request: bytes, now: float) -> bytes:
    """The answer to an SNTP request (RFC 4330 section 5)."""
    seconds = struct.pack("!I", int(now) + _FROM_1900_TO_1970 & 0xFFFFFFFF) + bytes(4)
    header = bytes([0x24, 1, 4, 0xEC]) + bytes(8) + b"LOCL"
    return header + seconds + request[40:48] + seconds + seconds


def _to_far(address: str) -> str:
    return _FAR_SUBNET + address[len(_SUBNET) :]


def _to_near(address: str) -> str:
    return _SUBNET + address[len(_FAR_SUBNET) :]


def _text(address: bytes) -> str:
    return ".".join(str(byte) for byte in address)


def _bytes(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))
