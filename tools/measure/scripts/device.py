"""A Device at work on a board that is provisioned: `device.py IMAGE CONFIRM OBSERVES [only|aio]`.

CONFIRM and OBSERVES: 1 or 0. The server answers from memory, as ThingsBoard does. With `only` the
work is done in whatever heap there is, and nothing is measured; with `aio` too, with asyncio. The
garbage is that of a reading after another: the stand-in makes none but the datagram that a socket
gives.
"""

import gc
import json
import sys
import time

import thin_board

_READINGS = 20
_IPV4_AND_UDP = 28  # bytes of their headers


class Server:
    """A transport to a ThingsBoard in which a call and a change wait every few readings."""

    largest_block = 1024

    def __init__(self):
        self.replies = []
        self.answers = None
        self.datagrams = self.bytes = self.readings = self.number = 0
        self.tokens = {}

    def prepare(self, confirm):
        """Answer the next reading without making garbage: it begins as this one."""
        self.answers = [bytearray((0x48 if confirm else 0x58, 0x41, 0x7F, 0)) + bytes(8)]

    def send(self, datagram):
        self.datagrams += 1
        self.bytes += len(datagram) + _IPV4_AND_UDP
        code = datagram[1]
        if self.answers and code == 2:
            answer = self.answers[0]
            for place in range(4, 12):
                answer[place] = datagram[place]
            self.replies, self.answers = self.answers, None
            return
        if code == 1:
            self.observe(bytes(datagram))
        elif code == 2:
            self.answer(bytes(datagram))

    def receive(self, size, timeout):
        if not self.replies:
            return None
        datagram = bytes(self.replies.pop(0))
        self.datagrams += 1
        self.bytes += len(datagram) + _IPV4_AND_UDP
        return datagram

    def close(self):
        pass

    def observe(self, datagram):
        token = datagram[4:12]
        if b"attributes" in datagram:
            self.tokens["attributes"] = token
            self.replies.append(b"\x68\x45" + datagram[2:4] + token + b'\x60\xff{"interval":60}')
        else:
            self.tokens["rpc"] = token
            self.replies.append(b"\x48\x43" + self.id() + token + b"\x60")

    def answer(self, datagram):
        is_confirmable = datagram[0] >> 4 & 3 == 0
        head = b"\x48\x41" if is_confirmable else b"\x58\x41"
        self.replies.append(head + self.id() + datagram[4:12])
        if b"telemetry" in datagram:
            self.readings += 1

    def notify(self, resource, payload):
        observe = bytes((0x61, self.number // 2 + 1))
        token = self.tokens[resource]
        self.replies.append(b"\x48\x45" + self.id() + token + observe + b"\xff" + payload)

    def id(self):
        self.number += 1
        return bytes((0x7F, self.number))


def main(image, confirm, observes, how):
    thin_board.power_on(image)
    from firmware.board.hardware import Board

    board = Board()
    gc.collect()
    start = gc.mem_alloc()
    if how == "aio":
        import asyncio

        from firmware.aio import Device

        run = asyncio.run
    else:
        from firmware.device import Device

        def run(result):
            pass

    credentials = json.loads(board.storage.read("/credentials.json"))
    server = Server()

    def connect(uri, sessions, idle):
        from firmware.coap.client import Client

        return Client(server, idle=idle)

    device = Device(credentials, board=board, connect=connect)
    if observes:
        device.on_rpc("setRelay", lambda is_on: {"on": is_on})
        device.on_attributes(lambda values: None)

    def reading():
        run(device.send_telemetry({"temperature": 21.5}, confirm=confirm))
        run(device.wait(0))

    for number in range(_READINGS):
        reading()
        if observes and number % 5 == 4:
            server.notify("rpc", b'{"id":%d,"method":"setRelay","params":true}' % number)
            server.notify("attributes", b'{"interval":%d}' % number)
            run(device.wait(1))
    if how:
        print("done", server.readings)
        return
    reading()
    gc.collect()
    found = {"kept": gc.mem_alloc() - start}
    server.prepare(confirm)
    # Those before, in one ms, were given later times: what follows at once takes more.
    time.sleep_ms(50)
    gc.disable()
    datagrams, sizes = server.datagrams, server.bytes
    before = gc.mem_alloc()
    reading()
    found["garbage"] = gc.mem_alloc() - before
    found["datagrams"] = server.datagrams - datagrams
    found["bytes"] = server.bytes - sizes
    found["loaded"] = [name for name in sys.modules if name.startswith("firmware.")]
    print(json.dumps(found))


main(sys.argv[1], sys.argv[2] == "1", sys.argv[3] == "1", sys.argv[4] if sys.argv[4:] else "")
