"""How heap and time grow: `grow.py block1|block2|config|exchanges|download|upload SIZE [only]`.

With `only` the work is done in whatever heap there is, and nothing is measured; a download or an
upload is only done so.
"""

import gc
import json
import sys
import time

from firmware.coap.client import Client

_BLOCK_SIZE = 512
_SZX = 5
_RUNS = 25


class Blocks:
    """A transport to a server whose response body has `size` bytes, in blocks."""

    largest_block = 1024

    def __init__(self, size):
        self.body = b"x" * size
        self.reply = None

    def send(self, datagram):
        number = 0
        if datagram[-2] == 0xD1 or datagram[-2] == 0xC1:
            number = datagram[-1] >> 4
        start = number * _BLOCK_SIZE
        payload = self.body[start : start + _BLOCK_SIZE]
        head = b"\x68\x45" + datagram[2:12]
        if len(self.body) > _BLOCK_SIZE:
            more = start + _BLOCK_SIZE < len(self.body)
            head += bytes((0xD1, 23 - 13, number << 4 | more << 3 | _SZX))
        self.reply = head + b"\xff" + payload

    def receive(self, size, timeout):
        return self.reply


def block2(size):
    client = Client(Blocks(size), limit=8192)

    def work():
        response = client.get("/large")
        assert len(response.payload) == size
        return response

    return work


def config(size):
    from firmware.board.config import check

    content = json.dumps(
        {
            "wifi": {"ssid": "measured", "password": "correct horse"},
            "server": "coap://127.0.0.1",
            "provisioning": {
                "deviceName": "sensor-{id}",
                "provisionDeviceKey": "0123456789abcdefghij",
                "provisionDeviceSecret": "jihgfedcba9876543210",
                "credentialsType": "X509_CERTIFICATE",
                "hash": "c" * size,
            },
        }
    ).encode()
    return lambda: check(content, "001122334455")


def exchanges(count):
    client = Client(Blocks(95))
    return lambda: client.get("/small")


class Streams:
    """A transport to a server that gives and takes a body of any size in blocks of 1024."""

    largest_block = 1024

    def __init__(self, size):
        self.last = (size - 1) // 1024
        self.block = bytes(1024)
        self.number = 0

    def send(self, datagram):
        more = self.number < self.last
        is_upload = datagram[1] == 2
        # Block2, or Block1 as the request's: 2 bytes of a number, `more` and 1024.
        value = (self.number << 4 | more << 3 | 6).to_bytes(2, "big")
        code, option = (0x5F if more else 0x44, 27) if is_upload else (0x45, 23)
        token_length = datagram[0] & 15
        head = bytes((0x60 | token_length, code)) + datagram[2 : 4 + token_length]
        head += bytes((0xD2, option - 13)) + value
        self.reply = head if is_upload else head + b"\xff" + self.block
        self.number += 1

    def receive(self, size, timeout):
        return self.reply


def block1(size):
    body = b"x" * size

    def work():
        assert Client(Streams(size)).post("/large", body).code == 0x44

    return work


def download(size):
    from firmware.coap import stream

    def work():
        client = Client(Streams(size))
        response = client.drive(stream.download(client, "/large", lambda data: None))
        assert response.size == size

    return work


def upload(size):
    from firmware.coap import stream

    part = bytes(1024)

    def work():
        client = Client(Streams(size))
        steps = stream.upload(client, 2, "/large", lambda offset, size: part, size)
        assert client.drive(steps).code == 0x44

    return work


def measure(work, times):
    # What the first time loads stays, and is not what grows.
    work()
    took = [0] * _RUNS
    gc.collect()
    fresh = gc.mem_alloc()
    for number in range(max(times, _RUNS)):
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        began = time.ticks_us()
        work()
        took[number % _RUNS] = time.ticks_diff(time.ticks_us(), began)
        allocated = gc.mem_alloc() - before
        gc.enable()
    gc.collect()
    level = gc.mem_alloc() - fresh
    return {"allocated": allocated, "us": sorted(took)[_RUNS // 2], "level": level}


KINDS = {
    "block1": block1,
    "block2": block2,
    "config": config,
    "exchanges": exchanges,
    "download": download,
    "upload": upload,
}
kind, size = sys.argv[1], int(sys.argv[2])
times = size if kind == "exchanges" else 1
work = KINDS[kind](size)
if len(sys.argv) > 3:
    for _ in range(times):
        work()
    print("done")
else:
    print(json.dumps(measure(work, times)))
