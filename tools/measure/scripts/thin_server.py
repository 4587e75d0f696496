"""What stands for ThingsBoard and the network in between, in memory, as thin as it gets.

None of it is on a board: `device.py` tells how much heap it takes, so that it can be taken off.
"""

from micropython import const

_IPV4_AND_UDP = const(28)  # bytes of their headers


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
