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

import micropython

_READINGS = 20


def main(image, confirm, observes, how):
    heap = gc.mem_alloc()
    import thin_board
    import thin_server

    thin_board.power_on(image)
    server = thin_server.Server()
    gc.collect()
    standing = gc.mem_alloc() - heap
    micropython.qstr_info()
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
        micropython.qstr_info()
        print(json.dumps({"done": server.readings, "standing": standing}))
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
