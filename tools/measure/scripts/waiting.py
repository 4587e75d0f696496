"""What a wait of 60 s for a late reply leaves on the heap, beyond an exchange with none.

The clock is virtual: a receive that times out moves it on. What a real one leaves is measured on a
real socket that stays silent, once for each turn of the wait.
"""

import gc
import json

from firmware.coap.client import Client
from firmware.coap.udp import UDP

_WAIT = 60_000


class LateServer:
    """A transport to a server that acknowledges at once and answers after `wait` ms."""

    largest_block = 1024

    def __init__(self, wait):
        self.now = 0
        self.wait = wait
        self.turns = 0
        self.request = None

    def ticks(self):
        return self.now

    def send(self, datagram):
        if datagram[1]:
            self.request = bytes(datagram[:12])
            self.acknowledged = False

    def receive(self, size, timeout):
        if not self.acknowledged:
            self.acknowledged = True
            return b"\x60\x00" + self.request[2:4]
        if self.now >= self.wait:
            return b"\x48\x45\x77\x77" + self.request[4:12] + b"\xff{}"
        self.turns += 1
        self.now += timeout
        return None


def garbage(wait):
    server = LateServer(wait)
    client = Client(server, idle=lambda: None, ticks=server.ticks)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    client.post("/api/v1/provision", b"{}")
    return gc.mem_alloc() - before, server.turns


def real_timeout():
    transport = UDP("127.0.0.1", 9)
    transport.receive(1153, 1)
    before = gc.mem_alloc()
    for _ in range(10):
        transport.receive(1153, 1)
    return gc.mem_alloc() - before


garbage(0)
at_once, _ = garbage(0)
late, turns = garbage(_WAIT)
each = real_timeout() / 10
print(json.dumps({"bytes": late - at_once + int(turns * each), "turns": turns}))
