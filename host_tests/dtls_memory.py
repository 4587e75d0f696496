"""What DTLS sessions cost and leave behind, on MicroPython: run by test_coaps.

Standard input: the CA in PEM. The argument, in JSON: by name, the ports of servers. Prints a
line of JSON for each server: how sessions with it end, and by how many bytes MicroPython's heap
and the process, which mbedTLS allocates from, have grown after 10 more of them.
"""

import gc
import json
import sys
import time

sys.path.insert(1, "tools/virtual_board/rom")
import sockets

sys.modules["socket"] = sockets

from binascii import a2b_base64

from firmware.coap.dtls import DTLS, make_context
from firmware.coap.udp import UDP
from firmware.errors import FirstbootError

_ROUNDS = 10
_FAST = 300
_PAGE = 4096


def fast_ticks():
    """A clock on which the deadline of a handshake is 0.2 s away."""
    return time.ticks_ms() * _FAST % (1 << 30)


def session(port, authority):
    """Return how a session with one request ends."""
    transport = UDP("127.0.0.1", port)
    try:
        transport = DTLS(transport, make_context([authority]), "localhost", ticks=fast_ticks)
        transport.send(b"\x40\x01\x12\x34")
        return "ok" if transport.receive(1153, 2000) else "no answer"
    except FirstbootError as error:
        return error.what
    finally:
        transport.close()


def process_size():
    """Return how much memory this process has of its own, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[5]) * _PAGE


def main():
    lines = sys.stdin.read().strip().split("\n")
    authority = a2b_base64("".join(lines[1:-1]))
    ports = json.loads(sys.argv[1])
    for kind in ports:
        for _ in range(_ROUNDS // 2):
            outcome = session(ports[kind], authority)
        gc.collect()
        heap, process = gc.mem_alloc(), process_size()
        for _ in range(_ROUNDS):
            outcome = session(ports[kind], authority)
        gc.collect()
        heap = gc.mem_alloc() - heap
        process = process_size() - process
        print(json.dumps({"kind": kind, "outcome": outcome, "heap": heap, "process": process}))


main()
