"""ThingsBoard's end of the wire in virtual time."""

from __future__ import annotations

import random
import weakref
from typing import NamedTuple

from tools.fake_thingsboard.endpoint import REPLIES, Endpoint
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.transmissions import Peer

__all__ = ["REPLIES", "Peer", "Server"]

SEPARATE_AFTER = 600  # ms from a request to its separate reply


class Provisioned(NamedTuple):
    """Who provisioned a device: the address of the board, and its request's body."""

    address: str
    body: bytes


class _ThingsBoard(ThingsBoard):
    """Notes which request provisioned a device; `peer` is who asks. It draws from a `seed`."""

    peer: Peer = ("", 0)

    def __init__(self, key: str, secret: str, strategy: str, seed: str):
        super().__init__(key, secret, strategy)
        self.seed = seed
        self.drawn = 0
        self.provisioned: dict[str, Provisioned] = {}

    def copy(self):
        twin = super().copy()
        twin.provisioned = self.provisioned.copy()
        return twin

    def delete_device(self, name):
        super().delete_device(name)
        self.provisioned.pop(name, None)

    def _provision(self, payload):
        before = set(self.devices)
        states = {name: device.provision_state for name, device in self.devices.items()}
        reply = super()._provision(payload)
        for name, device in self.devices.items():
            if name not in before or states[name] != device.provision_state:
                self.provisioned[name] = Provisioned(self.peer[0], bytes(payload))
        return reply

    def random_text(self) -> str:
        self.drawn += 1
        self._randbytes = random.Random(f"{self.seed}/server/{self.drawn}").randbytes
        return super().random_text()


class Server(Endpoint):
    """ThingsBoard with one `strategy`, one way to `reply` and what it draws from a `seed`."""

    def __init__(self, key: str, secret: str, strategy: str, reply: str, seed: str):
        thingsboard = _ThingsBoard(key, secret, strategy, seed)
        super().__init__(
            thingsboard, reply=reply, delay=SEPARATE_AFTER if reply == "separate" else 0
        )

    def received(self, peer: Peer, datagram: bytes, now: int):
        """Take a datagram."""
        self.thingsboard.peer = peer
        return super().received(peer, datagram, now)

    def _listen(self) -> None:
        # Nothing refers to what refers to it: copies that nobody needs are gone at once.
        this = weakref.ref(self)
        self.thingsboard.on_change = lambda change: this().changed(change)
        self.thingsboard.on_uplink = lambda name: this()._asked(name)
        self.thingsboard.on_answer = lambda name, number: this()._answered(name, number)
