"""Plays the board on CPython: firmware from a folder, real sockets, simulated radio and machine."""

import functools
import importlib.util
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

_HERE = Path(__file__).resolve().parent


def main() -> None:
    from tools import shims
    from tools.virtual_board.leash import die_with

    sys.path[0] = str(_HERE / "rom")
    import supervisor

    die_with(supervisor.settings["supervisor"])
    shims.install(supervisor.scenario["ticks_start"])
    _skip_sleeps()
    import machine  # noqa: F401 - like network, found by the firmware in sys.modules
    import network  # noqa: F401
    import power_on

    threading.Thread(target=_end_when_input_closes, daemon=True).start()
    flash = supervisor.settings["flash"]
    sys.path[:2] = [flash, os.path.join(flash, "lib")]
    sys.dont_write_bytecode = True
    _behave_as_micropython()
    if supervisor.scenario["silent_until"]:
        _carry_nothing()
    _map_ports()
    os.chdir(flash)
    try:
        with open(os.path.join(flash, "config.json"), encoding="utf-8") as config_file:
            supervisor.put_default_network_in_range(config_file)
    except OSError:
        supervisor.scenario["networks"] = supervisor.scenario["networks"] or []
    if _is_there("firmware.board.hardware"):
        from firmware.board.hardware import Board

        Board.root = flash
    power_on.run(_execute, flash)


def _skip_sleeps() -> None:
    """Let the clock of the ROM say when a sleep takes no time."""
    from clock import clock

    clock.host = SimpleNamespace(**vars(time))
    time.sleep_ms, time.ticks_ms = clock.sleep_ms, clock.ticks_ms


def _behave_as_micropython() -> None:
    """Where CPython's modules differ in what firmware finds on flash."""
    os.rename = os.replace
    json.dumps = functools.partial(json.dumps, ensure_ascii=False)


def _carry_nothing() -> None:
    """While the scenario has the network silent, send nothing and find no name."""
    from station import station

    class Socket(socket.socket):
        def send(self, data, *flags):
            return len(data) if station.is_silent else super().send(data, *flags)

    look_up = socket.getaddrinfo

    def getaddrinfo(host, *more):
        if station.is_silent and host.strip("0123456789.:"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return look_up(host, *more)

    socket.socket, socket.getaddrinfo = Socket, getaddrinfo


def _map_ports() -> None:
    """What rom/access_point.py maps is bound to the host's loopback, whose host is the phone."""
    from access_point import access_point

    class Socket(socket.socket):
        is_mapped = False

        def bind(self, address):
            if not access_point.is_mapped(address):
                return super().bind(address)
            protocol = "udp" if self.type == socket.SOCK_DGRAM else "tcp"
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bind = super().bind
            host_port = access_point.bind(lambda *at: bind(at), protocol, address[1])
            access_point.tell_port(protocol, address[1], host_port)
            self.is_mapped = True

        def accept(self):
            accepted, address = super().accept()
            return accepted, access_point.as_seen(address) if self.is_mapped else address

    socket.socket = Socket


def _execute(path: str, namespace: dict) -> None:
    with open(path, "rb") as file:
        exec(compile(file.read(), os.path.basename(path), "exec"), namespace)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _end_when_input_closes() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.path.insert(1, str(_HERE.parents[1]))
    main()
