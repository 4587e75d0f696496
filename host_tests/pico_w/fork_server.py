"""Boots one Pico W up to its first request, and forks it for each test that asks.

python -m host_tests.pico_w.fork_server SOCKET PID

A request is a line of JSON: [module, test, arguments]. The answer is what the test failed with,
then a line of JSON about it; nothing when its process died. It ends when process PID has.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
import traceback
from socketserver import ForkingMixIn, StreamRequestHandler, UnixStreamServer

from host_tests.pico_w.world import World, new_files
from tools.pico_w.image import find_image


class Handler(StreamRequestHandler):
    """Plays one test, in a process of its own."""

    def handle(self) -> None:
        request = self.rfile.readline()
        if not request:  # somebody looked whether there is a server
            return
        module, test, arguments = json.loads(request)
        world, before = self.server.world, self.server.world.machine.ms
        failure = ""
        try:
            getattr(importlib.import_module(module), test).on_the_board(world, **arguments)
        except BaseException:
            failure = f"{traceback.format_exc()}\nThe board's console:\n{world.console}"
        with contextlib.suppress(OSError):
            self.wfile.write(json.dumps([failure, world.machine.ms - before]).encode())


class Server(ForkingMixIn, UnixStreamServer):
    """Forks `world` for each request, until the process `user` is gone."""

    max_children = 1  # one core

    def __init__(self, address: str, world: World, user: int):
        super().__init__(address, Handler)
        self.world = world
        self._user = user

    def service_actions(self) -> None:
        super().service_actions()
        try:
            os.kill(self._user, 0)
        except OSError:
            sys.exit()


def main(address: str, user: str) -> None:
    world = World(find_image())
    world.power_up(new_files())
    world.until("provisioning: asking")
    gc.collect()
    gc.freeze()
    with Server(address, world, int(user)) as server:
        server.serve_forever(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
