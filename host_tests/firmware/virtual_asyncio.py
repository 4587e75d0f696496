"""asyncio in virtual time."""

import asyncio
import sys


class VirtualTime:
    """In place of asyncio.sleep_ms: when every task sleeps, the clock moves on to the first."""

    # How often the others may run before all of them are taken to sleep.
    _ROUNDS = 5

    def __init__(self, clock):
        self.clock = clock
        self._ends = []

    async def sleep_ms(self, ms):
        end = self.clock.slept + ms
        self._ends.append(end)
        try:
            rounds = self._ROUNDS
            while self.clock.slept < end:
                now = self.clock.slept
                await asyncio.sleep(0)
                rounds = rounds - 1 if self.clock.slept == now else self._ROUNDS
                if not rounds and self.clock.slept == now:
                    self.clock.slept = min(self._ends)
                    rounds = self._ROUNDS
        finally:
            self._ends.remove(end)


class Asyncio:
    """The asyncio of a module, with a sleep_ms of a Clock."""

    Lock = asyncio.Lock

    def __init__(self, clock):
        self.sleep_ms = VirtualTime(clock).sleep_ms


def start_anew():
    """Leave no task to the next test, which MicroPython's asyncio.run would."""
    if sys.implementation.name == "micropython":
        asyncio.new_event_loop()
