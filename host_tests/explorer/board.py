"""A board in virtual time, as the firmware is handed one."""

from __future__ import annotations

import gc
import pickle
import random
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace

import firmware.power_up
from firmware.board import config as configuration
from firmware.board import strict_json
from firmware.board.indicator import Indicator
from firmware.board.storage import Storage
from firmware.coap import uri
from firmware.errors import FirstbootError
from firmware.provisioning import attempt, found
from firmware.provisioning.attempt import Attempt
from host_tests.explorer.flash import Files
from host_tests.explorer.network import SERVER_ADDRESS, Network
from tools import shims

ADDRESSES = ("10.0.0.2", "10.0.0.3")
# Ticks wrap 2.5 s after power-up: in the middle of the first wait that is any.
_TICKS_AT_POWER_UP = shims.TICKS_PERIOD - 2_500


@contextmanager
def quick():
    """Leave out what takes longer than a power-up, and is not what is tested.

    That is to give memory back, to wait in steps of 50 ms, to join anew a Wi-Fi that always
    carries what the network lets through, to look at the same JSON letter by letter again, and to
    check the same config.json again.
    """
    join = firmware.power_up._join
    check = configuration.check
    make = FirstbootError.__init__
    made = []

    def make_error(error, *arguments):
        make(error, *arguments)
        made.append(error)

    with replaced(
        (gc, "collect", lambda: None),
        (firmware.power_up, "give_back", lambda *modules: None),
        (found, "give_back", lambda *modules: None),
        (attempt, "give_back", lambda *modules: None),
        (firmware.power_up, "_join", lambda *args: join(*args[:2], None)),
        (Attempt, "_idle", None),
        (strict_json, "mistake_in", mistake_in),
        (configuration, "check", lambda *given: check_once(check, *given)),
        (FirstbootError, "__init__", make_error),
    ):
        try:
            yield
        finally:
            # The frames that have an error in hand, and all that they refer to, are gone at once.
            for error in made:
                error.__traceback__ = None


@contextmanager
def replaced(*attributes):
    """Each (owner, name, value) for as long as this lasts; a power-up is too short for a mock."""
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in attributes]
    for each in attributes:
        setattr(*each)
    try:
        yield
    finally:
        for each in kept:
            setattr(*each)


mistake_in = lru_cache(maxsize=4096)(strict_json.mistake_in)


def check_once(check, content, id, provisioned=False, chip="", asked=None):
    """What `check` returns, worked out once; each time it is one's own to change."""
    known = content, id, provisioned, chip, asked is not None
    config, missing = pickle.loads(_checked(check, uri.origin, *known))
    if asked is not None:
        asked += missing
    return config


@lru_cache(maxsize=4096)
def _checked(check, origin, content, id, provisioned, chip, is_asking) -> bytes:
    asked = [] if is_asking else None
    return pickle.dumps((check(content, id, provisioned, chip, asked), asked))


def power_up(board: Board):
    """Run the firmware's power-up procedure."""
    with quick():
        return firmware.power_up.power_up(board)


class Board:
    """Fits firmware.board.hardware.Board. `asleep(ms)` is called in place of every long wait."""

    root = ""
    chip = ""
    trial = None
    watchdog = None
    description = "the explorer"
    idle = staticmethod(lambda: None)
    in_steps = False
    recall = staticmethod(bytes)
    remember = staticmethod(lambda content: False)

    def __init__(self, files: Files, network: Network, address: str, seed: str, asleep):
        self.files = files
        self.id = "0123456789ab"
        self.radio = {"silent": 0, "failed": 0, "wedged": 0}
        self.lines: list[str] = []
        self.state = ""
        self.wire = network
        self.address = address
        self.network = _Radio
        self.names = {"thingsboard.example.com": [SERVER_ADDRESS]}
        self.storage = Storage(open=files.open, os=files)
        self.indicator = _Indicator(self)
        self.random = random.Random(seed).randbytes
        self._asleep = asleep
        self._powered_up_at = network.now

    def ticks(self) -> int:
        elapsed = self.wire.now - self._powered_up_at
        return (_TICKS_AT_POWER_UP + elapsed) % shims.TICKS_PERIOD

    def exists(self, path: str) -> bool:
        return self.storage.exists(path)

    def sessions(self, config, kind=None):
        """Plain CoAP only."""

    def resolve(self, host: str, port: int) -> list[str]:
        if host not in self.names:
            raise OSError(-2, "name not known")
        return self.names[host]

    def open_transport(self, address: str, port: int, local_port: int = 0) -> _Transport:
        return _Transport(self, (self.address, local_port))

    def sleep(self, ms: int) -> None:
        self._asleep(self, ms)

    def use_led(self, pin) -> None:
        """There is none."""

    def start_watchdog(self, seconds: int) -> None:
        """There is none."""

    def reset(self) -> None:
        raise AssertionError("a board that is not provisioned has no application to crash")

    def forget(self) -> None:
        """It is not needed any more: nothing that refers to it in a circle waits to be found."""
        vars(self).clear()


class _Indicator(Indicator):
    """Remembers the state that it shows."""

    def __init__(self, board: Board):
        self._board = board
        super().__init__(write=board.lines.append, ticks=lambda: 0)

    def show(self, state, text, *more):
        self._board.state = state
        super().show(state, text, *more)


class _Transport:
    """Fits firmware.coap.udp.UDP."""

    largest_block = 1024

    def __init__(self, board: Board, peer):
        self._board = board
        self._peer = peer
        board.wire.open(peer)

    def send(self, datagram) -> None:
        self._board.on_send(self._peer, bytes(datagram))

    def receive(self, size: int, timeout: int) -> bytes | None:
        datagram = self._board.wire.receive(self._peer, timeout)
        if datagram is not None:
            self._board.on_receive(datagram)
        return datagram

    def close(self) -> None:
        self._board.wire.close(self._peer)


_WLAN = SimpleNamespace(
    active=lambda *on: True, isconnected=lambda: True, config=lambda key: "home"
)
_Radio = SimpleNamespace(STA_IF=0, WLAN=lambda interface: _WLAN)
