"""aiocoap's message layer, made to answer as Californium does, on one UDP socket.

Written for aiocoap 0.4.17: some of what it overrides is private there.
"""

import asyncio
import struct
from collections import namedtuple
from typing import NamedTuple

import aiocoap
from aiocoap import interfaces
from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.types import ACK, CON, RST

from tools.fake_thingsboard.log import describe

NEVER = 1e6  # seconds


class Datagram(NamedTuple):
    """A datagram as it went over the wire: time.monotonic() seconds, (address, port), bytes."""

    time: float
    peer: tuple[str, int]
    data: bytes


class ThingsBoardTuning(TransportTuning):
    """aiocoap's timing, with ThingsBoard's moment for the empty ACK."""

    def __init__(self, ack_timeout, empty_ack_delay):
        self.ACK_TIMEOUT = ack_timeout
        self.EMPTY_ACK_DELAY = empty_ack_delay


class _NoBacklog(dict):
    """In place of aiocoap's NSTART = 1: ThingsBoard's replies do not wait for each other."""

    def __contains__(self, remote):
        return False

    def __delitem__(self, remote):
        self.pop(remote, None)


class CaliforniumMessageManager(MessageManager):
    """aiocoap's message layer, with the choice of how a confirmable request is answered."""

    def __init__(self, token_manager, server):
        super().__init__(token_manager)
        self._server = server
        self._backlogs = _NoBacklog()

    def _continue_backlog(self, remote):
        """There is none."""

    def _deduplicate_message(self, message):
        """Duplicates do not come this far."""
        return False

    def _process_request(self, request):
        more_blocks = request.opt.block1 is not None and request.opt.block1.more
        reply = "piggybacked" if more_blocks else self._server.reply
        if request.mtype is not CON or reply == "piggybacked":
            super()._process_request(request)
            return
        if reply == "separate":
            self._send_empty_ack(request.remote, request.mid, "a separate reply is asked for")
        self.token_manager.process_request(request)


class _Remote(namedtuple("_Remote", "interface address"), interfaces.EndpointAddress):
    """A client. The block size is ThingsBoard's."""

    scheme = "coap"
    is_multicast = False
    is_multicast_locally = False
    maximum_block_size_exp = 6
    maximum_payload_size = 1024

    @property
    def hostinfo(self):
        return format_peer(self.address)

    @property
    def hostinfo_local(self):
        return format_peer(self.interface.local_address)

    @property
    def uri_base(self):
        return "coap://" + self.hostinfo

    @property
    def uri_base_local(self):
        return "coap://" + self.hostinfo_local

    @property
    def blockwise_key(self):
        return self.address


class UdpInterface(interfaces.MessageInterface, asyncio.DatagramProtocol):
    """One UDP socket: records every datagram, logs it, and stops duplicates on their way up."""

    def __init__(self, manager, server, duplicates):
        self._manager = manager
        self._server = server
        self._duplicates = duplicates
        self._transport = None

    # asyncio.DatagramProtocol

    def connection_made(self, transport):
        self._transport = transport
        self.local_address = transport.get_extra_info("sockname")

    def datagram_received(self, datagram, address):
        now = self._manager.loop.time()
        peer = address[:2]
        self._server.received.append(Datagram(now, peer, datagram))
        message = _decode(datagram)
        if message is None:
            self._log(peer, ">", f"malformed, {len(datagram)} bytes")
            self._reject(datagram, address)
            return
        answers = self._duplicates.received(peer, datagram, now)
        note = "" if answers is None else ", duplicate"
        self._log(peer, ">", describe(message, len(datagram)) + note)
        if answers is None:
            message.remote = _Remote(self, address)
            message.transport_tuning = self._server.tuning()
            self._manager.dispatch_message(message)
            return
        for answer in answers:
            self._transmit(answer, address, ", to the duplicate")

    # aiocoap's MessageInterface

    def send(self, message):
        datagram = message.encode()
        address = message.remote.address
        if message.mtype is ACK:
            again = self._duplicates.sent(address[:2], message.mid, datagram)
        elif message.request is not None:
            again = self._duplicates.sent(address[:2], message.request.mid, datagram)
        else:
            again = False
        self._transmit(datagram, address, ", again" if again else "")

    async def determine_remote(self, message):
        """A server asks nobody."""
        return None

    async def recognize_remote(self, remote):
        return isinstance(remote, _Remote) and remote.interface is self

    async def shutdown(self):
        self._transport.abort()

    def _transmit(self, datagram, address, note=""):
        self._log(address[:2], "<", describe(_decode(datagram), len(datagram)) + note)
        self._server.sent.append(Datagram(self._manager.loop.time(), address[:2], datagram))
        self._transport.sendto(datagram, address)

    def _reject(self, datagram, address):
        """RST to what is confirmable and has a header to answer (RFC 7252 section 4.2)."""
        if len(datagram) >= 4 and datagram[0] >> 4 == 1 << 2 | CON:
            rst = struct.pack("!BB2s", 1 << 6 | RST << 4, 0, datagram[2:4])
            self._transmit(rst, address)

    def _log(self, peer, direction, text):
        if self._server.log:
            self._server.log(f"{format_peer(peer)} {direction} {text}")


def format_peer(address):
    """`127.0.0.1:5683`, `[::1]:5683`."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _decode(datagram):
    """The aiocoap message, or None for what Californium does not read as one."""
    try:
        message = aiocoap.Message.decode(datagram)
    except (aiocoap.error.UnparsableMessage, ValueError):
        return None
    too_long_token = datagram[0] & 15 > 8
    not_so_empty = message.code is aiocoap.EMPTY and len(datagram) > 4
    reserved_class = message.code >> 5 in (1, 6, 7)
    return None if too_long_token or not_so_empty or reserved_class else message
