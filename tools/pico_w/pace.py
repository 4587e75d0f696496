"""Keep an emulated board from running ahead of this computer's clock, while it waits."""

from __future__ import annotations

import time

from tools.pico_w.machine import Machine

_LOOK_MS = 4


class Pace:
    """Pauses `machine` when its time is ahead of this computer's; being late is not made up for."""

    def __init__(self, machine: Machine):
        self._machine = machine
        self._begin()
        self._look()

    @property
    def ahead(self) -> float:
        """Seconds that the board is ahead."""
        ahead = (self._machine.ms - self._ms) / 1000 - (time.monotonic() - self._began)
        if ahead < 0:
            self._begin()
        return max(ahead, 0.0)

    def _begin(self) -> None:
        self._ms, self._began = self._machine.ms, time.monotonic()

    def _look(self) -> None:
        self._machine.after(_LOOK_MS, self._look)
        if self.ahead:
            self._machine.pause()
