"""What coaps takes besides a World: time from SNTP, and DTLS sessions that check dates with it."""

from firmware.board import security
from firmware.board.clock import BUILT
from firmware.errors import DateError, NoResponse
from host_tests.firmware.world import ADDRESS

CA = "/ca.der"
TIME_ADDRESS = "192.0.2.123"
TIME_NAME = "pool.ntp.org"

_FROM_1900_TO_1970 = 2_208_988_800
_HANDSHAKE = 60_000
# How far a clock may be wrong for the server's certificate to be valid all the same.
_VALID = 100 * 86_400


class TimeServer:
    """An SNTP server. `lie`: how many seconds it, or who forges it, is ahead; `silent`."""

    lie = 0
    silent = False

    def __init__(self, world):
        self._world = world

    def on_datagram(self, datagram, source):
        if self.silent:
            return []
        answer = bytearray(48)
        answer[0], answer[1] = 0x24, 2
        answer[24:32] = datagram[40:48]
        seconds = time_of(self._world) + self.lie + _FROM_1900_TO_1970
        answer[40:44] = (seconds & 0xFFFFFFFF).to_bytes(4, "big")
        return [(20, bytes(answer))]


class Session:
    """Fits firmware.coap.dtls.DTLS. Each is a new client to the server, as it is to ThingsBoard.

    `context`: the certificates of the CA, None to check nothing.
    """

    largest_block = 512

    def __init__(self, transport, context, host, idle, ticks, patience=None):
        world = transport.world
        server = world.server
        if server.deaf or server.mute or world.network.silent_until:
            for _ in range(_HANDSHAKE // 50):
                idle()
                world.clock.sleep_ms(50)
            raise NoResponse("%s did not answer the DTLS handshake" % host)
        if context and abs(world.board.now - time_of(world)) > _VALID:
            raise DateError("the server's certificate is not valid yet or any more", "Wait.")
        transport.source = object()
        self.send, self.receive, self.close = transport.send, transport.receive, transport.close


def time_of(world):
    """Return what a right clock says, in seconds since 1970."""
    return BUILT + 86_400 + world.clock.slept // 1000


class Secured:
    """A World in which `server` may be coaps, from here to `close`. `time`: its TimeServer."""

    def __init__(self, world):
        self._before = security.DTLS, security.make_context
        security.DTLS, security.make_context = Session, lambda authorities, *files: authorities
        self.time = TimeServer(world)
        world.servers[TIME_ADDRESS, 123] = self.time
        world.names[TIME_NAME] = [TIME_ADDRESS]
        world.put(CA, b"a certificate")
        world.sessions = security.sessions
        world.servers[ADDRESS, 5684] = world.server

    def close(self):
        security.DTLS, security.make_context = self._before
