"""A Device that is updated over the air:

`update.py IMAGE PROGRAM_SIZE BUNDLE TITLE VERSION ASSIGNED FROZEN HOW`

The board is provisioned, has attributes and calls, and sends a reading between two blocks.
ASSIGNED: 1 or 0. FROZEN: 1 when the firmware is in MicroPython, else 0. HOW: "as-it-is", or
"loaded", all code of an update before and for ever, so that what differs is what the work takes.
The server answers from memory, as ThingsBoard does.
"""

import builtins
import gc
import hashlib
import json
import os
import sys

import micropython
import thin_board
from micropython import const

_BLOCK = const(1024)  # bytes
_BLOCK2 = const(23)
_EACH = 8  # reads
# Not of an update that goes well.
_RARE = "pack start trial"
_OTHERS = "thingsboard.ota coap.block coap.blocks board.kept board.modulus"
# What is loaded in the steps of an update, the last of those that are.
_STEPS = "job states transfer installing files intake admission manifest"


class Restarted(BaseException):
    """The board has reset itself, to run the new version."""


class Heap:
    """Looks how much is live, by the step that an update is at.

    `is_watched`: also when a module is loaded, and at some of the reads of the flash.
    """

    is_watched = False

    def __init__(self):
        self.most = {}
        self.reads = 0

    def look(self, step=None):
        gc.collect()
        if not step:
            step = "idle"
            for each in _STEPS.split():
                if "firmware.update." + each in sys.modules:
                    step = each
        live = gc.mem_alloc()
        if live > self.most.get(step, 0):
            self.most[step] = live
            print("at", step)
            micropython.qstr_info()


heap = Heap()


class Server:
    """A transport to a ThingsBoard that has a package in a file of the computer's."""

    largest_block = _BLOCK

    def __init__(self, file, size, shared):
        self.file = file
        self.size = size
        self.shared = shared
        self.replies = []
        self.room = None
        # The datagram of a block is put together here, so that it takes a board's heap only once.
        self.buffer = memoryview(bytearray(_BLOCK + 32))
        self.length = 0
        self.number = self.bytes = self.datagrams = self.longest = 0

    def send(self, datagram):
        code = datagram[1]
        token = bytes(datagram[4 : 4 + (datagram[0] & 15)])
        if code == 1 and b"attributes" in datagram:
            head = bytes((0x60 | len(token), 0x45)) + datagram[2:4] + token
            self.replies.append(head + b"\x60\xff" + self.shared)
        elif code == 1 and b"rpc" in datagram:
            self.replies.append(bytes((0x40 | len(token), 0x43)) + self.id() + token + b"\x60")
        elif code == 1:
            self.count(datagram)
            self.block(datagram, token)
        elif code == 2:
            self.replies.append(bytes((0x40 | len(token), 0x41)) + self.id() + token)
        elif self.is_block:
            self.count(datagram)
        self.is_block = code == 1

    def count(self, datagram):
        """Count a datagram of the download."""
        self.bytes += len(datagram)
        self.datagrams += 1

    def block(self, datagram, token):
        """Answer with a block: the first one after an empty ACK, others on it."""
        from firmware.coap.message import decode, uint

        asked = uint(decode(memoryview(datagram)).option(_BLOCK2))
        number, szx = asked >> 4, asked & 7
        size = 16 << szx
        is_first = not number
        if is_first:
            self.replies.append(b"\x60\x00" + datagram[2:4])
        more = (number + 1) * size < self.size
        block = number << 4 | more << 3 | szx
        value = bytes((block,)) if block < 256 else bytes((block >> 8, block & 255))
        head = bytes((0x40 | (0 if is_first else 0x20) | len(token), 0x45))
        head += (self.id() if is_first else datagram[2:4]) + token
        head += bytes((0xD0 | len(value), 10)) + value
        if is_first:
            head += b"\x54" + self.size.to_bytes(4, "big")
        head += b"\xff"
        self.buffer[: len(head)] = head
        self.file.seek(number * size)
        read = self.file.readinto(self.buffer[len(head) : len(head) + size])
        self.length = len(head) + read

    def receive(self, size, timeout):
        if not (self.replies or self.length):
            return None
        # A socket makes room for the largest there may be, and gives back what is not needed.
        self.room = bytearray(size)
        heap.look()
        self.room = None
        if self.replies:
            datagram = self.replies.pop(0)
        else:
            datagram = bytes(self.buffer[: self.length])
            self.length = 0
        if self.is_block:
            self.count(datagram)
        # With what has just come.
        self.longest = max(self.longest, len(datagram))
        heap.look("block" if len(datagram) > _BLOCK else None)
        return datagram

    def close(self):
        pass

    def id(self):
        self.number += 1
        return bytes((0x7F, self.number & 0xFF))


def assign(file, title, version):
    """Return the size of a package, and the shared attributes that assign it, as JSON."""
    digest = hashlib.sha256()
    size = 0
    while True:
        part = file.read(512)
        if not part:
            break
        digest.update(part)
        size += len(part)
    file.seek(0)
    shared = {
        "sw_title": title,
        "sw_version": version,
        "sw_size": size,
        "sw_checksum_algorithm": "SHA256",
        "sw_checksum": digest.digest().hex(),
    }
    return size, json.dumps(shared).encode()


def load_all():
    """Load the code of an update, and keep all that is loaded."""
    from firmware import memory

    memory.give_back = memory.give_back_room = lambda *what: None
    names = [name[: name.rindex(".")] for name in os.listdir("/firmware/update")]
    for name in sorted(names):
        if name not in _RARE.split():
            __import__("firmware.update." + name)
    for name in _OTHERS.split():
        __import__("firmware." + name)


def watch():
    """Be able to look at the heap whenever a module is loaded, and at reads of the flash."""
    load = builtins.__import__
    read = thin_board.Flash.readblocks

    def loaded(*what):
        module = load(*what)
        if heap.is_watched:
            heap.look()
        return module

    def watched(self, *what):
        heap.reads += 1
        if heap.is_watched and not heap.reads % _EACH:
            heap.look()
        return read(self, *what)

    builtins.__import__ = loaded
    thin_board.Flash.readblocks = watched


def main(image, program_size, bundle, title, version, is_assigned, is_frozen, how):
    file = open(bundle, "rb")
    size, shared = assign(file, title, version)
    if how != "loaded":
        watch()
        heap.is_watched = is_assigned
    flash = thin_board.power_on(image, program_size, is_frozen)
    if how == "loaded":
        load_all()
    from firmware.board.hardware import Board

    def reset():
        raise Restarted

    board = Board()
    board.reset = reset
    # No wait for the others.
    board.random = bytes
    from firmware.device import Device

    credentials = json.loads(board.storage.read("/credentials.json"))
    server = Server(file, size, shared if is_assigned else b"{}")

    def connect(uri, sessions, idle):
        from firmware.coap.client import Client

        return Client(server, idle=idle)

    device = Device(credentials, board=board, connect=connect)
    device.on_rpc("setRelay", lambda is_on: {"on": is_on})
    device.on_attributes(lambda values: None)
    programs = flash.programs
    number = 0
    try:
        while is_assigned or number < 20:
            number += 1
            device.send_telemetry({"temperature": 21.5}, confirm=bool(number % 10))
            device.wait(0)
    except Restarted:
        pass
    print(
        json.dumps(
            {
                "most": heap.most,
                "bytes": server.bytes,
                "datagrams": server.datagrams,
                "longest": server.longest,
                "programs": flash.programs - programs,
            }
        )
    )


main(
    sys.argv[1],
    int(sys.argv[2]),
    *sys.argv[3:6],
    sys.argv[6] == "1",
    sys.argv[7] == "1",
    sys.argv[8],
)
