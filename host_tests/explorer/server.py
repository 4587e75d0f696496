"""ThingsBoard's end of the wire in virtual time."""

from __future__ import annotations

import random

from tools.fake_thingsboard.endpoint import REPLIES, Endpoint
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.transmissions import Peer

__all__ = ["REPLIES", "Peer", "Server"]

SEPARATE_AFTER = 600  # ms from a request to its separate reply


class Server(Endpoint):
    """ThingsBoard with one `strategy`, one way to `reply` and what it draws from a `seed`."""

    def __init__(self, key: str, secret: str, strategy: str, reply: str, seed: str):
        thingsboard = ThingsBoard(key, secret, strategy, randbytes=self._randbytes)
        super().__init__(
            thingsboard, reply=reply, delay=SEPARATE_AFTER if reply == "separate" else 0
        )
        self.seed = seed
        self.drawn = 0

    def copy(self) -> Server:
        """An independent copy."""
        board = self.thingsboard
        copy = Server(board.key, board.secret, board.strategy, self.reply, self.seed)
        copy.thingsboard.restore(board.snapshot())
        copy.drawn = self.drawn
        self.copy_to(copy)
        return copy

    def _randbytes(self, size: int) -> bytes:
        self.drawn += 1
        return random.Random(f"{self.seed}/server/{self.drawn}").randbytes(size)
