"""asyncio in the wire's time: an event loop that waits for nothing but the next datagram."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine


class Loop(asyncio.SelectorEventLoop):
    """`now()`: ms. `advance(ms)`: lets so many pass; `listen(ms)`: fewer when a datagram arrives.

    `sleep_ms`, in place of asyncio's, ends when one does.
    """

    def __init__(self, now: Callable[[], int], advance: Callable, listen: Callable):
        self._now = now
        self._advance = advance
        self._listen = listen
        # In the order in which they fell asleep, so that a life is the same each time.
        self._sleepers: dict[asyncio.Future, None] = {}
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._now() / 1000

    async def sleep_ms(self, ms: int) -> None:
        sleeper = self.create_future()
        self._sleepers[sleeper] = None
        timer = self.call_later(ms / 1000, self._wake, sleeper)
        try:
            await sleeper
        finally:
            timer.cancel()
            del self._sleepers[sleeper]

    def pass_time(self, ms: int) -> None:
        """Let so many ms pass, fewer when a datagram arrives that somebody waits for."""
        if not self._sleepers:
            self._advance(ms)
        elif self._listen(ms):
            for sleeper in tuple(self._sleepers):
                self._wake(sleeper)

    def run(self, coroutine: Coroutine) -> None:
        """Run it to its end, or to what it or the wire raises."""
        self.set_exception_handler(lambda loop, context: None)
        try:
            self.run_until_complete(coroutine)
        finally:
            self.run_until_complete(_end(asyncio.all_tasks(self)))
            self.close()

    def _wake(self, sleeper: asyncio.Future) -> None:
        if not sleeper.done():
            sleeper.set_result(None)


async def _end(tasks: set[asyncio.Task]) -> None:
    """Cancel them in the order in which they were made, which their numbered names tell."""
    for task in sorted(tasks, key=lambda task: (len(task.get_name()), task.get_name())):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: Loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        """Wait, as an event loop does when no task can go on."""
        if timeout:
            self._loop.pass_time(math.ceil(timeout * 1000))
        return []
