"""A board at work in virtual time, and how its waits are made short."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from firmware import aio, device, link, session
from firmware.board import clock, strict_json, wifi
from firmware.board import config as configuration
from firmware.coap import client
from firmware.errors import Silence
from host_tests.explorer import board as explorer_board
from host_tests.explorer.run import Violation

BEGAN = 1_800_000_000_000  # ms since 1970
STEP = 15_000  # ms that the application waits, and the Device at once
_MEMORY = 2_048  # bytes


class PowerCut(BaseException):
    """The power is gone."""


class Asleep(BaseException):
    """The board sleeps deep."""


class Board(explorer_board.Board):
    """A board with a clock, on the wire of a Life.

    Of that are `address`, while it `is_joined`, the `memory` that lasts through a deep sleep, if it
    `has_memory`, and `is_cold`: whether the clock is not set at power-up.
    """

    chip = "ESP32"
    attempt_again = trial = clock_asked_at = None
    clock_is_guessed = in_steps = False

    def __init__(self, life):
        super().__init__(life.files, life.wire, "", "at work", lambda board, ms: None)
        self.on_send = life.wire.send
        self.on_receive = lambda datagram: None
        self.life = life
        self.random = life.random
        self.clock_is_set = not life.is_cold

    @property
    def now_ms(self) -> int:
        if not self.clock_is_set:
            return self.life.wire.now - self._powered_up_at
        return BEGAN + self.life.wire.now

    @property
    def address(self) -> str | None:
        return self.life.address if self.life.is_joined else None

    @address.setter
    def address(self, address: str) -> None:
        """It is the Life's."""

    def sleep(self, ms: int) -> None:
        self.life.wire.advance(ms)

    def recall(self) -> bytes:
        return self.life.memory

    def remember(self, content: bytes) -> bool:
        if not self.life.has_memory or len(content) > _MEMORY:
            return False
        self.life.memory = bytes(content)
        return True

    def deep_sleep(self, ms: int) -> None:
        raise Asleep


def _join_wifi(config, board: Board, trouble=None, patience=30) -> Iterator[int]:
    if not board.life.is_joined:
        yield patience * 1000
    if not board.life.is_joined:
        raise Silence("no such Wi-Fi")


def _ask_time(board: Board, servers) -> Iterator[int]:
    board.clock_is_set = True
    yield 1


def _unexpected(error: Exception):
    raise Violation(f"{type(error).__name__}: {error}") from error


def quick(step: int = STEP):
    """Leave out what takes long and is not what is tested; wait in steps of so many ms."""
    check = configuration.check
    return explorer_board.replaced(
        (gc, "collect", lambda: None),
        (session, "give_back", lambda *steps: None),
        (link, "give_back", lambda *steps: None),
        (session, "unexpected", _unexpected),
        (client, "_IDLE", step),
        (device, "_IDLE", step),
        (aio, "_POLL", step),
        (wifi, "join_steps", _join_wifi),
        (clock, "clock_steps", _ask_time),
        (strict_json, "mistake_in", explorer_board.mistake_in),
        (configuration, "check", lambda *given: explorer_board.check_once(check, *given)),
    )
